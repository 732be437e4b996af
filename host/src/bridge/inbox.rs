//! The inbox of a lane: parcels of messages from the source, and news from Kafka that the lane
//! must act on.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::credit::{Credit, Permit};
use crate::message::{Batch, Defect, Publish, Sequence};
use crate::sink::Failure;

/// Messages of one source on their way by one route, with the credit that they hold.
#[derive(Debug)]
pub struct Parcel {
    pub batch: Batch,
    pub permit: Permit,
    /// The route's number; the one after the last is for messages that no route takes.
    pub route: usize,
    /// The source's number.
    pub source: usize,
    /// Why its only message can only be rejected.
    pub defect: Option<Defect>,
}

impl Parcel {
    /// An empty one.
    pub fn new(route: usize, source: usize) -> Self {
        Self { batch: Batch::default(), permit: Permit::default(), route, source, defect: None }
    }

    /// Puts a message in, which takes credit.
    pub fn push(
        &mut self,
        credit: &Arc<Credit>,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
    ) {
        credit.take(&mut self.permit, publish.packed_size(), publish.qos);
        self.batch.push(sequence, received_at_ms, publish);
    }

    /// Takes out what is in it.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.route, self.source))
    }
}

/// What a lane finds when it looks.
#[derive(Debug)]
pub enum Mail {
    Parcel(Parcel),
    /// Kafka refused these records.
    Failures(Vec<Failure>),
    /// It is time to look at what waits.
    Due,
    /// The source has ended and all parcels are taken.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    failures: Vec<Failure>,
    closed: bool,
}

/// See the [module's documentation](self). The source's credit bounds what it holds.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    mail: Condvar,
}

impl Inbox {
    pub fn deliver(&self, parcel: Parcel) {
        self.lock().parcels.push_back(parcel);
        self.mail.notify_one();
    }

    pub fn fail(&self, failure: Failure) {
        self.lock().failures.push(failure);
        self.mail.notify_one();
    }

    /// Says that no more parcels will come, and wakes the lane in any case.
    pub fn close(&self) {
        self.lock().closed = true;
        self.mail.notify_one();
    }

    /// Wakes the lane to look at something that is not mail.
    pub fn nudge(&self) {
        // Taken so that a lane between its look and its sleep is not missed.
        drop(self.lock());
        self.mail.notify_one();
    }

    /// Waits for mail, or `until` something else is to be done; failures come before all else, so that
    /// trouble is seen at once.
    pub fn next(&self, until: Option<Instant>) -> Mail {
        let mut state = self.lock();
        loop {
            if !state.failures.is_empty() {
                return Mail::Failures(std::mem::take(&mut state.failures));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) && !state.closed {
                return Mail::Due;
            }
            if let Some(parcel) = state.parcels.pop_front() {
                return Mail::Parcel(parcel);
            }
            if state.closed {
                return Mail::Closed;
            }
            state = match left {
                None => self.mail.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let woken = self.mail.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes the failures that have come, waiting until `done` says yes or the time is over.
    pub fn failures_until(&self, wait: Duration, mut done: impl FnMut() -> bool) -> Vec<Failure> {
        let deadline = Instant::now() + wait;
        let mut state = self.lock();
        while !done() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            let woken = self.mail.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut state.failures)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_before_parcels_and_only_until_the_end() {
        let (inbox, now) = (Inbox::default(), Instant::now());
        inbox.deliver(Parcel::new(0, 0));
        assert!(matches!(inbox.next(Some(now)), Mail::Due));
        let later = now + Duration::from_hours(1);
        assert!(matches!(inbox.next(Some(later)), Mail::Parcel(_)));
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(matches!(inbox.next(Some(soon)), Mail::Due));
        assert!(Instant::now() >= soon);
        inbox.close();
        assert!(matches!(inbox.next(Some(now)), Mail::Closed));
        assert!(matches!(inbox.next(Some(later)), Mail::Closed));
    }
}
