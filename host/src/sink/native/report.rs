//! What librdkafka says of records, and what it keeps of them.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::super::queue::Kept;
use crate::message::Header;

/// What a header takes beside its name and its value, in bytes at most.
const LENGTHS: usize = 10;

/// A record that Kafka has.
pub struct Written<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// Unknown if it took more than one attempt.
    pub offset: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    pub headers: HeaderList<'a>,
}

/// Somebody's headers, in order.
#[derive(Clone, Copy)]
pub struct HeaderList<'a> {
    /// Null if there are none.
    list: *mut c::rd_kafka_headers_t,
    lifetime: PhantomData<&'a Headers>,
}

impl<'a> HeaderList<'a> {
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        (0..).map_while(move |index| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            if self.list.is_null() {
                return None;
            }
            // SAFETY: the list is alive for as long as it is borrowed, and its texts are, too.
            unsafe {
                let code = c::rd_kafka_header_get_all(
                    self.list,
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
}

/// A record's headers, in order.
pub struct Headers {
    list: NonNull<c::rd_kafka_headers_t>,
    /// In bytes, about as they are sent.
    size: usize,
}

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
        Self { list: NonNull::new(headers).unwrap_or_else(|| unreachable!()), size: 0 }
    }

    pub fn as_ptr(&self) -> *mut c::rd_kafka_headers_t {
        self.list.as_ptr()
    }

    /// In bytes, about as they are sent.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Names end at a NUL for librdkafka, which MQTT forbids and not every server refuses.
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        let name = name.replace('\0', "\u{fffd}");
        let (address, size) =
            value.map_or((ptr::null(), 0), |value| (value.as_ptr().cast(), value.len() as isize));
        self.size += name.len() + size as usize + LENGTHS;
        // SAFETY: all of it is alive, and copied.
        unsafe {
            let (name, length) = (name.as_ptr().cast(), name.len() as isize);
            c::rd_kafka_header_add(self.as_ptr(), name, length, address, size);
        }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: the list is alive, and not used afterwards.
        unsafe { c::rd_kafka_headers_destroy(self.as_ptr()) }
    }
}

/// The delivery reports of one batch of records that Kafka does not have, all for one partition.
pub struct Reports {
    event: NonNull<c::rd_kafka_event_t>,
    messages: Vec<*const c::rd_kafka_message_t>,
}

impl Reports {
    pub fn of(event: NonNull<c::rd_kafka_event_t>) -> Self {
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

    /// Those that tell something new.
    pub fn iter(&self) -> impl Iterator<Item = Report<'_>> {
        let report = |message: &*const _| Report { message: *message, lifetime: PhantomData };
        self.messages.iter().map(report).filter(|report| report.ticket() != TOLD as u64)
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
pub struct Report<'a> {
    /// Never borrowed: its error may be a number that the type of that field does not have.
    message: *const c::rd_kafka_message_t,
    lifetime: PhantomData<&'a c::rd_kafka_message_t>,
}

impl<'a> Report<'a> {
    /// # Safety
    /// The message is alive for as long as it is borrowed.
    pub unsafe fn of(message: *const c::rd_kafka_message_t) -> Self {
        Self { message, lifetime: PhantomData }
    }

    pub fn ticket(self) -> u64 {
        // SAFETY: the message is alive.
        unsafe { (*self.message)._private.addr() as u64 }
    }

    /// Why Kafka does not have it, if that is so, with all of it. A broker's code that librdkafka does not know is
    /// `UNKNOWN`. Takes the headers out.
    pub fn failure(self) -> Option<Failure> {
        // SAFETY: the message is alive.
        let code = unsafe { code_of(self.message)? };
        let kept = Kept::new(self.key(), self.value(), self.take_headers());
        Some(Failure { code, words: 0, kept })
    }

    /// The same, for one that a broker has just refused.
    ///
    /// # Safety
    /// This is called as librdkafka reads the broker's answer: its words are gone when there is a report.
    pub unsafe fn refusal(self) -> Option<Failure> {
        let mut failure = self.failure()?;
        // SAFETY: the caller says so.
        unsafe {
            let words = c::rd_kafka_message_produce_errstr(self.message);
            failure.words = words.addr();
            if !words.is_null() && CStr::from_ptr(words).to_bytes().ends_with(INNOCENT) {
                failure.code = Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD;
            }
        }
        Some(failure)
    }

