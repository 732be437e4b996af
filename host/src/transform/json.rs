//! Finds two members at the top of a JSON object, without building a tree.
//!
//! It is a validating scanner rather than a parser: the whole text is checked against RFC 8259,
//! and only the two members are remembered, as they stand in the text. Nesting is a bit per level,
//! so any depth is survived. It is not a JSON library: nothing else is ever looked at.
//!
//! Where RFC 8259 leaves room: a byte order mark, `NaN` and `Infinity` are not JSON. UTF-8 is
//! checked only in what is looked at, the names and the two values.

use std::borrow::Cow;

/// The members of a JSON object that the built-in setters know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// `_key`, the last one if there are several.
    pub key: Option<Value<'a>>,
    /// `_timestamp`, the last one if there are several.
    pub timestamp: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    /// Scans a payload; `None` if it is anything but one whole, valid JSON object.
    pub fn of(payload: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner { bytes: payload, at: 0 };
        scanner.space();
        let fields = scanner.top()?;
        scanner.space();
        (scanner.at == payload.len()).then_some(fields)
    }
}

/// A valid JSON value, exactly as it stands in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The JSON text.
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// What a JSON string says; `None` for any other value.
    ///
    /// A surrogate without its other half has no UTF-8: it becomes U+FFFD, as in a browser.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescape(inner))
    }
}

/// Which bracket closes what is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The containers that are open, the innermost last: a bit each, 64 of them at hand.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// Set bits are objects; the lowest is the innermost.
    near: u64,
    far: Vec<u64>,
}

impl Nesting {
    fn open(&mut self, container: Container) {
        if self.depth != 0 && self.depth.is_multiple_of(64) {
            self.far.push(self.near);
        }
        self.near = self.near << 1 | u64::from(container == Container::Object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.near >>= 1;
        if self.depth.is_multiple_of(64) {
            self.near = self.far.pop().unwrap_or(0);
        }
    }

    const fn innermost(&self) -> Option<Container> {
        match (self.depth, self.near & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

/// What was noticed while a string was skipped.
struct Seen {
    escape: bool,
    /// Bytes above 127, in the string or shortly behind it.
    beyond_ascii: bool,
}

/// Every method takes what its name says off the front, or answers `None`: not JSON.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The outermost object.
    fn top(&mut self) -> Option<Fields<'a>> {
        let mut fields = Fields::default();
        self.exactly(b'{')?;
        self.space();
        if self.exactly(b'}').is_some() {
            return Some(fields);
        }
        loop {
            let name = self.name()?;
            let start = self.at;
            self.value()?;
            match &*name {
                b"_key" => fields.key = Some(self.since(start)?),
                b"_timestamp" => fields.timestamp = Some(self.since(start)?),
                _ => {}
            }
            self.space();
            match self.next()? {
                b',' => self.space(),
                b'}' => return Some(fields),
                _ => return None,
            }
        }
    }

    /// A member's name with the colon behind it. The answer is exact where it is ASCII.
    fn name(&mut self) -> Option<Cow<'a, [u8]>> {
        self.exactly(b'"')?;
        let start = self.at;
        let seen = self.string()?;
        let raw = &self.bytes[start..self.at - 1];
        self.colon()?;
        if !seen.escape && !seen.beyond_ascii {
            return Some(Cow::Borrowed(raw));
        }
        Some(match unescape(std::str::from_utf8(raw).ok()?) {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    fn colon(&mut self) -> Option<()> {
        self.space();
        self.exactly(b':')?;
        self.space();
        Some(())
    }

    /// Any value, with everything in it.
    fn value(&mut self) -> Option<()> {
        let first = self.next()?;
        if first == b'{' || first == b'[' {
            return self.container(first);
        }
        self.scalar(first)
    }

    /// What is left of an object or array, given its opening bracket.
    fn container(&mut self, mut first: u8) -> Option<()> {
        let mut nesting = Nesting::default();
        loop {
            match first {
                b'{' => {
                    self.space();
                    if self.exactly(b'}').is_none() {
                        nesting.open(Container::Object);
                        first = self.member()?;
                        continue;
                    }
                }
                b'[' => {
                    self.space();
                    if self.exactly(b']').is_none() {
                        nesting.open(Container::Array);
                        first = self.next()?;
                        continue;
                    }
                }
                _ => self.scalar(first)?,
            }
            // A value ends here, and perhaps the containers that it is the last value of.
            first = loop {
                let Some(container) = nesting.innermost() else {
                    return Some(());
                };
                self.space();
                match (container, self.next()?) {
                    (Container::Object, b',') => {
                        self.space();
                        break self.member()?;
                    }
                    (Container::Array, b',') => {
                        self.space();
                        break self.next()?;
                    }
                    (Container::Object, b'}') | (Container::Array, b']') => nesting.close(),
                    _ => return None,
                }
            };
        }
    }

    /// A nested member's name, which nobody asks for, and the first byte of its value.
    fn member(&mut self) -> Option<u8> {
        self.exactly(b'"')?;
        self.string()?;
        self.colon()?;
        self.next()
    }

    /// What is left of a value that holds no others, given its first byte.
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.string().map(drop),
            b'-' => {
                let digit = self.next()?;
                self.number(digit)
            }
            b'0'..=b'9' => self.number(first),
            b't' => self.literal(b"rue"),
            b'f' => self.literal(b"alse"),
            b'n' => self.literal(b"ull"),
            _ => None,
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(rest).then(|| self.at += rest.len())
    }

    /// What is left of a number, given its first digit.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.exactly(b'.').is_some() {
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let first = self.next()?;
        first.is_ascii_digit().then(|| self.digits())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    /// What is left of a string, given its opening quote.
    #[expect(
        clippy::inline_always,
        reason = "most of a scan is short strings: a sixth of its time"
    )]
    #[inline(always)]
    fn string(&mut self) -> Option<Seen> {
        let mut seen = Seen { escape: false, beyond_ascii: false };
        loop {
            seen.beyond_ascii |= self.plain_text();
            match self.next()? {
                b'"' => return Some(seen),
                b'\\' => {
                    seen.escape = true;
                    self.escape()?;
                }
                control => {
                    debug_assert!(control < 0x20);
                    return None;
                }
            }
        }
    }

    /// Goes to the next quote, backslash or control character, eight bytes at a time. Answers
    /// whether bytes above 127 were met; it may have met them a little behind where it stopped.
    #[inline(always)]
    fn plain_text(&mut self) -> bool {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = ONES << 7;
        let mut highs = 0;
        while let Some(chunk) = self.bytes[self.at..].first_chunk() {
            let word = u64::from_le_bytes(*chunk);
            highs |= word & HIGHS;
            // The high bit of each byte that is wanted. Borrows may set bits wrongly, but only
            // above one that is set rightly, and only the lowest one counts.
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            let found = HIGHS
                & (quote.wrapping_sub(ONES) & !quote
                    | backslash.wrapping_sub(ONES) & !backslash
                    | word.wrapping_sub(ONES * 0x20) & !word);
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return highs != 0;
            }
            self.at += 8;
        }
        while let Some(byte) = self.peek() {
            if matches!(byte, b'"' | b'\\' | ..0x20) {
                break;
            }
            highs |= u64::from(byte & 0x80);
            self.at += 1;
        }
        highs != 0
    }

