//! What librdkafka's own threads call: an interceptor, which hears what has become of each record.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::partitions::is_producing;
use super::report::{Copied, Failure, Report, Written, code_of};

/// Told by the threads of brokers what Kafka has, and what it has refused. A broker's thread sends nothing until it
/// returns, and holds no lock of librdkafka.
pub trait Handler: Send + Sync {
    /// Kafka has the record of this ticket. Looking at all of it costs a little.
    fn confirmed<'r>(&self, ticket: u64, record: &dyn Fn() -> Written<'r>);
    /// A broker has refused the record of this ticket.
    fn refused(&self, ticket: u64, failure: Failure);
}

/// What librdkafka's threads tell.
pub struct Watch(pub Box<dyn Handler>);

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
    }
    Code::RD_KAFKA_RESP_ERR_NO_ERROR
}

thread_local! {
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
        let report = Report::of(message);
        if code_of(message).is_none() {
            // Only a broker's thread knows this, from a response.
            confirmed(watch, report, is_answered);
        } else if is_answered && let Some(failure) = report.refusal() {
            let ticket = report.ticket();
            report.forget();
            watch.0.refused(ticket, failure);
        }
    }
    Code::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Tells that Kafka has a record, and those before it that it must have.
fn confirmed(watch: &Watch, report: Report<'_>, is_answered: bool) {
    let mut implied = IMPLIED.take();
    if is_answered {
        for record in implied.drain(..) {
            watch.0.confirmed(record.ticket(), &|| record.written());
        }
        watch.0.confirmed(report.ticket(), &|| report.written());
    } else {
        implied.push(Copied::of(report));
    }
    IMPLIED.set(implied);
}
