//! A session with an MQTT server, without I/O: bytes and times go in, messages and bytes come out.
//!
//! [`connection`](super::connection) moves the bytes. What is here outlives connections: the order
//! of acknowledgements ([`Ring`]) and the packet ids in use ([`PacketIds`]).

mod clock;
#[cfg(test)]
mod model;
mod packet_ids;
mod react;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, reason = "a panic is how a fuzzer learns")]
pub mod rig;
mod ring;
mod subscription;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::packet::{self, Malformed, ServerLimits, Version};
use super::{Broken, Control, Downstream, Settings};
use crate::account::{Settled, Wake};
use crate::message::{Qos, Sequence};
use clock::Clock;
use packet_ids::PacketIds;
use ring::Ring;

/// Unwritten acknowledgements beyond which reading waits for the server to read, in bytes.
const OUTPUT_LIMIT: usize = 256 * 1024;

/// The largest packet that is taken if it is no PUBLISH, in bytes: what a server may say in such a packet
/// becomes many times as large once it is read.
const LARGEST_OTHER: usize = 256 * 1024;

/// When bytes are dealt with.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub now: Instant,
    /// In milliseconds since the Unix epoch.
    pub at_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Offline,
    /// CONNECT is sent.
    Connecting,
    /// CONNACK has come, and SUBSCRIBE is sent.
    Accepted,
    /// The subscription has been granted.
    Subscribed,
}

/// What became of the packet at the start of the input.
enum Step {
    /// So many bytes of the input are dealt with.
    Done(usize),
    /// It stays where it is until there is credit for a message at this QoS.
    Wait(Qos),
    /// So many bytes of it have to be there.
    Read(usize),
}

/// See the [module's documentation](self).
pub struct Protocol {
    settings: Arc<Settings>,
    ring: Ring,
    packet_ids: PacketIds,
    /// Nothing that was taken is open.
    is_settled: bool,
    /// Nothing more is to be taken.
    draining: bool,
    /// Nor is anything waited for.
    leaving: bool,

    // Of the present connection.
    phase: Phase,
    clock: Clock,
    limits: ServerLimits,
    /// MQTT 3.1 does not say.
    session_present: Option<bool>,
    output: BytesMut,
    /// The message at the start of the input waits for credit; nothing is read meanwhile.
    waiting: Option<Qos>,
    /// QoS 0 has had no credit since then.
    qos_0_starved: Option<Instant>,
    /// Bytes that the packet at the start of the input has in all, as far as it must be there.
    needed: usize,
    /// Bytes at the start of the input, and still to come, that are of no interest.
    skip: usize,
    /// Bytes that were left in the input.
    left: usize,
    /// Messages whose packet id was in use.
    ids_in_use: u64,
}

