//! Patterns for the names of topics, in which `*` stands for any characters, or none.

/// Whether a name fits a pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut in_name) = (0, 0);
    // The last star, and what of the name it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, in_name));
            at += 1;
        } else if pattern.get(at) == Some(&name[in_name]) {
            (at, in_name) = (at + 1, in_name + 1);
        } else if let Some((after, until)) = star {
            star = Some((after, until + 1));
            (at, in_name) = (after + 1, until + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    This(u8),
    /// Any characters, or none.
    Any,
}

pub fn symbols(pattern: &str) -> Vec<Symbol> {
    let symbol = |byte| if byte == b'*' { Symbol::Any } else { Symbol::This(byte) };
    pattern.bytes().map(symbol).collect()
}

/// Whether there is a name that both patterns match.
pub fn overlap(one: &[Symbol], other: &[Symbol]) -> bool {
    // Row by row: `row[j]` says whether the first i of one and the first j of the other can agree.
    let mut row: Vec<bool> = vec![true];
    row.extend(other.iter().map(|symbol| *symbol == Symbol::Any).scan(true, |all, any| {
        *all &= any;
        Some(*all)
    }));
    for symbol in one {
        let mut next = vec![*symbol == Symbol::Any && row[0]];
        for (j, second) in other.iter().enumerate() {
            next.push(match (symbol, second) {
                (Symbol::Any, _) | (_, Symbol::Any) => row[j + 1] || next[j],
                (one, other) => row[j] && one == other,
            });
        }
        row = next;
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("plant.*", "plant.", true),
            ("plant.*", "plant.a.b", true),
            ("plant.*", "plant", false),
            ("*.temp", "a.temp", true),
            ("*.temp", "a.temp.b", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyyd", false),
            ("a*ab", "aaab", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_overlap_where_one_name_fits_both() {
        for (one, other, expected) in [
            ("plant.*", "plant.a", true),
            ("plant.*", "plant", false),
            ("a*", "*b", true),
            ("a*x", "*b", false),
            ("*a*", "b*b", true),
            ("*", "*", true),
            ("", "*", true),
            ("", "a", false),
            ("a*c", "ab*", true),
            ("ab", "ac", false),
        ] {
            assert_eq!(overlap(&symbols(one), &symbols(other)), expected, "{one} {other}");
            assert_eq!(overlap(&symbols(other), &symbols(one)), expected, "{other} {one}");
        }
    }
}
