//! What becomes of a message that is rejected: a dead letter, nothing, or the end. Also where the sink
//! says what became of each record.

use std::sync::{Arc, Mutex, PoisonError};

use super::in_flight::InFlight;
use super::inbox::Parcel;
use super::{Ended, OnError, Route, Stop};
use crate::account::Fate;
use crate::kafka_topic::KafkaTopic;
use crate::message::{Defect, PluginName, Reason, Rejection};
use crate::print::Printer;
use crate::reject::{Fit, Letter};
use crate::sink::{Events, Gathered, Rejected, Tag, Terms, Written};
use crate::telemetry::RateLimited;

/// What a record is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the message was to become.
    Record,
    /// Its dead letter, made smaller so many times.
    DeadLetter(u8),
}

const ROLE_BITS: u32 = 3;
const INDEX_BITS: u32 = 20;

/// Messages that a parcel may have.
pub const MESSAGES: usize = 1 << INDEX_BITS;

/// Names a record in flight: packed into the tag that travels with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId {
    /// Which parcel; less than 2^41.
    pub slot: usize,
    /// Which message of it; less than [`MESSAGES`].
    pub index: usize,
    pub role: Role,
}

impl RecordId {
    pub fn tag(self) -> Tag {
        let Self { slot, index, role } = self;
        let role = match role {
            Role::Record => 0,
            Role::DeadLetter(cuts) => 1 + Tag::from(cuts),
        };
        ((slot as Tag) << INDEX_BITS | index as Tag) << ROLE_BITS | role
    }

    /// The reverse of [`Self::tag`].
    pub fn of(tag: Tag) -> Self {
        let low = |bits: Tag, size: u32| bits & ((1 << size) - 1);
        let role = match low(tag, ROLE_BITS) {
            0 => Role::Record,
            cuts => Role::DeadLetter(cuts as u8 - 1),
        };
        let index = low(tag >> ROLE_BITS, INDEX_BITS) as usize;
        Self { slot: (tag >> (ROLE_BITS + INDEX_BITS)) as usize, index, role }
    }
}

/// What is known of a route where its messages are rejected.
struct Fated {
    on_error: OnError,
    kafka_topic: KafkaTopic,
    /// The plugin that has chosen where the last record with a choice goes.
    chooser: Mutex<Option<Arc<PluginName>>>,
}

/// Deals with rejected messages, and is told what becomes of records.
pub struct Rejections {
    routes: Vec<Fated>,
    /// For messages that no route takes.
    unrouted: OnError,
    in_flight: Arc<InFlight>,
    stop: Arc<Stop>,
    printer: Option<Printer>,
    lines: Mutex<RateLimited>,
}

impl Rejections {
    pub fn new(
        routes: &[Route],
        unrouted: OnError,
        in_flight: Arc<InFlight>,
        stop: Arc<Stop>,
        printer: Option<Printer>,
    ) -> Self {
        let fated = |route: &Route| Fated {
            on_error: route.on_error.clone(),
            kafka_topic: route.kafka_topic.clone(),
            chooser: Mutex::default(),
        };
        let routes = routes.iter().map(fated).collect();
        Self { routes, unrouted, in_flight, stop, printer, lines: Mutex::default() }
    }

    /// A plugin has chosen where a record of this route goes.
    pub fn chosen(&self, route: usize, by: Option<&Arc<PluginName>>) {
        if let (Some(fated), Some(by)) = (self.routes.get(route), by) {
            let mut chooser = fated.chooser.lock().unwrap_or_else(PoisonError::into_inner);
            if chooser.as_ref().is_none_or(|known| !Arc::ptr_eq(known, by)) {
                *chooser = Some(Arc::clone(by));
            }
        }
    }

    /// Does with a message what its route says, on behalf of one of its records if it has several. Its
    /// dead letter goes into `letters`, which is to be sent.
    pub fn reject(
        &self,
        letters: &mut Gathered,
        (slot, index): (usize, usize),
        parcel: &Parcel,
        rejection: Rejection,
    ) {
        let message = parcel.batch.message(index);
        let text = format!(
            "a message on {:?} is rejected{} ({}): {}",
            message.topic(),
            rejection.by(),
            rejection.reason.as_str(),
            rejection.error
        );
        let fated = self.routes.get(parcel.route);
        match fated.map_or(&self.unrouted, |fated| &fated.on_error) {
            OnError::DeadLetter { topic } => {
                self.warn(&format!("{text}; it goes to {topic:?}"));
                if self.in_flight.reject(slot, index, &Arc::new(rejection)) {
                    self.write(letters, (slot, index), (0, false), parcel, topic);
                } else {
                    self.in_flight.done(slot, index, Fate::DeadLettered);
                }
            }
            OnError::Skip => {
                self.warn(&format!("{text}; it is skipped (--on-error skip)"));
                self.in_flight.done(slot, index, Fate::Skipped);
            }
            OnError::Stop => self.stop.end(Ended::Failed(format!("{text} (--on-error stop)"))),
        }
    }

