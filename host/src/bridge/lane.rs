//! A lane: one thread that takes parcels from its inbox, lets the setters decide about each
//! message, and sends the records. Messages of one MQTT topic always take the same lane, so they
//! reach Kafka in the order received. While a plugin is broken, its route [waits](super::waiting).
//!
//! Nothing is acknowledged here. What Kafka refuses comes back as [`Failure`]s, and
//! [`recovery`](super::recovery) deals with them before anything else is sent.

use std::sync::Arc;
use std::time::Instant;

use super::in_flight::InFlight;
use super::inbox::{Inbox, Mail, Parcel};
use super::record_id::{RECORDS, RecordId, Role};
use super::waiting::{Load, Waiting};
use super::{Ended, OnError, Route, Stop};
use crate::message::{Cut, Header, Message, Reason, Record, Rejection, Verdict};
use crate::reject;
use crate::sink::{Failure, Fault, Sink};
use crate::telemetry::{Ledger, RateLimited};
use crate::transform::headers::headers;
use crate::transform::{MOST_RECORDS, Transform};

const _: () = assert!(MOST_RECORDS <= RECORDS, "a ticket has room for each record of a message");

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
    /// What the pause of a route holds back.
    pub(super) waiting: Waiting,
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
            let carried = match self.inbox.next(self.waiting.until()) {
                Mail::Parcel(parcel) => self.take_in(parcel),
                Mail::Failures(failures) => self.recover(failures),
                Mail::Due => self.try_again(),
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

    /// Carries messages of a parcel up to the first that has to wait, and puts back the rest. While a
    /// plugin is broken for all that waits, one message tries it.
    pub(super) fn carry(&mut self, load: Load) -> Result<(), Ended> {
        let Load { parcel, slot, from } = load;
        let mut outcome = Outcome::default();
        if let Some(cut) = parcel.cut {
            outcome.rejected = vec![(0, too_large(cut))];
            return self.settle(slot, &parcel, outcome);
        }
        let Self { routes, sink, in_flight, sent, ledger, waiting, .. } = self;
        let Some((route, transform)) = routes.get_mut(parcel.route) else {
            outcome.rejected = parcel.batch.messages().map(|_| no_route()).enumerate().collect();
            return self.settle(slot, &parcel, outcome);
        };
        let to = match transform.pause() {
            None => parcel.batch.len(),
            Some(pause) if pause.until <= Instant::now() => {
                let works = transform.works_for(&waiting.several(&parcel, from));
                if works { parcel.batch.len() } else { from + 1 }
            }
            pause => {
                waiting.put_back(Load { parcel, slot, from }, pause, Instant::now());
                return Ok(());
            }
        };
        let name = String::new();
        let mut sender = Sender { route, sink, in_flight, slot, name, outcome, sent: 0 };
        let mut carry_out = |index, verdict: Verdict<'_>| {
            sender.carry_out(index, &parcel.batch.message(index), verdict);
        };
        if (from, to) == (0, parcel.batch.len()) {
            transform.each(&parcel.batch, carry_out);
        } else {
            let part = parcel.batch.part(from..to);
            transform.each(&part, |at, verdict| carry_out(from + at, verdict));
        }
        *sent += sender.sent;
        outcome = sender.outcome;
        let unusable = transform.take_unusable_timestamps();
        if unusable > 0 {
            ledger.timestamp_unusable(unusable);
        }
        if let Some(first) = outcome.waits {
            outcome.forget_behind(first);
            transform.hold_back();
        }
        let rest = outcome.waits.unwrap_or(to);
        let pause = transform.pause();
        self.settle(slot, &parcel, outcome)?;
        if rest < parcel.batch.len() {
            self.waiting.put_back(Load { parcel, slot, from: rest }, pause, Instant::now());
        }
        Ok(())
    }

    /// Deals with the messages of a parcel that did not simply become records.
    fn settle(&mut self, slot: usize, parcel: &Parcel, outcome: Outcome) -> Result<(), Ended> {
        if !outcome.skipped.is_empty() {
            self.in_flight.skip(slot, &outcome.skipped);
        }
        if let Some(rejection) = outcome.fatal {
            let plugin = rejection.plugin.as_ref().map_or("?", |plugin| &plugin.name);
            return Err(Ended::Failed(format!(
                "plugin {plugin} cannot go on: {} (--on-plugin-broken stop)",
                rejection.error
            )));
        }
        let mut failures = Vec::new();
        for failure in outcome.refused {
            failures.extend(self.judge(failure)?);
        }
        for (index, rejection) in outcome.rejected {
            failures.extend(self.reject((slot, index, 0), parcel, &rejection)?);
        }
        if failures.is_empty() { Ok(()) } else { self.recover(failures) }
    }

    /// Does with a guilty message what its route says, on behalf of one of its records if it has several.
    pub(super) fn reject(
        &mut self,
        (slot, index, number): (usize, usize, usize),
        parcel: &Parcel,
        rejection: &Rejection,
    ) -> Result<Option<Failure>, Ended> {
        let message = parcel.batch.message(index);
        let text = format!(
            "a message on {:?} is rejected{} ({}): {}",
            message.topic(),
            rejection.by(),
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
                let id = RecordId { slot, index, number, role: Role::DeadLetter };
                let sent = self.sink.send(id.ticket(), topic, &reject::record(message), headers);
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

/// Sends what the setters make of the messages of one parcel.
struct Sender<'a> {
    route: &'a Route,
    sink: &'a Sink,
    in_flight: &'a InFlight,
    slot: usize,
    /// A name that follows from the topic is written here.
    name: String,
    outcome: Outcome,
    /// Records handed to Kafka's client.
    sent: u64,
}

impl Sender<'_> {
    fn carry_out(&mut self, index: usize, message: &Message<'_>, verdict: Verdict<'_>) {
        match verdict {
            Verdict::Record(record) => {
                if let Err(rejection) = self.send((index, 0), message, &record) {
                    self.outcome.rejected.push((index, rejection));
                }
            }
            Verdict::Records(records) => self.send_all(index, message, &records),
            Verdict::Skip(reason) => {
                tracing::debug!(topic = message.topic(), "skipped: {reason}");
                self.outcome.skipped.push(index);
            }
            Verdict::Reject(rejection) => self.outcome.rejected.push((index, rejection)),
            Verdict::Fatal(rejection) => {
                self.outcome.fatal = self.outcome.fatal.take().or(Some(rejection));
            }
            Verdict::Wait => {
                let first = self.outcome.waits.map_or(index, |first| first.min(index));
                self.outcome.waits = Some(first);
            }
        }
    }

    /// Sends all records of a message, or none.
    fn send_all(&mut self, index: usize, message: &Message<'_>, records: &[Record<'_>]) {
        let wrong = records.iter().find_map(|record| self.topic(message, record).err());
        if let Some(rejection) = wrong {
            self.outcome.rejected.push((index, rejection));
            return;
        }
        self.in_flight.split(self.slot, index, records.len());
        for (number, record) in records.iter().enumerate() {
            // All of their topics are right.
            drop(self.send((index, number), message, record));
        }
    }

    /// Sends a record, if it may go where it is to go.
    fn send(
        &mut self,
        (index, number): (usize, usize),
        message: &Message<'_>,
        record: &Record<'_>,
    ) -> Result<(), Rejection> {
        let mut name = std::mem::take(&mut self.name);
        let topic = topic(self.route, message, record, &mut name)?;
        let role = match record.partition() {
            Some(_) => Role::PlacedRecord,
            None => Role::Record,
        };
        let ticket = RecordId { slot: self.slot, index, number, role }.ticket();
        let chosen = record.choice.as_ref().and_then(|choice| choice.headers.as_ref());
        let own = chosen.is_none().then(|| headers(self.route.headers, message));
        let headers =
            own.into_iter().flatten().chain(chosen.into_iter().flatten().map(Header::clone));
        if self.outcome.holds_back() {
            self.outcome.refused.push(Sink::hold_back(ticket, topic, record, headers));
        } else {
            match self.sink.send(ticket, topic, record, headers) {
                Ok(()) => self.sent += 1,
                Err(failure) => {
                    let routed = Some(&self.route.kafka_topic);
                    self.outcome.refused.push(failure.blamed(self.sink, routed));
                }
            }
        }
        self.name = name;
        Ok(())
    }

    fn topic(&self, message: &Message<'_>, record: &Record<'_>) -> Result<(), Rejection> {
        topic(self.route, message, record, &mut String::new()).map(drop)
    }
}

