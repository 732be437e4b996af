//! Values of options in the file: whether they have the right type, and what they would be on the
//! command line.

use clap::Arg;
use toml::de::{DeInteger, DeTable, DeValue};

use super::document::{Entry, entries, type_name};
use super::{Reader, Section};
use crate::config::kind::{self, Kind};
use crate::config::problem::Problem;
use crate::config::written::{Origin, Value, list};

impl Reader<'_> {
    /// The values of an option, or `None` and a problem.
    pub(super) fn values(&mut self, option: &Arg, entry: &Entry<'_>) -> Option<Vec<Value>> {
        let kind = kind::of(option);
        match (kind, entry.value) {
            (Kind::Table | Kind::PathTable, DeValue::Table(table)) => {
                let mut values = Vec::new();
                self.flatten((entry.key, kind), "", table, &mut values);
                Some(values)
            }
            (Kind::Texts | Kind::Paths, DeValue::Array(items)) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    let value_start = item.span().start;
                    let item = Entry { value: item.get_ref(), value_start, ..*entry };
                    values.extend(self.single(option, &item)?);
                }
                Some(values)
            }
            _ => self.single(option, entry),
        }
    }

    fn single(&mut self, option: &Arg, entry: &Entry<'_>) -> Option<Vec<Value>> {
        let Some(text) = self.text(option, entry.value) else {
            self.wrong(option, entry);
            return None;
        };
        Some(vec![self.value(entry.value_start, text)])
    }

    pub(super) fn value(&self, start: usize, text: String) -> Value {
        let origin = Origin::File(self.document.position(start));
        Value { text: text.into(), origin }
    }

    /// What a single value would be on the command line, if it has the right type.
    fn text(&self, option: &Arg, value: &DeValue<'_>) -> Option<String> {
        match (kind::of(option), value) {
            (Kind::Switch, DeValue::Boolean(value)) => Some(value.to_string()),
            (Kind::Choice, DeValue::Boolean(value)) => {
                let text = value.to_string();
                kind::choices(option).contains(&text.as_str()).then_some(text)
            }
            (Kind::Number | Kind::Size | Kind::Choice, DeValue::Integer(number)) => {
                Some(decimal(number))
            }
            (Kind::Choice | Kind::Size | Kind::Text | Kind::Texts, DeValue::String(text)) => {
                Some(text.to_string())
            }
            (Kind::Path | Kind::Paths, DeValue::String(path)) => Some(self.path(path)),
            _ => None,
        }
    }

    /// A path of the file as it is seen from here.
    pub(super) fn path(&self, written: &str) -> String {
        // An empty path stays one, which is refused.
        if written.is_empty() {
            return String::new();
        }
        self.folder.join(written).to_string_lossy().into_owned()
    }

    fn wrong(&mut self, option: &Arg, entry: &Entry<'_>) {
        let written = match entry.value {
            // A secret is not shown, not even as the cure.
            _ if kind::is_secret(option) => None,
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(decimal(number)),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        let (takes, example) = match kind::of(option) {
            Kind::Switch => {
                let is_switch = |text: &String| matches!(text.as_str(), "true" | "false");
                ("true or false".to_owned(), written.filter(is_switch).unwrap_or("true".into()))
            }
            Kind::Number => {
                let number = written.filter(|text| text.parse::<u64>().is_ok());
                ("a whole number".to_owned(), number.unwrap_or_else(|| default(option, "1")))
            }
            Kind::Size => ("a size".to_owned(), format!("{:?}", default(option, "16MiB"))),
            Kind::Choice => {
                let choices = kind::choices(option);
                let first = default(option, choices.first().copied().unwrap_or_default());
                let names: Vec<String> =
                    choices.iter().map(|choice| kind::choice_in_toml(choice)).collect();
                (format!("one of {}", list(&names)), format!("{first:?}"))
            }
            Kind::Path => ("a path in quotes".to_owned(), "\"FILE\"".to_owned()),
            Kind::Texts => ("a list of texts".to_owned(), quoted_list(written, option)),
            Kind::Paths => ("a list of paths".to_owned(), quoted_list(None, option)),
            kind @ (Kind::Table | Kind::PathTable) => {
                let key = entry.key;
                let found = type_name(entry.value);
                let value = if kind == Kind::PathTable { "\"FILE\"" } else { "VALUE" };
                let text = format!(
                    "{key} takes a table, not {found}: write [{key}] and below it NAME = {value}"
                );
                self.problem(entry, text);
                return;
            }
            Kind::Text | Kind::Json => {
                let text = written.unwrap_or_else(|| kind::value_name(option).to_owned());
                ("a text in quotes".to_owned(), format!("{text:?}"))
            }
        };
        self.wrong_type(entry, &takes, &example);
    }

    /// The entries of a table of `NAME=VALUE`s. Names with dots need no quotes: `a.b = 1` is a table
    /// within a table for TOML, and the name `a.b` here.
    fn flatten(
        &mut self,
        (key, kind): (&str, Kind),
        prefix: &str,
        table: &DeTable<'_>,
        values: &mut Vec<Value>,
    ) {
        for entry in entries(table) {
            let name = format!("{prefix}{}", entry.key);
            if prefix.is_empty() && self.option(entry.key, Section::Top).is_some() {
                let text = format!(
                    "{name} stands below [{key}], which makes it a part of that: move it above every [...]"
                );
                self.problem_at_key(&entry, text);
                continue;
            }
            let mut add = |value: &DeValue<'_>, start: usize| match self.named(kind, value) {
                Ok(text) => values.push(self.value(start, format!("{name}={text}"))),
                Err(takes) => {
                    let found = type_name(value);
                    let text = format!("{name} in [{key}] takes {takes}, not {found}");
                    self.problems.push(Problem::at(&self.document.position(start), text));
                }
            };
            match entry.value {
                DeValue::Table(inner) => {
                    self.flatten((key, kind), &format!("{name}."), inner, values);
                }
                DeValue::Array(items) if kind == Kind::Table => {
                    items.iter().for_each(|item| add(item.get_ref(), item.span().start));
                }
                value => add(value, entry.value_start),
            }
        }
    }

    /// A value of a table as it would be on the command line, or what it should have been.
    fn named(&self, kind: Kind, value: &DeValue<'_>) -> Result<String, &'static str> {
        match (kind, value) {
            (Kind::PathTable, DeValue::String(path)) => Ok(self.path(path)),
            (Kind::PathTable, _) => Err("a path in quotes"),
            (_, DeValue::String(text)) => Ok(text.to_string()),
            (_, DeValue::Integer(number)) => Ok(decimal(number)),
            (_, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
            (_, DeValue::Boolean(value)) => Ok(value.to_string()),
            _ => Err("a text, a number, or true or false"),
        }
    }
}

/// An integer in base 10, whatever base it is written in.
fn decimal(number: &DeInteger<'_>) -> String {
    let parsed = i128::from_str_radix(number.as_str(), number.radix());
    parsed.map_or_else(|_| number.as_str().to_owned(), |number| number.to_string())
}

fn default(option: &Arg, otherwise: &str) -> String {
    let default = option.get_default_values().first().and_then(|text| text.to_str());
    default.unwrap_or(otherwise).to_owned()
}

fn quoted_list(written: Option<String>, option: &Arg) -> String {
    format!("[{:?}]", written.unwrap_or_else(|| kind::value_name(option).to_owned()))
}
