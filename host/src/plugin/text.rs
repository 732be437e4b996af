//! Text that came from a plugin, a publisher or the WebAssembly engine, made fit for one line of a log or a
//! terminal.

use std::fmt::{self, Write as _};

/// Longest text that is kept, in bytes.
pub(super) const LONGEST: usize = 2048;

/// Text that the user has not written: control characters are escaped, and so is what changes the
/// direction of text. It is cut where it is too long.
#[derive(Debug, Clone, Copy)]
pub struct Untrusted<'a> {
    text: &'a str,
    most: usize,
}

impl<'a> Untrusted<'a> {
    /// At most some 2 KiB of it.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, most: LONGEST }
    }

    /// At most so many bytes of it, escaped.
    #[must_use]
    pub fn most(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for character in self.text.chars() {
            let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escapes = character.is_control() || turns || character == '\u{2028}';
            let escaped = character.escape_default();
            written += if escapes { escaped.len() } else { character.len_utf8() };
            if written > self.most {
                return f.write_char('…');
            }
            if escapes { write!(f, "{escaped}")? } else { f.write_char(character)? }
        }
        Ok(())
    }
}

/// As [`Untrusted`], without blanks at the end.
pub(super) fn one_line(text: &str) -> String {
    Untrusted::new(text.trim_end()).to_string()
}

/// As [`one_line`], for text whose line breaks are layout: each becomes a space.
pub(super) fn joined(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() > LONGEST {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // Some more than is kept, so that what is cut shows.
        line.extend(word.chars().take(LONGEST + 1));
    }
    one_line(&line)
}

/// Enough of a file's hash to tell it from others.
pub(super) fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// A number of bytes as people write it.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(one_line("a\nERROR b\u{1b}[2Jü\n"), "a\\nERROR b\\u{1b}[2Jü");
    }

    #[test]
    fn text_cannot_be_turned_round_either() {
        assert_eq!(
            Untrusted::new("a\u{202e}b\u{2067}\u{2028}").to_string(),
            "a\\u{202e}b\\u{2067}\\u{2028}"
        );
        assert_eq!(Untrusted::new("ab\u{1b}c").most(3).to_string(), "ab…");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let line = one_line(&"ü".repeat(LONGEST));
        assert_eq!(line.len(), LONGEST + '…'.len_utf8());
        assert!(line.ends_with("ü…"));
    }

    #[test]
    fn layout_becomes_spaces() {
        assert_eq!(joined("panicked at a.rs:1:2:\n  no\n"), "panicked at a.rs:1:2: no");
    }

    #[test]
    fn of_long_text_only_the_start_is_looked_at() {
        for text in ["ab ".repeat(LONGEST), "ü".repeat(LONGEST)] {
            assert_eq!(joined(&text), one_line(&text));
        }
    }

    #[test]
    fn sizes_are_in_the_largest_whole_unit() {
        let sizes = [64 << 20, 3 << 10, (1 << 20) + 1, 0].map(size);
        assert_eq!(sizes, ["64 MiB", "3 KiB", "1048577 bytes", "0 bytes"]);
    }
}