/// Where a record goes: a topic that a plugin has chosen, or the route's, whose name may be written into
/// `name`.
fn topic<'a>(
    route: &'a Route,
    message: &Message<'_>,
    record: &'a Record<'_>,
    name: &'a mut String,
) -> Result<&'a str, Rejection> {
    let chosen = record.choice.as_ref().and_then(|choice| choice.topic.as_deref());
    let topic = match chosen {
        Some(chosen) => route.kafka_topic.check_choice(chosen).map(|()| chosen),
        None => route.kafka_topic.name(message.topic(), name),
    };
    let by = record.choice.as_ref().and_then(|choice| choice.topic_by.cloned());
    topic.map_err(|error| Rejection { reason: Reason::BadTopic, error, plugin: by })
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
    /// The first that has to wait; so do all behind it.
    waits: Option<usize>,
}

impl Outcome {
    /// Forgets what was decided about messages that have to wait after all.
    fn forget_behind(&mut self, first: usize) {
        self.skipped.retain(|index| *index < first);
        self.rejected.retain(|(index, _)| *index < first);
    }

    /// Whether a record was refused that has to be sent again, before any after it.
    fn holds_back(&self) -> bool {
        self.refused.iter().any(|failure| matches!(failure.fault, Fault::Trouble(_)))
    }
}
