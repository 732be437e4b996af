//! The in-flight table of a lane: every parcel of which Kafka does not have all messages yet.
//!
//! The lane puts parcels in; delivery reports, which come on the producer's thread, take messages
//! out; the source collects what is confirmed. A ticket travels through Kafka's client with each
//! record and says which record of which message it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::inbox::{Inbox, Parcel};
use super::print::Printer;
use super::record_id::RecordId;
use crate::message::{Message, Sequence};
use crate::sink::{Delivered, Failure, Reports, Ticket};

#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    /// Messages of the parcel that are not confirmed.
    left: usize,
    /// Those of them that become several records.
    several: HashMap<usize, Parts>,
}

/// The parts of a message that travel by themselves: it is done when all of them are.
#[derive(Debug)]
pub struct Parts {
    /// How many are on their way.
    left: usize,
    worst: Fate,
}

impl Parts {
    pub fn new(parts: usize) -> Self {
        Self { left: parts, worst: Fate::Skipped }
    }

    /// One of them is done; what became of the message, if it was the last one.
    pub fn done(&mut self, fate: Fate) -> Option<Fate> {
        self.left -= 1;
        self.worst = self.worst.max(fate);
        (self.left == 0).then_some(self.worst)
    }
}

/// What became of a message; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fate {
    Skipped = 0,
    Delivered = 1,
    DeadLettered = 2,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Skipped, Self::Delivered, Self::DeadLettered];
}

/// What has been confirmed of a source's messages since it last asked.
#[derive(Debug, Default)]
pub struct Confirmed([Vec<Sequence>; 3]);

impl Confirmed {
    /// The messages, by what became of them, in no order.
    pub fn by_fate(&self) -> impl Iterator<Item = (Fate, &[Sequence])> {
        Fate::ALL.into_iter().zip(self.0.iter().map(Vec::as_slice))
    }

    fn add(&mut self, sequence: Sequence, fate: Fate) {
        self.0[fate as usize].push(sequence);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// For each source.
    confirmed: Vec<Confirmed>,
    /// Reports that have come, delivered or not, since the lane began.
    reported: u64,
    /// The lane wants to be woken by reports.
    watched: bool,
}

/// See the [module's documentation](self).
pub struct InFlight {
    table: Mutex<Table>,
    inbox: Arc<Inbox>,
    /// Wake the sources.
    wakes: Arc<[Arc<Notify>]>,
    printer: Option<Arc<Printer>>,
}

impl InFlight {
    /// `wakes` are notified when something of that source is confirmed.
    pub fn new(
        inbox: Arc<Inbox>,
        wakes: Arc<[Arc<Notify>]>,
        printer: Option<Arc<Printer>>,
    ) -> Self {
        let confirmed = wakes.iter().map(|_| Confirmed::default()).collect();
        let table = Mutex::new(Table { confirmed, ..Table::default() });
        Self { table, inbox, wakes, printer }
    }

    /// Takes in a parcel whose messages are all unconfirmed, and gives its place.
    pub fn insert(&self, parcel: &Arc<Parcel>) -> usize {
        let left = parcel.batch.len();
        let entry = Some(Entry { parcel: Arc::clone(parcel), left, several: HashMap::new() });
        let mut table = self.lock();
        if let Some(slot) = table.free.pop() {
            table.entries[slot] = entry;
            return slot;
        }
        table.entries.push(entry);
        table.entries.len() - 1
    }

    /// A message becomes so many records, at least one. To be said before they are on their way.
    pub fn split(&self, slot: usize, index: usize, records: usize) {
        if let Some(Some(entry)) = self.lock().entries.get_mut(slot) {
            entry.several.insert(index, Parts::new(records));
        }
    }

    /// The parcel in a place, unless all of it is confirmed.
    pub fn parcel(&self, slot: usize) -> Option<Arc<Parcel>> {
        let table = self.lock();
        table.entries.get(slot)?.as_ref().map(|entry| Arc::clone(&entry.parcel))
    }

    /// Confirms messages of which no record is to be made.
    pub fn skip(&self, slot: usize, indexes: &[usize]) {
        for index in indexes {
            self.confirm_as(slot, *index, Fate::Skipped);
        }
    }

    /// Confirms a message, and wakes its source if it must be.
    pub(super) fn confirm_as(&self, slot: usize, index: usize, fate: Fate) {
        let confirmed = self.lock().confirm(slot, index, fate);
        self.tell(confirmed);
    }

    /// To be called without the lock.
    fn tell(&self, confirmed: Option<Step>) {
        let Some(Step { source, wake, done }) = confirmed else { return };
        // Gives back its credit; before the source is woken, so that it sees it.
        drop(done);
        if wake {
            self.wakes[source].notify_one();
        }
    }

    /// What has been confirmed of a source's messages since the last call. `spare` is used for
    /// what comes next.
    pub fn take_confirmed(&self, source: usize, spare: &mut Confirmed) {
        spare.clear();
        std::mem::swap(&mut self.lock().confirmed[source], spare);
    }

    /// Reports that have come, delivered or not, since the lane began.
    pub fn reported(&self) -> u64 {
        self.lock().reported
    }

    /// Whether reports are to wake the lane.
    pub fn watch(&self, watched: bool) {
        self.lock().watched = watched;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows from a confirmation.
struct Step {
    source: usize,
    /// Whether the source must be woken.
    wake: bool,
    /// The parcel, if that was its last message, for dropping without the lock.
    done: Option<Arc<Parcel>>,
}

impl Table {
    fn confirm(&mut self, slot: usize, index: usize, fate: Fate) -> Option<Step> {
        let entry = self.entries.get_mut(slot)?.as_mut()?;
        let fate = match entry.several.get_mut(&index) {
            None => fate,
            Some(parts) => parts.done(fate)?,
        };
        let source = entry.parcel.source;
        let confirmed = &mut self.confirmed[source];
        let first = confirmed.is_empty();
        confirmed.add(entry.parcel.batch.message(index).sequence(), fate);
        entry.left -= 1;
        if entry.left > 0 {
            return Some(Step { source, wake: first, done: None });
        }
        self.free.push(slot);
        let done = self.entries[slot].take().map(|entry| entry.parcel);
        Some(Step { source, wake: true, done })
    }
}

impl Reports for InFlight {
    fn delivered(&self, ticket: Ticket, record: &Delivered<'_>) {
        let RecordId { slot, index, role, .. } = RecordId::of(ticket);
        if let Some(printer) = &self.printer
            && let Some(parcel) = self.parcel(slot)
        {
            let message: Message<'_> = parcel.batch.message(index);
            printer.print(record, message);
        }
        let fate = if role.is_record() { Fate::Delivered } else { Fate::DeadLettered };
        let mut table = self.lock();
        table.reported += 1;
        let confirmed = table.confirm(slot, index, fate);
        let watched = table.watched;
        drop(table);
        self.tell(confirmed);
        if watched {
            self.inbox.nudge();
        }
    }

    fn failed(&self, failure: Failure) {
        // In this order, so that a lane that has seen all reports has seen all failures.
        self.inbox.fail(failure);
        self.lock().reported += 1;
        self.inbox.nudge();
    }
}
