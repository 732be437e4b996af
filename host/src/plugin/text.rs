//! Text that came from a plugin or from the WebAssembly engine, made fit for one line of a log.

/// Longest text that is kept, in bytes.
pub(super) const LONGEST: usize = 2048;

/// The text with control characters escaped, cut to at most [`LONGEST`] bytes.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for character in text.trim_end().chars() {
        let from = line.len();
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > LONGEST {
            line.truncate(from);
            line.push('…');
            break;
        }
    }
    line
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
