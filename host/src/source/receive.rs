//! What is done with the packets that have been read.

use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;

use super::connection::{Connection, SUBSCRIBE_ID, UNSUBSCRIBE_ID};
use super::packet::{self, Frame, Incoming, Malformed, Version};
use super::{Broken, Downstream, Nature, Source};
use crate::message::{Cut, Publish, Qos};

/// How long reading stops for the sake of messages at QoS 0, which the broker would not keep.
const QOS_0_PATIENCE: Duration = Duration::from_secs(5);

/// How much of the payload of a message that is too large is taken, in bytes.
const KEPT: usize = 64 * 1024;

impl<D: Downstream> Source<D> {
    /// Takes the whole packets that have been read, as far as there is credit.
    pub(super) fn take_in(
        &mut self,
        connection: &mut Connection,
        draining: bool,
    ) -> Result<(), Broken> {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let received_at_ms = since_1970.map_or(0, |since| since.as_millis() as i64);
        connection.paused = false;
        let result = loop {
            if !connection.skip() {
                connection.needed = 2;
                break Ok(());
            }
            let frame = match packet::frame(connection.input.bytes(), connection.max_packet_size) {
                Ok(Ok(frame)) => frame,
                Ok(Err(needed)) => {
                    connection.needed = needed;
                    break Ok(());
                }
                Err(Malformed::TooLarge { size, limit })
                    if connection
                        .input
                        .bytes()
                        .first()
                        .is_some_and(|first| packet::is_publish(*first)) =>
                {
                    match self.take_oversized(connection, size, limit, received_at_ms, draining) {
                        Ok(true) => continue,
                        Ok(false) => break Ok(()),
                        Err(broken) => break Err(broken),
                    }
                }
                Err(malformed) => break Err(malformed.into()),
            };
            let size = frame.whole.len();
            let step = if packet::is_publish(frame.first) {
                let starved = &mut connection.starved;
                packet::publish(connection.version, &frame).map_err(Broken::from).map(|publish| {
                    if draining {
                        self.let_go(&publish);
                        return Step::Done;
                    }
                    self.take(&publish, received_at_ms, starved, None)
                })
            } else {
                self.react(
                    connection.version,
                    &frame,
                    &mut connection.output,
                    &mut connection.subscribed,
                )
            };
            match step {
                Ok(Step::Done) => connection.input.consume(size),
                Ok(Step::Wait) => {
                    connection.paused = true;
                    break Ok(());
                }
                Err(broken) => break Err(broken),
            }
        };
        self.downstream.forward();
        result
    }

    /// Takes what there is room for of a message that is too large, so that it can be rejected, and
    /// passes over the rest: the server would send it again on the next connection. `false`: more
    /// has to be read first, or there is no credit.
    fn take_oversized(
        &mut self,
        connection: &mut Connection,
        size: usize,
        limit: usize,
        received_at_ms: i64,
        draining: bool,
    ) -> Result<bool, Broken> {
        let Connection { version, input, starved, .. } = connection;
        let (publish, payload) = match packet::publish_start(*version, input.bytes(), size, KEPT)? {
            Ok(start) => start,
            Err(needed) => {
                connection.needed = needed;
                return Ok(false);
            }
        };
        let step = if draining {
            self.let_go(&publish);
            Step::Done
        } else {
            let cut = Cut { payload, packet: size, limit };
            self.take(&publish, received_at_ms, starved, Some(cut))
        };
        match step {
            Step::Done => connection.skip = size,
            Step::Wait => connection.paused = true,
        }
        Ok(matches!(step, Step::Done))
    }

    /// Takes a message if there is credit. Messages at QoS 1 and 2 wait for it as long as it
    /// takes; the broker would drop those at QoS 0 sooner or later, so here they are dropped,
    /// and counted.
    fn take(
        &mut self,
        publish: &Publish<'_>,
        received_at_ms: i64,
        starved: &mut Option<Instant>,
        cut: Option<Cut>,
    ) -> Step {
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
                None => self.downstream.take(sequence, received_at_ms, publish),
                Some(cut) => self.downstream.take_cut(sequence, received_at_ms, publish, cut),
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
    ) -> Result<Step, Broken> {
        match packet::incoming(version, frame)? {
            Incoming::SubAck { packet_id: SUBSCRIBE_ID, granted } => {
                self.check_subscription(&granted)?;
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
                return Err(Broken { what: reason, nature: Nature::TakenOver });
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
        Ok(Step::Done)
    }

    fn check_subscription(&self, granted: &[Result<Qos, String>]) -> Result<(), Broken> {
        for (filter, granted) in self.settings.filters.iter().zip(granted) {
            match granted {
                Err(reason) => {
                    return Err(Broken::permanent(format!(
                        "the subscription to {filter:?} is refused: {reason}"
                    )));
                }
                Ok(qos) if *qos < self.settings.qos => {
                    tracing::warn!("the MQTT server grants only QoS {} for {filter:?}", *qos as u8);
                }
                Ok(_) => {}
            }
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

/// What became of a packet.
enum Step {
    Done,
    /// It stays where it is until there is credit.
    Wait,
}
