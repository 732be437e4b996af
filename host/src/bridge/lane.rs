//! A lane: lets the setters decide about each message of a parcel, and sends the records.
//!
//! Messages that no plugin decides about are carried on their source's own thread, as they are read.
//! Each route with plugins has a thread, so that it never takes another route's time. Messages of one
//! MQTT topic always take the same way, so they reach the sink in the order received. While a plugin
//! is broken, its route [waits](super::waiting).
//!
//! Nothing is acknowledged here, and nothing waits for Kafka.

use std::sync::Arc;
use std::time::Instant;

use super::dead_letter::{RecordId, Rejections, Role};
use super::in_flight::InFlight;
use super::inbox::{Inbox, Mail, Parcel};
use super::waiting::{Load, Waiting};
use super::{Ended, Route, Stop};
use crate::account::Fate;
use crate::ledger::Ledger;
use crate::message::{Header, Message, Reason, Record, Rejection, Verdict};
use crate::sink::{Gathered, Sink, Terms};
use crate::transform::Transform;
use crate::transform::headers::headers;

/// See the [module's documentation](self).
pub struct Lane {
    /// Those that take this lane, each with setters of its own, by their numbers.
    pub(super) routes: Vec<Option<(Route, Transform)>>,
    pub(super) sink: Sink,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) rejections: Arc<Rejections>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: Arc<Stop>,
    /// Records leave together, [when told to](Self::send).
    pub(super) gathered: Gathered,
    /// What the pause of a route holds back.
    pub(super) waiting: Waiting,
}

impl Lane {
    /// Carries messages until the inbox is closed.
    pub fn run(mut self, inbox: &Inbox) {
        loop {
            match inbox.next(self.waiting.until()) {
                Mail::Parcel(parcel) => self.take_in(parcel),
                Mail::Due => self.try_again(),
                Mail::Closed => break,
            }
            self.send();
        }
    }

    /// Carries messages of a parcel up to the first that has to wait, and puts back the rest. While a
    /// plugin is broken for all that waits, one message tries it.
    pub(super) fn carry(&mut self, load: Load) {
        let Load { parcel, slot, from } = load;
        let mut outcome = Outcome::default();
        if let Some(defect) = parcel.defect {
            outcome.rejected = vec![(0, defect.rejection())];
            return self.settle(slot, &parcel, outcome);
        }
        let Self { routes, in_flight, rejections, ledger, gathered, waiting, .. } = self;
        let Some(Some((route, transform))) = routes.get_mut(parcel.route) else {
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
                return;
            }
        };
        let name = String::new();
        let number = parcel.route;
        let mut sender =
            Sender { number, route, in_flight, rejections, slot, name, gathered, outcome };
        let mut carry_out = |index, verdict: Verdict<'_>| {
            sender.carry_out(index, &parcel.batch.message(index), verdict);
        };
        if (from, to) == (0, parcel.batch.len()) {
            transform.each(&parcel.batch, carry_out);
        } else {
            let part = parcel.batch.part(from..to);
            transform.each(&part, |at, verdict| carry_out(from + at, verdict));
        }
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
        self.settle(slot, &parcel, outcome);
        if rest < parcel.batch.len() {
            self.waiting.put_back(Load { parcel, slot, from: rest }, pause, Instant::now());
        }
    }

    /// Sends the records of all parcels since the last time.
    pub(super) fn send(&mut self) {
        self.sink.send(&mut self.gathered);
    }

    /// Deals with the messages of a parcel that did not simply become records.
    fn settle(&mut self, slot: usize, parcel: &Parcel, outcome: Outcome) {
        for index in outcome.skipped {
            self.in_flight.done(slot, index, Fate::Skipped);
        }
        if let Some(rejection) = outcome.fatal {
            let plugin = rejection.plugin.as_ref().map_or("?", |plugin| &plugin.name);
            self.stop.end(Ended::Failed(format!(
                "plugin {plugin} cannot go on: {} (--on-plugin-broken stop)",
                rejection.error
            )));
            return;
        }
        for (index, rejection) in outcome.rejected {
            self.rejections.reject(&mut self.gathered, (slot, index), parcel, rejection);
        }
    }
}

/// Sends what the setters make of the messages of one parcel.
struct Sender<'a> {
    number: usize,
    route: &'a Route,
    in_flight: &'a InFlight,
    rejections: &'a Rejections,
    slot: usize,
    /// A name that follows from the topic is written here.
    name: String,
    gathered: &'a mut Gathered,
    outcome: Outcome,
}

impl Sender<'_> {
    fn carry_out(&mut self, index: usize, message: &Message<'_>, verdict: Verdict<'_>) {
        match verdict {
            Verdict::Record(record) => self.send(index, message, &record),
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
        for record in records {
            self.send(index, message, record);
        }
    }

    /// Sends a record, or rejects its message if it may not go where it is to go.
    fn send(&mut self, index: usize, message: &Message<'_>, record: &Record<'_>) {
        let mut name = std::mem::take(&mut self.name);
        let topic = match topic(self.route, message, record, &mut name) {
            Ok(topic) => topic,
            Err(rejection) => return self.outcome.rejected.push((index, rejection)),
        };
        let tag = RecordId { slot: self.slot, index, role: Role::Record }.tag();
        let choice = record.choice.as_ref();
        let chosen = choice.and_then(|choice| choice.headers.as_ref());
        let own = chosen.is_none().then(|| headers(self.route.headers, message));
        let headers =
            own.into_iter().flatten().chain(chosen.into_iter().flatten().map(Header::clone));
        // A topic that the user has named is not the message's fault.
        let topic_is_made_up = !self.route.kafka_topic.names(topic);
        let terms = Terms { topic_is_made_up, must_arrive: false };
        let by = choice.and_then(|choice| choice.placed_by);
        self.rejections.chosen(self.number, by);
        self.gathered.add(tag, topic, record, headers, terms);
        self.name = name;
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
    let by = record.choice.as_ref().and_then(|choice| choice.placed_by.cloned());
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

/// What became of the messages of a parcel, where it is not simply a record.
#[derive(Default)]
struct Outcome {
    skipped: Vec<usize>,
    rejected: Vec<(usize, Rejection)>,
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
}
