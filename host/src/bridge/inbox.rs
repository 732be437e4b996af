//! The inbox of a lane: parcels of messages from the sources.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::credit::{Credit, Permit};
use crate::message::{Batch, Defect, Publish, Sequence};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    /// It is time to look at what waits.
    Due,
    /// Nothing more is to be done.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
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

    /// Says that no more parcels will come, forgets those that are there, and wakes the lane.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.parcels.clear();
        drop(state);
        self.mail.notify_one();
    }

    /// Waits for a parcel, or `until` something else is to be done.
    pub fn next(&self, until: Option<Instant>) -> Mail {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Mail::Closed;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Mail::Due;
            }
            if let Some(parcel) = state.parcels.pop_front() {
                return Mail::Parcel(parcel);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_before_parcels_and_nothing_after_the_end() {
        let (inbox, now) = (Inbox::default(), Instant::now());
        inbox.deliver(Parcel::new(0, 0));
        assert!(matches!(inbox.next(Some(now)), Mail::Due));
        let later = now + Duration::from_hours(1);
        assert!(matches!(inbox.next(Some(later)), Mail::Parcel(_)));
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(matches!(inbox.next(Some(soon)), Mail::Due));
        assert!(Instant::now() >= soon);
        inbox.deliver(Parcel::new(0, 0));
        inbox.close();
        assert!(matches!(inbox.next(Some(now)), Mail::Closed));
        assert!(matches!(inbox.next(None), Mail::Closed));
    }
}
