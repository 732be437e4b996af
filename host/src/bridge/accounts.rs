//! What has become of the messages of one source: collects it, enters it in the
//! ledger, and says what may be acknowledged.
//!
//! A message that takes several routes travels as several copies. It is settled when all of them
//! are, and counts once, by the worst that happened to one of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::in_flight::{Confirmed, Fate, InFlight, Parts};
use crate::message::Sequence;
use crate::telemetry::Ledger;

/// See the [module's documentation](self).
pub struct Accounts {
    /// The source's number.
    source: usize,
    in_flight: Arc<InFlight>,
    ledger: Arc<Ledger>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Messages that travel as several copies.
    copied: HashMap<Sequence, Parts>,
    /// Kept for its memory.
    confirmed: Confirmed,
}

impl Accounts {
    pub fn new(source: usize, in_flight: Arc<InFlight>, ledger: Arc<Ledger>) -> Self {
        Self { source, in_flight, ledger, open: Mutex::default() }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A message will travel as so many copies, which only counts if it is more than one. To be said
    /// before they are on their way.
    pub fn travels_as(&self, sequence: Sequence, copies: usize) {
        if copies == 1 {
            return;
        }
        let copies = Parts::new(copies);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).copied.insert(sequence, copies);
    }

    /// Counts what has been confirmed since the last time, and adds the messages to `settled`.
    pub fn settle(&self, settled: &mut Vec<Sequence>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { copied, confirmed } = &mut *open;
        self.in_flight.take_confirmed(self.source, confirmed);
        for (fate, sequences) in confirmed.by_fate() {
            if copied.is_empty() {
                self.count(fate, sequences.len() as u64);
                settled.extend_from_slice(sequences);
                continue;
            }
            for sequence in sequences {
                if let Some(worst) = settle_copy(copied, *sequence, fate) {
                    self.count(worst, 1);
                    settled.push(*sequence);
                }
            }
        }
    }

    fn count(&self, fate: Fate, messages: u64) {
        match fate {
            Fate::Skipped => self.ledger.skipped(messages),
            Fate::Delivered => self.ledger.delivered(messages),
            Fate::DeadLettered => self.ledger.dead_lettered(messages),
        }
    }
}

/// What became of the message, if that was its last copy.
fn settle_copy(
    copied: &mut HashMap<Sequence, Parts>,
    sequence: Sequence,
    fate: Fate,
) -> Option<Fate> {
    let Some(copies) = copied.get_mut(&sequence) else {
        return Some(fate);
    };
    let fate = copies.done(fate)?;
    copied.remove(&sequence);
    Some(fate)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::sync::Notify;

    use super::*;
    use crate::bridge::inbox::Parcel;
    use crate::message::{Publish, Qos};

    /// The table, and the accounts of two sources.
    struct Bench {
        wakes: Arc<[Arc<Notify>]>,
        table: Arc<InFlight>,
        ledger: Arc<Ledger>,
        accounts: [Accounts; 2],
    }

    impl Bench {
        fn new() -> Self {
            let wakes: Arc<[Arc<Notify>]> = [Arc::default(), Arc::default()].into();
            let table = Arc::new(InFlight::new(Arc::clone(&wakes)));
            let ledger = Arc::<Ledger>::default();
            let accounts =
                [0, 1].map(|source| Accounts::new(source, Arc::clone(&table), Arc::clone(&ledger)));
            Self { wakes, table, ledger, accounts }
        }

        /// Confirms a message, or a copy of one.
        fn confirm(&self, source: usize, sequence: Sequence, fate: Fate) {
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
            parcel.batch.push(sequence, 0, &publish);
            let slot = self.table.insert(&Arc::new(parcel));
            self.table.confirm_as(slot, 0, fate);
        }

        /// Which sources have been woken since the last look.
        fn woken(&self) -> Vec<bool> {
            let context = &mut Context::from_waker(Waker::noop());
            let woken = |wake: &Arc<Notify>| pin!(wake.notified()).poll(context).is_ready();
            self.wakes.iter().map(woken).collect()
        }

        fn settled(&self, source: usize) -> Vec<Sequence> {
            let mut settled = Vec::new();
            self.accounts[source].settle(&mut settled);
            settled
        }

        /// Delivered, dead-lettered, skipped and in flight.
        fn counts(&self) -> [u64; 4] {
            let counts = self.ledger.counts();
            assert_eq!(counts.balance(), Ok(()));
            [counts.delivered, counts.dead_lettered, counts.skipped, counts.in_flight]
        }
    }

    #[test]
    fn each_source_learns_of_its_own_messages() {
        let bench = Bench::new();
        bench.ledger.received(3);
        bench.confirm(0, 7, Fate::Delivered);
        bench.confirm(0, 8, Fate::DeadLettered);
        assert_eq!(bench.woken(), [true, false]);
        bench.confirm(1, 7, Fate::Skipped);
        assert_eq!(bench.woken(), [false, true]);
        assert_eq!((bench.settled(1), bench.settled(1)), (vec![7], vec![]));
        assert_eq!(bench.counts(), [0, 0, 1, 2]);
        assert_eq!(bench.settled(0), [7, 8]);
        assert_eq!(bench.counts(), [1, 1, 1, 0]);
    }

    #[test]
    fn a_message_is_settled_with_its_last_copy_and_counts_as_the_worst_of_them() {
        for (fates, expected) in [
            ([Fate::Delivered, Fate::Delivered], [1, 0, 0, 0]),
            ([Fate::Delivered, Fate::Skipped], [1, 0, 0, 0]),
            ([Fate::Skipped, Fate::Skipped], [0, 0, 1, 0]),
            ([Fate::DeadLettered, Fate::Delivered], [0, 1, 0, 0]),
            ([Fate::Skipped, Fate::DeadLettered], [0, 1, 0, 0]),
        ] {
            let bench = Bench::new();
            bench.ledger.received(1);
            bench.accounts[0].travels_as(5, 2);
            bench.confirm(0, 5, fates[0]);
            assert_eq!((bench.settled(0), bench.counts()), (vec![], [0, 0, 0, 1]));
            bench.confirm(0, 5, fates[1]);
            assert_eq!((bench.settled(0), bench.counts()), (vec![5], expected), "{fates:?}");
        }
    }

    #[test]
    fn messages_with_one_copy_are_settled_beside_those_with_several() {
        let bench = Bench::new();
        bench.ledger.received(2);
        bench.accounts[0].travels_as(5, 2);
        bench.confirm(0, 5, Fate::Delivered);
        bench.confirm(0, 6, Fate::Delivered);
        assert_eq!((bench.settled(0), bench.counts()), (vec![6], [1, 0, 0, 1]));
        bench.confirm(0, 5, Fate::Delivered);
        assert_eq!((bench.settled(0), bench.counts()), (vec![5], [2, 0, 0, 0]));
    }
}
