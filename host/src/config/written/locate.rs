//! What a check says of options, in the words and with the place of what the user wrote.
//!
//! Checks speak of `--option`s, whatever the values come from: so each says a thing once.

use clap::Arg;

use super::{Origin, Value, Written};
use crate::config::kind::{self, Kind};
use crate::config::problem::{Position, Problem};

impl Written {
    /// Says where something is that a check says of options, which it names as `--option`.
    ///
    /// In the answer each option has the name under which the user wrote it.
    pub fn locate(&self, message: &str) -> Problem {
        self.locate_near(message, None)
    }

    /// The same, where a problem that stands nowhere else stands at a place.
    pub fn locate_near(&self, message: &str, place: Option<&Position>) -> Problem {
        let mentions = self.mentions(message);
        let origins: Vec<Origin> =
            mentions.iter().map(|mention| self.origin(mention, message)).collect();
        let at = origins.iter().find_map(|origin| match origin {
            Origin::File(position) => Some(position.clone()),
            _ => None,
        });
        let nowhere = origins.iter().all(|origin| *origin == Origin::Default);
        let at = at.or(place.cloned());
        let about_file = at.is_some() || (nowhere && self.file.is_some() && !origins.is_empty());
        let mut text = String::new();
        if let (None, true, Some(file)) = (&at, about_file, &self.file) {
            text = format!("{}: ", file.display());
        }
        let mut end = 0;
        for (mention, origin) in mentions.iter().zip(&origins) {
            text.push_str(&message[end..mention.start]);
            end = mention.end;
            let (name, with_value) = match origin {
                Origin::Environment(variable) => (variable.clone(), 0),
                Origin::File(_) => in_file(mention, &message[end..]),
                Origin::Default if about_file => in_file(mention, &message[end..]),
                Origin::Flag | Origin::Default => {
                    (message[mention.start..mention.end].to_owned(), 0)
                }
            };
            text.push_str(&name);
            end += with_value;
        }
        text.push_str(&message[end..]);
        Problem { at, text }
    }

    /// Where a text names options.
    fn mentions<'a>(&'a self, message: &str) -> Vec<Mention<'a>> {
        let mut mentions = Vec::new();
        for (start, _) in message.match_indices('-') {
            let before = message[..start].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '-') {
                continue;
            }
            let rest = &message[start..];
            let dashes = if rest.starts_with("--") { 2 } else { 1 };
            let word = &rest[dashes..];
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            let word = &word[..word.find(|letter| !is_name(letter)).unwrap_or(word.len())];
            let named = self.options.iter().find(|option| match dashes {
                2 => kind::name(option) == word,
                _ => option.get_short().is_some_and(|short| word == short.to_string()),
            });
            if let Some(option) = named {
                mentions.push(Mention { option, start, end: start + dashes + word.len() });
            }
        }
        mentions
    }

    /// Where the value comes from that a mention means: of several the one that is quoted after it.
    fn origin(&self, mention: &Mention<'_>, message: &str) -> Origin {
        let values = self.values(kind::name(mention.option));
        let rest = message[mention.end..].trim_start_matches([' ', '=', '"']);
        let is_meant = |value: &&Value| {
            let text = value.text.to_string_lossy();
            let text = match kind::of(mention.option) {
                kind if kind.is_table() => text.split('=').next().unwrap_or_default().to_owned(),
                _ => text.escape_debug().to_string(),
            };
            rest.strip_prefix(text.as_str()).is_some_and(|after| {
                !after.starts_with(|next: char| next.is_alphanumeric() || "-_./".contains(next))
            })
        };
        let meant = values.iter().find(is_meant).or(values.first());
        meant.map_or(Origin::Default, |value| value.origin.clone())
    }
}

/// A place in a message that names an option.
struct Mention<'a> {
    option: &'a Arg,
    start: usize,
    end: usize,
}

/// An option as the file has it, with the value after it if that is a cure such as
/// `--tls-enabled=false`; and how much of what follows that was.
fn in_file(mention: &Mention<'_>, after: &str) -> (String, usize) {
    let key = kind::key(kind::name(mention.option));
    let value = after.strip_prefix(['=', ' ']).unwrap_or_default();
    let ends = |letter: char| letter.is_whitespace() || ",:;)".contains(letter);
    let value = &value[..value.find(ends).unwrap_or(value.len())];
    match kind::of(mention.option) {
        kind if kind.is_table() => (format!("[{key}]"), 0),
        Kind::Switch if matches!(value, "true" | "false") => {
            (format!("{key} = {value}"), value.len() + 1)
        }
        Kind::Choice if kind::choices(mention.option).contains(&value) => {
            (format!("{key} = {}", kind::choice_in_toml(value)), value.len() + 1)
        }
        _ => (key, 0),
    }
}
