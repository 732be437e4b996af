//! For tests: random histories of a session with a model of a server: connections that break anywhere, sessions
//! that go on, are lost, or are restored from an older copy, and servers that err.
//!
//! Every message has a number in its payload. Whatever happens, the server is told that a message is
//! safe only after Kafka has it, in the order in which the messages came; and what the server still
//! has gets there in the end.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::rig::{self, Rig, packets};
use crate::dice::Dice;
use crate::message::{Publish, Qos};
use crate::source::Control;
use crate::source::packet::Version;

/// Says how many histories there are, instead of some that take a moment.
const HISTORIES: &str = "HOST_TEST_HISTORIES";

/// What a kind of server does beside what it must.
#[allow(clippy::struct_excessive_bools, reason = "each goes with any other")]
#[derive(Debug, Clone, Copy)]
struct Habits {
    version: Version,
    /// It loses sessions.
    loses: bool,
    /// It is restored from older copies of the session.
    restores: bool,
    /// It gives out packet ids that are in use.
    reuses: bool,
    /// It sends again within a connection (MQTT 3.1).
    repeats: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outgoing {
    number: u32,
    id: u16,
    qos: Qos,
    /// It has been sent before.
    dup: bool,
    /// PUBREC has come.
    received: bool,
}

/// What the server keeps for the client.
#[derive(Debug, Clone, Default)]
struct Session {
    outgoing: Vec<Outgoing>,
    last_id: u16,
}

/// A server, the network, Kafka, and what they know.
struct World {
    dice: Dice,
    habits: Habits,
    rig: Rig,
    session: Session,
    copies: Vec<Session>,
    numbers: u32,
    /// Bytes on their way to the client, packet by packet.
    wire: VecDeque<(Vec<u8>, Option<Outgoing>)>,
    /// Messages of the connection whose acknowledgement is to come, in this order.
    expected: VecDeque<Outgoing>,
    /// Messages that have come on this connection.
    came: BTreeSet<u32>,
    /// Packet ids of PUBRECs that are to come once more.
    at_once: Vec<u16>,
    /// Places in [`rig::Kept::taken`] that Kafka has not confirmed.
    in_flight: Vec<usize>,
    confirmed: BTreeSet<u32>,
    /// Messages whose acknowledgement has been sent, whether it has arrived or not.
    acknowledged: BTreeSet<u32>,
    /// Messages that may be taken twice.
    excused: BTreeSet<u32>,
    delivered_at_qos_0: u64,
    seen: usize,
}

/// A payload says its number, and where it says so does its length vary.
fn payload(number: u32) -> Vec<u8> {
    let size = match number % 50 {
        0 => rig::MAX_PACKET_SIZE + number as usize,
        other => other as usize,
    };
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(4 + size, b'x');
    payload
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("four bytes"))
}