    /// What is left of an escape, given its backslash.
    #[cold]
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes[self.at..].first_chunk::<4>()?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn space(&mut self) {
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    fn exactly(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The value that started there and has just been scanned.
    fn since(&self, start: usize) -> Option<Value<'a>> {
        std::str::from_utf8(&self.bytes[start..self.at]).ok().map(Value)
    }
}

/// Decodes the escapes of what stands between the quotes of a valid JSON string.
fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = raw.find('\\') else {
        return Cow::Borrowed(raw);
    };
    let (plain, mut rest) = raw.split_at(first);
    let mut text = String::with_capacity(raw.len());
    text.push_str(plain);
    while let Some(escape) = rest.strip_prefix('\\') {
        let mut behind = escape.chars();
        text.push(match behind.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (character, left) = code_point(behind.as_str());
                behind = left.chars();
                character
            }
            Some(itself) => itself,
            None => char::REPLACEMENT_CHARACTER,
        });
        rest = behind.as_str();
        let (plain, left) = rest.split_at(rest.find('\\').unwrap_or(rest.len()));
        text.push_str(plain);
        rest = left;
    }
    Cow::Owned(text)
}

/// The character of a `\u` escape, whose second half may be an escape of its own, and what
/// follows it.
fn code_point(text: &str) -> (char, &str) {
    fn unit(text: &str) -> Option<(u16, &str)> {
        let (digits, rest) = text.split_at_checked(4)?;
        Some((u16::from_str_radix(digits, 16).ok()?, rest))
    }
    let Some((first, rest)) = unit(text) else {
        return (char::REPLACEMENT_CHARACTER, text);
    };
    if let Some((second, behind)) = rest.strip_prefix("\\u").and_then(unit)
        && let Some(Ok(character)) = char::decode_utf16([first, second]).next()
        && character.len_utf16() == 2
    {
        return (character, behind);
    }
    let character = char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER);
    (character, rest)
}

#[cfg(test)]
mod tests;
