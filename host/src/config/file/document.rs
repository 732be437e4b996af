//! The TOML of a file, with the places where things stand.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::config::problem::{Position, Problem};

/// A file's text.
pub struct Document<'a> {
    path: Arc<Path>,
    text: &'a str,
}

/// A key with its value; the starts are byte offsets.
pub struct Entry<'a> {
    pub key: &'a str,
    pub key_start: usize,
    pub value: &'a DeValue<'a>,
    pub value_start: usize,
}

impl<'a> Document<'a> {
    pub fn new(path: Arc<Path>, text: &'a str) -> Self {
        Self { path, text }
    }

    pub fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            file: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// What the parser says.
    pub fn syntax(&self, error: &toml::de::Error) -> Problem {
        let position = self.position(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let text = match message.as_str() {
            "duplicate key" => "this key is there twice: keep one".to_owned(),
            _ => format!("this is not TOML: {message}"),
        };
        Problem::at(&position, text)
    }
}

/// The entries of a table in the order in which they stand there.
pub fn entries<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref(),
        key_start: key.span().start,
        value: value.get_ref(),
        value_start: value.span().start,
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|entry| entry.key_start);
    entries
}

/// What a value is, for people.
pub fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
