//! librdkafka's producer by its C interface: topic handles, and two things that rdkafka does not offer, on
//! which order and speed rest.
//!
//! **What Kafka has, and what it has refused, is told by the broker's own thread**, record by record, as it reads the
//! response: an interceptor hears of it, and may send what was waiting for that before the thread builds another
//! request. So nobody else is woken, and what waited leaves as one batch. Only what fails without an answer is
//! told by delivery reports, a batch at a time.
//!
//! **Where a record goes is known before librdkafka has it.** So records of a partition can wait for one
//! another, and librdkafka never has more of a partition than one request: there is nothing that it could send
//! behind a batch that is refused, or would look at in a busy loop for as long as it may not be sent.

#![allow(unsafe_code, reason = "rdkafka does not offer what this module is about")]

mod partitions;
mod report;
mod watch;

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread::Thread;

use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaRespErr as Code, RDKafkaType};

use super::context::Context;
pub use partitions::{Batches, PARTITIONERS, Partitioner, Partitions};
use partitions::{choose_partition, produce_to};
use report::text_at;
pub use report::{Failure, Headers, Reports, Written};
pub use watch::{Handler, Watch};
use watch::{NAME, created};

/// librdkafka is to choose the partition (`RD_KAFKA_PARTITION_UA`).
const UNASSIGNED: i32 = -1;

/// By syslog's numbers.
const LEVELS: [RDKafkaLogLevel; 8] = [
    RDKafkaLogLevel::Emerg,
    RDKafkaLogLevel::Alert,
    RDKafkaLogLevel::Critical,
    RDKafkaLogLevel::Error,
    RDKafkaLogLevel::Warning,
    RDKafkaLogLevel::Notice,
    RDKafkaLogLevel::Info,
    RDKafkaLogLevel::Debug,
];

type Value = c::rd_kafka_vu_s__bindgen_ty_1;

/// A producer. Dropping it gives up what is not delivered.
pub(super) struct Producer {
    client: Option<Client<Context>>,
    pub partitioner: &'static Partitioner,
    pub batches: Batches,
    queue: *mut c::rd_kafka_queue_t,
    /// What librdkafka knows the address of.
    watch: Arc<Watch>,
}

// SAFETY: librdkafka's handles may be used by any thread; the queue lives as long as the client.
unsafe impl Send for Producer {}
// SAFETY: as above.
unsafe impl Sync for Producer {}

