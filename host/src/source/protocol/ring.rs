//! The acknowledgement ring: what the MQTT server is to be told, once the path says how far all
//! messages are settled.
//!
//! Acknowledgements leave in the order in which the messages came (MQTT-4.6.0-2). What came on an
//! earlier connection gets none: packet ids mean nothing on a later connection, where the
//! server may have given them to other messages. Messages at QoS 0 are only counted.
//!
//! A message that the server sends again in the same session is not taken again; its repetition
//! gets a place of its own, so that it is acknowledged when and where the present connection
//! expects it.

use std::collections::VecDeque;

use crate::message::{Qos, Sequence};

/// Where something stands in the order of all that is to be acknowledged.
pub type Place = u64;

/// What to tell the server about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    pub place: Place,
    pub packet_id: u16,
    pub qos: Qos,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    packet_id: u16,
    qos: Qos,
    /// How many messages have to be settled first: all up to this one.
    behind: Sequence,
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Ring {
    /// The place of the first entry.
    first: Place,
    entries: VecDeque<Entry>,
    /// Messages that have been taken.
    taken: Sequence,
    /// Those up to this one are settled.
    settled: Sequence,
    /// From this place on entries came on the present connection.
    connection: Place,
}

impl Ring {
    /// Takes in a message at QoS 0 and gives it its place in the order of everything received.
    pub fn count(&mut self) -> Sequence {
        self.taken += 1;
        self.taken - 1
    }

    /// Takes in a message that is to be acknowledged, and gives it that place, too.
    pub fn push(&mut self, packet_id: u16, qos: Qos) -> (Sequence, Place) {
        let sequence = self.count();
        (sequence, self.push_repetition(packet_id, qos))
    }

    /// Gives a place to the repetition of a message that was taken before. It leaves when all before it
    /// may: nothing else has to be waited for.
    pub fn push_repetition(&mut self, packet_id: u16, qos: Qos) -> Place {
        self.entries.push_back(Entry { packet_id, qos, behind: self.taken });
        self.end() - 1
    }

    /// All messages up to this one are settled.
    pub fn settle(&mut self, up_to: Sequence) {
        self.settled = up_to;
    }

    /// Whether something cannot be acknowledged yet.
    pub fn is_behind(&self) -> bool {
        self.entries.back().is_some_and(|last| last.behind > self.settled)
    }

    /// Takes out the first, if it may be acknowledged.
    pub fn release(&mut self) -> Option<Acknowledgement> {
        let front = self.entries.front().filter(|entry| entry.behind <= self.settled)?;
        let Entry { packet_id, qos, .. } = *front;
        let place = self.first;
        self.entries.pop_front();
        self.first += 1;
        Some(Acknowledgement { place, packet_id, qos })
    }

    /// The connection has ended: what came on it will not be acknowledged any more.
    pub fn end_connection(&mut self) {
        self.first = self.end();
        self.entries.clear();
        self.connection = self.first;
    }

    /// Whether what has this place came on the present connection.
    pub const fn is_of_this_connection(&self, place: Place) -> bool {
        place >= self.connection
    }

    /// Whether the present connection will be told about what has this place.
    pub const fn is_awaited(&self, place: Place) -> bool {
        place >= self.first
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many messages have been taken in, since the program began.
    pub const fn taken(&self) -> Sequence {
        self.taken
    }

    fn end(&self) -> Place {
        self.first + self.entries.len() as Place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(ring: &mut Ring) -> Vec<u16> {
        std::iter::from_fn(|| ring.release()).map(|released| released.packet_id).collect()
    }

    #[test]
    fn what_is_settled_is_acknowledged_in_the_order_received() {
        let mut ring = Ring::default();
        for id in 10..14 {
            ring.push(id, Qos::AtLeastOnce);
        }
        assert!(released(&mut ring).is_empty());
        ring.settle(3);
        assert_eq!(released(&mut ring), [10, 11, 12]);
        assert!(!ring.is_empty() && ring.is_behind());
        ring.settle(4);
        assert!(!ring.is_behind());
        assert_eq!(released(&mut ring), [13]);
        assert!(ring.is_empty());
    }

    #[test]
    fn messages_at_qos_0_are_counted_and_not_acknowledged() {
        let mut ring = Ring::default();
        assert_eq!(ring.count(), 0);
        assert!(ring.is_empty());
        assert_eq!(ring.push(1, Qos::AtLeastOnce), (1, 0));
        assert_eq!((ring.count(), ring.taken()), (2, 3));
        ring.settle(1);
        assert!(released(&mut ring).is_empty());
        ring.settle(2);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn what_came_on_an_earlier_connection_is_never_acknowledged() {
        let mut ring = Ring::default();
        ring.push(1, Qos::AtLeastOnce);
        ring.end_connection();
        ring.push(1, Qos::AtLeastOnce);
        ring.settle(1);
        assert!(released(&mut ring).is_empty());
        ring.settle(2);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn connections_that_break_while_nothing_is_settled_leave_nothing_behind() {
        let mut ring = Ring::default();
        ring.push(1, Qos::AtLeastOnce);
        for _ in 0..1_000 {
            ring.end_connection();
            ring.push_repetition(1, Qos::AtLeastOnce);
        }
        assert_eq!(ring.len(), 1);
        ring.settle(1);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn a_repetition_is_acknowledged_in_its_own_place_once_the_message_is_settled() {
        let mut ring = Ring::default();
        ring.push(1, Qos::ExactlyOnce);
        ring.end_connection();
        ring.push(2, Qos::ExactlyOnce);
        ring.push_repetition(1, Qos::ExactlyOnce);
        ring.end_connection();
        ring.push_repetition(1, Qos::ExactlyOnce);
        ring.push_repetition(2, Qos::ExactlyOnce);
        ring.settle(1);
        assert!(released(&mut ring).is_empty(), "packet 2 came first on an earlier connection");
        ring.settle(2);
        assert_eq!(released(&mut ring), [1, 2]);
        assert!(ring.is_empty());
    }

    #[test]
    fn a_repetition_of_what_is_settled_is_acknowledged_at_once() {
        let mut ring = Ring::default();
        ring.push(1, Qos::ExactlyOnce);
        ring.settle(1);
        assert_eq!(released(&mut ring), [1]);
        ring.end_connection();
        ring.push_repetition(1, Qos::ExactlyOnce);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn a_place_is_awaited_until_its_acknowledgement_or_the_end_of_the_connection() {
        let mut ring = Ring::default();
        let [first, second] = [7, 8].map(|id| ring.push(id, Qos::AtLeastOnce).1);
        assert!(ring.is_awaited(first) && ring.is_awaited(second));
        ring.settle(1);
        assert_eq!(released(&mut ring), [7]);
        assert!(!ring.is_awaited(first) && ring.is_awaited(second));
        assert!(ring.is_of_this_connection(first));
        ring.end_connection();
        assert!(!ring.is_awaited(second) && !ring.is_of_this_connection(first));
    }
}
