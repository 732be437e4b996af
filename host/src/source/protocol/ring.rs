//! The acknowledgement ring: which received messages Kafka has confirmed, and which of them may be
//! acknowledged to the MQTT server now.
//!
//! Acknowledgements leave in the order in which the messages came (MQTT-4.6.0-2), so only the
//! confirmed prefix leaves the ring. What came on an earlier connection leaves without one: packet
//! ids mean nothing on a later connection, where the server may have given them to other messages.
//!
//! A message that the server sends again in the same session is not taken again; its repetition
//! gets a place of its own, so that it is acknowledged when and where the present connection
//! expects it.

use std::collections::VecDeque;

use crate::message::{Qos, Sequence};

/// What to tell the server about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    pub place: Sequence,
    pub packet_id: u16,
    pub qos: Qos,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    packet_id: u16,
    qos: Qos,
    confirmed: bool,
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Ring {
    /// Sequence number of the first entry.
    first: Sequence,
    entries: VecDeque<Entry>,
    /// Sequence number from which on messages came on the present connection.
    connection: Sequence,
}

impl Ring {
    /// Takes in a message and gives it its place in the order of everything received.
    pub fn push(&mut self, packet_id: u16, qos: Qos) -> Sequence {
        let place = self.end();
        self.entries.push_back(Entry { packet_id, qos, confirmed: false });
        place
    }

    /// Gives a place to the repetition of a message that was taken before. It stands behind that one,
    /// and so leaves only after it: nothing else has to be waited for.
    pub fn push_repetition(&mut self, packet_id: u16, qos: Qos) -> Sequence {
        let place = self.push(packet_id, qos);
        self.confirm(place);
        place
    }

    /// Marks a message as safe in Kafka. A sequence number that is not in the ring is ignored.
    pub fn confirm(&mut self, sequence: Sequence) {
        let index = sequence.checked_sub(self.first);
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index as usize)) {
            entry.confirmed = true;
        }
    }

    /// Takes the first message out of the ring that is confirmed, with all before it, and that the
    /// present connection must be told about.
    pub fn release(&mut self) -> Option<Acknowledgement> {
        loop {
            let Entry { packet_id, qos, .. } =
                *self.entries.front().filter(|entry| entry.confirmed)?;
            let place = self.first;
            self.entries.pop_front();
            self.first += 1;
            if self.is_of_this_connection(place) && qos != Qos::AtMostOnce {
                return Some(Acknowledgement { place, packet_id, qos });
            }
        }
    }

    /// The connection has ended: what came on it will not be acknowledged any more.
    pub fn end_connection(&mut self) {
        self.connection = self.end();
    }

    /// Whether what has this place came on the present connection.
    pub const fn is_of_this_connection(&self, place: Sequence) -> bool {
        place >= self.connection
    }

    /// Whether the present connection will be told about what has this place.
    pub const fn is_awaited(&self, place: Sequence) -> bool {
        self.is_of_this_connection(place) && place >= self.first
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many messages have been taken in, since the program began.
    pub fn end(&self) -> Sequence {
        self.first + self.entries.len() as Sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(ring: &mut Ring) -> Vec<u16> {
        std::iter::from_fn(|| ring.release()).map(|released| released.packet_id).collect()
    }

    #[test]
    fn only_the_confirmed_prefix_is_acknowledged_in_the_order_received() {
        let mut ring = Ring::default();
        let sequences: Vec<_> = (10..14).map(|id| ring.push(id, Qos::AtLeastOnce)).collect();
        ring.confirm(sequences[2]);
        ring.confirm(sequences[1]);
        assert!(released(&mut ring).is_empty());
        ring.confirm(sequences[0]);
        assert_eq!(released(&mut ring), [10, 11, 12]);
        assert!(!ring.is_empty());
        ring.confirm(sequences[3]);
        assert_eq!(released(&mut ring), [13]);
        assert!(ring.is_empty());
    }

    #[test]
    fn messages_at_qos_0_hold_their_place_and_are_not_acknowledged() {
        let mut ring = Ring::default();
        let first = ring.push(0, Qos::AtMostOnce);
        let second = ring.push(1, Qos::AtLeastOnce);
        ring.confirm(second);
        assert!(released(&mut ring).is_empty());
        ring.confirm(first);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn what_came_on_an_earlier_connection_is_never_acknowledged() {
        let mut ring = Ring::default();
        let old = ring.push(1, Qos::AtLeastOnce);
        ring.end_connection();
        let new = ring.push(1, Qos::AtLeastOnce);
        ring.confirm(old);
        assert!(released(&mut ring).is_empty());
        ring.confirm(new);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn a_confirmation_that_comes_twice_or_too_late_changes_nothing() {
        let mut ring = Ring::default();
        let first = ring.push(1, Qos::AtLeastOnce);
        ring.confirm(first);
        assert_eq!(released(&mut ring), [1]);
        ring.push(2, Qos::AtLeastOnce);
        ring.confirm(first);
        assert!(released(&mut ring).is_empty());
    }

    #[test]
    fn a_repetition_is_acknowledged_in_its_own_place_once_the_message_is_safe() {
        let mut ring = Ring::default();
        let first = ring.push(1, Qos::ExactlyOnce);
        ring.end_connection();
        let other = ring.push(2, Qos::ExactlyOnce);
        ring.push_repetition(1, Qos::ExactlyOnce);
        ring.end_connection();
        ring.push_repetition(1, Qos::ExactlyOnce);
        ring.push_repetition(2, Qos::ExactlyOnce);
        assert!(released(&mut ring).is_empty());
        ring.confirm(first);
        assert!(released(&mut ring).is_empty(), "packet 2 came first on an earlier connection");
        ring.confirm(other);
        assert_eq!(released(&mut ring), [1, 2]);
        assert!(ring.is_empty());
    }

    #[test]
    fn a_repetition_of_what_kafka_has_is_acknowledged_at_once() {
        let mut ring = Ring::default();
        let first = ring.push(1, Qos::ExactlyOnce);
        ring.confirm(first);
        assert_eq!(released(&mut ring), [1]);
        ring.end_connection();
        ring.push_repetition(1, Qos::ExactlyOnce);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn a_place_is_awaited_until_its_acknowledgement_or_the_end_of_the_connection() {
        let mut ring = Ring::default();
        let (first, second) = (ring.push(7, Qos::AtLeastOnce), ring.push(8, Qos::AtLeastOnce));
        assert!(ring.is_awaited(first) && ring.is_awaited(second));
        ring.confirm(first);
        assert_eq!(released(&mut ring), [7]);
        assert!(!ring.is_awaited(first) && ring.is_awaited(second));
        assert!(ring.is_of_this_connection(first));
        ring.end_connection();
        assert!(!ring.is_awaited(second) && !ring.is_of_this_connection(first));
    }
}
