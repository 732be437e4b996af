//! A record in the making, as transformers get and give it, and its packed form (`plugin.wit`,
//! "packed").

use super::packed::Rest;

/// What has been decided about a record so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    pub topic: Option<String>,
    pub partition: Option<u32>,
    pub key: Content,
    pub value: Content,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    pub headers: Option<Vec<DraftHeader>>,
}

/// A name and a value; no value is Kafka's null.
pub type DraftHeader = (String, Option<Vec<u8>>);

/// A key or a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Content {
    /// Not decided.
    #[default]
    Default,
    /// Kafka's null.
    Null,
    Bytes(Vec<u8>),
}

const TOPIC: u8 = 1 << 4;
const PARTITION: u8 = 1 << 5;
const TIMESTAMP: u8 = 1 << 6;
const HEADERS: u8 = 1 << 7;

impl Content {
    fn or(self, before: &Self) -> Self {
        if self == Self::Default { before.clone() } else { self }
    }

    fn flag(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Null => 1,
            Self::Bytes(_) => 2,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Default | Self::Null => &[],
        }
    }
}

impl Draft {
    /// With what was decided before where this one decides nothing.
    #[must_use]
    pub fn over(self, before: &Self) -> Self {
        Self {
            topic: self.topic.or_else(|| before.topic.clone()),
            partition: self.partition.or(before.partition),
            key: self.key.or(&before.key),
            value: self.value.or(&before.value),
            timestamp_ms: self.timestamp_ms.or(before.timestamp_ms),
            headers: self.headers.or_else(|| before.headers.clone()),
        }
    }

    /// Bytes of all that it holds.
    pub fn size(&self) -> usize {
        let headers = self.headers.iter().flatten();
        let headers = headers.map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len));
        let topic = self.topic.as_ref().map_or(0, String::len);
        topic + self.key.bytes().len() + self.value.bytes().len() + headers.sum::<usize>()
    }

    /// Bytes that it takes here, about.
    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + headers * size_of::<DraftHeader>() + self.size()
    }

    /// Appends the packed form.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        fn sized(to: &mut Vec<u8>, bytes: &[u8]) {
            to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            to.extend_from_slice(bytes);
        }
        let flags = self.key.flag()
            | self.value.flag() << 2
            | if self.topic.is_some() { TOPIC } else { 0 }
            | if self.partition.is_some() { PARTITION } else { 0 }
            | if self.timestamp_ms.is_some() { TIMESTAMP } else { 0 }
            | if self.headers.is_some() { HEADERS } else { 0 };
        to.push(flags);
        for content in [&self.key, &self.value] {
            if let Content::Bytes(bytes) = content {
                sized(to, bytes);
            }
        }
        if let Some(topic) = &self.topic {
            sized(to, topic.as_bytes());
        }
        to.extend(self.partition.into_iter().flat_map(u32::to_le_bytes));
        to.extend(self.timestamp_ms.into_iter().flat_map(i64::to_le_bytes));
        let Some(headers) = &self.headers else { return };
        to.extend_from_slice(&(headers.len() as u32).to_le_bytes());
        for (name, value) in headers {
            sized(to, name.as_bytes());
            to.push(value.is_some().into());
            if let Some(value) = value {
                sized(to, value);
            }
        }
    }

    /// Reads the packed form; nothing about it is taken for granted.
    pub(super) fn read(rest: &mut Rest<'_>) -> Result<Self, String> {
        let [flags] = rest.take()?;
        let key = content(flags & 3, rest)?;
        let value = content(flags >> 2 & 3, rest)?;
        let topic = if flags & TOPIC == 0 { None } else { Some(rest.text()?.to_owned()) };
        let partition =
            if flags & PARTITION == 0 { None } else { Some(u32::from_le_bytes(rest.take()?)) };
        let timestamp_ms =
            if flags & TIMESTAMP == 0 { None } else { Some(i64::from_le_bytes(rest.take()?)) };
        let headers = if flags & HEADERS == 0 { None } else { Some(headers(rest)?) };
        Ok(Self { topic, partition, key, value, timestamp_ms, headers })
    }
}

fn content(flag: u8, rest: &mut Rest<'_>) -> Result<Content, String> {
    match flag {
        0 => Ok(Content::Default),
        1 => Ok(Content::Null),
        2 => Ok(Content::Bytes(rest.sized()?.to_vec())),
        _ => Err("a key or a value is neither default nor null nor bytes".to_owned()),
    }
}

fn headers(rest: &mut Rest<'_>) -> Result<Vec<DraftHeader>, String> {
    let count = u32::from_le_bytes(rest.take()?);
    // Room is made as they come: the count may be a lie.
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = rest.text()?.to_owned();
        let value = match rest.take()? {
            [0] => None,
            [1] => Some(rest.sized()?.to_vec()),
            _ => return Err("a header's value is neither null nor bytes".to_owned()),
        };
        rest.make_room(size_of::<DraftHeader>())?;
        headers.push((name, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Draft {
        Draft {
            topic: Some("t".to_owned()),
            partition: Some(7),
            key: Content::Bytes(b"k".to_vec()),
            value: Content::Null,
            timestamp_ms: Some(-2),
            headers: Some(vec![("a".to_owned(), Some(b"bc".to_vec())), (String::new(), None)]),
        }
    }

    fn packed(draft: &Draft) -> Vec<u8> {
        let mut packed = Vec::new();
        draft.write(&mut packed);
        packed
    }

    #[test]
    fn a_record_is_packed_as_the_contract_says_and_read_back() {
        let expected = b"\xf6\x01\0\0\0k\x01\0\0\0t\x07\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\
            \x02\0\0\0\x01\0\0\0a\x01\x02\0\0\0bc\0\0\0\0\0";
        assert_eq!(packed(&full()), expected);
        assert_eq!(packed(&Draft::default()), [0]);
        for draft in [full(), Draft::default()] {
            let packed = packed(&draft);
            let mut rest = Rest::new(&packed, 1 << 10);
            assert_eq!(Draft::read(&mut rest), Ok(draft));
            assert_eq!(rest.left(), 0);
        }
    }

    #[test]
    fn a_record_that_ends_too_early_or_lies_is_refused() {
        let whole = packed(&full());
        for size in 0..whole.len() {
            assert!(Draft::read(&mut Rest::new(&whole[..size], 1 << 10)).is_err(), "{size} bytes");
        }
        for lie in [&b"\x03"[..], b"\x0c", b"\x80\xff\xff\xff\xff", b"\x80\x01\0\0\0\0\0\0\0\x02"] {
            assert!(Draft::read(&mut Rest::new(lie, 1 << 10)).is_err(), "{lie:?}");
        }
    }

    #[test]
    fn what_is_left_open_is_as_it_was_before() {
        assert_eq!(Draft::default().over(&full()), full());
        assert_eq!(full().over(&Draft::default()), full());
        let new = Draft { key: Content::Null, partition: Some(1), ..Draft::default() };
        let both = new.over(&full());
        assert_eq!((both.key, both.partition, both.value), (Content::Null, Some(1), Content::Null));
        assert_eq!(both.topic.as_deref(), Some("t"));
    }
}
