//! The acknowledgement ring: which received messages Kafka has confirmed, and which of them may be
//! acknowledged to the MQTT broker now.
//!
//! Acknowledgements go out in the order in which the messages came (MQTT-4.6.0-2), so only the
//! confirmed prefix leaves the ring. Every entry knows the connection it came on: packet ids mean
//! nothing on a later connection, where the broker may have given them to other messages, so an
//! entry of an earlier connection leaves without an acknowledgement.
//!
//! A message at QoS 2 that the broker sends again in the same session is not taken again; its
//! repetition gets a place in the ring of its own, so that it is acknowledged when and where the
//! present connection expects it.

use std::collections::{HashMap, VecDeque};

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
    /// Packet ids that the present connection is still to be told about.
    outstanding: PacketIds,
    /// Where repetitions of unconfirmed messages stand.
    repetitions: HashMap<Sequence, Sequence>,
}

impl Ring {
    /// Takes in a message and gives it its place in the order of everything received.
    pub fn push(&mut self, packet_id: u16, qos: Qos) -> Sequence {
        let epoch = self.epoch;
        self.outstanding.insert(packet_id);
        self.entries.push_back(Entry { packet_id, qos, confirmed: false, epoch });
        self.first + self.entries.len() as Sequence - 1
    }

    /// Gives a place to the repetition of a message that was taken before, and is safe in Kafka
    /// when that one is.
    pub fn push_repetition(&mut self, packet_id: u16, qos: Qos, of: Sequence) -> Sequence {
        let place = self.push(packet_id, qos);
        let index = of.checked_sub(self.first);
        match index.and_then(|index| self.entries.get(index as usize)) {
            Some(entry) if !entry.confirmed => drop(self.repetitions.insert(of, place)),
            // Only what is confirmed leaves the ring.
            _ => self.confirm(place),
        }
        place
    }

    /// Whether the present connection has sent a message with this packet id that it has not been
    /// told about yet.
    pub fn is_outstanding(&self, packet_id: u16) -> bool {
        self.outstanding.contains(packet_id)
    }

    /// Marks a message as safe in Kafka. A sequence number that is not in the ring is ignored.
    pub fn confirm(&mut self, sequence: Sequence) {
        let mut sequence = sequence;
        loop {
            let index = sequence.checked_sub(self.first);
            let entry = index.and_then(|index| self.entries.get_mut(index as usize));
            if let Some(entry) = entry {
                entry.confirmed = true;
            }
            if self.repetitions.is_empty() {
                return;
            }
            match self.repetitions.remove(&sequence) {
                Some(repetition) => sequence = repetition,
                None => return,
            }
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
                    self.outstanding.remove(entry.packet_id);
                    return Some(Acknowledgement { packet_id: entry.packet_id, qos: entry.qos });
                }
            }
        })
    }

    /// The connection is gone: what came on it will not be acknowledged any more.
    pub fn next_epoch(&mut self) {
        self.epoch += 1;
        self.outstanding = PacketIds::default();
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A set of packet ids, one bit each.
#[derive(Debug)]
struct PacketIds(Box<[u64; 1024]>);

impl PacketIds {
    fn insert(&mut self, id: u16) {
        self.0[usize::from(id / 64)] |= 1 << (id % 64);
    }

    fn remove(&mut self, id: u16) {
        self.0[usize::from(id / 64)] &= !(1 << (id % 64));
    }

    fn contains(&self, id: u16) -> bool {
        self.0[usize::from(id / 64)] & 1 << (id % 64) != 0
    }
}

impl Default for PacketIds {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
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

    #[test]
    fn a_repetition_is_acknowledged_in_its_own_place_once_the_message_is_safe() {
        let mut ring = Ring::default();
        let first = ring.push(1, Qos::ExactlyOnce);
        ring.next_epoch();
        let other = ring.push(2, Qos::ExactlyOnce);
        let again = ring.push_repetition(1, Qos::ExactlyOnce, first);
        ring.next_epoch();
        ring.push_repetition(1, Qos::ExactlyOnce, again);
        ring.push_repetition(2, Qos::ExactlyOnce, other);
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
        ring.next_epoch();
        ring.push_repetition(1, Qos::ExactlyOnce, first);
        assert_eq!(released(&mut ring), [1]);
    }

    #[test]
    fn a_packet_id_is_outstanding_until_its_acknowledgement_or_the_end_of_the_connection() {
        let mut ring = Ring::default();
        let first = ring.push(65_535, Qos::AtLeastOnce);
        ring.push(64, Qos::AtLeastOnce);
        assert!(ring.is_outstanding(65_535) && ring.is_outstanding(64) && !ring.is_outstanding(63));
        ring.confirm(first);
        assert_eq!(released(&mut ring), [65_535]);
        assert!(!ring.is_outstanding(65_535) && ring.is_outstanding(64));
        ring.next_epoch();
        assert!(!ring.is_outstanding(64));
    }
}
