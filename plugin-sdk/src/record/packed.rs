//! How a record lies in calls and answers (`wit/plugin.wit`, "A record, there and in the answers").

use super::{Content, Record};
use crate::answers::{push_size, push_sized};

const KEY: u8 = 0;
const VALUE: u8 = 2;
const TOPIC: u8 = 1 << 4;
const PARTITION: u8 = 1 << 5;
const TIMESTAMP: u8 = 1 << 6;
const HEADERS: u8 = 1 << 7;

/// What a key or a value is, in two bits of the flags.
mod content {
    pub const MASK: u8 = 0b11;
    pub const DEFAULT: u8 = 0;
    pub const NULL: u8 = 1;
    pub const BYTES: u8 = 2;
}

/// A record so far as the host packed it, read where it lies. [`unpack`](Self::unpack) copies it,
/// which only transformers pay that ask for it.
#[doc(hidden)]
pub struct PackedRecord<'a> {
    key: Content<'a>,
    value: Content<'a>,
    topic: Option<&'a str>,
    partition: Option<u32>,
    timestamp_ms: Option<i64>,
    headers: Option<Vec<Header<'a>>>,
}

type Header<'a> = (&'a str, Option<&'a [u8]>);

impl<'a> PackedRecord<'a> {
    /// Takes a record off the front of packed bytes; `None` if they are no packed record.
    pub(crate) fn take(packed: &mut &'a [u8]) -> Option<Self> {
        let flags = *packed.split_off_first()?;
        let has = |flag| flags & flag != 0;
        Some(Self {
            key: take_content(flags >> KEY, packed)?,
            value: take_content(flags >> VALUE, packed)?,
            topic: if has(TOPIC) { Some(take_text(packed)?) } else { None },
            partition: if has(PARTITION) { Some(take_u32(packed)?) } else { None },
            timestamp_ms: if has(TIMESTAMP) { Some(take_i64(packed)?) } else { None },
            headers: if has(HEADERS) { Some(take_headers(packed)?) } else { None },
        })
    }

    pub fn unpack(&self) -> Record {
        let owned = |(name, value): &Header<'_>| ((*name).into(), value.map(Into::into));
        Record {
            key: self.key.into(),
            value: self.value.into(),
            topic: self.topic.map(Into::into),
            partition: self.partition,
            timestamp_ms: self.timestamp_ms,
            headers: self.headers.as_ref().map(|headers| headers.iter().map(owned).collect()),
        }
    }
}

impl Record {
    /// Appends what [`PackedRecord::take`] reads.
    pub(crate) fn pack(&self, packed: &mut Vec<u8>) {
        packed.push(self.flags());
        for bytes in [self.key_so_far().bytes(), self.value_so_far().bytes()].into_iter().flatten()
        {
            push_sized(packed, bytes);
        }
        if let Some(topic) = &self.topic {
            push_sized(packed, topic.as_bytes());
        }
        if let Some(partition) = self.partition {
            packed.extend_from_slice(&partition.to_le_bytes());
        }
        if let Some(milliseconds) = self.timestamp_ms {
            packed.extend_from_slice(&milliseconds.to_le_bytes());
        }
        if let Some(headers) = self.headers_so_far() {
            push_size(packed, headers.len());
            headers.for_each(|header| push_header(packed, header));
        }
    }

    fn flags(&self) -> u8 {
        let bit = |is_some, flag| if is_some { flag } else { 0 };
        flags_of(self.key_so_far()) << KEY
            | flags_of(self.value_so_far()) << VALUE
            | bit(self.topic.is_some(), TOPIC)
            | bit(self.partition.is_some(), PARTITION)
            | bit(self.timestamp_ms.is_some(), TIMESTAMP)
            | bit(self.headers.is_some(), HEADERS)
    }
}

fn flags_of(content: Content<'_>) -> u8 {
    match content {
        Content::Default => content::DEFAULT,
        Content::Null => content::NULL,
        Content::Bytes(_) => content::BYTES,
    }
}

fn take_content<'a>(flags: u8, packed: &mut &'a [u8]) -> Option<Content<'a>> {
    match flags & content::MASK {
        content::DEFAULT => Some(Content::Default),
        content::NULL => Some(Content::Null),
        content::BYTES => take_sized(packed).map(Content::Bytes),
        _ => None,
    }
}

