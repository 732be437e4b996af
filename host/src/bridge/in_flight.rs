//! The in-flight table of a lane: every parcel of which Kafka does not have all messages yet.
//!
//! The lane puts parcels in; delivery reports, which come on the producer's thread, take messages
//! out; the source collects what is confirmed. A ticket travels through Kafka's client with each
//! record and says which message of which parcel it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::inbox::{Inbox, Parcel};
use super::print::Printer;
use crate::message::{Message, Sequence};
use crate::sink::{Delivered, Failure, Reports, Ticket};

/// What a record is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Record = 0,
    DeadLetter = 1,
    /// A dead letter with only the start of the payload.
    CutDeadLetter = 2,
}

const ROLE_BITS: u32 = 2;
const INDEX_BITS: u32 = 30;
const _: () = assert!(Ticket::BITS == 64, "a ticket has room for a parcel, a message and a role");

/// Names a record in flight: which parcel, which message of it, and the record's role.
pub fn ticket(slot: usize, index: usize, role: Role) -> Ticket {
    slot << (INDEX_BITS + ROLE_BITS) | index << ROLE_BITS | role as usize
}

/// The reverse of [`ticket`].
pub fn read_ticket(ticket: Ticket) -> (usize, usize, Role) {
    let role = match ticket & ((1 << ROLE_BITS) - 1) {
        0 => Role::Record,
        1 => Role::DeadLetter,
        _ => Role::CutDeadLetter,
    };
    let index = ticket >> ROLE_BITS & ((1 << INDEX_BITS) - 1);
    (ticket >> (INDEX_BITS + ROLE_BITS), index, role)
}

#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    /// Messages of the parcel that are not confirmed.
    left: usize,
}

/// What has been confirmed since the source last asked.
#[derive(Debug, Default)]
pub struct Confirmed {
    pub sequences: Vec<Sequence>,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub skipped: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    confirmed: Confirmed,
    /// Reports that have come, delivered or not, since the lane began.
    reported: u64,
    /// The lane wants to be woken by reports.
    watched: bool,
}

/// See the [module's documentation](self).
pub struct InFlight {
    table: Mutex<Table>,
    inbox: Arc<Inbox>,
    source: Arc<Notify>,
    printer: Option<Arc<Printer>>,
}

impl InFlight {
    pub fn new(inbox: Arc<Inbox>, source: Arc<Notify>, printer: Option<Arc<Printer>>) -> Self {
        Self { table: Mutex::default(), inbox, source, printer }
    }

    /// Takes in a parcel whose messages are all unconfirmed, and gives its place.
    pub fn insert(&self, parcel: &Arc<Parcel>) -> usize {
        let entry = Some(Entry { parcel: Arc::clone(parcel), left: parcel.batch.len() });
        let mut table = self.lock();
        if let Some(slot) = table.free.pop() {
            table.entries[slot] = entry;
            return slot;
        }
        table.entries.push(entry);
        table.entries.len() - 1
    }

    /// The parcel in a place, unless all of it is confirmed.
    pub fn parcel(&self, slot: usize) -> Option<Arc<Parcel>> {
        let table = self.lock();
        table.entries.get(slot)?.as_ref().map(|entry| Arc::clone(&entry.parcel))
    }

    /// Confirms messages of which no record is to be made.
    pub fn skip(&self, slot: usize, indexes: &[usize]) {
        let mut done = Vec::new();
        let mut table = self.lock();
        for index in indexes {
            table.confirmed.skipped += 1;
            done.extend(table.confirm(slot, *index).1);
        }
        drop(table);
        drop(done);
        self.source.notify_one();
    }

    /// What has been confirmed since the last call. `spare` is used for what comes next.
    pub fn take_confirmed(&self, spare: &mut Confirmed) {
        spare.sequences.clear();
        (spare.delivered, spare.dead_lettered, spare.skipped) = (0, 0, 0);
        std::mem::swap(&mut self.lock().confirmed, spare);
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

impl Table {
    /// Confirms one message. Gives whether the source must be woken, and the parcel if that was
    /// its last message, for dropping without the lock.
    fn confirm(&mut self, slot: usize, index: usize) -> (bool, Option<Arc<Parcel>>) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else {
            return (false, None);
        };
        let wake = self.confirmed.sequences.is_empty();
        self.confirmed.sequences.push(entry.parcel.batch.message(index).sequence());
        entry.left -= 1;
        if entry.left > 0 {
            return (wake, None);
        }
        self.free.push(slot);
        (true, self.entries[slot].take().map(|entry| entry.parcel))
    }
}

impl Reports for InFlight {
    fn delivered(&self, ticket: Ticket, record: &Delivered<'_>) {
        let (slot, index, role) = read_ticket(ticket);
        if let Some(printer) = &self.printer
            && let Some(parcel) = self.parcel(slot)
        {
            let message: Message<'_> = parcel.batch.message(index);
            printer.print(record, message);
        }
        let mut table = self.lock();
        table.reported += 1;
        match role {
            Role::Record => table.confirmed.delivered += 1,
            Role::DeadLetter | Role::CutDeadLetter => table.confirmed.dead_lettered += 1,
        }
        let (wake, done) = table.confirm(slot, index);
        let watched = table.watched;
        drop(table);
        // Gives back its credit; before the source is woken, so that it sees it.
        drop(done);
        if wake {
            self.source.notify_one();
        }
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
