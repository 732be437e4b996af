//! What is done with the packets that have been read.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::connection::{Connection, SUBSCRIBE_ID, UNSUBSCRIBE_ID};
use super::packet::{self, Frame, Incoming, Malformed, Version};
use super::{Broken, Downstream, Nature, Settings, Source};
use crate::message::{Cut, Publish, Qos, now_ms};

/// How long reading stops for the sake of messages at QoS 0, which the broker would not keep.
const QOS_0_PATIENCE: Duration = Duration::from_secs(5);

/// How much of the payload of a message that is too large is taken, in bytes.
const KEPT: usize = 64 * 1024;

/// What holds for all packets that have been read at once.
#[derive(Clone, Copy)]
struct Arrival {
    /// In milliseconds since the Unix epoch.
    at_ms: i64,
    /// Nothing more is to be taken.
    draining: bool,
}

/// What became of the packet at the start of the input.
enum Step {
    Done,
    /// It stays where it is until there is credit.
    Wait,
    /// So many bytes of it have to be there.
    Read(usize),
}

impl<D: Downstream> Source<D> {
    /// Takes the packets that have been read, as far as there is credit.
    pub(super) fn take_in(
        &mut self,
        connection: &mut Connection,
        draining: bool,
    ) -> Result<(), Broken> {
        let at_ms = now_ms();
        connection.paused = false;
        let result = loop {
            match self.take_in_one(connection, Arrival { at_ms, draining }) {
                Ok(Step::Done) => {}
                Ok(Step::Wait) => {
                    connection.paused = true;
                    break Ok(());
                }
                Ok(Step::Read(needed)) => {
                    connection.needed = needed;
                    break Ok(());
                }
                Err(broken) => break Err(broken),
            }
        };
        self.downstream.forward();
        result
    }

    /// Does what the packet at the start of the input asks for, and takes it out.
    fn take_in_one(
        &mut self,
        connection: &mut Connection,
        arrival: Arrival,
    ) -> Result<Step, Broken> {
        if !connection.skip() {
            return Ok(Step::Read(1));
        }
        let Connection { version, max_packet_size, input, starved, .. } = connection;
        let bytes = input.bytes();
        let frame = match packet::frame(bytes, *max_packet_size) {
            Ok(Ok(frame)) => frame,
            Ok(Err(needed)) => return Ok(Step::Read(needed)),
            Err(Malformed::TooLarge { size, limit }) if packet::is_publish(bytes[0]) => {
                return self.take_in_oversized(connection, size, limit, arrival);
            }
            Err(malformed) => return Err(malformed.into()),
        };
        let size = frame.whole.len();
        let step = if packet::is_publish(frame.first) {
            self.take(&packet::publish(*version, &frame)?, arrival, starved, None)
        } else {
            let Connection { output, subscribed, .. } = connection;
            self.react(*version, &frame, output, subscribed)?;
            Step::Done
        };
        if matches!(step, Step::Done) {
            connection.input.consume(size);
        }
        Ok(step)
    }

    /// Takes what there is room for of a message that is too large, so that it can be rejected, and
    /// passes over the rest: the server would send it again on the next connection.
    fn take_in_oversized(
        &mut self,
        connection: &mut Connection,
        size: usize,
        limit: usize,
        arrival: Arrival,
    ) -> Result<Step, Broken> {
        let Connection { version, input, starved, skip, .. } = connection;
        let (publish, payload) = match packet::publish_start(*version, input.bytes(), size, KEPT)? {
            Ok(start) => start,
            Err(needed) => return Ok(Step::Read(needed)),
        };
        let cut = Cut { payload, packet: size, limit };
        let step = self.take(&publish, arrival, starved, Some(cut));
        if matches!(step, Step::Done) {
            *skip = size;
        }
        Ok(step)
    }

    /// Takes a message if there is credit. Messages at QoS 1 and 2 wait for it as long as it
    /// takes; the broker would drop those at QoS 0 sooner or later, so here they are dropped,
    /// and counted.
    fn take(
        &mut self,
        publish: &Publish<'_>,
        arrival: Arrival,
        starved: &mut Option<Instant>,
        cut: Option<Cut>,
    ) -> Step {
        if arrival.draining {
            self.let_go(publish);
            return Step::Done;
        }
        if self.is_repetition(publish) {
            return Step::Done;
        }
        if self.downstream.has_credit(publish.qos) {
            *starved = None;
            let sequence = self.ring.push(publish.packet_id, publish.qos);
            if publish.qos == Qos::ExactlyOnce {
                self.session.take(publish.packet_id, sequence);
            }
            match cut {
                None => self.downstream.take(sequence, arrival.at_ms, publish),
                Some(cut) => self.downstream.take_cut(sequence, arrival.at_ms, publish, cut),
            }
            return Step::Done;
        }
        let since = *starved.get_or_insert_with(Instant::now);
        if publish.qos == Qos::AtMostOnce && since.elapsed() >= QOS_0_PATIENCE {
            self.downstream.dropped();
            return Step::Done;
        }
        Step::Wait
    }

