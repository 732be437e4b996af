//! The in-flight table: every parcel of which Kafka does not have all messages yet.
//!
//! Lanes put parcels in; the sink, which says what became of each record, takes messages out; sources
//! collect what is confirmed. A tag travels with each record and says which message it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::inbox::Parcel;
use super::tag::{RecordId, Role};
use crate::message::{Rejection, Sequence};
use crate::sink::Tag;

#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    /// Messages of the parcel that are not confirmed.
    left: usize,
    /// Those of them that become several records.
    several: HashMap<usize, Parts>,
    /// Those of them that are rejected, and why; each has one dead letter, however many records it was
    /// to become.
    rejected: HashMap<usize, Arc<Rejection>>,
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
}

/// See the [module's documentation](self).
pub struct InFlight {
    table: Mutex<Table>,
    /// Wake the sources.
    wakes: Arc<[Arc<Notify>]>,
}

impl InFlight {
    /// `wakes` are notified when something of that source is confirmed.
    pub fn new(wakes: Arc<[Arc<Notify>]>) -> Self {
        let confirmed = wakes.iter().map(|_| Confirmed::default()).collect();
        let table = Mutex::new(Table { confirmed, ..Table::default() });
        Self { table, wakes }
    }

    /// Takes in a parcel whose messages are all unconfirmed, and gives its place.
    pub fn insert(&self, parcel: &Arc<Parcel>) -> usize {
        let left = parcel.batch.len();
        let (parcel, several, rejected) = (Arc::clone(parcel), HashMap::new(), HashMap::new());
        let entry = Some(Entry { parcel, left, several, rejected });
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
        let step = self.lock().confirm(slot, index, fate);
        if let Some(step) = step {
            self.tell(step);
        }
    }

    /// To be called without the lock.
    fn tell(&self, Step { source, wake, done }: Step) {
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

    /// Notes why a message is rejected. Whether it is the first time: another of its records may have been
    /// rejected before.
    pub fn reject(&self, slot: usize, index: usize, rejection: &Arc<Rejection>) -> bool {
        let mut table = self.lock();
        let Some(Some(entry)) = table.entries.get_mut(slot) else { return false };
        let known = entry.rejected.len();
        entry.rejected.entry(index).or_insert_with(|| Arc::clone(rejection));
        entry.rejected.len() > known
    }

    /// Why a message was rejected.
    pub fn rejection(&self, slot: usize, index: usize) -> Option<Arc<Rejection>> {
        let table = self.lock();
        table.entries.get(slot)?.as_ref()?.rejected.get(&index).cloned()
    }

    /// Confirms what Kafka has.
    pub fn delivered(&self, tags: impl Iterator<Item = Tag>) {
        let mut steps = Vec::new();
        let mut table = self.lock();
        for tag in tags {
            let RecordId { slot, index, role } = RecordId::of(tag);
            let fate = match role {
                Role::Record => Fate::Delivered,
                Role::DeadLetter(_) => Fate::DeadLettered,
            };
            // Only what is to be done without the lock.
            steps.extend(table.confirm(slot, index, fate).filter(|step| step.wake));
        }
        drop(table);
        for step in steps {
            self.tell(step);
        }
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
