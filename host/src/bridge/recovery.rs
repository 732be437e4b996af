//! What a lane does when Kafka refuses records: find the guilty, spare the innocent, keep the
//! order, and drop nothing.
//!
//! While it recovers, a lane sends nothing new, and takes back what Kafka's client has not sent
//! yet, so that nothing overtakes. It waits until everything sent is reported, then sends again what failed, in the order received: a few records first, more as they succeed. A
//! broker refuses a request as a whole, so a [`Fault::Suspect`] is only guilty when it was sent
//! alone; halving the group finds it. [`Fault::Trouble`] is nobody's fault: the lane pauses, for
//! longer each time, says so, and tries again with the first record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Ended;
use super::lane::Lane;
use super::record_id::{RecordId, Role};
use crate::backoff::Backoff;
use crate::kafka_topic::KafkaTopic;
use crate::message::{PluginName, Reason, Rejection, Sequence};
use crate::reject::CUT_PAYLOAD;
use crate::sink::{Failure, Fault, Sink};

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often a waiting lane looks whether it has been told to give up.
const GLANCE: Duration = Duration::from_millis(100);

/// How long Kafka may take to say what it knows of a topic.
const LOOK: Duration = Duration::from_secs(2);

/// Records to be sent again, in the order in which their messages were received.
type Waiting = BTreeMap<Place, Failure>;

/// Where a record stands: its message's sequence number and source, its route, since one message may
/// have records on each, and its number among those.
type Place = (Sequence, usize, usize, usize);

impl Lane {
    /// Returns when everything that was ever sent is in Kafka.
    pub(super) fn recover(&mut self, mut failures: Vec<Failure>) -> Result<(), Ended> {
        let mut waiting = Waiting::new();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        // How many records to send before looking, and how many were sent since the last look.
        let (mut group, mut tried) = (usize::MAX, usize::MAX);
        if !failures.is_empty() {
            self.sink.hold_back_queued();
        }
        loop {
            failures.extend(self.wait_for_reports()?);
            let sent = self.sent;
            failures = self.judge_all(failures)?;
            if self.sent > sent {
                continue;
            }
            if failures.is_empty() && waiting.is_empty() {
                return Ok(());
            }
            self.renew_if_fatal()?;
            if let Some((trouble, topic)) = failures.iter().find_map(Failure::trouble) {
                self.pause(&trouble, backoff.next_pause(), failures.len() + waiting.len())?;
                self.sink.look_again(&topic, LOOK);
                group = 1;
            } else if !failures.iter().any(Failure::is_suspect) {
                backoff.reset();
                group = group.saturating_mul(2);
            } else if tried == 1 && failures.len() == 1 {
                failures = failures
                    .pop()
                    .map_or(Ok(None), |failure| self.condemn(failure))?
                    .into_iter()
                    .collect();
                continue;
            } else {
                group = (failures.len().min(group) / 2).max(1);
            }
            for failure in failures.drain(..) {
                if let Some(place) = self.place(&failure) {
                    waiting.insert(place, failure);
                }
            }
            (tried, failures) = self.resend(&mut waiting, group)?;
        }
    }

    /// Sends the first records that wait; gives how many, and which were refused at once.
    fn resend(
        &mut self,
        waiting: &mut Waiting,
        group: usize,
    ) -> Result<(usize, Vec<Failure>), Ended> {
        let mut refused = Vec::new();
        let mut tried = 0;
        while tried < group
            && let Some((_, failure)) = waiting.pop_first()
        {
            tried += 1;
            let chosen = RecordId::of(failure.ticket).role == Role::PlacedRecord;
            match self.sink.resend(failure.ticket, &failure.record, chosen) {
                Ok(()) => self.sent += 1,
                Err(failure) => {
                    if let Some(failure) = self.judge(*failure)? {
                        refused.push(failure);
                        break;
                    }
                }
            }
        }
        Ok((tried, refused))
    }

    /// Rejects the messages of records that are guilty beyond doubt, and gives the other records.
    fn judge_all(&mut self, failures: Vec<Failure>) -> Result<Vec<Failure>, Ended> {
        let mut left = Vec::with_capacity(failures.len());
        for failure in failures {
            left.extend(self.judge(failure)?);
        }
        Ok(left)
    }

    /// As [`Self::judge_all`], for one.
    pub(super) fn judge(&mut self, failure: Failure) -> Result<Option<Failure>, Ended> {
        let RecordId { slot, role, .. } = RecordId::of(failure.ticket);
        let parcel = self.in_flight.parcel(slot).filter(|_| role.is_record());
        let route = parcel.and_then(|parcel| self.routes.get(parcel.route));
        let failure = failure.blamed(&self.sink, route.map(|(route, _)| &route.kafka_topic));
        if matches!(failure.fault, Fault::Guilty(..)) {
            self.condemn(failure)
        } else {
            Ok(Some(failure))
        }
    }

