//! Credit bounds what is in flight: a message takes its size, its parcel gives all of it back when
//! Kafka has confirmed the last of its messages.
//!
//! QoS 1 and 2 are bounded by bytes alone: reading stops when they run out, and the broker keeps
//! the rest. QoS 0 gets half of the bytes at most and a number of messages, because nothing bounds
//! its sender and more in flight would only be more memory, not more speed.
//!
//! With `--print=wait` there is none while the reader of standard output is behind.

use std::sync::Arc;

use crate::message::Qos;
use crate::output::Output;
use crate::sync::{AtomicBool, AtomicUsize, Notify, Ordering};

/// What a message costs beside its own bytes: its places in the batch, the ring and librdkafka.
pub const OVERHEAD: usize = 320;

/// Messages at QoS 0 in flight: some 20 ms of a Kafka producer at full speed.
const QOS_0_MESSAGES: usize = 16_384;

/// See the [module's documentation](self). All sources share it.
#[derive(Debug)]
pub struct Credit {
    limit: usize,
    bytes: AtomicUsize,
    qos_0: AtomicUsize,
    /// A source was told that there is none.
    wanted: AtomicBool,
    /// Wake the sources, which may be waiting for credit.
    wakes: Arc<[Arc<Notify>]>,
    /// What has to have room.
    output: Option<Output>,
}

impl Credit {
    /// `limit` is in bytes; `wakes` are notified when credit comes back that was wanted. Where `output` has
    /// no room, there is none.
    pub fn new(limit: usize, wakes: Arc<[Arc<Notify>]>, output: Option<Output>) -> Arc<Self> {
        if let Some(output) = &output {
            let wakes = Arc::clone(&wakes);
            output.tell_of_room(move || wakes.iter().for_each(|wake| wake.notify_one()));
        }
        let (bytes, qos_0) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { limit, bytes, qos_0, wanted: AtomicBool::new(false), wakes, output })
    }

    /// Whether another message may be taken. Its size does not count: one message may exceed the
    /// limit, so that none is too large to be carried at all.
    pub fn available(&self, qos: Qos) -> bool {
        if self.output.as_ref().is_some_and(Output::is_full) {
            return false;
        }
        if self.is_left(qos) {
            return true;
        }
        // Whoever gives credit back changes this, too: either that comes later and finds it wanted, or it came
        // before, and what came back is seen here.
        self.wanted.swap(true, Ordering::AcqRel);
        self.is_left(qos)
    }

    fn is_left(&self, qos: Qos) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        match qos {
            Qos::AtMostOnce => {
                bytes < self.limit / 2 && self.qos_0.load(Ordering::Acquire) < QOS_0_MESSAGES
            }
            Qos::AtLeastOnce | Qos::ExactlyOnce => bytes < self.limit,
        }
    }

    /// Takes the credit of one message into a parcel's permit.
    pub fn take(self: &Arc<Self>, permit: &mut Permit, size: usize, qos: Qos) {
        let bytes = size + OVERHEAD;
        let qos_0 = usize::from(qos == Qos::AtMostOnce);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.qos_0.fetch_add(qos_0, Ordering::AcqRel);
        permit.bytes += bytes;
        permit.qos_0 += qos_0;
        permit.credit.get_or_insert_with(|| Arc::clone(self));
    }
}

/// The credit that a parcel holds; dropping it gives it back.
#[derive(Debug, Default)]
pub struct Permit {
    credit: Option<Arc<Credit>>,
    bytes: usize,
    qos_0: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(credit) = &self.credit else { return };
        credit.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        credit.qos_0.fetch_sub(self.qos_0, Ordering::AcqRel);
        if credit.wanted.swap(false, Ordering::AcqRel) {
            credit.wakes.iter().for_each(|wake| wake.notify_one());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn credit_comes_back_when_the_permit_is_dropped() {
        let credit = Credit::new(1_000, Arc::default(), None);
        let mut permit = Permit::default();
        credit.take(&mut permit, 1_000, Qos::AtLeastOnce);
        assert!(!credit.available(Qos::AtLeastOnce));
        drop(permit);
        assert!(credit.available(Qos::AtLeastOnce));
    }

    #[test]
    fn qos_0_gets_only_half_of_the_bytes() {
        let credit = Credit::new(1_000, Arc::default(), None);
        let mut permit = Permit::default();
        credit.take(&mut permit, 500 - OVERHEAD, Qos::AtMostOnce);
        assert!(!credit.available(Qos::AtMostOnce));
        assert!(credit.available(Qos::AtLeastOnce));
    }

    #[test]
    fn a_message_larger_than_the_limit_is_taken_when_nothing_else_is_in_flight() {
        let credit = Credit::new(10, Arc::default(), None);
        assert!(credit.available(Qos::AtLeastOnce));
        credit.take(&mut Permit::default(), 1_000_000, Qos::AtLeastOnce);
        assert!(credit.available(Qos::AtLeastOnce));
    }

    #[test]
    fn every_source_is_woken_when_credit_comes_back_that_one_of_them_wanted() {
        let wakes: Arc<[Arc<Notify>]> = [Arc::default(), Arc::default()].into();
        let credit = Credit::new(1_000, Arc::clone(&wakes), None);
        let woken = || {
            let context = &mut Context::from_waker(Waker::noop());
            let woken = |wake: &Arc<Notify>| pin!(wake.notified()).poll(context).is_ready();
            wakes.iter().map(woken).collect::<Vec<_>>()
        };
        let mut permit = Permit::default();
        credit.take(&mut permit, 1_000, Qos::AtLeastOnce);
        drop(permit);
        assert_eq!(woken(), [false, false]);
        let mut permit = Permit::default();
        credit.take(&mut permit, 1_000, Qos::AtLeastOnce);
        assert!(!credit.available(Qos::AtLeastOnce));
        drop(permit);
        assert_eq!(woken(), [true, true]);
    }
}
