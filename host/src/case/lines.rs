//! Files of messages, a JSON object a line.

use std::io::BufRead;

use super::Sample;

/// A line of a file, and the message in it.
pub struct Line {
    /// `FILE:LINE`.
    pub place: String,
    pub text: String,
    /// `None` for an empty line.
    pub sample: Option<Sample>,
}

/// Reads lines, one as it is asked for; `file` is how to speak of them. What is wrong with one begins
/// with its place.
pub fn lines<R: BufRead>(
    file: &str,
    reader: R,
) -> impl Iterator<Item = Result<Line, String>> + use<R> {
    let file = file.to_owned();
    reader.lines().enumerate().map(move |(index, line)| {
        let place = format!("{file}:{}", index + 1);
        let read = |line: String| {
            let sample = (!line.trim().is_empty()).then(|| Sample::read(&line)).transpose()?;
            Ok((line, sample))
        };
        match line.map_err(|error| error.to_string()).and_then(read) {
            Ok((text, sample)) => Ok(Line { place, text, sample }),
            Err(problem) => Err(format!("{place}: {problem}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_message_is_named_and_empty_ones_are_none() {
        let text: &[u8] = b"{\"topic\": \"a\"}\n \nnonsense\n\xff\n";
        let read = |line: Result<Line, String>| {
            line.map(|line| (line.place, line.text, line.sample.map(|sample| sample.topic)))
        };
        let mut lines = lines("x.jsonl", text).map(read);
        let topic = Some("a".to_owned());
        assert_eq!(
            lines.next(),
            Some(Ok(("x.jsonl:1".into(), "{\"topic\": \"a\"}".into(), topic)))
        );
        assert_eq!(lines.next(), Some(Ok(("x.jsonl:2".into(), " ".into(), None))));
        for start in ["x.jsonl:3: expected", "x.jsonl:4: stream did not contain valid UTF-8"] {
            let problem = lines.next().and_then(Result::err).expect("a problem");
            assert!(problem.starts_with(start), "{problem}");
        }
        assert_eq!(lines.next(), None);
    }
}
