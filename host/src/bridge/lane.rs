//! A lane: one thread that takes parcels from its inbox, lets the setters decide about each
//! message, and sends the records. Messages of one MQTT topic always take the same lane, so they
//! reach Kafka in the order received.
//!
//! Nothing is acknowledged here. What Kafka refuses comes back as [`Failure`]s, and
//! [`recovery`](super::recovery) deals with them before anything else is sent.

use std::sync::Arc;

use super::in_flight::{InFlight, Role, ticket};
use super::inbox::{Inbox, Mail, Parcel};
use super::{Ended, OnError, Route, Stop};
use crate::message::{Cut, Reason, Rejection, Verdict};
use crate::reject;
use crate::sink::{Failure, Fault, Sink};
use crate::telemetry::{Ledger, RateLimited};
use crate::transform::Transform;
use crate::transform::headers::headers;

/// See the [module's documentation](self).
pub struct Lane {
    /// Each with setters of its own.
    pub(super) routes: Vec<(Route, Transform)>,
    /// What happens to messages that no route takes.
    pub(super) unrouted: OnError,
    pub(super) sink: Sink,
    pub(super) inbox: Arc<Inbox>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: Arc<Stop>,
    /// Records handed to Kafka's client since the lane began; each is reported once.
    pub(super) sent: u64,
    pub(super) refusals: RateLimited,
    pub(super) troubles: RateLimited,
}

impl Lane {
    /// Carries messages until the inbox is closed and Kafka has them all, or the bridge is told to
    /// give up.
    pub fn run(mut self) {
        loop {
            let carried = match self.inbox.next() {
                Mail::Parcel(parcel) => self.carry(parcel),
                Mail::Failures(failures) => self.recover(failures),
                Mail::Closed => break,
            };
            if let Err(ended) = carried {
                self.stop.end(ended);
                return;
            }
        }
        if let Err(ended) = self.recover(Vec::new()) {
            self.stop.end(ended);
        }
    }

    fn carry(&mut self, parcel: Parcel) -> Result<(), Ended> {
        let parcel = Arc::new(parcel);
        let slot = self.in_flight.insert(&parcel);
        let mut outcome = Outcome::default();
        let Self { routes, sink, sent, ledger, .. } = self;
        if let Some(cut) = parcel.cut {
            outcome.rejected = vec![(0, too_large(cut))];
            return self.settle(slot, &parcel, outcome);
        }
        let Some((route, transform)) = routes.get_mut(parcel.route) else {
            outcome.rejected = parcel.batch.messages().map(|_| no_route()).enumerate().collect();
            return self.settle(slot, &parcel, outcome);
        };
        // A name that follows from the topic is written here.
        let mut name = String::new();
        transform.each(&parcel.batch, |index, verdict| {
            let message = parcel.batch.message(index);
            match verdict {
                Verdict::Record(record) => {
                    let topic = match route.kafka_topic.name(message.topic(), &mut name) {
                        Ok(topic) => topic,
                        Err(error) => {
                            let (reason, plugin) = (Reason::BadTopic, None);
                            outcome.rejected.push((index, Rejection { reason, error, plugin }));
                            return;
                        }
                    };
                    let ticket = ticket(slot, index, Role::Record);
                    let headers = headers(route.headers, &message);
                    if outcome.holds_back() {
                        outcome.refused.push(Sink::hold_back(ticket, topic, &record, headers));
                        return;
                    }
                    match sink.send(ticket, topic, &record, headers) {
                        Ok(()) => *sent += 1,
                        Err(failure) => {
                            outcome.refused.push(failure.blamed(Some(&route.kafka_topic)));
                        }
                    }
                }
                Verdict::Skip(reason) => {
                    tracing::debug!(topic = message.topic(), "skipped: {reason}");
                    outcome.skipped.push(index);
                }
                Verdict::Reject(rejection) => outcome.rejected.push((index, rejection)),
                Verdict::Fatal(rejection) => {
                    outcome.fatal = outcome.fatal.take().or(Some(rejection));
                }
            }
        });
        let unusable = transform.take_unusable_timestamps();
        if unusable > 0 {
            ledger.timestamp_unusable(unusable);
        }
        self.settle(slot, &parcel, outcome)
    }

    /// Deals with the messages of a parcel that did not simply become records.
    fn settle(&mut self, slot: usize, parcel: &Parcel, outcome: Outcome) -> Result<(), Ended> {
        if !outcome.skipped.is_empty() {
            self.in_flight.skip(slot, &outcome.skipped);
        }
        if let Some(rejection) = outcome.fatal {
            let plugin = rejection.plugin.as_ref().map_or("?", |plugin| &plugin.name);
            return Err(Ended::Failed(format!(
                "plugin {plugin} cannot go on: {}",
                rejection.error
            )));
        }
        let mut failures = Vec::new();
        for failure in outcome.refused {
            failures.extend(self.judge(failure)?);
        }
        for (index, rejection) in outcome.rejected {
            failures.extend(self.reject(slot, index, parcel, &rejection)?);
        }
        if failures.is_empty() { Ok(()) } else { self.recover(failures) }
    }

    /// Does with a guilty message what its route says.
    pub(super) fn reject(
        &mut self,
        slot: usize,
        index: usize,
        parcel: &Parcel,
        rejection: &Rejection,
    ) -> Result<Option<Failure>, Ended> {
        let message = parcel.batch.message(index);
        let text = format!(
            "a message on {:?} is rejected ({}): {}",
            message.topic(),
            rejection.reason.as_str(),
            rejection.error
        );
        let route = self.routes.get(parcel.route).map(|(route, _)| route);
        match route.map_or(&self.unrouted, |route| &route.on_error) {
            OnError::DeadLetter { topic } => {
                self.refusals.warn(format_args!("{text}; it goes to {topic:?}"));
                let meant = route.map(|route| route.kafka_topic.name_or_written(message.topic()));
                let payload = parcel.cut.map(|cut| cut.payload);
                let headers = reject::record_headers(message, rejection, meant.as_deref(), payload);
                let ticket = ticket(slot, index, Role::DeadLetter);
                let sent = self.sink.send(ticket, topic, &reject::record(message), headers);
                self.sent += u64::from(sent.is_ok());
                sent.map_or_else(|failure| self.judge(*failure), |()| Ok(None))
            }
            OnError::Skip => {
                self.refusals.warn(format_args!("{text}; it is skipped (--on-error skip)"));
                self.in_flight.skip(slot, &[index]);
                Ok(None)
            }
            OnError::Stop => Err(Ended::Failed(format!("{text} (--on-error stop)"))),
        }
    }
}

/// Why messages are rejected that no route takes.
fn no_route() -> Rejection {
    Rejection {
        reason: Reason::NoRoute,
        error: "no route takes this topic; subscribe to less, or add a route for it".to_owned(),
        plugin: None,
    }
}

/// Why a message is rejected that is not whole.
fn too_large(cut: Cut) -> Rejection {
    Rejection {
        reason: Reason::TooLarge,
        error: format!(
            "its packet of {} bytes is larger than --max-packet-size {}",
            cut.packet, cut.limit
        ),
        plugin: None,
    }
}

/// What became of the messages of a parcel, where it is not simply a record.
#[derive(Default)]
struct Outcome {
    skipped: Vec<usize>,
    rejected: Vec<(usize, Rejection)>,
    refused: Vec<Failure>,
    fatal: Option<Rejection>,
}

impl Outcome {
    /// Whether a record was refused that has to be sent again, before any after it.
    fn holds_back(&self) -> bool {
        self.refused.iter().any(|failure| matches!(failure.fault, Fault::Trouble(_)))
    }
}
