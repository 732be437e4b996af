//! What is done with a PUBLISH packet: it is handed on, recognised as a repetition, left to the
//! server, dropped, or has to wait for credit.

use std::time::Duration;

use super::{Arrival, Protocol, Step};
use crate::message::{Defect, Publish, Qos};
use crate::source::packet::{self, Frame};
use crate::source::{Broken, Downstream};

/// How long reading stops for the sake of messages at QoS 0, which the server would not keep.
pub(super) const QOS_0_PATIENCE: Duration = Duration::from_secs(5);

/// How much of the payload of a message that is too large is taken, in bytes.
const KEPT: usize = 64 * 1024;

impl Protocol {
    /// Takes a message. One that breaks the rules can only be rejected: were the connection ended,
    /// as MQTT-4.8.0-1 has it, the server would send the message again on the next one.
    pub(super) fn receive_publish(
        &mut self,
        frame: &Frame<'_>,
        arrival: Arrival,
        downstream: &mut impl Downstream,
    ) -> Result<Step, Broken> {
        let version = self.settings.hello.version;
        let size = frame.whole.len();
        match packet::publish(version, frame) {
            Ok(publish) => Ok(self.take(&publish, size, None, arrival, downstream)),
            Err(rule) => {
                let salvaged = packet::salvage(version, frame);
                let salvaged = salvaged.ok_or_else(|| Broken::passing(rule))?;
                let defect = Some(Defect::Malformed(rule));
                Ok(self.take(&salvaged.publish(), size, defect, arrival, downstream))
            }
        }
    }

    /// Takes what there is room for of a message that is too large, so that it can be rejected, and
    /// passes over the rest: the server would send it again on the next connection.
    pub(super) fn receive_oversized(
        &mut self,
        input: &[u8],
        (packet, limit): (usize, usize),
        arrival: Arrival,
        downstream: &mut impl Downstream,
    ) -> Result<Step, Broken> {
        let start = match packet::start(input, packet, KEPT) {
            Ok(start) => start,
            Err(needed) => return Ok(Step::Read(needed)),
        };
        let version = self.settings.hello.version;
        let salvaged;
        let mut publish = match packet::publish(version, &start) {
            Ok(publish) => publish,
            Err(rule) => {
                salvaged = packet::salvage(version, &start).ok_or_else(|| Broken::passing(rule))?;
                salvaged.publish()
            }
        };
        let payload = publish.payload.len() + packet - start.whole.len();
        publish.payload = &publish.payload[..KEPT.min(publish.payload.len())];
        let defect = Some(Defect::TooLarge { payload, packet, limit });
        let step = self.take(&publish, 0, defect, arrival, downstream);
        if matches!(step, Step::Done(_)) {
            self.skip = packet;
        }
        Ok(step)
    }

    /// Takes a message if there is credit. Messages at QoS 1 and 2 wait for it as long as it
    /// takes. Those at QoS 0 the server would drop sooner or later, so they wait a moment, and are
    /// then dropped here, and counted, until one of them has credit again: they do not hold up the
    /// others.
    fn take(
        &mut self,
        publish: &Publish<'_>,
        size: usize,
        defect: Option<Defect>,
        arrival: Arrival,
        downstream: &mut impl Downstream,
    ) -> Step {
        let Publish { packet_id, qos, .. } = *publish;
        let sequence = if qos == Qos::AtMostOnce {
            if self.draining {
                downstream.dropped();
                return Step::Done(size);
            }
            if !downstream.has_credit(qos) {
                let since = *self.qos_0_starved.get_or_insert(arrival.now);
                if arrival.now < since + QOS_0_PATIENCE {
                    return Step::Wait(qos);
                }
                downstream.dropped();
                return Step::Done(size);
            }
            self.qos_0_starved = None;
            self.ring.count()
        } else {
            let hash = self.packet_ids.hash(publish);
            if self.is_repetition(publish, hash) {
                return Step::Done(size);
            }
            if self.draining {
                // The server keeps it for the next connection.
                downstream.let_go();
                return Step::Done(size);
            }
            if !downstream.has_credit(qos) {
                return Step::Wait(qos);
            }
            let (sequence, place) = self.ring.push(packet_id, qos);
            let other = self.packet_ids.insert(packet_id, place, hash);
            let in_use = other.filter(|other| !other.acknowledged);
            if in_use.is_some_and(|other| self.ring.is_of_this_connection(other.place)) {
                self.id_was_in_use(packet_id);
            }
            sequence
        };
        self.is_settled = false;
        match defect {
            None => downstream.take(sequence, arrival.at_ms, publish),
            Some(defect) => downstream.take_defective(sequence, arrival.at_ms, publish, defect),
        }
        Step::Done(size)
    }

    /// Whether a message has been taken already; then all that is left to do is acknowledge it.
    ///
    /// One that comes again on a later connection gets a place of its own for that. Before MQTT 5 it may
    /// also come again on the same one, which either waits for the acknowledgement anyway, or has had
    /// it; PUBREC is then sent once more (MQTT-4.3.3-10), and at once: after PUBCOMP the server could
    /// take it for that of the next message with this packet id.
    fn is_repetition(&mut self, publish: &Publish<'_>, hash: u64) -> bool {
        let Some(known) = self.packet_ids.repeated(publish, hash) else { return false };
        let Publish { packet_id, qos, .. } = *publish;
        if !self.ring.is_of_this_connection(known.place) {
            known.place = self.ring.push_repetition(packet_id, qos);
        } else if qos == Qos::ExactlyOnce && !self.ring.is_awaited(known.place) {
            packet::acknowledge(packet_id, qos, &mut self.output);
        }
        true
    }

    /// The server has given a packet id to a message while an earlier one with it was not
    /// acknowledged, or at QoS 2 not released (MQTT-2.3.1-4; MQTT 5: MQTT-2.2.1-4).
    ///
    /// Both are carried, and each is acknowledged in its own place. At QoS 2 both get a PUBREC, and
    /// whatever PUBREL comes gets its PUBCOMP; the first one ends what is known of the id, since
    /// nothing says which of the two it means. So the later message may become a second record if
    /// the connection breaks then, and neither can be lost.
    fn id_was_in_use(&mut self, packet_id: u16) {
        self.ids_in_use += 1;
        if self.ids_in_use == 1 {
            tracing::warn!(
                "the MQTT server gave the packet id {packet_id} to a message while another one with it was not done \
                 (MQTT-2.3.1-4); both are carried, but the server may lose messages. mosquitto before 2.0.13 does this when \
                 more than 65,535 messages wait: upgrade it, or let fewer wait there (max_queued_messages)"
            );
        }
    }
}
