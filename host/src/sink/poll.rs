//! The thread on which delivery reports arrive.
//!
//! [`BaseProducer::poll`] with a timeout spins through the last millisecond of it, which costs one
//! percent of a processor at ten polls a second, for ever. So this thread sleeps until librdkafka
//! rings a bell that its queue of events is no longer empty, and polls without a timeout until it
//! is empty again.

#![allow(unsafe_code, reason = "rdkafka does not offer the bell of librdkafka's queues")]

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy, rd_kafka_queue_get_main,
    rd_kafka_queue_length, rd_kafka_queue_t, rd_kafka_t,
};
use rdkafka::producer::{BaseProducer, Producer};

use super::client::Context;

/// The running thread.
pub struct Poll {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poll {
    pub fn start(producer: &Arc<BaseProducer<Context>>) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (producer, stopped) = (Arc::clone(producer), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || poll(&producer, &stopped))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Returns when no report is being made any more.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread has nothing to return, and a panic in it has ended the process.
            drop(thread.join());
        }
    }
}

fn poll(producer: &BaseProducer<Context>, stopped: &AtomicBool) {
    // Nothing depends on it: the bell wakes the thread at once.
    const LOOK: Duration = Duration::from_secs(1);
    let bell = Bell::hang(producer);
    while !stopped.load(Ordering::Acquire) {
        if bell.has_rung() {
            producer.poll(Duration::ZERO);
        } else {
            // Returns at once if the bell has rung since.
            std::thread::park_timeout(LOOK);
        }
    }
}

/// Wakes the thread that hung it up when the producer's queue of events gets something to tell.
struct Bell<'p> {
    queue: *mut rd_kafka_queue_t,
    /// What librdkafka knows the address of.
    _sleeper: Box<Thread>,
    _producer: &'p BaseProducer<Context>,
}

impl<'p> Bell<'p> {
    fn hang(producer: &'p BaseProducer<Context>) -> Self {
        let sleeper = Box::new(std::thread::current());
        let address = (&raw const *sleeper).cast_mut().cast();
        // SAFETY: the producer's client lives as long as `'p`, and a reference to its queue is
        // given back in `drop`. The sleeper stays where it is until `drop` has taken the bell down.
        let queue = unsafe {
            let queue = rd_kafka_queue_get_main(producer.client().native_ptr());
            rd_kafka_queue_cb_event_enable(queue, Some(ring), address);
            queue
        };
        Self { queue, _sleeper: sleeper, _producer: producer }
    }

    /// Whether the queue holds anything.
    fn has_rung(&self) -> bool {
        // SAFETY: the reference to the queue is given back only in `drop`.
        unsafe { rd_kafka_queue_length(self.queue) > 0 }
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        // SAFETY: the queue is locked while the bell rings and while it is taken down, so it does
        // not ring any more when the sleeper is dropped. The reference is not used afterwards.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Called by a thread of librdkafka, which holds the lock of the queue.
unsafe extern "C" fn ring(_client: *mut rd_kafka_t, sleeper: *mut c_void) {
    // SAFETY: `Bell` has given the address, and takes the bell down before it drops the sleeper.
    let sleeper: &Thread = unsafe { &*sleeper.cast() };
    sleeper.unpark();
}
