//! `host plugin swap`: what became of the plugins' files in a running host, as soon as it has looked.

use std::io::Write;

use super::Ended;
use crate::config::SwapRequest;
use crate::control;
use crate::plugin::SwapOutcome;

/// Asks, and says what became of each file.
///
/// # Errors
/// See [`Ended`]; a file that was refused is a failure.
pub fn run(request: &SwapRequest, out: &mut dyn Write) -> Result<(), Ended> {
    let SwapRequest { socket, json, wording, .. } = request;
    let reports = control::swap(socket).map_err(|problem| Ended::Unusable(wording.of(&problem)))?;
    for report in &reports {
        if *json {
            let line = serde_json::to_string(report).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{report}")?;
        }
    }
    if reports.is_empty() && !json {
        writeln!(out, "the running host has no plugins")?;
    }
    let refused = |outcome: &SwapOutcome| matches!(outcome, SwapOutcome::Stays { .. });
    if reports.iter().any(|report| refused(&report.outcome)) { Err(Ended::Failed) } else { Ok(()) }
}
