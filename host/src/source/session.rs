//! What the session with the MQTT server says about messages at QoS 2: which packet ids are taken
//! and not yet released, so that what the server sends again is not taken twice (MQTT-4.3.3-10).
//!
//! It lives as long as the session on both sides: a server that has lost it may give the same
//! packet ids to other messages, and this program begins without one, so that a message may come
//! twice after its restart.

use std::collections::HashMap;

use crate::message::Sequence;

/// Packet ids between PUBLISH and PUBREL, with the place in the ring that each message last had.
#[derive(Debug, Default)]
pub struct Session {
    taken: HashMap<u16, Sequence>,
    /// The packet id alone does not tell: MQTT 3.1 does not say whether the server has lost the
    /// session, but marks what it repeats.
    uncertain: bool,
}

impl Session {
    /// A connection begins. `present`: the server has kept the session, if it says.
    pub fn resume(&mut self, present: Option<bool>) {
        if present == Some(false) {
            self.taken.clear();
        }
        self.uncertain = present.is_none();
    }

    /// The place of the message that this one repeats, if it does.
    pub fn repeats(&self, packet_id: u16, dup: bool) -> Option<Sequence> {
        let place = self.taken.get(&packet_id).copied();
        place.filter(|_| dup || !self.uncertain)
    }

    /// A message was taken, or got another place.
    pub fn take(&mut self, packet_id: u16, place: Sequence) {
        self.taken.insert(packet_id, place);
    }

    /// PUBREL: the server will not send this message again.
    pub fn release(&mut self, packet_id: u16) {
        self.taken.remove(&packet_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_id_means_the_same_message_until_it_is_released() {
        let mut session = Session::default();
        session.resume(Some(false));
        assert_eq!(session.repeats(7, true), None);
        session.take(7, 100);
        assert_eq!(session.repeats(7, false), Some(100));
        session.resume(Some(true));
        assert_eq!(session.repeats(7, true), Some(100));
        session.release(7);
        assert_eq!(session.repeats(7, true), None);
    }

    #[test]
    fn a_lost_session_is_forgotten() {
        let mut session = Session::default();
        session.take(7, 100);
        session.resume(Some(false));
        assert_eq!(session.repeats(7, true), None);
    }

    #[test]
    fn where_the_server_does_not_say_only_a_marked_repetition_is_one() {
        let mut session = Session::default();
        session.take(7, 100);
        session.resume(None);
        assert_eq!((session.repeats(7, true), session.repeats(7, false)), (Some(100), None));
    }
}