impl Producer {
    pub fn new(
        config: &ClientConfig,
        (partitioner, batches): (&'static Partitioner, Batches),
        context: Context,
        watch: Arc<Watch>,
    ) -> KafkaResult<Self> {
        let native = config.create_native_config()?;
        let opaque = Arc::as_ptr(&watch).cast_mut().cast();
        // SAFETY: the configuration is alive; what is set in it outlives the client, since the
        // partitioner is static and `self.watch` is dropped after the client.
        unsafe {
            let conf = native.ptr();
            c::rd_kafka_conf_set_events(
                conf,
                c::RD_KAFKA_EVENT_DR | c::RD_KAFKA_EVENT_STATS | c::RD_KAFKA_EVENT_ERROR,
            );
            c::rd_kafka_conf_interceptor_add_on_new(conf, NAME.as_ptr(), Some(created), opaque);
            let topics = c::rd_kafka_conf_get_default_topic_conf(conf);
            if topics.is_null() {
                return Err(KafkaError::ClientCreation(
                    "no default topic configuration".to_owned(),
                ));
            }
            c::rd_kafka_topic_conf_set_opaque(topics, ptr::from_ref(partitioner).cast_mut().cast());
            c::rd_kafka_topic_conf_set_partitioner_cb(topics, Some(choose_partition));
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, context)?;
        // SAFETY: the client is alive; the reference is given back in `drop`.
        let queue = unsafe { c::rd_kafka_queue_get_main(client.native_ptr()) };
        Ok(Self { client: Some(client), partitioner, batches, queue, watch })
    }

    pub fn client(&self) -> &Client<Context> {
        // It is taken only by `drop`.
        self.client.as_ref().unwrap_or_else(|| unreachable!())
    }

    /// Has brokers asked which others there are, as at the start: `host:port,...`. librdkafka remembers each
    /// call, so it is for when it knows none any more.
    pub fn add_brokers(&self, brokers: &str) {
        // Nothing with a zero in it is a broker's name.
        let Ok(brokers) = CString::new(brokers) else { return };
        // SAFETY: the client and the text are alive; librdkafka copies the text.
        unsafe { c::rd_kafka_brokers_add(self.client().native_ptr(), brokers.as_ptr()) };
    }

    /// The handle of a topic, which costs nothing for each record.
    pub fn topic(&self, name: &str) -> KafkaResult<Topic> {
        let name = CString::new(name)?;
        // SAFETY: the client and the name are alive; without a configuration the default one serves.
        let topic = unsafe {
            c::rd_kafka_topic_new(self.client().native_ptr(), name.as_ptr(), ptr::null_mut())
        };
        NonNull::new(topic).map(Topic).ok_or_else(|| {
            KafkaError::MessageProduction(rdkafka::error::RDKafkaErrorCode::InvalidTopic)
        })
    }

    /// Hands a record over, which librdkafka copies, for its place in the topic. Its report has the ticket.
    pub fn produce(
        &self,
        topic: &Topic,
        (partitions, place): (&mut Partitions, Option<usize>),
        ticket: u64,
        record: &mut Parts<'_>,
    ) -> Result<(), NotProduced> {
        use c::rd_kafka_vtype_t as Kind;
        let memory = |bytes: Option<&[u8]>| Value {
            mem: c::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                // A slice's address is never null, also if it is empty; null is Kafka's null.
                ptr: bytes.map_or(ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
                size: bytes.map_or(0, <[u8]>::len),
            },
        };
        let headers = record.headers.as_ref().map_or(ptr::null_mut(), Headers::as_ptr);
        let fields = [
            (Kind::RD_KAFKA_VTYPE_RKT, Value { rkt: topic.0.as_ptr() }),
            (Kind::RD_KAFKA_VTYPE_MSGFLAGS, Value { i: c::RD_KAFKA_MSG_F_COPY }),
            (Kind::RD_KAFKA_VTYPE_VALUE, memory(record.value)),
            (Kind::RD_KAFKA_VTYPE_KEY, memory(record.key)),
            (Kind::RD_KAFKA_VTYPE_TIMESTAMP, Value { i64_: record.timestamp_ms }),
            (
                Kind::RD_KAFKA_VTYPE_OPAQUE,
                Value { ptr: ptr::without_provenance_mut(ticket as usize) },
            ),
            (
                Kind::RD_KAFKA_VTYPE_PARTITION,
                Value { i32_: record.partition.unwrap_or(UNASSIGNED) },
            ),
            (Kind::RD_KAFKA_VTYPE_HEADERS, Value { headers }),
        ]
        .map(|(vtype, u)| c::rd_kafka_vu_t { vtype, u });
        let count = if headers.is_null() { fields.len() - 1 } else { fields.len() };
        // SAFETY: the client, the topic and everything that the fields point to are alive.
        let (error, has_no_place) = produce_to(partitions, place, || unsafe {
            c::rd_kafka_produceva(self.client().native_ptr(), fields.as_ptr(), count)
        });
        if error.is_null() {
            // The headers belong to librdkafka now; else they are still ours.
            std::mem::forget(record.headers.take());
            return Ok(());
        }
        // SAFETY: the error is alive, and not used afterwards.
        let code = unsafe {
            let code = c::rd_kafka_error_code(error);
            c::rd_kafka_error_destroy(error);
            code
        };
        Err(if has_no_place { NotProduced::Elsewhere } else { NotProduced::Refused(code) })
    }

    /// The next event that is a batch of reports of failures; what else there is goes to the context.
    pub fn next_reports(&self) -> Option<Reports> {
        loop {
            // SAFETY: the queue is alive, and the event is destroyed below or by `Reports`.
            let event = NonNull::new(unsafe { c::rd_kafka_queue_poll(self.queue, 0) })?;
            // SAFETY: the event is alive.
            match unsafe { c::rd_kafka_event_type(event.as_ptr()) } {
                c::RD_KAFKA_EVENT_DR => return Some(Reports::of(event)),
                kind => self.tell(event, kind),
            }
        }
    }

    /// Tells the context of a log line, statistics or an error, and destroys the event.
    fn tell(&self, event: NonNull<c::rd_kafka_event_t>, kind: c_int) {
        let context = self.client().context();
        let event = event.as_ptr();
        // SAFETY: the event is alive until its end, and so are the texts in it.
        unsafe {
            match kind {
                c::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
                    if c::rd_kafka_event_log(
                        event,
                        &raw mut facility,
                        &raw mut text,
                        &raw mut level,
                    ) == 0
                    {
                        context.log(
                            LEVELS[level.clamp(0, 7) as usize],
                            text_at(facility).trim(),
                            text_at(text).trim(),
                        );
                    }
                }
                c::RD_KAFKA_EVENT_STATS => {
                    let statistics = c::rd_kafka_event_stats(event);
                    context.stats_raw(CStr::from_ptr(statistics).to_bytes());
                }
                c::RD_KAFKA_EVENT_ERROR => {
                    let error = KafkaError::Global(c::rd_kafka_event_error(event).into());
                    let reason = text_at(c::rd_kafka_event_error_string(event));
                    context.error(error, reason.trim());
                }
                _ => {}
            }
            c::rd_kafka_event_destroy(event);
        }
    }