    fn warn(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.warn(format_args!("{line}"));
    }

    /// Writes the dead letter of a message, made smaller so many times. One that `fits` waits until the
    /// topic takes it.
    fn write(
        &self,
        letters: &mut Gathered,
        (slot, index): (usize, usize),
        (cuts, fits): (usize, bool),
        parcel: &Parcel,
        topic: &str,
    ) {
        let Some(rejection) = self.in_flight.rejection(slot, index) else { return };
        let message = parcel.batch.message(index);
        let fated = self.routes.get(parcel.route);
        let meant = fated.map(|fated| fated.kafka_topic.name_or_written(message.topic()));
        let payload = parcel.defect.and_then(Defect::payload_size);
        let letter =
            Letter { message, rejection: &rejection, kafka_topic: meant.as_deref(), payload };
        // The smallest one must arrive, so that it never comes back to be made smaller.
        let fit = Fit::ALL.get(cuts).copied().unwrap_or(Fit::SMALLEST);
        let terms = Terms { must_arrive: fits || fit == Fit::SMALLEST, ..Terms::default() };
        let letter = letter.fit(fit);
        let id = RecordId { slot, index, role: Role::DeadLetter(cuts as u8) };
        letters.add(id.tag(), topic, &letter.record(), letter.headers(), terms);
    }
}

impl Events for Rejections {
    fn delivered<'r>(&self, tag: Tag, record: &dyn Fn() -> Written<'r>) {
        let RecordId { slot, index, role } = RecordId::of(tag);
        if let Some(printer) = &self.printer
            && let Some(parcel) = self.in_flight.parcel(slot)
        {
            printer.print(&record(), parcel.batch.message(index));
        }
        let fate = match role {
            Role::Record => Fate::Delivered,
            Role::DeadLetter(_) => Fate::DeadLettered,
        };
        self.in_flight.done(slot, index, fate);
    }

    fn rejected(&self, tag: Tag, rejected: Rejected, instead: &mut Gathered) {
        let Rejected { reason, error } = rejected;
        let RecordId { slot, index, role } = RecordId::of(tag);
        let Some(parcel) = self.in_flight.parcel(slot) else { return };
        match role {
            Role::Record => {
                let plugin = self.chooser(reason, parcel.route);
                let rejection = Rejection { reason, error, plugin };
                self.reject(instead, (slot, index), &parcel, rejection);
            }
            Role::DeadLetter(cuts) => {
                let fated = self.routes.get(parcel.route);
                let on_error = fated.map_or(&self.unrouted, |fated| &fated.on_error);
                let fits = reason != Reason::TooLarge;
                let cuts = usize::from(cuts) + usize::from(!fits);
                if let Some(topic) = on_error.topic() {
                    self.write(instead, (slot, index), (cuts, fits), &parcel, topic);
                }
            }
        }
    }
}

impl Rejections {
    /// Which plugin has chosen where a record goes that is refused for this reason, where it can only
    /// have been one.
    fn chooser(&self, reason: Reason, route: usize) -> Option<Arc<PluginName>> {
        let fated = self.routes.get(route)?;
        let chosen = match reason {
            Reason::BadOutput => true,
            Reason::BadTopic => fated.kafka_topic.fixed().is_some(),
            _ => false,
        };
        let chooser = fated.chooser.lock().unwrap_or_else(PoisonError::into_inner);
        chooser.clone().filter(|_| chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_record_it_was() {
        for role in [Role::Record, Role::DeadLetter(0), Role::DeadLetter(6)] {
            for (slot, index) in [(0, 0), (1, 2), ((1 << 41) - 1, MESSAGES - 1), (0, MESSAGES - 1)]
            {
                let id = RecordId { slot, index, role };
                assert_eq!(RecordId::of(id.tag()), id);
            }
        }
    }
}
