//! Packets of a stream on their way to its viewers' sessions.

use std::collections::HashMap;
use std::time::Instant;

use str0m::Rtc;

use super::Shard;
use crate::event::Event;
use crate::forward::Prepared;
use crate::ids::{PeerId, StreamId};
use crate::packet::{Lane, RtpPacket};
use crate::peer::{Peer, Side};
use crate::viewer::{Sent, Viewer};

impl Shard {
    /// Hands packets of a stream to those of its viewers that are to have them. They leave with the next
    /// [`Shard::flush`], so that what goes to one viewer leaves together.
    pub fn forward(
        &mut self,
        now: Instant,
        id: StreamId,
        packets: impl IntoIterator<Item = (Lane, RtpPacket)>,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let items: Vec<_> =
            packets.into_iter().filter_map(|(lane, p)| stream.prepare(lane, p, now)).collect();
        for item in &items {
            if let Lane::Video(layer) = item.lane {
                if item.start.key {
                    self.rest.keyframes.came(id, layer);
                } else if item.hole {
                    self.rest.keyframes.want(id, layer);
                }
            }
        }
        for peer in stream.viewers.clone() {
            let begins = |viewer: &Viewer| items.iter().any(|item| viewer.begins(item));
            if viewer_of(&mut self.peers, peer).is_some_and(|(_, viewer)| begins(viewer)) {
                for item in &items {
                    self.forward_alone(peer, id, item, now);
                }
            } else {
                self.forward_to(peer, id, &items, now);
            }
        }
    }

    /// A line's first packet leaves before anything of another line is written: the session reports on all its
    /// lines when it is called a second time, and would state RTP time 0 for one whose first packet still
    /// waits its turn.
    fn forward_alone(&mut self, id: PeerId, stream: StreamId, item: &Prepared, now: Instant) {
        if viewer_of(&mut self.peers, id).is_some_and(|(_, viewer)| viewer.begins(item)) {
            self.poll_session(id, now);
            self.forward_to(id, stream, std::slice::from_ref(item), now);
            self.poll_session(id, now);
        } else {
            self.forward_to(id, stream, std::slice::from_ref(item), now);
        }
    }

    fn forward_to(&mut self, id: PeerId, stream: StreamId, items: &[Prepared], now: Instant) {
        let Some((peer, viewer)) = viewer_of(&mut self.peers, id) else { return };
        let mut written = false;
        for item in items {
            match viewer.forward(peer.rtc, item, now, self.clock) {
                Sent::Nothing => continue,
                Sent::Packet => {}
                Sent::FirstOf(layer) => {
                    self.rest.events.push_back(Event::LayerChanged { peer: id, layer });
                }
            }
            written = true;
        }
        // One that waits for a key frame that went by keeps the request alive.
        if let Some(layer) = viewer.awaited() {
            self.rest.keyframes.want(stream, layer);
        }
        let news = viewer.meter.as_ref().is_some_and(|meter| meter.has_news());
        // What is withheld needs the session's time as well: a deadline comes with it.
        if (written || news) && !std::mem::replace(peer.dirty, true) {
            self.dirty.push(id);
        }
    }
}

/// A connected viewer, with what is its session's.
fn viewer_of(peers: &mut HashMap<PeerId, Box<Peer>>, id: PeerId) -> Option<(Outgoing<'_>, &mut Viewer)> {
    let Peer { rtc, dirty, connected: true, role: Side::Viewer(viewer), .. } = &mut **peers.get_mut(&id)?
    else {
        return None;
    };
    Some((Outgoing { rtc, dirty }, viewer))
}

/// Where a viewer's packets are written to.
struct Outgoing<'a> {
    rtc: &'a mut Rtc,
    /// Packets were written that the session must still send.
    dirty: &'a mut bool,
}
