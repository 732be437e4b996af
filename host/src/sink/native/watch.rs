//! What librdkafka's own threads call: interceptors, which hear of each record and of each response.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::partitions::is_producing;
use super::report::{Copied, Report, Written, code_of};

/// `Produce`, as Kafka's protocol numbers its requests.
const PRODUCE: i16 = 0;

/// What librdkafka says of a record that was refused only because of another one in its batch. If just
/// one record of a batch was guilty, it says it nowhere else.
const INNOCENT: &[u8] = b"part of a batch which had one more more invalid records";

/// Told by the threads of brokers what has become of records. A broker's thread sends nothing until it
/// returns, and holds no lock of librdkafka.
pub trait Handler: Send + Sync {
    /// Kafka has the record of this ticket, in this partition. Looking at all of it costs a little.
    fn confirmed<'r>(&self, ticket: u64, partition: i32, record: &dyn Fn() -> Written<'r>);
    /// A broker has refused records. What is queued is to be purged, and others are to be kept from
    /// producing.
    fn refused(&self);
}

/// What librdkafka's threads are told by, and tell.
pub struct Watch {
    pub handler: Box<dyn Handler>,
    /// Whatever librdkafka would retry is to be purged. Nobody produces meanwhile.
    pub is_draining: AtomicBool,
    /// Records that have failed and of which nobody has read the report yet.
    pub failed: AtomicUsize,
}

/// The name of the interceptor, for librdkafka's log.
pub const NAME: &CStr = c"order";

/// Called as the client is made.
pub unsafe extern "C" fn created(
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
    /// What this thread has read last was a refusal, which has been told.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Records that Kafka must have, since it has a later one of their partition, although it has not
    /// said so. They are told with that one: until then this thread holds the lock of the partition.
    static IMPLIED: Cell<Vec<Copied>> = const { Cell::new(Vec::new()) };
}

/// Called for each record as soon as it is known what has become of it, by whatever thread knows.
unsafe extern "C" fn acknowledged(
    _client: *mut c::rd_kafka_t,
    message: *mut c::rd_kafka_message_t,
    watch: *mut c_void,
) -> Code {
    // What this thread is producing at the moment, with a lock held, is told by `produce` itself.
    if is_producing() {
        return Code::RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    // SAFETY: the message is alive and no other thread has it; the watch outlives the client.
    unsafe {
        let watch: &Watch = &*watch.cast();
        // Only of a record that was sent, and answered or given up, is the broker known.
        let is_answered = c::rd_kafka_message_broker_id(message) >= 0;
        if code_of(message).is_none() {
            // Only a broker's thread knows this, from a response.
            confirmed(watch, Report::of(message), is_answered);
            return Code::RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        // Nothing of its topic is sent before that is known to whoever keeps records in order.
        watch.failed.fetch_add(1, Ordering::SeqCst);
        if !is_answered {
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

/// Tells that Kafka has a record, and those before it that it must have.
fn confirmed(watch: &Watch, report: Report<'_>, is_answered: bool) {
    let mut implied = IMPLIED.take();
    if is_answered {
        for record in implied.drain(..) {
            watch.handler.confirmed(record.ticket(), record.partition(), &|| record.written());
        }
        watch.handler.confirmed(report.ticket(), report.partition(), &|| report.written());
    } else {
        implied.push(Copied::of(report));
    }
    IMPLIED.set(implied);
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

/// # Safety
/// The client is alive.
pub unsafe fn purge_queued(client: *mut c::rd_kafka_t) {
    let flags = c::RD_KAFKA_PURGE_F_QUEUE | c::RD_KAFKA_PURGE_F_NON_BLOCKING;
    // SAFETY: the caller says so. It does not wait: the brokers' threads purge what is theirs.
    unsafe { c::rd_kafka_purge(client, flags as c_int) };
}
