//! WHIP and WHEP sessions: which token stands for which peer of which stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::RenditionName;

use crate::id::session_token;
use crate::places::network;
use crate::stream::{Layers, PublisherId, StreamHandle};

/// What a peer does.
#[derive(Clone)]
pub enum Role {
    Publisher {
        publisher: PublisherId,
        /// The rendition that each rid carries; a publisher without simulcast has none.
        layers: Arc<Layers>,
    },
    Viewer,
}

#[derive(Clone)]
pub struct Session {
    pub token: String,
    pub peer: sfu::PeerId,
    pub stream: StreamHandle,
    pub role: Role,
    /// Changes with an ICE restart (RFC 9725 §4.3.1).
    pub etag: String,
}

#[derive(Default)]
struct Tables {
    by_peer: BTreeMap<sfu::PeerId, Session>,
    /// The addresses that are in use: a session whose end was asked for has none.
    peer_of: BTreeMap<String, sfu::PeerId>,
    /// Viewers that have not connected yet, the oldest first, and where each came from.
    connecting: BTreeMap<sfu::PeerId, IpAddr>,
    /// Viewers whose room is another's, until the media plane has let go of them.
    displaced: BTreeSet<sfu::PeerId>,
    /// Since the start, for the log: so many viewers came when there was no room.
    pressed: u64,
}

/// Viewers that lost their room and that the media plane has not let go of yet: so much more than its settings say it
/// takes in all.
pub const DISPLACED_MAX: usize = 64;
/// Of all peers, the part that one network may have of those that only asked: one over as many.
const CONNECTING_SHARE: usize = 8;

/// All sessions of a node. Bounded by the number of peers that the media plane accepts.
#[derive(Default)]
pub struct Sessions(Mutex<Tables>);

impl Sessions {
    /// Enters a session, makes its token, and lets its peer connect; returns the answer, too. `waiting` is where a viewer
    /// comes from that may lose its room until it connects. The media plane says nothing of a peer that it does not
    /// know: so nobody can be gone before it is entered, and stay here for ever.
    pub fn enter(
        &self,
        newcomer: sfu::Newcomer,
        stream: StreamHandle,
        role: Role,
        etag: String,
        waiting: Option<IpAddr>,
    ) -> Result<(Session, String), sfu::Refused> {
        let peer = newcomer.accepted().peer;
        let session = Session { token: session_token(), peer, stream, role, etag };
        let mut tables = self.tables();
        tables.peer_of.insert(session.token.clone(), peer);
        tables.by_peer.insert(peer, session.clone());
        if let Some(address) = waiting {
            tables.connecting.insert(peer, network(address));
        }
        drop(tables);
        match newcomer.admit() {
            Ok(accepted) => Ok((session, accepted.answer_sdp)),
            Err(err) => {
                self.leave(peer);
                Err(err)
            }
        }
    }

    /// Room for one more viewer that comes from `address`, where the node has `limit` peers. Anyone may ask for a
    /// session and never connect, so there the viewer that has waited longest to connect loses its own, which `close`
    /// ends: one of the same network, if that has more of them than it may. This machine's own have no such limit.
    pub fn make_room(
        &self,
        address: IpAddr,
        limit: usize,
        close: impl FnOnce(sfu::PeerId) -> Result<(), sfu::Refused>,
    ) -> Result<(), sfu::Refused> {
        let network = network(address);
        let mut tables = self.tables();
        let own = tables.connecting.values().filter(|other| **other == network).count();
        let crowds = !network.is_loopback() && own >= (limit / CONNECTING_SHARE).max(1);
        if !crowds && tables.by_peer.len() - tables.displaced.len() < limit {
            return Ok(());
        }
        tables.pressed += 1;
        if tables.pressed.is_power_of_two() {
            let (pressed, waiting) = (tables.pressed, tables.connecting.len());
            tracing::warn!(
                pressed,
                limit,
                waiting,
                one_network = crowds,
                "no room is free for another viewer"
            );
        }
        if tables.displaced.len() >= DISPLACED_MAX {
            return Err(sfu::Refused::Busy);
        }
        let mut waiting = tables.connecting.iter().filter(|(_, other)| !crowds || **other == network);
        let oldest = waiting.next().map(|(peer, _)| *peer).ok_or(sfu::Refused::Full)?;
        close(oldest)?;
        tables.connecting.remove(&oldest);
        let Tables { by_peer, peer_of, displaced, .. } = &mut *tables;
        if let Some(session) = by_peer.get(&oldest) {
            peer_of.remove(&session.token);
            displaced.insert(oldest);
        }
        Ok(())
    }

