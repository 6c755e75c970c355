//! Metered viewers among the shard's peers: what they are told, and what they have to say.

use std::time::Instant;

use super::{Rest, Shard};
use crate::event::Event;
use crate::ids::PeerId;
use crate::meter::Meter;
use crate::peer::{Peer, Side};
use crate::viewer::Viewer;

impl Shard {
    /// Changes what a metered viewer may have, and asks for the key frame that it may now wait for.
    pub(super) fn with_meter(&mut self, id: PeerId, now: Instant, change: impl FnOnce(&mut Viewer)) {
        self.with_viewer(id, now, change);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let (true, Side::Viewer(viewer)) = (peer.connected, &peer.role)
            && let Some(layer) = viewer.awaited()
        {
            self.rest.keyframes.want(viewer.stream, layer);
        }
        self.rest.tell(peer);
    }

    /// What metered viewers have to say waits with them, where it is bounded.
    pub(super) fn poll_metering(&mut self) -> Option<Event> {
        while let Some(&id) = self.rest.talking.front() {
            if let Some(meter) = self.meter_of(id) {
                if let Some((session, what)) = meter.read() {
                    return Some(Event::Metered { peer: id, session, what });
                }
                meter.announced = false;
            }
            self.rest.talking.pop_front();
        }
        None
    }

    /// Takes back a metered viewer's event, unless the peer is gone: then it is one like others.
    pub(super) fn unpoll_metering(&mut self, event: Event) -> Option<Event> {
        if let Event::Metered { peer, session, what } = event
            && let Some(meter) = self.meter_of(peer)
        {
            meter.unread(session, what);
            if !std::mem::replace(&mut meter.announced, true) {
                self.rest.talking.push_front(peer);
            }
            return None;
        }
        Some(event)
    }

    fn meter_of(&mut self, id: PeerId) -> Option<&mut Meter> {
        match &mut self.peers.get_mut(&id)?.role {
            Side::Viewer(viewer) => viewer.meter.as_deref_mut(),
            Side::Publisher(_) => None,
        }
    }
}

impl Rest {
    /// Notes a metered viewer that has something to say.
    pub(super) fn tell(&mut self, peer: &mut Peer) {
        if let Side::Viewer(Viewer { meter: Some(meter), .. }) = &mut peer.role
            && meter.has_news()
            && !std::mem::replace(&mut meter.announced, true)
        {
            self.talking.push_back(peer.id);
        }
    }

    /// All that a peer which is gone had to say.
    pub(super) fn tell_all(&mut self, peer: &mut Peer) {
        let Side::Viewer(Viewer { meter: Some(meter), .. }) = &mut peer.role else { return };
        meter.end();
        while let Some((session, what)) = meter.read() {
            self.events.push_back(Event::Metered { peer: peer.id, session, what });
        }
        self.talking.retain(|other| *other != peer.id);
    }
}
