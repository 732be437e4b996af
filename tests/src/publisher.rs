//! A client that publishes over real MQTT and knows which messages the broker has confirmed.

use std::fmt::Debug;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs};

use crate::wire::{self, Publish, Version};
use crate::{A_WHILE, SOON};

/// Messages that are under way at once: enough to be fast, few enough for every packet id.
const WINDOW: usize = 1_000;

/// A connection to a broker.
#[derive(Debug)]
pub struct Publisher {
    version: Version,
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Publisher {
    /// Connects with MQTT 3.1.1 and no login.
    pub fn connect(port: u16, client_id: &str) -> Self {
        Self::connect_as(port, client_id, Version::V311, None)
    }

    /// Connects with MQTT 5 and no login.
    pub fn connect_v5(port: u16, client_id: &str) -> Self {
        Self::connect_as(port, client_id, Version::V5, None)
    }

    /// Connects to another address than 127.0.0.1, with MQTT 3.1.1 and no login.
    pub fn connect_to(address: &str, port: u16, client_id: &str) -> Self {
        Self::start(open((address, port)), client_id, Version::V311, None)
    }

    pub fn connect_as(
        port: u16,
        client_id: &str,
        version: Version,
        login: Option<(&str, &str)>,
    ) -> Self {
        Self::start(open((Ipv4Addr::LOCALHOST, port)), client_id, version, login)
    }

    /// Connects with no login, if the broker lets it in now.
    ///
    /// # Errors
    /// If the broker is away or does not let it in.
    pub fn try_connect(port: u16, client_id: &str, version: Version) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        Self::try_start(stream, &wire::connect(version, client_id, None), version)
    }

    /// Takes over the session of another client, and gives how many messages the broker sends at
    /// once: 0 if none waits in that session.
    ///
    /// # Panics
    /// If the broker does not answer.
    pub fn count_waiting(port: u16, client_id: &str, version: Version) -> usize {
        let mut client = Self::try_start(
            open((Ipv4Addr::LOCALHOST, port)),
            &wire::resume(version, client_id),
            version,
        )
        .expect("the broker lets it in");
        client.stream.write_all(&wire::PINGREQ).expect("the broker reads");
        // What waits is sent right behind CONNACK.
        let mut waiting = 0;
        loop {
            match wire::read(&mut client.reader).expect("the broker answers") {
                Some((0xd0, _)) => return waiting,
                Some((first, _)) => waiting += usize::from(first >> 4 == 3),
                None => panic!("the broker hangs up on a client that asks what waits"),
            }
        }
    }

    /// # Panics
    /// If the broker does not let it in.
    fn start(
        stream: TcpStream,
        client_id: &str,
        version: Version,
        login: Option<(&str, &str)>,
    ) -> Self {
        Self::try_start(stream, &wire::connect(version, client_id, login), version)
            .unwrap_or_else(|error| panic!("the broker lets {client_id} in: {error}"))
    }

    fn try_start(mut stream: TcpStream, connect: &[u8], version: Version) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.set_write_timeout(Some(A_WHILE))?;
        stream.write_all(connect)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        match wire::read(&mut reader)? {
            Some((0x20, body)) if body.get(1) == Some(&0) => Ok(Self { version, stream, reader }),
            answer => Err(io::Error::other(format!("{answer:?} in place of CONNACK"))),
        }
    }

    /// Publishes, and waits until the broker has confirmed what it can confirm: every message, or
    /// at quality of service 0 that it has read everything.
    ///
    /// # Panics
    /// If the broker goes away or does not confirm.
    pub fn publish(&mut self, messages: &[Publish]) {
        for window in messages.chunks(WINDOW) {
            let confirmed = self.try_publish(window).expect("the broker stays");
            assert_eq!(confirmed, window.len(), "the broker confirmed all of them");
        }
    }

    /// Publishes at most 1,000 messages at once. The answer is how many of them the broker has
    /// confirmed, from the first on, before it went away.
    ///
    /// # Errors
    /// If the broker cannot be written to: nothing of this is confirmed.
    pub fn try_publish(&mut self, messages: &[Publish]) -> io::Result<usize> {
        assert!(messages.len() <= WINDOW, "a window is {WINDOW} messages");
        let mut bytes = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            bytes.extend(message.encode(self.version, index as u16 + 1));
        }
        bytes.extend(wire::PINGREQ);
        self.stream.write_all(&bytes)?;

        // Nothing orders a broker's acknowledgements but the packet ids.
        let mut confirmed: Vec<bool> = messages.iter().map(|message| message.qos == 0).collect();
        let mut pinged = false;
        while !(pinged && confirmed.iter().all(|&confirmed| confirmed)) {
            match wire::read(&mut self.reader) {
                // Quality of service 2: PUBREC, which PUBREL answers.
                Ok(Some((0x50, body))) => {
                    self.stream.write_all(&wire::pubrel(u16::from_be_bytes([body[0], body[1]])))?;
                }
                // PUBACK, or PUBCOMP.
                Ok(Some((0x40 | 0x70, body))) => {
                    let id = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    confirmed[id - 1] = true;
                }
                Ok(Some((0xd0, _))) => pinged = true,
                Ok(Some((first, _))) => panic!("a publisher got a packet {first:#x}"),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(confirmed.iter().take_while(|&&confirmed| confirmed).count())
    }
}

fn open(address: impl ToSocketAddrs + Debug + Copy) -> TcpStream {
    TcpStream::connect(address)
        .unwrap_or_else(|error| panic!("cannot connect to {address:?}: {error}"))
}
