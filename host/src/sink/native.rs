//! librdkafka's producer by its C interface: topic handles, and three things that rdkafka does not
//! offer, on which order and speed rest.
//!
//! **What Kafka has is told by the broker's own thread**, record by record, as it reads the response:
//! an interceptor hears of it, and may send what was waiting for that before the thread builds another
//! request. So nobody else is woken, and what waited leaves as one batch. Only what has failed becomes a
//! delivery report, a batch at a time.
//!
//! **A refusal is known before anything else is sent.** Once a broker has refused a batch, librdkafka
//! goes on with the next one within microseconds, long before a delivery report is read. An
//! interceptor hears of the refusal on the broker's own thread, and has what is queued purged; that
//! thread serves the purge before it builds another request. While the refused batch's followers are
//! still under way, each response purges again what librdkafka wants to retry.
//!
//! **The first record of a partition goes alone.** A broker that knows nothing of a producer on a
//! partition takes any batch as the first one, also one whose predecessor it has just refused. So a
//! partitioner in front of librdkafka's own admits a second record only after the first is confirmed.

#![allow(unsafe_code, reason = "rdkafka does not offer what this module is about")]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaRespErr as Code, RDKafkaType};

use super::context::Context;
use crate::message::Header;

/// librdkafka is to choose the partition (`RD_KAFKA_PARTITION_UA`).
const UNASSIGNED: i32 = -1;

/// `Produce`, as Kafka's protocol numbers its requests.
const PRODUCE: i16 = 0;

/// What librdkafka says of a record that was refused only because of another one in its batch. If just
/// one record of a batch was guilty, it says it nowhere else.
const INNOCENT: &[u8] = b"part of a batch which had one more more invalid records";

/// Told by the threads of brokers what has become of records. A broker's thread sends nothing until it
/// returns, and holds no lock of librdkafka.
pub(super) trait Handler: Send + Sync {
    /// Kafka has a record.
    fn confirmed(&self, report: Report<'_>);
    /// A broker has refused records. What is queued is to be purged, and others are to be kept from
    /// producing.
    fn refused(&self);
}

/// What librdkafka's threads are told by, and tell.
pub(super) struct Watch {
    pub handler: Box<dyn Handler>,
    /// Whatever librdkafka would retry is to be purged. Nobody produces meanwhile.
    pub is_draining: AtomicBool,
    /// Records that have failed and of which nobody has read the report yet.
    pub failed: AtomicUsize,
}

/// A producer. Dropping it gives up what is not delivered.
pub(super) struct Producer {
    client: Option<Client<Context>>,
    /// For how long records without a key stay with a partition, so that batches are not small.
    stick_for: Duration,
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
        (partitioner, stick_for): (&'static Partitioner, Duration),
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
        Ok(Self { client: Some(client), stick_for, queue, watch })
    }

