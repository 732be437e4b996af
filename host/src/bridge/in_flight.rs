//! The in-flight table: every parcel of which Kafka does not have all messages yet, and what has become
//! of the messages of each source.
//!
//! Sources open an account for each message, lanes put parcels in. Whoever is done with a part of a
//! message says so: most often the sink, as soon as Kafka has the record. It is counted, and the source
//! is woken that may acknowledge something now.

use std::collections::HashMap;
use std::sync::Arc;

use super::inbox::Parcel;
use crate::account::{Accounts, Fate, Settled, Wake};
use crate::ledger::Ledger;
use crate::message::Rejection;
use crate::sync::{Mutex, MutexGuard, Notify, PoisonError};

#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    /// Parts of its messages that are not done with.
    left: usize,
    /// Messages that are rejected, and why; each has one dead letter, however many records it was to
    /// become.
    rejected: HashMap<usize, Arc<Rejection>>,
}

/// A source as the table knows it.
#[derive(Default)]
struct Origin {
    accounts: Accounts,
    /// When it is to be woken; not again before it has looked.
    wake: Wake,
}

#[derive(Default)]
struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    sources: Vec<Origin>,
    /// Nothing is counted any more.
    is_closed: bool,
}

/// See the [module's documentation](self).
pub struct InFlight {
    table: Mutex<Table>,
    ledger: Arc<Ledger>,
    /// Wake the sources.
    wakes: Arc<[Arc<Notify>]>,
}

impl InFlight {
    /// `wakes` are notified when that source may have something to acknowledge.
    pub fn new(wakes: Arc<[Arc<Notify>]>, ledger: Arc<Ledger>) -> Self {
        let sources = wakes.iter().map(|_| Origin::default()).collect();
        let table = Mutex::new(Table { sources, ..Table::default() });
        Self { table, ledger, wakes }
    }

    /// Opens accounts for messages of a source: into how many parts each goes, and whether somebody waits
    /// for it. One of no parts is not counted. To be said before they are on their way.
    pub fn open(&self, source: usize, messages: impl Iterator<Item = (usize, bool)>) {
        let mut table = self.lock();
        let mut received = 0;
        for (parts, is_awaited) in messages {
            table.sources[source].accounts.open(parts, is_awaited);
            received += u64::from(parts > 0);
        }
        if !table.is_closed {
            self.ledger.received(received);
        }
    }

    /// How far a source's messages are settled, and when it is to be woken next.
    pub fn settled(&self, source: usize, wake: Wake) -> Settled {
        let mut table = self.lock();
        let origin = &mut table.sources[source];
        origin.wake = wake;
        origin.accounts.settled()
    }

    /// Takes in a parcel whose messages are all open, and gives its place.
    pub fn insert(&self, parcel: &Arc<Parcel>) -> usize {
        let (left, rejected) = (parcel.batch.len(), HashMap::new());
        let entry = Some(Entry { parcel: Arc::clone(parcel), left, rejected });
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
        let mut table = self.lock();
        let Table { entries, sources, .. } = &mut *table;
        if let Some(Some(entry)) = entries.get_mut(slot) {
            entry.left += records - 1;
            let Parcel { source, batch, .. } = &*entry.parcel;
            sources[*source].accounts.split(batch.message(index).sequence(), records);
        }
    }

