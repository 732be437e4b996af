//! The control socket: other programs on this machine ask a running host for something, a JSON object
//! a line, and get an answer, a JSON object a line.
//!
//! This is all that goes over it. `server` is the end of the host and `client` that of `host plugin`.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use client::swap;
pub use server::Control;

use crate::plugin::Report;

/// Bytes of the longest request.
const LONGEST: usize = 4 << 10;

/// What can be asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    /// Look at the files of all plugins now.
    Swap {},
}

impl Request {
    fn read(line: &[u8]) -> Result<Self, String> {
        if line.len() > LONGEST {
            return Err(format!("a request has {LONGEST} bytes at most"));
        }
        serde_json::from_slice(line).map_err(|error| {
            format!("that is no request ({error}); write {{\"command\": \"swap\"}}")
        })
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// What became of the file of each plugin.
    Plugins(Vec<Report>),
    /// Why nothing was done.
    Error(String),
}

/// Something as a line of JSON.
fn line(something: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(something)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::SwapOutcome;

    #[test]
    fn a_request_is_read_and_what_is_none_is_refused_with_what_would_be() {
        assert_eq!(Request::read(br#" {"command": "swap"} "#), Ok(Request::Swap {}));
        assert_eq!(line(&Request::Swap {}).expect("JSON"), b"{\"command\":\"swap\"}\n");
        for rubbish in [
            &b""[..],
            b"swap",
            b"\xff\xfe",
            b"{}",
            br#"{"command": "stop"}"#,
            br#"{"command": "swap", "file": "key.wasm"}"#,
            br#"{"command": "swap"} {"command": "swap"}"#,
        ] {
            let problem = Request::read(rubbish).expect_err("no request");
            assert!(problem.ends_with("write {\"command\": \"swap\"}"), "{problem}");
        }
        let long = Request::read(&[b' '; LONGEST + 1]).expect_err("too long");
        assert_eq!(long, "a request has 4096 bytes at most");
    }

    #[test]
    fn an_answer_is_what_the_documentation_shows() {
        let report = |outcome| Report { file: "key.wasm".into(), outcome };
        let [old, new] = ["a", "b"].map(|digit| digit.repeat(64));
        let reports = vec![
            report(SwapOutcome::TakesOver {
                from: old.clone(),
                to: new.clone(),
                messages: 64,
                changed: 51,
                cases: 3,
            }),
            report(SwapOutcome::Unchanged { version: new.clone() }),
            report(SwapOutcome::Stays { version: new.clone(), reason: "bad".into() }),
        ];
        let told: Vec<String> = reports.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "plugin key.wasm: version bbbbbbbbbbbb takes over from aaaaaaaaaaaa (self-test: 64 recent \
                 messages, 3 golden cases); 51 of 64 recent messages would get another record",
                "plugin key.wasm: the file has not changed (version bbbbbbbbbbbb)",
                "plugin key.wasm: version bbbbbbbbbbbb stays: bad",
            ]
        );
        let expected = serde_json::json!({"plugins": [
            {"file": "key.wasm", "outcome": "takes-over", "from": old, "to": new, "messages": 64, "changed": 51, "cases": 3},
            {"file": "key.wasm", "outcome": "unchanged", "version": new},
            {"file": "key.wasm", "outcome": "stays", "version": new, "reason": "bad"},
        ]});
        let answer = Answer::Plugins(reports);
        assert_eq!(serde_json::to_value(&answer).expect("JSON"), expected);
        assert_eq!(serde_json::from_value::<Answer>(expected).expect("an answer"), answer);
        let error = Answer::Error("no".into());
        assert_eq!(line(&error).expect("JSON"), b"{\"error\":\"no\"}\n");
    }
}