    pub fn client(&self) -> &Client<Context> {
        // It is taken only by `drop`.
        self.client.as_ref().unwrap_or_else(|| unreachable!())
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

    /// Hands a record over, which librdkafka copies. Its report has the ticket.
    pub fn produce(
        &self,
        topic: &Topic,
        partitions: &mut Partitions,
        ticket: u64,
        record: &mut Parts<'_>,
    ) -> Result<(), NotProduced> {
        use c::rd_kafka_vtype_t as Kind;
        if let Some(partition) = record.partition
            && !partitions.admit(partition)
        {
            return Err(NotProduced::NotYet);
        }
        let memory = |bytes: Option<&[u8]>| Value {
            mem: c::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                // A slice's address is never null, also if it is empty; null is Kafka's null.
                ptr: bytes.map_or(ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
                size: bytes.map_or(0, <[u8]>::len),
            },
        };
        let headers = record.headers.as_ref().map_or(ptr::null_mut(), |headers| headers.0.as_ptr());
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
        (partitions.held_up, partitions.stick_for) = (false, self.stick_for);
        ADMISSION.set(ptr::from_mut(partitions));
        // SAFETY: the client, the topic and everything that the fields point to are alive. The headers
        // belong to librdkafka if it succeeds, and to us if it does not.
        let code = unsafe {
            let error = c::rd_kafka_produceva(self.client().native_ptr(), fields.as_ptr(), count);
            ADMISSION.set(ptr::null_mut());
            if error.is_null() {
                std::mem::forget(record.headers.take());
                return Ok(());
            }
            let code = c::rd_kafka_error_code(error);
            c::rd_kafka_error_destroy(error);
            code
        };
        if partitions.held_up { Err(NotProduced::NotYet) } else { Err(NotProduced::Refused(code)) }
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

    /// Takes back what has not been sent: it is reported as purged.
    pub fn purge_queued(&self) {
        // SAFETY: the client is alive.
        unsafe { purge_queued(self.client().native_ptr()) }
    }

    /// The same, and waits until brokers' threads have done with it and with whatever purges were asked
    /// for before. They may be waiting for whoever calls this to let go of a lock.
    pub fn purge_queued_and_wait(&self) {
        // SAFETY: the client is alive.
        unsafe {
            c::rd_kafka_purge(self.client().native_ptr(), c::RD_KAFKA_PURGE_F_QUEUE as c_int)
        };
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
        self.watch.is_draining.store(false, Ordering::Release);
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
    /// If it does not follow from the key.
    pub partition: Option<i32>,
    /// Gone if the record was handed over.
    pub headers: Option<Headers>,
}

/// Why a record was not handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotProduced {
    /// The first record of its partition is not confirmed yet.
    NotYet,
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

/// A record's headers, in order.
pub(super) struct Headers(NonNull<c::rd_kafka_headers_t>);

// SAFETY: a list in memory that belongs to whoever holds it.
unsafe impl Send for Headers {}

impl Headers {
    /// `None` if there are none.
    pub fn of<'h>(headers: impl Iterator<Item = Header<'h>>) -> Option<Self> {
        headers.fold(None, |list: Option<Self>, header| {
            let mut list = list.unwrap_or_else(Self::new);
            list.add(&header.name, header.value.as_deref());
            Some(list)
        })
    }

    fn new() -> Self {
        // SAFETY: it has no preconditions. It ends the process rather than give null.
        let headers = unsafe { c::rd_kafka_headers_new(8) };
        Self(NonNull::new(headers).unwrap_or_else(|| unreachable!()))
    }

    /// Names end at a NUL for librdkafka, which MQTT forbids and not every server refuses.
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        let name = name.replace('\0', "\u{fffd}");
        let (address, size) =
            value.map_or((ptr::null(), 0), |value| (value.as_ptr().cast(), value.len() as isize));
        // SAFETY: all of it is alive, and copied.
        unsafe {
            let (name, length) = (name.as_ptr().cast(), name.len() as isize);
            c::rd_kafka_header_add(self.0.as_ptr(), name, length, address, size);
        }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: the list is alive, and not used afterwards.
        unsafe { c::rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

/// The delivery reports of one batch of records that Kafka does not have, all for one partition.
pub(super) struct Reports {
    event: NonNull<c::rd_kafka_event_t>,
    messages: Vec<*const c::rd_kafka_message_t>,
}

impl Reports {
    fn of(event: NonNull<c::rd_kafka_event_t>) -> Self {
        // SAFETY: the event is alive, and holds the messages until it is destroyed.
        let messages = unsafe {
            let count = c::rd_kafka_event_message_count(event.as_ptr());
            let mut messages = Vec::with_capacity(count);
            let array = messages.as_mut_ptr();
            let got = c::rd_kafka_event_message_array(event.as_ptr(), array, count);
            messages.set_len(got);
            messages
        };
        Self { event, messages }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn get(&self, index: usize) -> Report<'_> {
        Report { message: self.messages[index], lifetime: PhantomData }
    }

    pub fn iter(&self) -> impl Iterator<Item = Report<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        // SAFETY: the event is alive, and not used afterwards.
        unsafe { c::rd_kafka_event_destroy(self.event.as_ptr()) }
    }
}

/// What became of one record.
#[derive(Clone, Copy)]
pub(super) struct Report<'a> {
    /// Never borrowed: its error may be a number that the type of that field does not have.
    message: *const c::rd_kafka_message_t,
    lifetime: PhantomData<&'a c::rd_kafka_message_t>,
}

impl<'a> Report<'a> {
    pub fn ticket(self) -> u64 {
        // SAFETY: the message is alive.
        unsafe { (*self.message)._private.addr() as u64 }
    }

    /// Why Kafka does not have it. A broker's code that librdkafka does not know is `UNKNOWN`.
    pub fn error(self) -> Option<Code> {
        // SAFETY: the message is alive.
        unsafe { code_of(self.message) }
    }

    pub fn partition(self) -> i32 {
        // SAFETY: the message is alive.
        unsafe { (*self.message).partition }
    }

    pub fn offset(self) -> i64 {
        // SAFETY: the message is alive.
        unsafe { (*self.message).offset }
    }

    /// Milliseconds since the Unix epoch; only a record that Kafka has tells it.
    pub fn timestamp_ms(self) -> Option<i64> {
        // SAFETY: the message is alive.
        let time = unsafe { c::rd_kafka_message_timestamp(self.message, ptr::null_mut()) };
        (time >= 0).then_some(time)
    }

    pub fn topic(self) -> &'a str {
        // SAFETY: the message's topic lives as long as the message, and so does its name.
        let name = unsafe { CStr::from_ptr(c::rd_kafka_topic_name((*self.message).rkt)) };
        name.to_str().unwrap_or_default()
    }

    pub fn key(self) -> Option<&'a [u8]> {
        // SAFETY: the message is alive, and so is its memory.
        unsafe { bytes_at((*self.message).key, (*self.message).key_len) }
    }