    /// The parcel in a place, unless all of it is done with.
    pub fn parcel(&self, slot: usize) -> Option<Arc<Parcel>> {
        let table = self.lock();
        table.entries.get(slot)?.as_ref().map(|entry| Arc::clone(&entry.parcel))
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

    /// A part of a message is done with: a record that was to be made of it, or its dead letter.
    pub fn done(&self, slot: usize, index: usize, fate: Fate) {
        let Step { wake, finished } = self.lock().done(slot, index, fate, &self.ledger);
        // Gives back its credit; before the source is woken, so that it sees it.
        drop(finished);
        if let Some(source) = wake {
            self.wakes[source].notify_one();
        }
    }

    /// Counts nothing more, so that the ledger can be read as a whole.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done without the lock.
#[derive(Default)]
struct Step {
    /// The source to be woken.
    wake: Option<usize>,
    /// The parcel, if that was the last of it.
    finished: Option<Arc<Parcel>>,
}

impl Table {
    fn done(&mut self, slot: usize, index: usize, fate: Fate, ledger: &Ledger) -> Step {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else {
            return Step::default();
        };
        let Parcel { source, batch, .. } = &*entry.parcel;
        let (source, sequence) = (*source, batch.message(index).sequence());
        let Origin { accounts, wake } = &mut self.sources[source];
        let before = accounts.settled();
        let fate = accounts.done(sequence, fate).filter(|_| !self.is_closed);
        match fate {
            Some(Fate::Skipped) => ledger.skipped(1),
            Some(Fate::Delivered) => ledger.delivered(1),
            Some(Fate::DeadLettered) => ledger.dead_lettered(1),
            None => {}
        }
        let after = accounts.settled();
        let is_further = after.up_to != before.up_to;
        let is_due = match wake {
            Wake::Never => false,
            Wake::Further => is_further,
            Wake::All => is_further || after.all,
        };
        let wake = is_due.then(|| {
            *wake = Wake::Never;
            source
        });
        entry.left -= 1;
        if entry.left > 0 {
            return Step { wake, finished: None };
        }
        self.free.push(slot);
        Step { wake, finished: self.entries[slot].take().map(|entry| entry.parcel) }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::message::{Publish, Qos, Reason};

    /// The table of two sources.
    struct Bench {
        wakes: Arc<[Arc<Notify>]>,
        table: InFlight,
        ledger: Arc<Ledger>,
    }

    impl Bench {
        fn new() -> Self {
            let wakes: Arc<[Arc<Notify>]> = [Arc::default(), Arc::default()].into();
            let ledger = Arc::<Ledger>::default();
            let table = InFlight::new(Arc::clone(&wakes), Arc::clone(&ledger));
            Self { wakes, table, ledger }
        }

        /// A parcel of messages in so many parts that have these numbers; gives its place.
        fn send(&self, source: usize, sequences: std::ops::Range<u64>, parts: usize) -> usize {
            self.table.open(source, sequences.clone().map(|_| (parts, true)));
            self.insert(source, sequences)
        }

        fn insert(&self, source: usize, sequences: std::ops::Range<u64>) -> usize {
            let mut parcel = Parcel::new(0, source);
            let publish = Publish {
                topic: "t",
                payload: b"",
                qos: Qos::AtLeastOnce,
                retain: false,
                dup: false,
                packet_id: 1,
                properties: None,
            };
            sequences.for_each(|sequence| parcel.batch.push(sequence, 0, &publish));
            self.table.insert(&Arc::new(parcel))
        }

        /// Which sources have been woken since the last look.
        fn woken(&self) -> Vec<bool> {
            let context = &mut Context::from_waker(Waker::noop());
            let woken = |wake: &Arc<Notify>| pin!(wake.notified()).poll(context).is_ready();
            self.wakes.iter().map(woken).collect()
        }

        fn settled(&self, source: usize) -> (u64, bool) {
            let Settled { up_to, all } = self.table.settled(source, Wake::Further);
            (up_to, all)
        }

        /// Received, delivered, dead-lettered, skipped and in flight.
        fn counts(&self) -> [u64; 5] {
            let counts = self.ledger.counts();
            assert_eq!(counts.balance(), Ok(()));
            let crate::ledger::Counts {
                received,
                delivered,
                dead_lettered,
                skipped,
                in_flight,
                ..
            } = counts;
            [received, delivered, dead_lettered, skipped, in_flight]
        }
    }

    #[test]
    fn each_source_is_woken_once_when_it_may_acknowledge_something() {
        let bench = Bench::new();
        let (one, other) = (bench.send(0, 0..3, 1), bench.send(1, 0..1, 1));
        bench.table.done(one, 1, Fate::Delivered);
        assert_eq!(bench.woken(), [false, false], "another one is before it");
        bench.table.done(one, 0, Fate::DeadLettered);
        assert_eq!(bench.woken(), [true, false]);
        bench.table.done(one, 2, Fate::Delivered);
        assert_eq!(bench.woken(), [false, false], "it has not looked since");
        bench.table.done(other, 0, Fate::Skipped);
        assert_eq!(bench.woken(), [false, true]);
        assert_eq!((bench.settled(0), bench.settled(1)), ((3, true), (1, true)));
        assert_eq!(bench.counts(), [4, 2, 1, 1, 0]);
    }

    #[test]
    fn a_source_that_wants_all_is_woken_when_what_nobody_waits_for_is_settled() {
        let bench = Bench::new();
        bench.table.open(0, [(1, false), (1, false)].into_iter());
        let slot = bench.insert(0, 0..2);
        assert_eq!(bench.settled(0), (2, false));
        bench.table.done(slot, 0, Fate::Delivered);
        assert_eq!(bench.woken(), [false, false]);
        bench.table.settled(0, Wake::All);
        bench.table.done(slot, 1, Fate::Delivered);
        assert_eq!(bench.woken(), [true, false]);
    }

    #[test]
    fn a_source_that_asks_again_by_itself_is_not_woken() {
        let bench = Bench::new();
        let slot = bench.send(0, 0..2, 1);
        bench.table.settled(0, Wake::Never);
        bench.table.done(slot, 0, Fate::Delivered);
        assert_eq!(bench.woken(), [false, false]);
        assert_eq!(bench.settled(0), (1, false), "and wants to be woken from now on");
        bench.table.done(slot, 1, Fate::Delivered);
        assert_eq!(bench.woken(), [true, false]);
    }

    #[test]
    fn a_parcel_is_kept_until_all_records_of_its_messages_are_done_with() {
        let bench = Bench::new();
        let slot = bench.send(0, 0..2, 1);
        bench.table.split(slot, 0, 3);
        for index in [0, 1, 0] {
            bench.table.done(slot, index, Fate::Delivered);
        }
        assert!(bench.table.parcel(slot).is_some());
        assert_eq!((bench.settled(0), bench.counts()), ((0, false), [2, 1, 0, 0, 1]));
        bench.table.done(slot, 0, Fate::Delivered);
        assert!(bench.table.parcel(slot).is_none());
        assert_eq!((bench.settled(0), bench.counts()), ((2, true), [2, 2, 0, 0, 0]));
        // What is done with is not done with again; its place is taken by another.
        bench.table.done(slot, 0, Fate::Delivered);
        assert_eq!(bench.send(0, 2..3, 1), slot);
    }

    #[test]
    fn copies_of_a_message_travel_in_several_parcels() {
        let bench = Bench::new();
        let (one, other) = (bench.send(0, 0..1, 2), bench.insert(0, 0..1));
        bench.table.done(one, 0, Fate::Delivered);
        assert_eq!((bench.settled(0), bench.counts()), ((0, false), [1, 0, 0, 0, 1]));
        bench.table.done(other, 0, Fate::DeadLettered);
        assert_eq!((bench.settled(0), bench.counts()), ((1, true), [1, 0, 1, 0, 0]));
    }

    #[test]
    fn a_message_is_rejected_once_for_all_of_its_records() {
        let bench = Bench::new();
        let slot = bench.send(0, 0..1, 1);
        bench.table.split(slot, 0, 2);
        let rejection = |error: &str| {
            Arc::new(Rejection { reason: Reason::TooLarge, error: error.to_owned(), plugin: None })
        };
        assert!(bench.table.reject(slot, 0, &rejection("one")));
        assert!(!bench.table.reject(slot, 0, &rejection("other")));
        let why = bench.table.rejection(slot, 0).map(|why| why.error.clone());
        assert_eq!(why.as_deref(), Some("one"));
    }

    #[test]
    fn nothing_is_counted_once_it_is_closed() {
        let bench = Bench::new();
        let slot = bench.send(0, 0..1, 1);
        bench.table.close();
        bench.table.done(slot, 0, Fate::Delivered);
        bench.send(0, 1..2, 1);
        assert_eq!(bench.counts(), [1, 0, 0, 0, 1]);
    }
}
