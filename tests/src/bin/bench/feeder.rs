//! An MQTT server for one subscriber that costs next to nothing: its packets are encoded
//! beforehand, are written 64 KiB at a time, and of the answers only the packet ids are looked at.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::wire::{self, Packet, Version};

use crate::messages::{CYCLE, Messages, Packets};

const WRITE: usize = 64 * 1024;
/// Writes at QoS 0 between two looks at what the subscriber says.
const WRITES_PER_LOOK: usize = 64;
/// How long the subscriber may be silent while acknowledgements are due.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Feeder {
    listener: TcpListener,
}

impl Feeder {
    /// Port 0 is any free one.
    pub fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok(Self { listener })
    }

    pub fn port(&self) -> u16 {
        let address = self.listener.local_addr();
        address.expect("a listener has an address").port()
    }

    /// Waits for a subscriber, and takes whatever it subscribes to.
    pub fn accept(&self, messages: &Messages, qos: u8) -> io::Result<Subscriber> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut version = Version::V311;
        loop {
            let (first, body) = wire::read(&mut stream)?.ok_or(ErrorKind::UnexpectedEof)?;
            let answer = match wire::decode(version, first, &body) {
                Packet::Connect(connect) => {
                    version = connect.version();
                    wire::connack(version, false, 0, &[])
                }
                Packet::Subscribe { id, filters } => {
                    // Encoded first: the subscriber is to find all ready when it is.
                    let packets = messages.encode(version, qos);
                    let granted: Vec<_> = filters.iter().map(|(_, qos)| *qos).collect();
                    stream.write_all(&wire::suback(version, id, &granted))?;
                    return Ok(Subscriber::new(stream, packets, qos));
                }
                Packet::PingReq => wire::PINGRESP.to_vec(),
                _ => continue,
            };
            stream.write_all(&answer)?;
        }
    }
}

/// How many messages were sent, when the first one was, and when the last one was sent (QoS 0) or
/// acknowledged (QoS 1).
#[derive(Debug, Clone, Copy)]
pub struct Fed {
    pub count: usize,
    pub began: Instant,
    pub ended: Instant,
}

pub struct Subscriber {
    stream: TcpStream,
    packets: Packets,
    qos: u8,
    acknowledged: usize,
    /// What has been read and not understood yet.
    input: Vec<u8>,
}

impl Subscriber {
    fn new(stream: TcpStream, packets: Packets, qos: u8) -> Self {
        Self { stream, packets, qos, acknowledged: 0, input: Vec::new() }
    }

    /// Sends `count` messages: at QoS 0 as fast as they are taken, at QoS 1 with at most `window`
    /// of them unacknowledged.
    pub fn feed(&mut self, count: usize, window: usize) -> io::Result<Fed> {
        let began = Instant::now();
        let count = match self.qos {
            0 => self.pour(count)?,
            _ => self.feed_window(count, window, Duration::MAX)?,
        };
        Ok(Fed { count, began, ended: Instant::now() })
    }

    /// The same at QoS 1, but after that time nothing more is sent.
    pub fn feed_for(&mut self, time: Duration, count: usize, window: usize) -> io::Result<Fed> {
        let began = Instant::now();
        let count = self.feed_window(count, window, time)?;
        Ok(Fed { count, began, ended: Instant::now() })
    }

    fn pour(&mut self, count: usize) -> io::Result<usize> {
        let (mut sent, mut writes) = (0, 0);
        while sent < count {
            let (run, bytes) = self.packets.run(sent, count - sent, WRITE);
            self.stream.write_all(bytes)?;
            sent += run;
            writes += 1;
            if writes % WRITES_PER_LOOK == 0 {
                self.attend()?;
            }
        }
        Ok(count)
    }

    fn feed_window(&mut self, count: usize, window: usize, time: Duration) -> io::Result<usize> {
        let (mut sent, began) = (0, Instant::now());
        loop {
            let over = began.elapsed() > time || sent == count;
            if over && self.acknowledged == sent {
                return Ok(sent);
            }
            let room = (self.acknowledged + window).min(count) - sent;
            if room == 0 || over {
                self.read()?;
                continue;
            }
            let (run, bytes) = self.packets.run(sent, room, WRITE);
            self.stream.write_all(bytes)?;
            sent += run;
        }
    }

    /// Answers what the subscriber may have asked meanwhile.
    pub fn attend(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        let read = self.read();
        self.stream.set_nonblocking(false)?;
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            read => read,
        }
    }

    /// Answers the subscriber until it hangs up.
    pub fn stay(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)?;
        loop {
            self.read()?;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let size = self.stream.read(&mut buffer)?;
        if size == 0 {
            return Err(io::Error::other("the subscriber has hung up"));
        }
        self.input.extend_from_slice(&buffer[..size]);
        let mut start = 0;
        // No packet that a subscriber sends now is long enough for a second byte of length.
        while let [first, length, ..] = self.input[start..] {
            let end = start + 2 + usize::from(length);
            let Some(body) = self.input.get(start + 2..end) else {
                break;
            };
            match (first >> 4, body) {
                (4, [high, low, ..]) => {
                    let id = u16::from_be_bytes([*high, *low]);
                    // MQTT-4.6.0-2: in the order in which the messages were received.
                    if usize::from(id) != self.acknowledged % CYCLE + 1 {
                        return Err(io::Error::other(format!(
                            "PUBACK {id} came instead of {}",
                            self.acknowledged % CYCLE + 1
                        )));
                    }
                    self.acknowledged += 1;
                }
                (12, _) => self.stream.write_all(&wire::PINGRESP)?,
                (14, _) => {}
                _ => return Err(io::Error::other(format!("a packet {first:#x} came"))),
            }
            start = end;
        }
        self.input.drain(..start);
        Ok(())
    }
}