    /// A record that Kafka never takes: its message is rejected. A dead letter is cut; one that is
    /// cut already is trouble with the dead-letter topic.
    pub(super) fn condemn(&mut self, failure: Failure) -> Result<Option<Failure>, Ended> {
        let (Fault::Guilty(reason, error) | Fault::Suspect(reason, error)) = &failure.fault else {
            return Ok(Some(failure));
        };
        let id @ RecordId { slot, index, number, role } = RecordId::of(failure.ticket);
        match role {
            Role::Record | Role::PlacedRecord => {
                let Some(parcel) = self.in_flight.parcel(slot) else {
                    return Ok(None);
                };
                let plugin = self.chooser(*reason, parcel.route);
                let rejection = Rejection { reason: *reason, error: error.clone(), plugin };
                self.reject((slot, index, number), &parcel, &rejection)
            }
            Role::DeadLetter => {
                let mut record = failure.record;
                record.cut(CUT_PAYLOAD);
                let id = RecordId { role: Role::CutDeadLetter, ..id };
                let again = self.sink.resend(id.ticket(), &record, false);
                self.sent += u64::from(again.is_ok());
                Ok(again.err().map(|failure| failure.into_trouble()))
            }
            Role::CutDeadLetter => Ok(Some(failure.into_trouble())),
        }
    }

    /// Which plugin has chosen where a record goes that is refused for this reason, where it can only
    /// have been one.
    fn chooser(&mut self, reason: Reason, route: usize) -> Option<Arc<PluginName>> {
        let (route, transform) = self.routes.get_mut(route)?;
        let chosen = match reason {
            Reason::BadOutput => true,
            Reason::BadTopic => route.kafka_topic.fixed().is_some(),
            _ => false,
        };
        let plugins = transform.plugins();
        if chosen && plugins.transformers() == 1 { plugins.transformer(0).cloned() } else { None }
    }

    /// Waits until every record sent has been reported, and gives those that failed.
    fn wait_for_reports(&self) -> Result<Vec<Failure>, Ended> {
        let mut failures = Vec::new();
        self.in_flight.watch(true);
        let all = loop {
            failures.extend(
                self.inbox.failures_until(GLANCE, || self.in_flight.reported() == self.sent),
            );
            if self.in_flight.reported() == self.sent {
                // The last failures may have come after the last look.
                failures.extend(self.inbox.failures_until(Duration::ZERO, || true));
                break Ok(failures);
            }
            if self.stop.abandoned() {
                break Err(Ended::Abandoned);
            }
        };
        self.in_flight.watch(false);
        all
    }

    fn pause(&mut self, trouble: &str, pause: Duration, waiting: usize) -> Result<(), Ended> {
        self.sink.health().blame(trouble.to_owned());
        self.troubles.warn(format_args!(
            "{trouble}; nothing is lost: {waiting} or more messages wait, trying again in {:.1} s",
            pause.as_secs_f32()
        ));
        let end = Instant::now() + pause;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.stop.abandoned() {
                return Err(Ended::Abandoned);
            }
            std::thread::sleep(left.min(GLANCE));
        }
        Ok(())
    }

    fn renew_if_fatal(&mut self) -> Result<(), Ended> {
        if let Some(cause) = self.sink.fatal() {
            tracing::warn!("the Kafka producer is out of use ({cause}); making another one");
            self.sink.renew().map_err(Ended::Failed)?;
        }
        Ok(())
    }

    fn place(&self, failure: &Failure) -> Option<Place> {
        let RecordId { slot, index, number, .. } = RecordId::of(failure.ticket);
        let parcel = self.in_flight.parcel(slot)?;
        Some((parcel.batch.message(index).sequence(), parcel.source, parcel.route, number))
    }
}

impl Failure {
    /// What is wrong, and with which topic, if the record is innocent.
    fn trouble(&self) -> Option<(String, String)> {
        let topic = &self.record.topic;
        match &self.fault {
            Fault::Trouble(what) => {
                Some((format!("cannot write to Kafka topic {topic:?}: {what}"), topic.clone()))
            }
            Fault::Guilty(..)
            | Fault::Suspect(..)
            | Fault::NoTopic(_)
            | Fault::NoPartition(_)
            | Fault::HeldBack => None,
        }
    }

    /// A topic that only the message has named, by way of its route's or of a plugin, is the message's
    /// own fault if it is not there; one that the user has named is trouble. So it is with a partition
    /// that a plugin has chosen, if Kafka itself says that it is not there.
    pub(super) fn blamed(self, sink: &Sink, routed: Option<&KafkaTopic>) -> Self {
        let Self { ticket, mut fault, record } = self;
        let placed = RecordId::of(ticket).role == Role::PlacedRecord;
        let (topic, chosen) = (&record.topic, record.partition.filter(|_| placed));
        if let (Fault::NoPartition(_), Some(partition)) = (&fault, chosen) {
            fault = sink.look_for(topic, partition, LOOK);
        }
        let fault = match (fault, chosen) {
            (Fault::NoPartition(what), Some(partition)) => Fault::Guilty(
                Reason::BadOutput,
                format!(
                    "a plugin has chosen partition {partition} of Kafka topic {topic:?}: {what}"
                ),
            ),
            (Fault::NoPartition(what), None) => Fault::Trouble(what),
            (Fault::NoTopic(what), _) if routed.is_none_or(|routed| routed.names(topic)) => {
                Fault::Trouble(what)
            }
            (Fault::NoTopic(what), _) => Fault::Guilty(
                Reason::BadTopic,
                format!("cannot write to Kafka topic {topic:?}: {what}"),
            ),
            (fault, _) => fault,
        };
        Self { ticket, fault, record }
    }

    fn is_suspect(&self) -> bool {
        matches!(self.fault, Fault::Suspect(..))
    }

    /// For a dead letter that cannot be made any smaller.
    fn into_trouble(mut self) -> Self {
        if let Fault::Guilty(_, what) | Fault::Suspect(_, what) = &self.fault {
            self.fault = Fault::Trouble(what.clone());
        }
        self
    }
}
