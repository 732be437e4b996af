//! What is wrong with what the user wrote, and where that is.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// A place in the file; lines and columns (in characters) start at 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
    pub file: Arc<Path>,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One problem, in one line that names the cure. It stands where the value does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub at: Option<Position>,
    pub text: String,
}

impl Problem {
    pub fn at(position: &Position, text: impl Into<String>) -> Self {
        Self { at: Some(position.clone()), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.at {
            write!(formatter, "{position}: ")?;
        }
        formatter.write_str(&self.text)
    }
}

/// Why there is nothing to run: wrong usage or configuration, or a request for help or the version.
#[derive(Debug)]
pub enum Refusal {
    /// Of the command line, or a request for help.
    Usage(clap::Error),
    /// Of the file or the environment, at least one.
    Problems(Vec<Problem>),
}

impl Refusal {
    /// Writes help to standard output, and anything else to standard error.
    pub fn print(&self) {
        match self {
            // There is nobody left to tell that standard error is closed.
            Self::Usage(error) => error.print().unwrap_or_default(),
            Self::Problems(_) => {
                std::io::stderr().write_all(self.to_string().as_bytes()).unwrap_or_default();
            }
        }
    }

    /// 0 for help and the version, else 2.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(error) if !error.use_stderr() => ExitCode::SUCCESS,
            _ => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(formatter),
            Self::Problems(problems) => {
                problems.iter().try_for_each(|problem| writeln!(formatter, "error: {problem}"))
            }
        }
    }
}
