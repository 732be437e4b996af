//! The ledger: what became of every message.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of every message since the start. Its parts are changed by different threads, so
/// it balances exactly only when nothing is moving.
#[derive(Debug, Default)]
pub struct Ledger {
    received: AtomicU64,
    delivered: AtomicU64,
    dead_lettered: AtomicU64,
    skipped: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicU64,
    let_go: AtomicU64,
    acknowledged: AtomicU64,
    timestamp_unusable: AtomicU64,
    reconnected: AtomicU64,
}

impl Ledger {
    /// Messages were taken: they are in flight.
    pub fn received(&self, messages: u64) {
        self.in_flight.fetch_add(messages, Relaxed);
        self.received.fetch_add(messages, Relaxed);
    }

    /// Kafka confirmed every record of messages in flight.
    pub fn delivered(&self, messages: u64) {
        self.settle(&self.delivered, messages);
    }

    /// Kafka confirmed the dead letters of messages in flight.
    pub fn dead_lettered(&self, messages: u64) {
        self.settle(&self.dead_lettered, messages);
    }

    /// Messages in flight become no records: a plugin or `--on-error skip` said so.
    pub fn skipped(&self, messages: u64) {
        self.settle(&self.skipped, messages);
    }

    /// Messages of quality of service 0 were received and lost at once, for lack of room.
    pub fn dropped(&self, messages: u64) {
        self.received.fetch_add(messages, Relaxed);
        self.dropped.fetch_add(messages, Relaxed);
    }

    /// Messages were read but neither taken nor acknowledged, for lack of room: the MQTT server
    /// sends them again, and only then are they received.
    pub fn let_go(&self, messages: u64) {
        self.let_go.fetch_add(messages, Relaxed);
    }

    /// Acknowledgements were sent to the MQTT server.
    pub fn acknowledged(&self, messages: u64) {
        self.acknowledged.fetch_add(messages, Relaxed);
    }

    /// Messages had a `_timestamp` that names no time.
    pub fn timestamp_unusable(&self, messages: u64) {
        self.timestamp_unusable.fetch_add(messages, Relaxed);
    }

    /// The MQTT connection was made again after it broke.
    pub fn reconnected(&self) {
        self.reconnected.fetch_add(1, Relaxed);
    }

    /// How many messages are on their way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// All counts at this moment.
    pub fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            dead_lettered: self.dead_lettered.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            let_go: self.let_go.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            timestamp_unusable: self.timestamp_unusable.load(Relaxed),
            reconnected: self.reconnected.load(Relaxed),
        }
    }

    fn settle(&self, fate: &AtomicU64, messages: u64) {
        fate.fetch_add(messages, Relaxed);
        self.in_flight.fetch_sub(messages, Relaxed);
    }
}

/// Shows [`Counts`].
impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(formatter)
    }
}

/// A [`Ledger`] at one moment; its methods say what each count means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub skipped: u64,
    pub dropped: u64,
    pub in_flight: u64,
    pub let_go: u64,
    pub acknowledged: u64,
    pub timestamp_unusable: u64,
    pub reconnected: u64,
}

impl Counts {
    /// Checks that everything received is somewhere, once.
    ///
    /// # Errors
    /// If messages were lost or settled twice, which is a defect of this program.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let fates =
            [self.delivered, self.dead_lettered, self.skipped, self.dropped, self.in_flight];
        let settled: u128 = fates.into_iter().map(u128::from).sum();
        if settled == u128::from(self.received) { Ok(()) } else { Err(Imbalance(*self)) }
    }
}

/// The line that is printed at exit.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, delivered, dead_lettered, skipped, dropped, in_flight, .. } = self;
        write!(
            formatter,
            "received={received} delivered={delivered} dead_lettered={dead_lettered} \
             skipped={skipped} dropped={dropped} in_flight={in_flight}"
        )
    }
}

/// A ledger whose sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger does not balance, which is a defect of this program: {0}")]
pub struct Imbalance(pub Counts);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_follows_every_message() {
        let ledger = Ledger::default();
        ledger.received(10);
        assert_eq!(ledger.in_flight(), 10);
        ledger.delivered(4);
        ledger.dead_lettered(3);
        ledger.skipped(2);
        ledger.dropped(5);
        ledger.let_go(100);
        ledger.acknowledged(9);
        ledger.timestamp_unusable(6);
        ledger.reconnected();
        assert_eq!(
            ledger.to_string(),
            "received=15 delivered=4 dead_lettered=3 skipped=2 dropped=5 in_flight=1"
        );
        let counts = ledger.counts();
        assert_eq!((counts.let_go, counts.acknowledged), (100, 9));
        assert_eq!((counts.timestamp_unusable, counts.reconnected), (6, 1));
        assert_eq!(counts.balance(), Ok(()));
    }

    #[test]
    fn a_message_that_is_settled_twice_or_lost_unbalances_the_ledger() {
        let ledger = Ledger::default();
        ledger.received(1);
        ledger.delivered(2);
        assert!(ledger.counts().balance().is_err());
        let lost = Counts { received: 2, delivered: 1, ..Counts::default() };
        let error = lost.balance().expect_err("one is lost").to_string();
        assert!(error.contains("received=2 delivered=1"), "{error}");
    }

    #[test]
    fn the_ledger_is_exact_across_threads() {
        let ledger = Ledger::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        ledger.received(2);
                        ledger.delivered(1);
                    }
                });
            }
        });
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.delivered, counts.in_flight), (8000, 4000, 4000));
        assert_eq!(counts.balance(), Ok(()));
    }
}
