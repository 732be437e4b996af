//! What passes between the MQTT server and `host`: which messages it has been sent, and which of them
//! it has acknowledged. Only this tells a message that `host` lost from one that the server lost.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::message::{Id, identify};
use crate::relay::{Observer, Way};
use crate::wire::{self, Version};

/// A relay's observer.
#[derive(Debug)]
pub struct Tap {
    version: Version,
    seen: Mutex<Seen>,
}

/// A PUBLISH packet: the number of its connection, its packet id, and whether it says that it is sent
/// again.
type Sent = (usize, u16, bool);

#[derive(Debug, Default)]
struct Seen {
    connections: Vec<Connection>,
    messages: HashMap<Id, Vec<Sent>>,
    /// Messages for which `host` has sent PUBREC, by packet id.
    received: HashMap<u16, Id>,
    /// Messages for which PUBREL has reached it.
    released: HashSet<Id>,
    /// PUBLISH packets of those, which no server may send any more (MQTT-4.3.3-1; MQTT 5: MQTT-4.3.3-6).
    sent_after_release: usize,
    acknowledged: HashSet<Id>,
    /// PUBLISH packets.
    sent: usize,
    /// Acknowledgements of any kind.
    answers: usize,
    /// Messages whose packet id another one had that was not done with.
    ids_in_use: usize,
    /// A subscription has been granted since the server last started.
    subscribed: bool,
}

#[derive(Debug, Default)]
struct Connection {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// Messages sent and not acknowledged, by packet id. A server that errs gives an id to several.
    unacknowledged: HashMap<u16, VecDeque<Id>>,
    /// Packet ids that may not be given to another message: at QoS 2 until PUBCOMP.
    in_use: HashSet<u16>,
}

