//! The edge between a plugin and the host, which only WebAssembly has: memory that the host asks
//! for, and what is called by the exports that [`__export`](crate::__export) writes.
//!
//! Answers stay where they are until the next call: the host copies them out, and no export for
//! freeing them is needed. A plugin has one thread, and its exports do not call each other.

#![expect(unsafe_code, reason = "the canonical ABI hands over addresses")]

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
use std::sync::{Mutex, PoisonError};

use crate::answers::Answers;
use crate::connection::{Connection, Failure};
use crate::message::{Message, MessageBuf, Qos};
use crate::packed::{answer_all, transform_all};
use crate::record::PackedRecord;
use crate::typed::{RawList, RawMessage, RawOption, RawPair, RawProperties, RawResult};
use crate::{logging, typed};

/// What an export returns the address of.
#[repr(C, align(8))]
pub struct Area(RawResult);

struct Last {
    answers: Answers,
    area: Area,
}

static LAST: Mutex<Last> = Mutex::new(Last { answers: Answers::new(), area: Area([0; 6]) });

/// Runs one call, and leaves its answers for the host to read.
fn call(
    answer: impl FnOnce(&mut Answers),
    result: impl FnOnce(&Answers) -> RawResult,
) -> *const Area {
    logging::install();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.answers.clear();
    answer(&mut last.answers);
    last.area.0 = result(&last.answers);
    &raw const last.area
}

/// A call of a packed interface.
///
/// # Safety
/// The bytes are the host's, made with `cabi_realloc`.
pub unsafe fn packed(at: u32, len: u32, setter: impl Fn(&Message, &mut Answers)) -> *const Area {
    // SAFETY: as the caller says.
    let messages = unsafe { take(RawList { at, len }) };
    call(|answers| answer_all(&messages, answers, setter), packed_result)
}

/// A call of `transform-all`.
///
/// # Safety
/// The bytes are the host's, made with `cabi_realloc`.
pub unsafe fn packed_records(
    at: u32,
    len: u32,
    transformer: impl Fn(&Message, &PackedRecord<'_>, &mut Answers),
) -> *const Area {
    // SAFETY: as the caller says.
    let messages = unsafe { take(RawList { at, len }) };
    call(|answers| transform_all(&messages, answers, transformer), packed_result)
}

fn packed_result(answers: &Answers) -> RawResult {
    let packed = answers.as_bytes();
    [packed.as_ptr() as u32, packed.len() as u32, 0, 0, 0, 0]
}

/// A call of `key` or `value`.
///
/// # Safety
/// The message and all in it are the host's, made with `cabi_realloc`.
pub unsafe fn typed_bytes(
    message: *mut RawMessage,
    setter: impl Fn(&Message, &mut Answers),
) -> *const Area {
    // SAFETY: as the caller says.
    let message = unsafe { lift(message) };
    call(
        |answers| setter(&message, answers),
        |answers| typed::bytes_result(answers.as_bytes(), answers.as_bytes().as_ptr() as u32),
    )
}

/// A call of `deserialize`.
///
/// # Safety
/// The message and all in it are the host's, made with `cabi_realloc`.
pub unsafe fn typed_json(
    message: *mut RawMessage,
    deserializer: impl Fn(&Message, &mut Answers),
) -> *const Area {
    // SAFETY: as the caller says.
    let message = unsafe { lift(message) };
    call(
        |answers| deserializer(&message, answers),
        |answers| typed::json_result(answers.as_bytes(), answers.as_bytes().as_ptr() as u32),
    )
}

/// A call of `init`.
///
/// # Safety
/// The text is the host's, made with `cabi_realloc`.
pub unsafe fn init(config: RawList, init: impl Fn(&str, &mut Answers)) -> *const Area {
    // SAFETY: as the caller says.
    let config = unsafe { take_text(config) };
    call(
        |answers| init(&config, answers),
        |answers| typed::init_result(answers.as_bytes(), answers.as_bytes().as_ptr() as u32),
    )
}

/// A call of a hook, with what it is told.
pub fn hook(answer: impl FnOnce(&mut Answers)) -> *const Area {
    call(answer, |answers| {
        typed::hook_outcome(answers.as_bytes(), answers.as_bytes().as_ptr() as u32)
    })
}

/// The record `connection`, which is small enough to come as parameters.
///
/// # Safety
/// The texts are the host's, made with `cabi_realloc`.
pub unsafe fn connection(
    server: RawList,
    client_id: RawList,
    attempt: u32,
    reconnect: u32,
    session_present: u32,
    at_ms: i64,
) -> Connection {
    Connection {
        // SAFETY: as the caller says.
        server: unsafe { take_text(server) },
        // SAFETY: as the caller says.
        client_id: unsafe { take_text(client_id) },
        attempt,
        reconnect: reconnect != 0,
        session_present: session_present != 0,
        at_ms,
    }
}

/// The record `connect-failure`, which is small enough to come as parameters.
///
/// # Safety
/// The text is the host's, made with `cabi_realloc`.
pub unsafe fn failure(reason: RawList, permanent: u32, lost: u32) -> Failure {
    // SAFETY: as the caller says.
    let reason = unsafe { take_text(reason) };
    Failure { reason, permanent: permanent != 0, lost: lost != 0 }
}

/// A call of `timestamp`.
///
/// # Safety
/// The message and all in it are the host's, made with `cabi_realloc`.
pub unsafe fn typed_time(
    message: *mut RawMessage,
    setter: impl Fn(&Message, &mut Answers),
) -> *const Area {
    // SAFETY: as the caller says.
    let message = unsafe { lift(message) };
    call(
        |answers| setter(&message, answers),
        |answers| typed::time_result(answers.as_bytes(), answers.as_bytes().as_ptr() as u32),
    )
}

/// Memory for what the host hands over.
///
/// # Safety
/// As the canonical ABI says: `old` is none, or of this size and alignment and from here.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    size: usize,
) -> *mut u8 {
    if size == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host aligns to 1, 2, 4 or 8, and asks for no more than a memory holds.
    let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
    let new = if old_size == 0 {
        // SAFETY: the size is not 0.
        unsafe { alloc(layout) }
    } else {
        // SAFETY: as the caller says.
        unsafe { realloc(old, Layout::from_size_align_unchecked(old_size, align), size) }
    };
    if new.is_null() {
        handle_alloc_error(layout);
    }
    new
}