    /// Whether a message has been taken already; then all that is left to do is acknowledge it when
    /// its time comes.
    ///
    /// At QoS 1 a packet id says nothing on a later connection, so what is sent again there is taken
    /// again. Servers of MQTT 3.1 repeat also within a connection.
    fn is_repetition(&mut self, publish: &Publish<'_>) -> bool {
        let Publish { packet_id, qos, dup, .. } = *publish;
        match qos {
            Qos::AtMostOnce => false,
            Qos::AtLeastOnce => dup && self.ring.is_outstanding(packet_id),
            Qos::ExactlyOnce => {
                let Some(place) = self.session.repeats(packet_id, dup) else { return false };
                if !self.ring.is_outstanding(packet_id) {
                    let place = self.ring.push_repetition(packet_id, qos, place);
                    self.session.take(packet_id, place);
                    // If Kafka has it, it can be acknowledged now.
                    self.wake.notify_one();
                }
                true
            }
        }
    }

    /// While draining, a message at QoS 1 or 2 is let go unacknowledged, and the broker keeps it
    /// for the next connection; one at QoS 0 is lost.
    fn let_go(&mut self, publish: &Publish<'_>) {
        if publish.qos == Qos::AtMostOnce {
            self.downstream.dropped();
        } else {
            self.downstream.let_go();
        }
    }

    /// Does what a packet other than PUBLISH asks for.
    fn react(
        &mut self,
        version: Version,
        frame: &Frame<'_>,
        output: &mut BytesMut,
        subscribed: &mut bool,
    ) -> Result<(), Broken> {
        match packet::incoming(version, frame)? {
            Incoming::SubAck { packet_id: SUBSCRIBE_ID, granted } => {
                let Settings { filters, qos, .. } = &self.settings;
                check_subscription(filters, *qos, &granted)?;
                *subscribed = true;
            }
            Incoming::UnsubAck { packet_id: UNSUBSCRIBE_ID, ended } => {
                self.check_unsubscription(&ended);
            }
            Incoming::PubRel(packet_id) => {
                self.session.release(packet_id);
                packet::complete(packet_id, output);
            }
            Incoming::Disconnect { reason, taken_over: true } => {
                return Err(Broken { nature: Nature::TakenOver, ..Broken::passing(reason) });
            }
            Incoming::Disconnect { reason, .. } => {
                return Err(Broken::passing(format!("it closed the connection: {reason}")));
            }
            Incoming::ConnAck(_) => return Err(Broken::passing("it sent a second CONNACK")),
            Incoming::Auth => return Err(Broken::passing("it sent AUTH without being asked")),
            Incoming::SubAck { .. }
            | Incoming::UnsubAck { .. }
            | Incoming::PingResp
            | Incoming::Other => {}
        }
        Ok(())
    }

    fn check_unsubscription(&self, ended: &[Result<bool, String>]) {
        for (index, filter) in self.settings.unsubscribe.iter().enumerate() {
            match ended.get(index) {
                Some(Ok(true)) | None => tracing::info!("unsubscribed from {filter:?}"),
                Some(Ok(false)) => {
                    tracing::info!(
                        "there was no subscription to {filter:?}; --unsubscribe has no more use"
                    );
                }
                Some(Err(reason)) => {
                    tracing::warn!(
                        "the MQTT server does not end the subscription to {filter:?}: {reason}"
                    );
                }
            }
        }
    }
}

/// Whether the server lets this client have what it has subscribed to.
pub(super) fn check_subscription(
    filters: &[String],
    wanted: Qos,
    granted: &[Result<Qos, String>],
) -> Result<(), Broken> {
    for (filter, granted) in filters.iter().zip(granted) {
        match granted {
            Err(reason) => {
                return Err(Broken::permanent(format!(
                    "the subscription to {filter:?} is refused: {reason}"
                )));
            }
            Ok(qos) if *qos < wanted => {
                tracing::warn!("the MQTT server grants only QoS {} for {filter:?}", *qos as u8);
            }
            Ok(_) => {}
        }
    }
    Ok(())
}
