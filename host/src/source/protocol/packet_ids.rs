//! Packet ids in use: what has to be known of a message to tell its repetition from another message
//! with the same packet id.
//!
//! A message that the server sends again is marked with DUP (MQTT-3.3.1-1), so one without it is
//! never a repetition. With DUP the packet id does not decide alone, since servers err: one that
//! was restored from an older copy of the session, or that lets more than 65,535 messages wait,
//! gives ids out that are in use. A hash of QoS, topic and payload tells such messages apart.
//!
//! An id is in use until PUBACK is sent at QoS 1, and until PUBREL is received at QoS 2
//! (MQTT-4.3.3-10). This outlives connections and ends with the session: a server that has lost it
//! may give the same ids to other messages. It is kept in memory, so a message may come twice after
//! a restart of this program.
//!
//! Before MQTT 5 servers may also send again within a connection, and such a repetition may have
//! been on its way when PUBACK was sent. Were it taken and acknowledged once more, the server could
//! take that for the acknowledgement of the next message with this id. So a message stays known
//! until the end of the connection on which it was acknowledged, and is not acknowledged again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use super::ring::Place;
use crate::message::Publish;

/// What is known of the last message that came with a packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Its place among the acknowledgements, or that of its latest repetition.
    pub place: Place,
    pub hash: u64,
    /// PUBACK has been sent, on this connection.
    pub acknowledged: bool,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct PacketIds {
    /// By packet id, up to the largest that has been used: servers count them up.
    in_use: Vec<Option<InUse>>,
    random_state: SeedableRandomState,
}

impl Default for PacketIds {
    fn default() -> Self {
        Self { in_use: Vec::new(), random_state: random_state() }
    }
}

impl PacketIds {
    /// What the repetition of a message shares with it: a hash of QoS, topic and payload.
    pub fn hash(&self, publish: &Publish<'_>) -> u64 {
        let mut hasher = self.random_state.build_hasher();
        hasher.write_usize(publish.topic.len() << 2 | publish.qos as usize);
        hasher.write(publish.topic.as_bytes());
        hasher.write(publish.payload);
        hasher.finish()
    }

    /// The message that this one repeats, if it does.
    pub fn repeated(&mut self, publish: &Publish<'_>, hash: u64) -> Option<&mut InUse> {
        if !publish.dup {
            return None;
        }
        let known = self.in_use.get_mut(usize::from(publish.packet_id))?.as_mut();
        known.filter(|known| known.hash == hash)
    }

    /// A message was taken; gives what else used its packet id.
    pub fn insert(&mut self, packet_id: u16, place: Place, hash: u64) -> Option<InUse> {
        let index = usize::from(packet_id);
        if index >= self.in_use.len() {
            self.in_use.resize(index + 1, None);
        }
        self.in_use[index].replace(InUse { place, hash, acknowledged: false })
    }

    /// PUBACK is sent for what has this place: the server may give its packet id to another message.
    /// `may_repeat`: it may still send this one again on this connection.
    pub fn acknowledged(&mut self, packet_id: u16, place: Place, may_repeat: bool) {
        let Some(known) = self.in_use.get_mut(usize::from(packet_id)) else { return };
        if let Some(message) = known.as_mut().filter(|message| message.place == place) {
            message.acknowledged = true;
            known.take_if(|_| !may_repeat);
        }
    }

    /// The connection has ended: nothing that was acknowledged on it will be repeated.
    pub fn end_connection(&mut self) {
        for known in &mut self.in_use {
            known.take_if(|known| known.acknowledged);
        }
    }

    /// PUBREL: the server will not send this message again.
    pub fn released(&mut self, packet_id: u16) {
        if let Some(known) = self.in_use.get_mut(usize::from(packet_id)) {
            *known = None;
        }
    }

    /// The session is lost, and with it what its packet ids meant.
    pub fn forget(&mut self) {
        self.in_use.clear();
    }
}

/// A fast hash whose seeds are random, so that no publisher can make two messages that have the same.
fn random_state() -> SeedableRandomState {
    fn random() -> u64 {
        RandomState::new().build_hasher().finish()
    }
    static SHARED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random()));
    SeedableRandomState::with_seed(random(), &SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Qos;

    const PUBLISH: Publish<'_> = Publish {
        topic: "plant/a",
        payload: b"21.5",
        qos: Qos::ExactlyOnce,
        retain: false,
        dup: true,
        packet_id: 7,
        properties: None,
    };

    fn repeats(ids: &mut PacketIds, publish: &Publish<'_>) -> Option<Place> {
        let hash = ids.hash(publish);
        ids.repeated(publish, hash).map(|known| known.place)
    }

    fn with_7_at(place: Place) -> PacketIds {
        let mut ids = PacketIds::default();
        let hash = ids.hash(&PUBLISH);
        assert_eq!(ids.insert(7, place, hash), None);
        ids
    }

    #[test]
    fn a_repetition_has_dup_and_the_id_qos_topic_and_payload_of_the_message() {
        let mut ids = with_7_at(100);
        assert_eq!(repeats(&mut ids, &PUBLISH), Some(100));
        assert_eq!(repeats(&mut ids, &Publish { retain: true, ..PUBLISH }), Some(100));
        for other in [
            Publish { dup: false, ..PUBLISH },
            Publish { packet_id: 8, ..PUBLISH },
            Publish { qos: Qos::AtLeastOnce, ..PUBLISH },
            Publish { topic: "plant/b", ..PUBLISH },
            Publish { payload: b"21.6", ..PUBLISH },
            Publish { topic: "plant/a2", payload: b"1.5", ..PUBLISH },
            Publish { payload: b"", ..PUBLISH },
        ] {
            assert_eq!(repeats(&mut ids, &other), None, "{other:?}");
        }
    }

    #[test]
    fn a_packet_id_means_its_last_message_until_its_use_ends() {
        let mut ids = with_7_at(100);
        let hash = ids.hash(&PUBLISH);
        assert_eq!(ids.insert(7, 200, hash).map(|known| known.place), Some(100));
        ids.acknowledged(7, 100, false);
        assert_eq!(repeats(&mut ids, &PUBLISH), Some(200), "the first of two is acknowledged");
        ids.acknowledged(7, 200, true);
        assert_eq!(repeats(&mut ids, &PUBLISH), Some(200), "it may be on its way");
        ids.end_connection();
        assert_eq!(repeats(&mut ids, &PUBLISH), None);
        for end in [
            |ids: &mut PacketIds| ids.released(7),
            |ids: &mut PacketIds| ids.acknowledged(7, 100, false),
            PacketIds::forget,
        ] {
            let mut ids = with_7_at(100);
            end(&mut ids);
            assert_eq!(repeats(&mut ids, &PUBLISH), None);
        }
    }
}