    pub fn value(self) -> Option<&'a [u8]> {
        // SAFETY: the message is alive, and so is its memory.
        unsafe { bytes_at((*self.message).payload, (*self.message).len) }
    }

    pub fn headers(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive; without headers the pointer stays null.
        unsafe { c::rd_kafka_message_headers(self.message, &raw mut headers) };
        (0..).map_while(move |index| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            if headers.is_null() {
                return None;
            }
            // SAFETY: the list lives as long as the message, and its texts do, too.
            unsafe {
                let code = c::rd_kafka_header_get_all(
                    headers,
                    index,
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                );
                (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
                    let name = CStr::from_ptr(name).to_str().unwrap_or_default();
                    (name, bytes_at(value.cast_mut(), size))
                })
            }
        })
    }

    /// Takes the headers out.
    pub fn take_headers(self) -> Option<Headers> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and belongs to the event, which is ours.
        unsafe {
            c::rd_kafka_message_detach_headers(self.message.cast_mut(), &raw mut headers);
        }
        NonNull::new(headers).map(Headers)
    }
}

/// Reads an error's number, which need not be one that this librdkafka has a name for.
///
/// # Safety
/// The message is alive.
unsafe fn code_of(message: *const c::rd_kafka_message_t) -> Option<Code> {
    // SAFETY: the caller says so, and any value of the field is an integer of this size.
    let number = unsafe { (&raw const (*message).err).cast::<i32>().read() };
    match number {
        0 => None,
        _ => Some(Code::try_from(number).unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN)),
    }
}

/// # Safety
/// The address is null, or `size` bytes are alive there for as long as it is borrowed.
unsafe fn bytes_at<'a>(address: *mut c_void, size: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller says so.
    (!address.is_null()).then(|| unsafe { std::slice::from_raw_parts(address.cast(), size) })
}

/// # Safety
/// The address is null, or that of a text that ends with a NUL.
unsafe fn text_at<'a>(address: *const c_char) -> std::borrow::Cow<'a, str> {
    if address.is_null() {
        return "".into();
    }
    // SAFETY: the caller says so.
    unsafe { CStr::from_ptr(address) }.to_string_lossy()
}

/// # Safety
/// The client is alive.
unsafe fn purge_queued(client: *mut c::rd_kafka_t) {
    let flags = c::RD_KAFKA_PURGE_F_QUEUE | c::RD_KAFKA_PURGE_F_NON_BLOCKING;
    // SAFETY: the caller says so. It does not wait: the brokers' threads purge what is theirs.
    unsafe { c::rd_kafka_purge(client, flags as c_int) };
}

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

/// The name of the interceptor, for librdkafka's log.
const NAME: &CStr = c"order";

/// Called by a thread of librdkafka, which holds the lock of the queue.
unsafe extern "C" fn wake(_client: *mut c::rd_kafka_t, sleeper: *mut c_void) {
    // SAFETY: `Producer::ring` has given the address, and `Bell` takes the bell down first.
    let sleeper: &Thread = unsafe { &*sleeper.cast() };
    sleeper.unpark();
}