impl Tap {
    pub fn new(version: Version) -> Self {
        Self { version, seen: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that `host` has acknowledged: by PUBACK or PUBREC.
    pub fn acknowledged(&self) -> HashSet<Id> {
        self.lock().acknowledged.clone()
    }

    /// How many messages it has acknowledged.
    pub fn acknowledged_count(&self) -> usize {
        self.lock().acknowledged.len()
    }

    /// How often the server has sent a message once more after it had sent PUBREL for it: that makes it
    /// two messages for any client.
    pub fn sent_after_release(&self) -> usize {
        self.lock().sent_after_release
    }

    /// How often a message has reached it.
    pub fn history(&self, message: Id) -> String {
        let seen = self.lock();
        let sent = seen.messages.get(&message).map_or(&[][..], Vec::as_slice);
        let texts = sent.iter().map(|(connection, id, again)| {
            let again = if *again { ", again" } else { "" };
            format!("connection {connection} with packet id {id}{again}")
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    /// How many PUBLISH packets have reached it.
    pub fn sent(&self) -> usize {
        self.lock().sent
    }

    /// How often it has acknowledged anything.
    pub fn answers(&self) -> usize {
        self.lock().answers
    }

    /// How often the server gave a message a packet id that was in use on that connection.
    pub fn ids_in_use(&self) -> usize {
        self.lock().ids_in_use
    }

    /// How many packet ids of the connection at hand are in use: the server, too, has to be done with
    /// a message before it forgets it.
    pub fn in_use(&self) -> usize {
        self.lock().connections.last().map_or(0, |last| last.in_use.len())
    }

    /// The server is gone, and may know nothing of a session when it comes back.
    pub fn server_is_gone(&self) {
        self.lock().subscribed = false;
    }

    /// Whether `host` has subscribed since then.
    pub fn is_subscribed(&self) -> bool {
        self.lock().subscribed
    }

    /// How many messages wait for their acknowledgement on the connection at hand.
    pub fn unacknowledged(&self) -> usize {
        let seen = self.lock();
        let last = seen.connections.last();
        last.map_or(0, |last| last.unacknowledged.values().map(VecDeque::len).sum())
    }
}

impl Observer for Tap {
    fn bytes(&self, connection: usize, way: Way, bytes: &[u8]) {
        let mut seen = self.lock();
        if seen.connections.len() <= connection {
            seen.connections.resize_with(connection + 1, Connection::default);
        }
        let Seen {
            connections,
            messages,
            received,
            released,
            sent_after_release,
            acknowledged,
            sent,
            answers,
            ids_in_use,
            subscribed,
        } = &mut *seen;
        let number = connection;
        let connection = &mut connections[connection];
        let buffer = match way {
            Way::ToClient => &mut connection.to_client,
            Way::ToServer => &mut connection.to_server,
        };
        buffer.extend_from_slice(bytes);
        for (first, body) in packets(buffer) {
            let id = || u16::from_be_bytes([body[0], body[1]]);
            match (way, first >> 4) {
                (Way::ToClient, 3) => {
                    let Some((id, message)) = publish(self.version, first, &body) else { continue };
                    *sent += 1;
                    *sent_after_release += usize::from(released.contains(&message));
                    messages.entry(message).or_default().push((number, id, first & 8 != 0));
                    *ids_in_use += usize::from(!connection.in_use.insert(id));
                    connection.unacknowledged.entry(id).or_default().push_back(message);
                }
                (Way::ToClient, 6) => released.extend(received.remove(&id())),
                (Way::ToClient, 9) => *subscribed = true,
                (Way::ToServer, 4 | 5) => {
                    *answers += 1;
                    let waiting = connection.unacknowledged.get_mut(&id());
                    let message = waiting.and_then(VecDeque::pop_front);
                    acknowledged.extend(message);
                    if first >> 4 == 4 {
                        connection.in_use.remove(&id());
                    } else {
                        received.extend(message.map(|message| (id(), message)));
                    }
                }
                (Way::ToServer, 7) => {
                    *answers += 1;
                    connection.in_use.remove(&id());
                }
                _ => {}
            }
        }
    }
}

/// Takes whole packets off the front of a buffer.
fn packets(buffer: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut rest = &buffer[..];
    let mut packets = Vec::new();
    loop {
        let mut ahead = rest;
        // A packet that has not come whole is an error of the reader: its end is missing.
        let Ok(Some(packet)) = wire::read(&mut ahead) else { break };
        packets.push(packet);
        rest = ahead;
    }
    let taken = buffer.len() - rest.len();
    buffer.drain(..taken);
    packets
}

/// The packet id of a PUBLISH packet at QoS 1 or 2, and which message it is.
fn publish(version: Version, first: u8, body: &[u8]) -> Option<(u16, Id)> {
    if first & 6 == 0 {
        return None;
    }
    let number = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let id_at = 2 + usize::from(number(0)?);
    let mut payload = body.get(id_at + 2..)?;
    if version == Version::V5 {
        wire::take_block(&mut payload);
    }
    Some((number(id_at)?, identify(payload)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chaos::message::{Kind, Message};

    fn message(n: u32, qos: u8, version: Version) -> Message {
        let message = Message::new((3, n), Kind::Plain, Duration::ZERO);
        Message { version, qos, ..message }
    }

    #[test]
    fn acknowledgements_are_those_of_the_messages_with_their_ids() {
        for version in [Version::V311, Version::V5] {
            let tap = Tap::new(version);
            let one = message(1, 1, version).publish().encode(version, 7);
            let two = message(2, 2, version).publish().encode(version, 8);
            let bytes = [one, two].concat();
            // In pieces, as a network may bring them.
            let (head, tail) = bytes.split_at(30);
            tap.bytes(0, Way::ToClient, head);
            tap.bytes(0, Way::ToClient, tail);
            assert_eq!((tap.sent(), tap.unacknowledged()), (2, 2));
            tap.bytes(0, Way::ToServer, &wire::packet(0x50, &[0, 8]));
            assert_eq!(tap.acknowledged(), HashSet::from([(3, 2)]));
            tap.bytes(0, Way::ToServer, &wire::packet(0x40, &[0, 7]));
            assert_eq!((tap.acknowledged_count(), tap.unacknowledged()), (2, 0));
            assert_eq!((tap.answers(), tap.ids_in_use()), (2, 0));
        }
    }

    #[test]
    fn a_message_that_is_sent_again_after_its_release_is_noticed() {
        let tap = Tap::new(Version::V311);
        let publish = message(1, 2, Version::V311).publish().encode(Version::V311, 7);
        tap.bytes(0, Way::ToClient, &publish);
        tap.bytes(0, Way::ToServer, &wire::packet(0x50, &[0, 7]));
        tap.bytes(1, Way::ToClient, &publish);
        tap.bytes(1, Way::ToServer, &wire::packet(0x50, &[0, 7]));
        assert_eq!(tap.sent_after_release(), 0, "the server need not have seen PUBREC");
        tap.bytes(1, Way::ToClient, &wire::packet(0x62, &[0, 7]));
        tap.bytes(2, Way::ToClient, &publish);
        assert_eq!(tap.sent_after_release(), 1);
        let history = tap.history((3, 1));
        assert_eq!(history.matches("packet id 7").count(), 3, "{history}");
    }

    #[test]
    fn a_subscription_holds_until_the_server_is_gone() {
        let tap = Tap::new(Version::V311);
        assert!(!tap.is_subscribed());
        tap.bytes(0, Way::ToClient, &wire::packet(0x90, &[0, 1, 2]));
        assert!(tap.is_subscribed());
        tap.server_is_gone();
        assert!(!tap.is_subscribed());
    }

    #[test]
    fn an_id_that_is_given_to_a_second_message_is_noticed() {
        let tap = Tap::new(Version::V311);
        let publish = |n| message(n, 2, Version::V311).publish().encode(Version::V311, 7);
        tap.bytes(0, Way::ToClient, &publish(1));
        tap.bytes(0, Way::ToServer, &wire::packet(0x50, &[0, 7]));
        tap.bytes(0, Way::ToClient, &publish(2));
        tap.bytes(0, Way::ToServer, &wire::packet(0x50, &[0, 7]));
        assert_eq!((tap.acknowledged_count(), tap.ids_in_use()), (2, 1));
        // A new connection begins anew.
        tap.bytes(1, Way::ToClient, &publish(3));
        assert_eq!((tap.unacknowledged(), tap.ids_in_use()), (1, 1));
    }
}