impl Protocol {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            ring: Ring::default(),
            packet_ids: PacketIds::default(),
            is_settled: true,
            draining: false,
            leaving: false,
            phase: Phase::Offline,
            clock: Clock::default(),
            limits: ServerLimits::default(),
            session_present: None,
            output: BytesMut::new(),
            waiting: None,
            qos_0_starved: None,
            needed: 1,
            skip: 0,
            left: 0,
            ids_in_use: 0,
        }
    }

    /// A connection is open: CONNECT is to be sent.
    ///
    /// # Errors
    /// If the options do not fit into a packet.
    pub fn connect(&mut self, now: Instant) -> Result<(), Broken> {
        self.disconnected();
        self.phase = Phase::Connecting;
        self.clock = Clock::start(now);
        packet::connect(&self.settings.hello, &mut self.output)?;
        Ok(())
    }

    /// The connection has ended. What came on it and is not acknowledged will come again.
    pub fn disconnected(&mut self) {
        if self.ids_in_use > 1 {
            tracing::warn!(
                "the MQTT server gave {} messages a packet id that was in use, on one connection; all are carried",
                self.ids_in_use
            );
        }
        self.ring.end_connection();
        self.packet_ids.end_connection();
        self.output.clear();
        self.phase = Phase::Offline;
        self.clock = Clock::default();
        (self.limits, self.session_present) = (ServerLimits::default(), None);
        (self.waiting, self.qos_0_starved, self.ids_in_use) = (None, None, 0);
        (self.needed, self.skip, self.left) = (1, 0, 0);
    }

    /// Does as it is told. Where nothing more is to be taken, what comes is left to the server.
    pub fn obey(&mut self, control: Control) {
        self.draining |= control != Control::Run;
        self.leaving |= control == Control::Leave;
    }

    /// Whether nothing is waited for any more.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// How many messages have been received, since the program began.
    pub fn received(&self) -> Sequence {
        self.ring.taken()
    }

    /// Nothing more is to be taken, and everything taken is settled, or not waited for, and acknowledged as far
    /// as it can be.
    pub fn is_drained(&self) -> bool {
        let is_done = self.leaving || self.is_settled && self.ring.is_empty();
        self.draining && is_done && self.output.is_empty()
    }

    /// Whether the server has accepted the connection.
    pub fn is_accepted(&self) -> bool {
        matches!(self.phase, Phase::Accepted | Phase::Subscribed)
    }

    /// Whether the server has granted the subscription.
    pub fn is_subscribed(&self) -> bool {
        self.phase == Phase::Subscribed
    }

    /// Whether the server has kept the session; MQTT 3.1 does not say.
    pub fn session_present(&self) -> Option<bool> {
        self.session_present
    }

    /// What the server has said that it can do.
    pub fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// Takes the packets in `input`, as far as there is credit, and pings the server if it is time; gives
    /// how many bytes are dealt with. The others are to be at the start of the next input, [with more
    /// behind them](Self::needed).
    ///
    /// # Errors
    /// If the connection is of no use any more.
    pub fn receive(
        &mut self,
        input: &[u8],
        arrival: Arrival,
        downstream: &mut impl Downstream,
    ) -> Result<usize, Broken> {
        if input.len() > self.left {
            self.clock.heard(arrival.now);
        }
        let waited = self.waiting.take().is_some();
        let mut rest = input;
        let result = loop {
            match self.receive_packet(rest, arrival, downstream) {
                Ok(Step::Done(size)) => rest = &rest[size..],
                Ok(Step::Wait(qos)) => {
                    self.waiting = Some(qos);
                    break Ok(());
                }
                Ok(Step::Read(needed)) => {
                    self.needed = needed;
                    break Ok(());
                }
                Err(broken) => break Err(broken),
            }
        };
        self.left = rest.len();
        if waited && self.waiting.is_none() {
            self.clock.goes_on(arrival.now);
        }
        // Here, so that a flood that leaves no time for anything else does not keep pings waiting.
        if self.clock.ping(arrival.now) {
            self.output.extend_from_slice(&packet::PING);
        }
        downstream.forward();
        result.map(|()| input.len() - rest.len())
    }

    /// Bytes that the packet at the start of the input has in all, as far as it must be there.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether more may be read: not while a message waits for credit, nor while the server does not
    /// read what it is told.
    pub fn is_reading(&self) -> bool {
        self.waiting.is_none() && self.output.len() < OUTPUT_LIMIT
    }

    /// So far all messages are in Kafka, or need not get there.
    pub fn settle(&mut self, Settled { up_to, all }: Settled) {
        self.ring.settle(up_to);
        self.is_settled = all;
    }

    /// When to be woken by what becomes of messages.
    pub fn wake(&self) -> Wake {
        if self.draining { Wake::All } else { Wake::Further }
    }

    /// How many messages are to be acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.ring.len()
    }

    /// Whether something that is to be acknowledged is not settled yet.
    pub fn is_behind(&self) -> bool {
        self.ring.is_behind()
    }

    /// Puts the acknowledgements of what is settled into the output, in the order received; gives
    /// how many.
    pub fn acknowledge(&mut self) -> u64 {
        // MQTT 5 forbids to send again within a connection (MQTT-4.4.0-1).
        let may_repeat = self.settings.hello.version != Version::V5;
        let mut messages = 0;
        while let Some(done) = self.ring.release() {
            if done.qos == Qos::AtLeastOnce {
                self.packet_ids.acknowledged(done.packet_id, done.place, may_repeat);
            }
            packet::acknowledge(done.packet_id, done.qos, &mut self.output);
            messages += 1;
        }
        messages
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// So much of the output has been written.
    pub fn written(&mut self, size: usize, now: Instant) {
        self.output.advance(size);
        self.clock.sent(now);
    }

    /// When time alone changes something: [`Self::handle_timeout`] is to be called then, if there is
    /// nothing to be read, and in any case [`Self::receive`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let starved = self.qos_0_starved.filter(|_| self.waiting == Some(Qos::AtMostOnce));
        let patience = starved.map(|since| since + take::QOS_0_PATIENCE);
        let clock = self.clock.due(self.waiting.is_none());
        patience.into_iter().chain(clock).min()
    }

    /// There was nothing to be read at this time.
    ///
    /// # Errors
    /// If the server has not answered in time.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), Broken> {
        self.clock.check_silence(now, self.waiting.is_none()).map_err(Broken::passing)
    }

    /// Does what the packet at the start of the input asks for.
    fn receive_packet(
        &mut self,
        input: &[u8],
        arrival: Arrival,
        downstream: &mut impl Downstream,
    ) -> Result<Step, Broken> {
        if self.skip > 0 {
            let size = self.skip.min(input.len());
            self.skip -= size;
            return Ok(if size > 0 { Step::Done(size) } else { Step::Read(1) });
        }
        let is_other = input.first().is_some_and(|first| !packet::is_publish(*first));
        let limit = if is_other { LARGEST_OTHER } else { self.settings.max_packet_size };
        let frame = match packet::frame(input, limit) {
            Ok(Ok(frame)) => frame,
            Ok(Err(needed)) => return Ok(Step::Read(needed)),
            Err(Malformed::TooLarge { size, limit })
                if packet::is_publish(input[0]) && self.is_accepted() =>
            {
                return self.receive_oversized(input, (size, limit), arrival, downstream);
            }
            Err(Malformed::TooLarge { size, limit }) if is_other => {
                return Err(Broken::passing(format!(
                    "it sent a packet of {size} bytes that is no PUBLISH; up to {limit} are taken"
                )));
            }
            Err(malformed) => return Err(malformed.into()),
        };
        if !self.is_accepted() {
            self.receive_answer(&frame, arrival.now)?;
        } else if packet::is_publish(frame.first) {
            return self.receive_publish(&frame, arrival, downstream);
        } else {
            self.react(&frame)?;
        }
        Ok(Step::Done(frame.whole.len()))
    }
}
