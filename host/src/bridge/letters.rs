//! Dead letters as a source: reads what a dead-letter topic holds, hands it on like messages that have
//! just come, and keeps how far the topic is done with.
//!
//! That position is to a dead letter what an acknowledgement is to an MQTT message: it moves only over
//! what Kafka has confirmed, in order, so that after a failure some may be carried twice, and none is
//! forgotten. Whatever is rejected again is at the end of a dead-letter topic by then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::intake::Intake;
use crate::account::Wake;
use crate::case::Letter;
use crate::message::{Qos, Sequence};
use crate::sink::{Next, Position, Reader, Stored};
use crate::source::{Control, Downstream};
use crate::telemetry::RateLimited;

/// How long to wait for the next record, and for news of those on their way.
const GLANCE: Duration = Duration::from_millis(20);

/// How many records are read before others are looked after.
const AT_A_TIME: usize = 64;

/// How often the position is kept.
const KEEP: Duration = Duration::from_secs(1);

/// A dead-letter topic that is to be carried.
pub struct Settings {
    pub topic: String,
    pub reader: Reader,
    /// How many records to read at most.
    pub count: u64,
    pub seen: Arc<Seen>,
}

/// What has been read and is not carried: it stays where it is.
#[derive(Debug, Default)]
pub struct Seen {
    /// Records that are no dead letters.
    pub foreign: AtomicU64,
    /// Dead letters of which only the start is there.
    pub cut: AtomicU64,
}

/// Why a record is not carried.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error("only the start of its payload is there")]
    Cut,
    #[error("it is no dead letter: {0}")]
    Foreign(String),
}

/// See the [module's documentation](self).
pub(super) struct Letters {
    settings: Settings,
    intake: Intake,
    wake: Arc<Notify>,
    control: watch::Receiver<Control>,
    places: Places,
    /// When the position was kept last.
    kept: Instant,
    stay: RateLimited,
    trouble: RateLimited,
}

impl Letters {
    pub fn new(
        settings: Settings,
        intake: Intake,
        wake: Arc<Notify>,
        control: watch::Receiver<Control>,
    ) -> Self {
        Self {
            settings,
            intake,
            wake,
            control,
            places: Places::default(),
            kept: Instant::now(),
            stay: RateLimited::default(),
            trouble: RateLimited::default(),
        }
    }

    /// Carries dead letters until there are no more, or until it is told to drain, and all that it has
    /// taken is in Kafka. Whatever happens to Kafka meanwhile is waited for.
    ///
    /// # Errors
    /// If Kafka does not let the position be kept at the start.
    pub async fn run(mut self) -> Result<(), String> {
        // What cannot be kept later is better known now, before anything is carried.
        self.settings.reader.commit(self.settings.reader.position())?;
        let mut reading = true;
        loop {
            let control = *self.control.borrow();
            reading &= control == Control::Run && self.settings.count > 0;
            self.places.settled =
                self.intake.settled(if reading { Wake::Further } else { Wake::All }).up_to;
            let mut pause = GLANCE;
            let is_leaving = control == Control::Leave;
            if let Err(what) = self.keep(is_leaving || !reading && self.places.are_all_settled()) {
                self.trouble.warn(format_args!("{what}; trying again"));
                pause = KEEP;
            }
            if is_leaving || !reading && self.places.is_empty() {
                return Ok(());
            }
            // Room for one at QoS 0 is room for all.
            if reading && self.intake.has_credit(Qos::AtMostOnce) {
                reading = self.read();
                self.intake.forward();
            } else {
                self.settings.reader.rested();
                // Whatever has happened meanwhile is seen in the next round.
                drop(timeout(pause, self.wake.notified()).await);
            }
        }
    }

    /// Takes some of what is there; whether there may be more.
    fn read(&mut self) -> bool {
        let mut wait = GLANCE;
        for _ in 0..AT_A_TIME {
            match self.settings.reader.next(wait) {
                Ok(Next::Record(record)) => self.take(&record),
                Ok(Next::Nothing) => break,
                Ok(Next::End) => return false,
                Err(what) => {
                    self.trouble.warn(format_args!("{what}; trying again"));
                    self.settings.reader.rested();
                    break;
                }
            }
            self.settings.count -= 1;
            if self.settings.count == 0 {
                return false;
            }
            wait = Duration::ZERO;
        }
        true
    }