    /// Takes back what has not been sent: it is reported as purged. The threads of brokers do it.
    pub fn purge_queued(&self) {
        let flags = c::RD_KAFKA_PURGE_F_QUEUE | c::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: the client is alive.
        unsafe { c::rd_kafka_purge(self.client().native_ptr(), flags as c_int) };
    }

    /// Wakes a thread whenever there is something to be read after there was nothing.
    pub fn ring(self: &Arc<Self>, sleeper: Thread) -> Bell {
        let sleeper = Box::new(sleeper);
        let address = (&raw const *sleeper).cast_mut().cast();
        // SAFETY: the sleeper stays where it is until `Bell::drop` has taken the bell down.
        unsafe { c::rd_kafka_queue_cb_event_enable(self.queue, Some(wake), address) };
        Bell { producer: Arc::clone(self), _sleeper: sleeper }
    }

    /// Whether there is something to be read.
    pub fn has_events(&self) -> bool {
        // SAFETY: the queue is alive.
        unsafe { c::rd_kafka_queue_length(self.queue) > 0 }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: the client is alive; the reference to the queue is not used afterwards.
        unsafe {
            let flags = c::RD_KAFKA_PURGE_F_QUEUE
                | c::RD_KAFKA_PURGE_F_INFLIGHT
                | c::RD_KAFKA_PURGE_F_NON_BLOCKING;
            c::rd_kafka_purge(self.client().native_ptr(), flags as c_int);
            c::rd_kafka_queue_destroy(self.queue);
        }
        // It waits for its threads, which may wait for the network.
        let (client, watch) = (self.client.take(), Arc::clone(&self.watch));
        let ended = move || {
            drop(client);
            drop(watch);
        };
        // Where no thread can be had, this one waits: the closure is dropped with all that it holds.
        drop(std::thread::Builder::new().name("kafka-farewell".to_owned()).spawn(ended));
    }
}

/// The bell hangs as long as this lives.
pub(super) struct Bell {
    producer: Arc<Producer>,
    /// What librdkafka knows the address of.
    _sleeper: Box<Thread>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        // SAFETY: the queue is locked while the bell rings and while it is taken down, so it does not
        // ring any more when the sleeper is dropped.
        unsafe { c::rd_kafka_queue_cb_event_enable(self.producer.queue, None, ptr::null_mut()) };
    }
}

/// What a record consists of, for [`Producer::produce`].
pub(super) struct Parts<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// If somebody has chosen it.
    pub partition: Option<i32>,
    /// Gone if the record was handed over.
    pub headers: Option<Headers>,
}

/// Why a record was not handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotProduced {
    /// It has no place in the topic, or not that one, as far as has become known now.
    Elsewhere,
    Refused(Code),
}

/// A topic's handle; the producer that has given it must outlive it.
pub(super) struct Topic(NonNull<c::rd_kafka_topic_t>);

// SAFETY: librdkafka's handles may be used by any thread.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: the handle is alive, and not used afterwards.
        unsafe { c::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// Called by a thread of librdkafka, which holds the lock of the queue.
unsafe extern "C" fn wake(_client: *mut c::rd_kafka_t, sleeper: *mut c_void) {
    // SAFETY: `Producer::ring` has given the address, and `Bell` takes the bell down first.
    let sleeper: &Thread = unsafe { &*sleeper.cast() };
    sleeper.unpark();
}