    /// What is to be known of it is known: its report tells nothing any more.
    ///
    /// # Safety
    /// As for [`refusal`](Self::refusal).
    pub unsafe fn forget(self) {
        // SAFETY: nobody else looks at the message meanwhile.
        unsafe { (*self.message.cast_mut())._private = ptr::without_provenance_mut(TOLD) };
    }

    pub fn key(self) -> Option<&'a [u8]> {
        // SAFETY: the message is alive, and so is its memory.
        unsafe { bytes_at((*self.message).key, (*self.message).key_len) }
    }

    pub fn value(self) -> Option<&'a [u8]> {
        // SAFETY: the message is alive, and so is its memory.
        unsafe { bytes_at((*self.message).payload, (*self.message).len) }
    }

    /// Takes the headers out.
    pub fn take_headers(self) -> Option<Headers> {
        let size = |(name, value): (&str, Option<&[u8]>)| {
            name.len() + value.map_or(0, <[u8]>::len) + LENGTHS
        };
        let mut list = self.headers();
        let size = list.iter().map(size).sum();
        // SAFETY: the message is alive, and nobody else looks at its headers.
        unsafe { c::rd_kafka_message_detach_headers(self.message.cast_mut(), &raw mut list.list) };
        NonNull::new(list.list).map(|list| Headers { list, size })
    }

    fn headers(self) -> HeaderList<'a> {
        let mut list = ptr::null_mut();
        // SAFETY: the message is alive; without headers the pointer stays null.
        unsafe { c::rd_kafka_message_headers(self.message, &raw mut list) };
        HeaderList { list, lifetime: PhantomData }
    }

    pub fn written(self) -> Written<'a> {
        // SAFETY: the message is alive, so its topic is, and its topic's name.
        let (topic, partition, offset, time) = unsafe {
            let name = c::rd_kafka_topic_name((*self.message).rkt);
            let time = c::rd_kafka_message_timestamp(self.message, ptr::null_mut());
            (CStr::from_ptr(name), (*self.message).partition, (*self.message).offset, time)
        };
        Written {
            topic: topic.to_str().unwrap_or_default(),
            partition,
            offset: (offset >= 0).then_some(offset),
            key: self.key(),
            value: self.value(),
            timestamp_ms: (time >= 0).then_some(time),
            headers: self.headers(),
        }
    }
}

/// What librdkafka says of a record that was refused only because of another one in its batch. If just
/// one record of a batch was guilty, it says it nowhere else.
const INNOCENT: &[u8] = b"part of a batch which had one more more invalid records";

/// The ticket of a record whose report tells nothing new.
const TOLD: usize = usize::MAX;

/// A record that Kafka does not have, and why.
pub struct Failure {
    pub code: Code,
    /// Where a broker's words on this record were, or 0: those on another record of its batch were elsewhere only if
    /// brokers have named the records that they refuse.
    pub words: usize,
    pub kept: Kept,
}

/// A copy of a record that Kafka has, to be told of later.
pub struct Copied {
    ticket: u64,
    topic: String,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: Option<i64>,
    headers: Option<Headers>,
}

impl Copied {
    pub fn of(report: Report<'_>) -> Self {
        let Written { topic, partition, offset: _, key, value, timestamp_ms, headers: _ } =
            report.written();
        Self {
            ticket: report.ticket(),
            topic: topic.to_owned(),
            partition,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            timestamp_ms,
            headers: report.take_headers(),
        }
    }

    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    pub fn written(&self) -> Written<'_> {
        Written {
            topic: &self.topic,
            partition: self.partition,
            offset: None,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            timestamp_ms: self.timestamp_ms,
            headers: HeaderList {
                list: self.headers.as_ref().map_or(ptr::null_mut(), Headers::as_ptr),
                lifetime: PhantomData,
            },
        }
    }
}

/// Reads an error's number, which need not be one that this librdkafka has a name for.
///
/// # Safety
/// The message is alive.
pub unsafe fn code_of(message: *const c::rd_kafka_message_t) -> Option<Code> {
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
pub unsafe fn text_at<'a>(address: *const c_char) -> std::borrow::Cow<'a, str> {
    if address.is_null() {
        return "".into();
    }
    // SAFETY: the caller says so.
    unsafe { CStr::from_ptr(address) }.to_string_lossy()
}