    fn take(&mut self, record: &Stored) {
        let sequence = self.places.push(record);
        let Err(why) = self.hand_on(sequence, record) else { return };
        self.intake.pass_over();
        let Settings { topic, seen, .. } = &self.settings;
        self.stay.warn(format_args!("{} stays where it is: {why}", record.place(topic)));
        let count = match why {
            Stays::Cut => &seen.cut,
            Stays::Foreign(_) => &seen.foreign,
        };
        count.fetch_add(1, Relaxed);
    }

    fn hand_on(&mut self, sequence: Sequence, record: &Stored) -> Result<(), Stays> {
        let letter = Letter::read(record.value.as_deref(), &record.headers);
        let letter = letter.map_err(Stays::Foreign)?;
        let Letter { sample, kafka_topic, cut: None, .. } = &letter else {
            return Err(Stays::Cut);
        };
        let arrived = sample.received_at.unwrap_or(record.timestamp_ms);
        let kafka_topic = kafka_topic.as_deref();
        let intake = &mut self.intake;
        sample
            .with_publish(|publish| intake.take_letter(sequence, arrived, publish, kafka_topic))
            .map_err(Stays::Foreign)
    }

    /// Keeps the position, if it has moved, `now` or when it is time.
    ///
    /// # Errors
    /// If Kafka does not take it; it is kept the next time.
    fn keep(&mut self, now: bool) -> Result<(), String> {
        if !now && self.kept.elapsed() < KEEP {
            return Ok(());
        }
        self.kept = Instant::now();
        let (position, carried) = self.places.carried();
        if !position.is_empty() {
            self.settings.reader.commit(&position)?;
            self.places.release(carried);
            self.intake.acknowledged(carried as u64);
        }
        Ok(())
    }
}

/// What has been read and not been committed yet, in the order in which it was read.
#[derive(Debug, Default)]
struct Places {
    /// The number of the first.
    first: Sequence,
    /// Partitions and offsets.
    entries: VecDeque<(i32, i64)>,
    /// Those up to this one are settled.
    settled: Sequence,
}

impl Places {
    fn push(&mut self, record: &Stored) -> Sequence {
        self.entries.push_back((record.partition, record.offset));
        self.first + self.entries.len() as Sequence - 1
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn are_all_settled(&self) -> bool {
        self.settled >= self.first + self.entries.len() as Sequence
    }

    /// What may be committed: the position behind it, and how many records it is.
    fn carried(&self) -> (Position, usize) {
        let carried = self.entries.iter().take((self.settled - self.first) as usize);
        let position = carried.clone().map(|(partition, offset)| (*partition, offset + 1));
        (position.collect(), carried.count())
    }

    /// Forgets the first ones, which are committed.
    fn release(&mut self, count: usize) {
        self.entries.drain(..count);
        self.first += count as Sequence;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64) -> Stored {
        Stored { partition, offset, timestamp_ms: 0, value: None, headers: Vec::new() }
    }

    #[test]
    fn the_position_moves_over_what_is_settled_and_never_past_what_is_not() {
        let mut places = Places::default();
        let of = [(0, 5), (1, 7), (0, 6), (1, 9)];
        let numbers = of.map(|(partition, offset)| places.push(&record(partition, offset)));
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(places.carried(), (Position::new(), 0));
        places.settled = 1;
        assert_eq!(places.carried(), (Position::from([(0, 6)]), 1));
        places.release(1);
        assert_eq!(places.carried(), (Position::new(), 0));
        assert!(!places.are_all_settled());
        places.settled = 4;
        assert!(places.are_all_settled() && !places.is_empty());
        assert_eq!(places.carried(), (Position::from([(0, 7), (1, 10)]), 3));
        places.release(3);
        assert!(places.is_empty());
        assert_eq!(places.push(&record(0, 7)), 4);
    }
}
