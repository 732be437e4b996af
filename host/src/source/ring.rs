//! The acknowledgement ring: which received messages Kafka has confirmed, and which of them may be
//! acknowledged to the MQTT broker now.
//!
//! Acknowledgements go out in the order in which the messages came (MQTT-4.6.0-2), so only the
//! confirmed prefix leaves the ring. Every entry knows the connection it came on: packet ids mean
//! nothing on a later connection, where the broker may have given them to other messages, so an
//! entry of an earlier connection leaves without an acknowledgement.

use std::collections::VecDeque;

use crate::message::{Qos, Sequence};

/// Counts the connections of one source; an acknowledgement never crosses it.
pub type Epoch = u32;

/// What to tell the broker about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    pub packet_id: u16,
    pub qos: Qos,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    packet_id: u16,
    qos: Qos,
    confirmed: bool,
    epoch: Epoch,
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Ring {
    /// Sequence number of the first entry.
    first: Sequence,
    entries: VecDeque<Entry>,
    epoch: Epoch,
}

impl Ring {
    /// Takes in a message and gives it its place in the order of everything received.
    pub fn push(&mut self, packet_id: u16, qos: Qos) -> Sequence {
        let epoch = self.epoch;
        self.entries.push_back(Entry { packet_id, qos, confirmed: false, epoch });
        self.first + self.entries.len() as Sequence - 1
    }

    /// Marks a message as safe in Kafka. A sequence number that is not in the ring is ignored.
    pub fn confirm(&mut self, sequence: Sequence) {
        let entry =
            sequence.checked_sub(self.first).and_then(|index| self.entries.get_mut(index as usize));
        if let Some(entry) = entry {
            entry.confirmed = true;
        }
    }

    /// Removes the confirmed prefix, and yields what of it the present connection must be told.
    pub fn release(&mut self) -> impl Iterator<Item = Acknowledgement> + '_ {
        std::iter::from_fn(|| {
            loop {
                let entry = self.entries.front().filter(|entry| entry.confirmed).copied()?;
                self.entries.pop_front();
                self.first += 1;
                if entry.epoch == self.epoch && entry.qos != Qos::AtMostOnce {
                    return Some(Acknowledgement { packet_id: entry.packet_id, qos: entry.qos });
                }
            }
        })
    }

    /// The connection is gone: what came on it will not be acknowledged any more.
    pub fn next_epoch(&mut self) {
        self.epoch += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(ring: &mut Ring) -> Vec<u16> {
        ring.release().map(|acknowledgement| acknowledgement.packet_id).collect()
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
        ring.next_epoch();
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
}