fn take_headers<'a>(packed: &mut &'a [u8]) -> Option<Vec<Header<'a>>> {
    let count = take_u32(packed)?;
    (0..count).map(|_| take_header(packed)).collect()
}

fn take_header<'a>(packed: &mut &'a [u8]) -> Option<Header<'a>> {
    let name = take_text(packed)?;
    match *packed.split_off_first()? {
        0 => Some((name, None)),
        1 => Some((name, Some(take_sized(packed)?))),
        _ => None,
    }
}

fn take_text<'a>(packed: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_sized(packed)?).ok()
}

fn take_sized<'a>(packed: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = take_u32(packed)? as usize;
    packed.split_off(..size)
}

fn take_u32(packed: &mut &[u8]) -> Option<u32> {
    take_chunk(packed).map(u32::from_le_bytes)
}

fn take_i64(packed: &mut &[u8]) -> Option<i64> {
    take_chunk(packed).map(i64::from_le_bytes)
}

fn take_chunk<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = packed.split_first_chunk()?;
    *packed = rest;
    Some(*chunk)
}

fn push_header(packed: &mut Vec<u8>, (name, value): Header<'_>) {
    push_sized(packed, name.as_bytes());
    packed.push(u8::from(value.is_some()));
    if let Some(value) = value {
        push_sized(packed, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(record: &Record) -> Vec<u8> {
        let mut packed = Vec::new();
        record.pack(&mut packed);
        packed
    }

    fn unpacked(mut packed: &[u8]) -> Option<Record> {
        let record = PackedRecord::take(&mut packed)?.unpack();
        assert!(packed.is_empty(), "{packed:?} is left over");
        Some(record)
    }

    fn full() -> Record {
        let record = Record::new().key("k").value("vw").topic("t").partition(258).timestamp_ms(-2);
        record.header("h", "x").null_header("ü")
    }

    const FULL: &[u8] = b"\xfa\x01\0\0\0k\x02\0\0\0vw\x01\0\0\0t\x02\x01\0\0\
        \xfe\xff\xff\xff\xff\xff\xff\xff\x02\0\0\0\x01\0\0\0h\x01\x01\0\0\0x\x02\0\0\0\xc3\xbc\0";

    #[test]
    fn a_record_is_packed_as_the_contract_lays_it_out() {
        assert_eq!(packed(&full()), FULL);
        assert_eq!(packed(&Record::new()), [0]);
        assert_eq!(packed(&Record::new().null_key()), [0b01]);
        assert_eq!(packed(&Record::new().null_value()), [0b01_00]);
        assert_eq!(packed(&Record::new().key("")), [0b10, 0, 0, 0, 0]);
        assert_eq!(packed(&Record::new().value("")), [0b10_00, 0, 0, 0, 0]);
        assert_eq!(packed(&Record::new().topic("")), [1 << 4, 0, 0, 0, 0]);
        assert_eq!(packed(&Record::new().partition(7)), [1 << 5, 7, 0, 0, 0]);
        assert_eq!(packed(&Record::new().timestamp_ms(7)), [1 << 6, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(packed(&Record::new().no_headers()), [1 << 7, 0, 0, 0, 0]);
    }

    #[test]
    fn what_was_packed_is_read_again() {
        for record in [
            Record::new(),
            full(),
            Record::new().null_key().value(""),
            Record::new().key("").null_value().no_headers(),
            Record::new().partition(u32::MAX).timestamp_ms(i64::MAX),
        ] {
            assert_eq!(unpacked(&packed(&record)).as_ref(), Some(&record));
        }
    }

    #[test]
    fn a_record_that_ends_too_soon_is_none() {
        for size in 0..FULL.len() {
            assert_eq!(unpacked(&FULL[..size]), None, "{size} bytes");
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_noticed() {
        const NO_RECORDS: [&[u8]; 7] = [
            b"\x03",                           // no such key
            b"\x0c",                           // no such value
            b"\x10\x01\0\0\0\xff",             // a topic that is no text
            b"\x80\x01\0\0\0\x01\0\0\0\xff\0", // a header's name that is no text
            b"\x80\x01\0\0\0\0\0\0\0\x02",     // neither null nor a value
            b"\x80\xff\xff\xff\xff",           // more headers than there are
            b"\x02\xff\xff\xff\xff",           // more key than there is
        ];
        for bytes in NO_RECORDS {
            assert_eq!(unpacked(bytes), None, "{bytes:?}");
        }
    }
}