/// Packs a message and frees the record that it came in.
///
/// # Safety
/// The message and all in it are the host's, made with `cabi_realloc`.
unsafe fn lift(message: *mut RawMessage) -> MessageBuf {
    // SAFETY: the host filled all of it, with lists of its own.
    unsafe {
        let raw = Box::from_raw(message);
        let payload = take(raw.payload);
        let message = MessageBuf::new(&take_text(raw.topic), &payload)
            .with_qos(match raw.qos {
                0 => Qos::AtMostOnce,
                1 => Qos::AtLeastOnce,
                _ => Qos::ExactlyOnce,
            })
            .with_retain(raw.retain != 0)
            .with_dup(raw.dup != 0)
            .with_packet_id(get(&raw.packet_id).copied().unwrap_or(0))
            .with_received_at_ms(raw.received_at_ms);
        let message = match get(&raw.properties) {
            Some(properties) => lift_properties(message, properties),
            None => message,
        };
        match get(&raw.json) {
            Some(json) => message.with_json(&take_text(*json)),
            None => message,
        }
    }
}

/// Adds the properties, in no order but that of the user properties.
///
/// # Safety
/// As for [`lift`].
unsafe fn lift_properties(mut message: MessageBuf, raw: &RawProperties) -> MessageBuf {
    // SAFETY: as the caller says.
    unsafe {
        if let Some(format) = get(&raw.payload_format) {
            message = message.with_payload_format(*format);
        }
        if let Some(seconds) = get(&raw.message_expiry_secs) {
            message = message.with_message_expiry_secs(*seconds);
        }
        if let Some(list) = get(&raw.content_type) {
            message = message.with_content_type(&take_text(*list));
        }
        if let Some(list) = get(&raw.response_topic) {
            message = message.with_response_topic(&take_text(*list));
        }
        if let Some(list) = get(&raw.correlation_data) {
            message = message.with_correlation_data(&take(*list));
        }
        for pair in take_list::<RawPair>(raw.user_properties) {
            let (name, value) = (take_text(pair.name), take_text(pair.value));
            message = message.with_user_property(&name, &value);
        }
        message
    }
}

unsafe fn get<T>(raw: &RawOption<T>) -> Option<&T> {
    // SAFETY: the host wrote it where it says so.
    (raw.is_some != 0).then(|| unsafe { raw.value.assume_init_ref() })
}

unsafe fn take(list: RawList) -> Vec<u8> {
    // SAFETY: as the caller says.
    unsafe { take_list(list) }
}

unsafe fn take_text(list: RawList) -> String {
    // SAFETY: as the caller says; the host checked that it is UTF-8.
    unsafe { String::from_utf8_unchecked(take(list)) }
}

/// Owns a list that the host made: `cabi_realloc` allocates as `Box` does.
unsafe fn take_list<T>(list: RawList) -> Vec<T> {
    let len = list.len as usize;
    let list = std::ptr::slice_from_raw_parts_mut(list.at as *mut T, len);
    // SAFETY: as the caller says. An empty list has an aligned address, which is all `Box` wants.
    unsafe { Box::from_raw(list) }.into_vec()
}
