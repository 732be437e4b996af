//! A publisher at QoS 1 that keeps its pace and costs little: its packets are encoded beforehand, are
//! sent in time slots of a millisecond, and of the answers only the packet ids are looked at.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use ::tests::SOON;
use ::tests::wire::{self, Version};

use crate::messages::{CYCLE, Messages, Packets};

/// What is due within one is sent with one write.
const SLOT: Duration = Duration::from_millis(1);
/// Unconfirmed messages, at most: a server that is slower than the pace slows it down.
const WINDOW: usize = CYCLE / 2;
/// The same where there is no pace: enough to keep the server busy.
const FLOOD: usize = 1_000;
const WRITE: usize = 64 * 1024;

/// When messages are due.
#[derive(Debug, Clone)]
pub struct Pace {
    gap: f64,
    /// The state of the generator, if arrivals are random.
    random: Option<u64>,
    began: Instant,
    /// Seconds from the beginning on.
    next: f64,
}

impl Pace {
    /// Evenly, or at random moments (a Poisson process) that are the same ones in every run.
    pub fn new(per_second: f64, random: bool) -> Self {
        let random = random.then_some(0x9e37_79b9_7f4a_7c15);
        Self { gap: 1.0 / per_second, random, began: Instant::now(), next: 0.0 }
    }

    /// Waits for the next slot in which messages are due, and gives how many; `None` once `seconds`
    /// have passed since the beginning.
    pub fn due(&mut self, seconds: f64) -> Option<usize> {
        if self.next >= seconds {
            return None;
        }
        let slot = self.began.elapsed().as_secs_f64() + SLOT.as_secs_f64();
        let wake = if self.gap < SLOT.as_secs_f64() { self.next.max(slot) } else { self.next };
        sleep(Duration::from_secs_f64((wake - self.began.elapsed().as_secs_f64()).max(0.0)));
        let (now, mut count) = (self.began.elapsed().as_secs_f64(), 0);
        while self.next <= now && self.next < seconds {
            self.next += self.gap();
            count += 1;
        }
        Some(count)
    }

    fn gap(&mut self) -> f64 {
        let Some(state) = &mut self.random else {
            return self.gap;
        };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        // From just above 0 to 1.
        let uniform = ((*state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        -uniform.ln() * self.gap
    }
}

/// A connection to a server.
pub struct Publisher {
    stream: TcpStream,
    packets: Packets,
    pub sent: usize,
    confirmed: usize,
    /// What has been read and not understood yet.
    input: Vec<u8>,
}

impl Publisher {
    pub fn connect(port: u16, messages: &Messages) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(SOON)).expect("a TCP option");
        let packets = messages.encode(Version::V311, 1);
        let mut publisher =
            Self { stream, packets, sent: 0, confirmed: 0, input: Vec::with_capacity(WRITE) };
        let connect = wire::connect(Version::V311, "bench-publisher", None);
        publisher.stream.write_all(&connect).expect("the server reads");
        let answer = wire::read(&mut publisher.stream).expect("the server answers");
        assert_eq!(answer.map(|(first, _)| first), Some(0x20), "the server lets the publisher in");
        publisher
    }

    /// Publishes at this pace until `seconds` after its beginning.
    pub fn keep(&mut self, pace: &mut Pace, seconds: f64) {
        while let Some(count) = pace.due(seconds) {
            self.send(count, WINDOW);
            self.look();
        }
    }

    /// Publishes so many messages as fast as the server confirms them.
    pub fn flood(&mut self, count: usize) {
        self.send(count, FLOOD);
    }

    /// Waits until the server has confirmed all of it; gives how many messages that are.
    pub fn finish(&mut self) -> usize {
        while self.confirmed < self.sent {
            self.read().expect("the server confirms");
        }
        self.confirmed
    }

    fn send(&mut self, count: usize, window: usize) {
        let end = self.sent + count;
        while self.sent < end {
            let room = (self.confirmed + window).min(end).saturating_sub(self.sent);
            if room == 0 {
                self.read().expect("the server confirms");
                continue;
            }
            let run = self.packets.run(self.sent, room, WRITE).0;
            self.packets.stamp(self.sent, run, SystemTime::now());
            let (_, bytes) = self.packets.run(self.sent, run, WRITE);
            self.stream.write_all(bytes).expect("the server reads");
            self.sent += run;
        }
    }

    /// Takes what the server has confirmed meanwhile.
    fn look(&mut self) {
        self.stream.set_nonblocking(true).expect("a socket can be asked without waiting");
        let read = self.read();
        self.stream.set_nonblocking(false).expect("a socket can be waited for");
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => read.expect("the server stays connected"),
        }
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let size = self.stream.read(&mut buffer)?;
        if size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(&buffer[..size]);
        let whole = self.input.len() - self.input.len() % 4;
        for packet in self.input[..whole].chunks_exact(4) {
            // Nothing but PUBACK comes to who only publishes, in the order of publishing.
            let id = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            assert_eq!((packet[0], id), (0x40, self.confirmed % CYCLE + 1), "a PUBACK comes");
            self.confirmed += 1;
        }
        self.input.drain(..whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_on_the_whole_evenly_or_at_random() {
        for (random, expected) in [(false, 500..=500), (true, 400..=600)] {
            let mut pace = Pace::new(5_000.0, random);
            let slots: Vec<_> = std::iter::from_fn(|| pace.due(0.1)).collect();
            let count = slots.iter().sum::<usize>();
            assert!(expected.contains(&count), "{count} messages are due");
            assert!(slots.len() <= 101, "{} slots in a tenth of a second", slots.len());
        }
    }
}