impl World {
    fn new(seed: u64, habits: Habits) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            habits,
            rig: Rig::new(habits.version),
            session: Session::default(),
            copies: Vec::new(),
            numbers: 0,
            wire: VecDeque::new(),
            expected: VecDeque::new(),
            came: BTreeSet::new(),
            at_once: Vec::new(),
            in_flight: Vec::new(),
            confirmed: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            excused: BTreeSet::new(),
            delivered_at_qos_0: 0,
            seen: 0,
        };
        world.rig.serve(false);
        world
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..35 => self.publish(),
            35..65 => self.deliver(),
            65..85 => self.confirm(),
            85..90 => self.listen(),
            // Else it would depend on the credit what is a repetition.
            90..93 if !self.habits.repeats => {
                self.rig.kept.credit = [self.dice.one_in(2), self.dice.one_in(2)];
            }
            93..95 => self.pass(),
            95..96 if self.habits.restores => self.copies.push(self.session.clone()),
            96..98 if self.habits.repeats => self.repeat(),
            98..100 => self.reconnect(),
            _ => self.rig.receive(&[]).expect("nothing new"),
        }
        self.look();
    }

    fn publish(&mut self) {
        self.numbers += 1;
        let qos = Qos::from_number(self.dice.below(3) as u8).expect("a QoS");
        let mut message =
            Outgoing { number: self.numbers, id: 0, qos, dup: false, received: false };
        if qos != Qos::AtMostOnce {
            let in_use = |id| self.session.outgoing.iter().any(|other| other.id == id);
            if self.habits.reuses {
                message.id = 1 + self.dice.below(5) as u16;
            } else {
                if self.session.outgoing.len() >= 30 {
                    return;
                }
                let mut id = self.session.last_id % 40 + 1;
                while in_use(id) {
                    id = id % 40 + 1;
                }
                (message.id, self.session.last_id) = (id, id);
            }
            self.session.outgoing.push(Outgoing { dup: true, ..message });
        }
        self.send(message);
    }

    fn send(&mut self, message: Outgoing) {
        let Outgoing { number, id: packet_id, qos, dup, .. } = message;
        // Some break the rules.
        let topic = if number.is_multiple_of(20) { "plant/#" } else { "plant/a" };
        let payload = payload(number);
        let publish = Publish {
            topic,
            payload: &payload,
            qos,
            retain: false,
            dup,
            packet_id,
            properties: None,
        };
        self.wire.push_back((rig::publish(self.habits.version, &publish), Some(message)));
    }

    fn release(&mut self, id: u16) {
        self.wire.push_back(([&[0x62, 2], &id.to_be_bytes()[..]].concat(), None));
    }

    /// Some packets arrive, in pieces.
    fn deliver(&mut self) {
        let count = self.dice.below(1 + self.wire.len());
        let mut bytes = Vec::new();
        for (packet, message) in self.wire.drain(..count).collect::<Vec<_>>() {
            bytes.extend(packet);
            match message {
                Some(message) if message.qos == Qos::AtMostOnce => self.delivered_at_qos_0 += 1,
                Some(message) if self.habits.repeats && !self.is_new(message) => {}
                Some(message) => self.expected.push_back(message),
                None => {}
            }
        }
        while !bytes.is_empty() {
            let size = 1 + self.dice.below(bytes.len());
            let piece: Vec<u8> = bytes.drain(..size).collect();
            self.rig.receive(&piece).expect("a connection that stays");
        }
    }

    /// Whether this is the first time that a message has come on this connection. The others are not
    /// acknowledged; but PUBREC that has been sent is sent again, at once.
    fn is_new(&mut self, message: Outgoing) -> bool {
        let awaited = self.expected.iter().any(|other| other.number == message.number);
        let new = self.came.insert(message.number);
        if !new && !awaited && message.qos == Qos::ExactlyOnce {
            self.at_once.push(message.id);
        }
        new
    }

    /// Kafka confirms some of what it was sent.
    fn confirm(&mut self) {
        for _ in 0..self.dice.below(4) {
            if self.in_flight.is_empty() {
                return;
            }
            let index = self.dice.below(self.in_flight.len());
            let taken = self.in_flight.swap_remove(index);
            self.rig.confirm(taken);
            self.confirmed.insert(number(&self.rig.kept.taken[taken].payload));
        }
    }

    /// What the client says arrives, or is lost with the connection.
    fn listen(&mut self) {
        for packet in self.say() {
            self.hear(packet);
        }
    }

    /// What the client says, checked.
    fn say(&mut self) -> Vec<(u8, u16)> {
        let said: Vec<_> = packets(&self.rig.written()).collect();
        for (first, id) in &said {
            let qos = match first {
                0x40 => Qos::AtLeastOnce,
                0x50 => Qos::ExactlyOnce,
                _ => continue,
            };
            if let Some(again) = self.at_once.iter().position(|again| again == id) {
                assert_eq!(qos, Qos::ExactlyOnce);
                self.at_once.remove(again);
                continue;
            }
            let next = self.expected.pop_front().expect("only what came is acknowledged");
            assert_eq!((*id, qos), (next.id, next.qos), "the order of what came");
            assert!(self.confirmed.contains(&next.number), "{next:?} is not in Kafka");
            self.acknowledged.insert(next.number);
        }
        said
    }

    fn hear(&mut self, (first, id): (u8, u16)) {
        let outgoing = &mut self.session.outgoing;
        let find = |outgoing: &[Outgoing], qos, received| {
            let wanted = (id, qos, received);
            outgoing.iter().position(|other| (other.id, other.qos, other.received) == wanted)
        };
        match first {
            0x40 => {
                if let Some(index) = find(outgoing, Qos::AtLeastOnce, false) {
                    let done = outgoing.remove(index);
                    assert!(self.confirmed.contains(&done.number), "{done:?} is lost");
                }
            }
            0x50 => {
                if let Some(index) = find(outgoing, Qos::ExactlyOnce, false) {
                    outgoing[index].received = true;
                    let number = outgoing[index].number;
                    assert!(self.confirmed.contains(&number), "{number} is lost");
                }
                self.release(id);
            }
            0x70 => {
                if let Some(index) = find(outgoing, Qos::ExactlyOnce, true) {
                    outgoing.remove(index);
                }
            }
            0xc0 => self.wire.push_back((vec![0xd0, 0], None)),
            other => panic!("the client says {other:#x}"),
        }
    }

    fn pass(&mut self) {
        let time = Duration::from_millis(self.dice.below(20_000) as u64);
        // The server answers everything in time.
        self.listen();
        self.deliver_all();
        self.rig.pass(time).expect("a connection that stays");
    }

    fn deliver_all(&mut self) {
        while !self.wire.is_empty() {
            self.deliver();
        }
    }

    /// A server of MQTT 3.1 sends again what it waits for.
    fn repeat(&mut self) {
        let again: Vec<_> =
            self.session.outgoing.iter().copied().filter(|one| !one.received).collect();
        for message in again {
            self.send(message);
        }
    }

    /// The connection breaks somewhere, and there is another one.
    fn reconnect(&mut self) {
        let said = self.say();
        let heard = self.dice.below(1 + said.len());
        for packet in &said[..heard] {
            self.hear(*packet);
        }
        if self.dice.one_in(2) {
            self.deliver();
        }
        if let Some((packet, _)) = self.wire.front() {
            let part = self.dice.below(packet.len());
            self.rig.receive(&packet[..part]).expect("a connection that stays");
        }
        self.rig.protocol.disconnected();
        self.look();
        // What was not looked at any more is lost.
        let known = self.known_at_qos_0();
        assert!(known <= self.delivered_at_qos_0);
        self.delivered_at_qos_0 = known;
        let mut present = true;
        if self.habits.loses && self.dice.one_in(4) {
            self.excused.extend(1..=self.numbers);
            (present, self.session) = (false, Session::default());
        } else if self.habits.restores && self.dice.one_in(2) && !self.copies.is_empty() {
            self.excused.extend(1..=self.numbers);
            let copy = self.dice.below(self.copies.len());
            self.session = self.copies.swap_remove(copy);
            for message in &mut self.session.outgoing {
                message.dup = self.dice.one_in(2);
            }
        }
        (self.wire, self.expected) = (VecDeque::new(), VecDeque::new());
        self.came.clear();
        self.at_once.clear();
        self.rig.serve(present);
        for message in self.session.outgoing.clone() {
            if message.received { self.release(message.id) } else { self.send(message) }
        }
    }

    /// Looks at what was handed on since the last time.
    fn look(&mut self) {
        for index in self.seen..self.rig.kept.taken.len() {
            let taken = &self.rig.kept.taken[index];
            let number = number(&taken.payload);
            assert_eq!(
                taken.defect.is_some(),
                number.is_multiple_of(20) || number.is_multiple_of(50)
            );
            assert!((1..=self.numbers).contains(&number), "{number} is invented");
            self.in_flight.push(index);
            let before = self.rig.kept.taken[..index].iter();
            let twice = before.map(|taken| &taken.payload).any(|payload| *payload == taken.payload);
            // PUBACK may have been lost with the connection.
            let excused = self.excused.contains(&number)
                || taken.qos == Qos::AtLeastOnce && self.acknowledged.contains(&number)
                || self.habits.reuses;
            assert!(!twice || excused, "{number} is taken twice");
        }
        self.seen = self.rig.kept.taken.len();
    }

    /// Messages at QoS 0 that were taken or dropped.
    fn known_at_qos_0(&self) -> u64 {
        let taken = self.rig.kept.taken.iter().filter(|taken| taken.qos == Qos::AtMostOnce);
        taken.count() as u64 + self.rig.kept.dropped
    }

    /// Everything goes well from here on.
    fn end(&mut self) {
        self.rig.kept.credit = [true; 2];
        for _ in 0..20 {
            self.rig.receive(&[]).expect("a connection that stays");
            self.deliver_all();
            self.look();
            while !self.in_flight.is_empty() {
                self.confirm();
            }
            self.listen();
        }
        assert_eq!(self.session.outgoing, [], "the server waits for ever");
        assert!(self.at_once.is_empty());
        assert!(self.expected.is_empty(), "{:?} are not acknowledged", self.expected);
        assert_eq!(self.known_at_qos_0(), self.delivered_at_qos_0);
        self.rig.protocol.obey(Control::Drain);
        assert!(self.rig.protocol.is_drained());
    }
}

