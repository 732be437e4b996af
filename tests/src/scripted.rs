//! An MQTT server that does what a test tells it, step by step, and shows what the client sent.
//!
//! Nothing happens by itself but the answers to keep-alives, so a test can stay silent, refuse,
//! hang up, or send rubbish at any step.

use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::SOON;
use crate::listener::Listener;
use crate::wire::{self, Connect, Packet, Publish, Version};

/// The listening side.
#[derive(Debug)]
pub struct ScriptedServer {
    listener: Listener,
}

impl ScriptedServer {
    pub fn start() -> Self {
        Self { listener: Listener::start() }
    }

    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Waits for the next connection and reads its CONNECT packet, without an answer to it.
    ///
    /// # Panics
    /// If no client connects.
    pub fn accept(&self) -> Connection {
        let stream = self.listener.accept();
        let (sender, packets) = channel();
        let copy = stream.try_clone().expect("a descriptor is left");
        let pings = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&pings);
        std::thread::spawn(move || read_packets(copy, &sender, &counted));
        let Some(Packet::Connect(connect)) = next(&packets, SOON) else {
            panic!("a client's first packet is not CONNECT");
        };
        Connection { stream, packets, pings, connect }
    }

    /// Waits for the next connection, accepts it, and grants its subscription.
    ///
    /// # Panics
    /// If the client does not connect or subscribe.
    pub fn accept_and_subscribe(&self, session_present: bool) -> Connection {
        let mut connection = self.accept();
        connection.accept_connect(session_present);
        connection.grant_subscription();
        connection
    }
}

/// One connection of a client.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    packets: Receiver<Packet>,
    pings: Arc<AtomicUsize>,
    pub connect: Connect,
}

impl Connection {
    fn version(&self) -> Version {
        self.connect.version()
    }

    /// Answers CONNECT with success.
    pub fn accept_connect(&mut self, session_present: bool) {
        self.send(&wire::connack(self.version(), session_present, 0, &[]));
    }

    /// Answers CONNECT with a refusal and hangs up.
    pub fn refuse_connect(mut self, code: u8) {
        self.send(&wire::connack(self.version(), false, code, &[]));
    }

    /// Waits for SUBSCRIBE and grants what is asked for; the answer is the filters.
    pub fn grant_subscription(&mut self) -> Vec<(String, u8)> {
        let (id, filters) = self.subscribe();
        let codes: Vec<u8> = filters.iter().map(|(_, qos)| qos & 3).collect();
        self.send(&wire::suback(self.version(), id, &codes));
        filters
    }

    /// Waits for SUBSCRIBE and refuses all of it.
    pub fn refuse_subscription(&mut self, code: u8) {
        let (id, filters) = self.subscribe();
        self.send(&wire::suback(self.version(), id, &vec![code; filters.len()]));
    }

    /// Waits for UNSUBSCRIBE and confirms it with these reasons; the answer is the filters.
    pub fn confirm_unsubscription(&mut self, reasons: &[u8]) -> Vec<String> {
        match next(&self.packets, SOON) {
            Some(Packet::Unsubscribe { id, filters }) => {
                self.send(&wire::unsuback(self.version(), id, reasons));
                filters
            }
            other => panic!("instead of UNSUBSCRIBE came {other:?}"),
        }
    }

    fn subscribe(&self) -> (u16, Vec<(String, u8)>) {
        match next(&self.packets, SOON) {
            Some(Packet::Subscribe { id, filters }) => (id, filters),
            other => panic!("instead of SUBSCRIBE came {other:?}"),
        }
    }

    /// Sends a message with this packet id.
    pub fn publish(&mut self, id: u16, message: &Publish) {
        self.send(&message.encode(self.version(), id));
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// If the client has hung up.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client is still there");
    }

    /// The next packet; `None` if none comes in that time or the client has hung up.
    pub fn next(&self, within: Duration) -> Option<Packet> {
        next(&self.packets, within)
    }

    /// Waits for so many PUBACK packets; the answer is their packet ids in order.
    ///
    /// # Panics
    /// If something else comes, or not enough.
    pub fn acknowledged(&self, count: usize) -> Vec<u16> {
        self.ids("PUBACK", count, |packet| match packet {
            Packet::PubAck(id) => Some(id),
            _ => None,
        })
    }

    /// The same for PUBREC packets.
    pub fn received(&self, count: usize) -> Vec<u16> {
        self.ids("PUBREC", count, |packet| match packet {
            Packet::PubRec(id) => Some(id),
            _ => None,
        })
    }

    /// Sends PUBREL for these packet ids, and waits for as many PUBCOMP packets; the answer is their
    /// packet ids in order.
    ///
    /// # Panics
    /// As [`Self::acknowledged`].
    pub fn release(&mut self, ids: &[u16]) -> Vec<u16> {
        for id in ids {
            self.send(&wire::pubrel(*id));
        }
        self.ids("PUBCOMP", ids.len(), |packet| match packet {
            Packet::PubComp(id) => Some(id),
            _ => None,
        })
    }

    fn ids(&self, name: &str, count: usize, id: fn(Packet) -> Option<u16>) -> Vec<u16> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let packet = self.next(SOON);
            let text = format!("{packet:?}");
            match packet.and_then(id) {
                Some(id) => ids.push(id),
                None => panic!("after {} of {count} {name}s came {text}", ids.len()),
            }
        }
        ids
    }

    /// How many keep-alives the client has sent.
    pub fn pings(&self) -> usize {
        self.pings.load(Ordering::Relaxed)
    }

    /// # Panics
    /// If the client sends anything but keep-alives in that time, or hangs up.
    pub fn assert_silent(&self, time: Duration) {
        match self.packets.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the client has hung up"),
            Ok(packet) => panic!("the client sent {packet:?}"),
        }
    }

    /// Waits until the client hangs up; the answer is what it still sent.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_for_end(self) -> Vec<Packet> {
        let end = Instant::now() + SOON;
        let mut rest = Vec::new();
        loop {
            match self.packets.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(packet) => rest.push(packet),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("the client does not hang up"),
            }
        }
    }

    /// Hangs up.
    pub fn hang_up(self) {}
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The client may have hung up first.
        let _: std::io::Result<()> = self.stream.shutdown(Shutdown::Both);
    }
}

fn next(packets: &Receiver<Packet>, within: Duration) -> Option<Packet> {
    packets.recv_timeout(within).ok()
}

/// Passes on what the client sends, until it or the test ends the connection.
fn read_packets(stream: TcpStream, packets: &Sender<Packet>, pings: &AtomicUsize) {
    let mut answers = stream.try_clone().expect("a descriptor is left");
    let mut reader = BufReader::new(stream);
    let mut version = Version::V311;
    while let Ok(Some((first, body))) = wire::read(&mut reader) {
        let packet = wire::decode(version, first, &body);
        match &packet {
            Packet::Connect(connect) => version = connect.version(),
            Packet::PingReq => {
                pings.fetch_add(1, Ordering::Relaxed);
                if answers.write_all(&wire::PINGRESP).is_err() {
                    return;
                }
                continue;
            }
            _ => {}
        }
        if packets.send(packet).is_err() {
            return;
        }
    }
}