/// Called as the client is made.
unsafe extern "C" fn created(
    client: *mut c::rd_kafka_t,
    _conf: *const c::rd_kafka_conf_t,
    watch: *mut c_void,
    _errstr: *mut c_char,
    _size: usize,
) -> Code {
    // SAFETY: the client is alive, and `watch` outlives it.
    unsafe {
        c::rd_kafka_interceptor_add_on_acknowledgement(
            client,
            NAME.as_ptr(),
            Some(acknowledged),
            watch,
        );
        c::rd_kafka_interceptor_add_on_response_received(
            client,
            NAME.as_ptr(),
            Some(responded),
            watch,
        );
    }
    Code::RD_KAFKA_RESP_ERR_NO_ERROR
}

thread_local! {
    /// What it has read last was a refusal, which has been told.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
    /// The partitions of the topic to which this thread is producing.
    static ADMISSION: Cell<*mut Partitions> = const { Cell::new(ptr::null_mut()) };
}

/// Called for each record as soon as it is known what has become of it, by whatever thread knows.
unsafe extern "C" fn acknowledged(
    _client: *mut c::rd_kafka_t,
    message: *mut c::rd_kafka_message_t,
    watch: *mut c_void,
) -> Code {
    // What this thread is producing at the moment, with a lock held, is told by `produce` itself.
    if !ADMISSION.get().is_null() {
        return Code::RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    // SAFETY: the message is alive and no other thread has it; the watch outlives the client.
    unsafe {
        let watch: &Watch = &*watch.cast();
        if code_of(message).is_none() {
            // Only a broker's thread knows this, from a response.
            watch.handler.confirmed(Report { message, lifetime: PhantomData });
            return Code::RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        // Nothing of its topic is sent before that is known to whoever keeps records in order.
        watch.failed.fetch_add(1, Ordering::SeqCst);
        // Only of a record that a broker has answered is the broker known.
        if c::rd_kafka_message_broker_id(message) < 0 {
            return Code::RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        // The text is gone when the report is read.
        let text = c::rd_kafka_message_produce_errstr(message);
        if !text.is_null() && CStr::from_ptr(text).to_bytes().ends_with(INNOCENT) {
            (*message).err = Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD;
        }
        // A broker's thread is dealing with a response, and holds no lock; so this may wait for others,
        // and may ask for the purge.
        if !HAS_REFUSED.replace(true) {
            watch.handler.refused();
        }
    }
    Code::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Called by a broker's thread for each response, before it is looked at.
unsafe extern "C" fn responded(
    client: *mut c::rd_kafka_t,
    _socket: c_int,
    _name: *const c_char,
    _broker: i32,
    request: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    _round_trip: i64,
    code: Code,
    watch: *mut c_void,
) -> Code {
    HAS_REFUSED.set(false);
    // SAFETY: the client is alive, and `watch` outlives it.
    unsafe {
        let watch: &Watch = &*watch.cast();
        let draining = watch.is_draining.load(Ordering::Acquire);
        if draining && request == PRODUCE && code != Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE {
            purge_queued(client);
        }
    }
    Code::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// How librdkafka finds a record's partition by its key.
pub(super) struct Partitioner {
    pub name: &'static str,
    choose: unsafe extern "C" fn(
        *const c::rd_kafka_topic_t,
        *const c_void,
        usize,
        i32,
        *mut c_void,
        *mut c_void,
    ) -> i32,
    /// Records without a key go to any partition.
    spreads: bool,
}

/// All that librdkafka has, by the names of its property `partitioner`.
pub(super) static PARTITIONERS: [Partitioner; 7] = {
    const fn of(
        name: &'static str,
        choose: unsafe extern "C" fn(
            *const c::rd_kafka_topic_t,
            *const c_void,
            usize,
            i32,
            *mut c_void,
            *mut c_void,
        ) -> i32,
        spreads: bool,
    ) -> Partitioner {
        Partitioner { name, choose, spreads }
    }
    [
        of("murmur2_random", c::rd_kafka_msg_partitioner_murmur2_random, true),
        of("murmur2", c::rd_kafka_msg_partitioner_murmur2, false),
        of("consistent_random", c::rd_kafka_msg_partitioner_consistent_random, true),
        of("consistent", c::rd_kafka_msg_partitioner_consistent, false),
        of("fnv1a_random", c::rd_kafka_msg_partitioner_fnv1a_random, true),
        of("fnv1a", c::rd_kafka_msg_partitioner_fnv1a, false),
        of("random", c::rd_kafka_msg_partitioner_random, false),
    ]
};

/// What is known of a topic's partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// How many there were when librdkafka last asked; 0 if it has not.
    count: i32,
    /// Those in which this producer has a record, a bit each.
    proven: Vec<u64>,
    /// Others to which a record is under way.
    tried: Vec<i32>,
    /// Where records without a key go, and until when.
    sticky: Option<(i32, Instant)>,
    stick_for: Duration,
    /// The last record may not be produced yet.
    held_up: bool,
}

impl Partitions {
    /// Whether nothing is known of them, so that nobody can tell where a record will go.
    pub fn are_unknown(&self) -> bool {
        self.count == 0
    }

    /// A record is in Kafka.
    pub fn prove(&mut self, partition: i32) {
        let Some((word, bit)) = place(partition) else { return };
        if self.proven.len() <= word {
            self.proven.resize(word + 1, 0);
        }
        if self.proven[word] & bit == 0 {
            self.proven[word] |= bit;
            self.tried.retain(|tried| *tried != partition);
            self.count = self.count.max(partition + 1);
        }
    }

    /// Nothing is under way.
    pub fn rest(&mut self) {
        self.tried.clear();
    }

    /// Whether a record may go to this partition now; if so, it is taken for on its way.
    fn admit(&mut self, partition: i32) -> bool {
        let Some((word, bit)) = place(partition) else { return true };
        if self.proven.get(word).is_some_and(|word| word & bit != 0) {
            return true;
        }
        if self.tried.contains(&partition) {
            return false;
        }
        self.tried.push(partition);
        true
    }
}

fn place(partition: i32) -> Option<(usize, u64)> {
    let partition = usize::try_from(partition).ok()?;
    Some((partition / 64, 1 << (partition % 64)))
}

/// Called while a record is produced; by a thread of librdkafka for one that came before anything was
/// known of its topic.
unsafe extern "C" fn choose_partition(
    topic: *const c::rd_kafka_topic_t,
    key: *const c_void,
    size: usize,
    count: i32,
    partitioner: *mut c_void,
    ticket: *mut c_void,
) -> i32 {
    // SAFETY: `Producer::new` has given the address of a static. `Producer::produce` borrows the
    // partitions for as long as their address stands there.
    unsafe {
        let partitioner: &Partitioner = &*partitioner.cast();
        let choose = || (partitioner.choose)(topic, key, size, count, ptr::null_mut(), ticket);
        let Some(partitions) = ADMISSION.get().as_mut() else { return choose() };
        partitions.count = count;
        let chosen = if partitioner.spreads && key.is_null() {
            match partitions.sticky {
                Some((sticky, until)) if sticky < count && until > Instant::now() => sticky,
                _ => {
                    let chosen = choose();
                    partitions.sticky = Some((chosen, Instant::now() + partitions.stick_for));
                    chosen
                }
            }
        } else {
            choose()
        };
        if partitions.admit(chosen) {
            return chosen;
        }
        partitions.held_up = true;
        // A partition that no topic has: librdkafka gives the record back.
        i32::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_record_waits_until_the_first_of_its_partition_is_confirmed() {
        let mut partitions = Partitions::default();
        assert!(partitions.are_unknown());
        assert!(partitions.admit(3) && !partitions.admit(3) && partitions.admit(70));
        partitions.prove(3);
        assert!(partitions.admit(3) && partitions.admit(3) && !partitions.admit(70));
        assert!(!partitions.are_unknown());
        partitions.rest();
        assert!(partitions.admit(70) && partitions.admit(3));
    }

    #[test]
    fn a_partition_that_cannot_be_is_left_to_librdkafka() {
        let mut partitions = Partitions::default();
        assert!(partitions.admit(-1) && partitions.admit(-1));
        partitions.prove(-1);
        assert!(partitions.are_unknown());
    }
}