fn histories(habits: Habits) {
    let count = std::env::var(HISTORIES).map_or(400, |count| count.parse().expect("a number"));
    for seed in 1..=count {
        let told = std::panic::catch_unwind(|| {
            let mut world = World::new(0x9e37_79b9_7f4a_7c15 ^ seed << 8, habits);
            (0..400).for_each(|_| world.step());
            world.end();
        });
        assert!(told.is_ok(), "history {seed} of {habits:?}");
    }
}

const GOOD: Habits = Habits {
    version: Version::V3_1_1,
    loses: false,
    restores: false,
    reuses: false,
    repeats: false,
};

#[test]
fn a_server_that_keeps_the_rules() {
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        histories(Habits { version, ..GOOD });
    }
}

#[test]
fn a_server_that_loses_sessions() {
    histories(Habits { loses: true, ..GOOD });
    histories(Habits { loses: true, version: Version::V5, ..GOOD });
}

#[test]
fn a_server_that_is_restored_from_older_copies() {
    histories(Habits { restores: true, ..GOOD });
    histories(Habits { restores: true, loses: true, version: Version::V5, ..GOOD });
    histories(Habits { restores: true, version: Version::V3_1, ..GOOD });
}

#[test]
fn a_server_that_gives_out_packet_ids_in_use() {
    histories(Habits { reuses: true, ..GOOD });
    histories(Habits { reuses: true, restores: true, loses: true, ..GOOD });
}

#[test]
fn a_server_that_sends_again_within_a_connection() {
    histories(Habits { repeats: true, version: Version::V3_1, ..GOOD });
    histories(Habits { repeats: true, ..GOOD });
}
