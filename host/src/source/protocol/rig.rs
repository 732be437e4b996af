//! For tests: what they and fuzzers put around a [`Protocol`]: a made-up clock, and an end of the path that
//! keeps what it is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Arrival, Protocol};
use crate::account::{Accounts, Fate, Settled, Wake};
use crate::message::{ConnectionEvent, Defect, Publish, Qos, Sequence};
use crate::source::packet::{ConnectProperties, Hello, Version};
use crate::source::{Broken, Downstream, Server, Settings};

pub const MAX_PACKET_SIZE: usize = 2_048;

/// A message that was handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub sequence: Sequence,
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub packet_id: u16,
    pub defect: Option<Defect>,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Kept {
    pub taken: Vec<Taken>,
    pub dropped: u64,
    pub let_go: u64,
    /// Whether there is credit for QoS 0, and for QoS 1 and 2.
    pub credit: [bool; 2],
    accounts: Accounts,
}

impl Kept {
    fn keep(
        &mut self,
        sequence: Sequence,
        at_ms: i64,
        publish: &Publish<'_>,
        defect: Option<Defect>,
    ) {
        assert_eq!(at_ms, AT_MS);
        assert!(self.has_credit(publish.qos), "{publish:?} is taken without credit");
        let Publish { topic, payload, qos, packet_id, .. } = *publish;
        let (topic, payload) = (topic.to_owned(), payload.to_vec());
        self.accounts.open(1, qos != Qos::AtMostOnce);
        self.taken.push(Taken { sequence, topic, payload, qos, packet_id, defect });
    }
}

impl Downstream for Kept {
    fn has_credit(&self, qos: Qos) -> bool {
        self.credit[usize::from(qos != Qos::AtMostOnce)]
    }

    fn take(&mut self, sequence: Sequence, at_ms: i64, publish: &Publish<'_>) {
        self.keep(sequence, at_ms, publish, None);
    }

    fn take_defective(
        &mut self,
        sequence: Sequence,
        at_ms: i64,
        publish: &Publish<'_>,
        defect: Defect,
    ) {
        self.keep(sequence, at_ms, publish, Some(defect));
    }

    fn forward(&mut self) {}

    fn dropped(&mut self) {
        self.dropped += 1;
    }

    fn let_go(&mut self) {
        self.let_go += 1;
    }

    fn settled(&mut self, _: Wake) -> Settled {
        self.accounts.settled()
    }

    fn acknowledged(&mut self, _: u64) {}

    fn connection_event(&mut self, _: ConnectionEvent) {}
}

const AT_MS: i64 = 1_700_000_000_000;

/// A [`Protocol`] with everything around it.
pub struct Rig {
    pub protocol: Protocol,
    pub kept: Kept,
    pub now: Instant,
    version: Version,
    input: Vec<u8>,
}

impl Rig {
    pub fn new(version: Version) -> Self {
        Self::with(version, |_| ())
    }

    pub fn with(version: Version, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(version);
        change(&mut settings);
        Self {
            protocol: Protocol::new(Arc::new(settings)),
            kept: Kept {
                taken: Vec::new(),
                dropped: 0,
                let_go: 0,
                credit: [true; 2],
                accounts: Accounts::default(),
            },
            now: Instant::now(),
            version,
            input: Vec::new(),
        }
    }

    /// A connection begins that the server has not answered yet; gives CONNECT.
    pub fn connect(&mut self) -> Vec<u8> {
        self.input.clear();
        self.protocol.connect(self.now).expect("good options");
        self.written()
    }

    /// A connection begins, and the server accepts it and grants the subscription.
    pub fn serve(&mut self, session_present: bool) {
        self.connect();
        self.receive(&connack(self.version, session_present)).expect("a good answer");
        self.written();
        self.receive(&suback(self.version)).expect("a good answer");
        assert!(self.protocol.is_subscribed());
    }

    /// Takes in more bytes.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.input.extend_from_slice(bytes);
        let arrival = Arrival { now: self.now, at_ms: AT_MS };
        let done = self.protocol.receive(&self.input, arrival, &mut self.kept)?;
        self.input.drain(..done);
        assert!(!self.protocol.is_reading() || self.protocol.needed() > self.input.len());
        Ok(())
    }

    /// Time passes, and what is due happens.
    pub fn pass(&mut self, time: Duration) -> Result<(), Broken> {
        let end = self.now + time;
        while let Some(due) = self.protocol.next_timeout().filter(|due| *due <= end) {
            assert!(due > self.now, "the protocol would spin");
            self.now = due;
            self.protocol.handle_timeout(due)?;
            self.receive(&[])?;
        }
        self.now = end;
        Ok(())
    }

    /// Kafka has the message with this place among those that were taken.
    pub fn confirm(&mut self, index: usize) {
        let accounts = &mut self.kept.accounts;
        accounts.done(self.kept.taken[index].sequence, Fate::Delivered);
        self.protocol.settle(accounts.settled());
    }

    /// What the protocol has to say, written.
    pub fn written(&mut self) -> Vec<u8> {
        self.protocol.acknowledge();
        let output = self.protocol.output().to_vec();
        if !output.is_empty() {
            self.protocol.written(output.len(), self.now);
        }
        output
    }

    /// The same as packets without a body of more than a packet id: first byte and id.
    pub fn said(&mut self) -> Vec<(u8, u16)> {
        packets(&self.written()).collect()
    }

    /// The payloads of the messages that were taken, as text.
    pub fn payloads(&self) -> Vec<&str> {
        let taken = self.kept.taken.iter();
        taken.map(|taken| std::str::from_utf8(&taken.payload).expect("text")).collect()
    }
}

/// Small packets: first byte and packet id.
pub fn packets(bytes: &[u8]) -> impl Iterator<Item = (u8, u16)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (packet, left) = rest.split_at_checked(2 + usize::from(*rest.get(1)?))?;
        rest = left;
        let id = packet.get(2..4).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
        Some((packet[0], id))
    })
}

fn settings(version: Version) -> Settings {
    Settings {
        server: Server { host: "mqtt".to_owned(), port: 1883, tls: None, websocket: None },
        hello: Hello {
            version,
            client_id: "me".to_owned(),
            clean_session: false,
            keep_alive: 60,
            username: None,
            password: None,
            will: None,
            properties: ConnectProperties { receive_maximum: 10, ..ConnectProperties::default() },
        },
        filters: vec!["plant/#".to_owned()],
        unsubscribe: Vec::new(),
        qos: Qos::ExactlyOnce,
        max_packet_size: MAX_PACKET_SIZE,
        max_delay: Duration::ZERO,
    }
}

pub fn connack(version: Version, session_present: bool) -> Vec<u8> {
    let present = session_present.into();
    if version == Version::V5 { vec![0x20, 3, present, 0, 0] } else { vec![0x20, 2, present, 0] }
}

pub fn suback(version: Version) -> Vec<u8> {
    if version == Version::V5 { vec![0x90, 4, 0, 1, 0, 2] } else { vec![0x90, 3, 0, 1, 2] }
}

/// A PUBLISH packet.
pub fn publish(version: Version, message: &Publish<'_>) -> Vec<u8> {
    let Publish { topic, payload, qos, dup, packet_id, .. } = message;
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.bytes());
    if *qos != Qos::AtMostOnce {
        body.extend(packet_id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(*payload);
    let mut packet = vec![0x30 | u8::from(*dup) << 3 | (*qos as u8) << 1];
    let mut length = body.len();
    while length > 0x7f {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}
