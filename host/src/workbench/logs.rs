//! What plugins log, caught to be shown beside the message that they logged it for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A line that a plugin logged, or that the host logged about one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    pub level: String,
    pub plugin: String,
    /// What the plugin calls the place that it logged from.
    pub from: String,
    pub message: String,
}

/// Runs something, and gives what plugins logged meanwhile, at every level.
pub fn caught<R>(run: impl FnOnce() -> R) -> (Vec<Line>, R) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let result = tracing::subscriber::with_default(subscriber, run);
    let lines = std::mem::take(&mut *lines.0.lock().unwrap_or_else(PoisonError::into_inner));
    (lines, result)
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "plugin"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level: &Level = event.metadata().level();
        let mut line = Line { level: level.to_string().to_lowercase(), ..Line::default() };
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "plugin" => value.clone_into(&mut self.plugin),
            "from" => value.clone_into(&mut self.from),
            // What the host adds when it complains about one.
            name => {
                let more = format!("{name}: {value}");
                self.message = match self.message.as_str() {
                    "" => more,
                    message => format!("{message}; {more}"),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_plugins_are_caught_with_where_they_come_from_and_no_others() {
        let (lines, answer) = caught(|| {
            tracing::trace!(target: "plugin", plugin = "key", from = "init", "a {}", "line");
            tracing::error!("another");
            7
        });
        let line = Line {
            level: "trace".into(),
            plugin: "key".into(),
            from: "init".into(),
            message: "a line".into(),
        };
        assert_eq!((lines, answer), (vec![line], 7));
    }
}