    /// Where a viewer that has not connected came from, in fact.
    #[cfg(test)]
    pub fn expect(&self, peer: sfu::PeerId, address: IpAddr) {
        self.tables().connecting.insert(peer, network(address));
    }

    pub fn connected(&self, peer: sfu::PeerId) {
        self.tables().connecting.remove(&peer);
    }

    pub fn by_token(&self, token: &str) -> Option<Session> {
        let tables = self.tables();
        tables.by_peer.get(tables.peer_of.get(token)?).cloned()
    }

    pub fn by_peer(&self, peer: sfu::PeerId) -> Option<Session> {
        self.tables().by_peer.get(&peer).cloned()
    }

    pub fn set_etag(&self, token: &str, etag: String) {
        let mut tables = self.tables();
        let Tables { by_peer, peer_of, .. } = &mut *tables;
        if let Some(session) = peer_of.get(token).and_then(|peer| by_peer.get_mut(peer)) {
            session.etag = etag;
        }
    }

    /// The address is no session's any more; the session itself goes with its peer.
    pub fn retire(&self, token: &str) {
        self.tables().peer_of.remove(token);
    }

    /// Takes a session out whose peer is gone; the caller tells its stream.
    pub fn leave(&self, peer: sfu::PeerId) -> Option<Session> {
        let mut tables = self.tables();
        tables.connecting.remove(&peer);
        tables.displaced.remove(&peer);
        let session = tables.by_peer.remove(&peer)?;
        tables.peer_of.remove(&session.token);
        Some(session)
    }

    #[cfg(test)]
    pub fn peers(&self) -> Vec<sfu::PeerId> {
        self.tables().by_peer.keys().copied().collect()
    }

    pub fn len(&self) -> usize {
        self.tables().by_peer.len()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which rendition each rid of a simulcast offer carries. Our own rids say it; browsers' pages use a few
/// conventions; of anything else the order counts, lowest first, as most encoders list them.
pub fn layers(rids: &[String]) -> Layers {
    const CONVENTIONS: [[&str; 3]; 3] = [["q", "h", "f"], ["0", "1", "2"], ["low", "mid", "hi"]];
    const NAMES: [RenditionName; 3] = [RenditionName::Low, RenditionName::Medium, RenditionName::High];
    let ours = rids.iter().map(|rid| RenditionName::from_rid(rid)).collect::<Option<Vec<_>>>();
    let known = |convention: &[&str; 3]| rids.iter().all(|rid| convention.contains(&rid.as_str()));
    let names: Vec<RenditionName> = if let Some(ours) = ours {
        ours
    } else if let Some(convention) = CONVENTIONS.iter().find(|c| known(c)) {
        let place = |rid: &String| convention.iter().position(|known| known == rid).unwrap_or(0);
        rids.iter().map(|rid| NAMES[place(rid)]).collect()
    } else {
        let all = &RenditionName::ALL;
        let lowest = 4usize.saturating_sub(rids.len());
        (0..rids.len()).map(|place| all[(lowest + place).min(all.len() - 1)]).collect()
    };
    rids.iter().map(|rid| Arc::from(rid.as_str())).zip(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rids: &[&str]) -> Vec<&'static str> {
        let rids: Vec<String> = rids.iter().map(|rid| (*rid).to_owned()).collect();
        let layers = layers(&rids);
        rids.iter().map(|rid| layers[rid.as_str()].as_str()).collect()
    }

    #[test]
    fn our_own_rids_name_their_renditions() {
        assert_eq!(names(&["vl", "l", "m", "h"]), ["very_low", "low", "medium", "high"]);
        assert_eq!(names(&["h"]), ["high"]);
    }

    #[test]
    fn the_rids_of_common_pages_are_understood() {
        assert_eq!(names(&["f", "h", "q"]), ["high", "medium", "low"]);
        assert_eq!(names(&["0", "1", "2"]), ["low", "medium", "high"]);
    }

    #[test]
    fn of_unknown_rids_the_order_counts() {
        assert_eq!(names(&["a", "b"]), ["medium", "high"]);
    }
}
