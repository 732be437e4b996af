//! Asks a running host.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Answer, Request, line};
use crate::plugin::Report;

/// How long the request may take to be taken. The answer may take longer, since plugins are compiled
/// meanwhile; so often it is said that there is none yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the largest answer: far more than a line for each plugin.
const LARGEST: u64 = 16 << 20;

/// Has the host that listens on this socket look at the files of all its plugins.
///
/// # Errors
/// Why there is no answer, in one line that names the cure.
pub fn swap(socket: &Path) -> Result<Vec<Report>, String> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket).map_err(|error| unreachable(socket, &error))?;
    let waits = |seconds| {
        tracing::warn!(
            "host on --control-socket {shown} has not answered for {seconds} s; it may be compiling: see \
             its log, or end this with Ctrl-C"
        );
    };
    let answer = ask(stream, &Request::Swap {}, waits)
        .map_err(|error| format!("cannot ask host on --control-socket {shown}: {error}"))?;
    if answer.is_empty() {
        return Err(format!(
            "host on --control-socket {shown} has ended before it answered; see its log"
        ));
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Plugins(reports)) => Ok(reports),
        Ok(Answer::Error(error)) => Err(format!("host on --control-socket {shown} says: {error}")),
        Err(error) => Err(format!(
            "what answers on --control-socket {shown} is no host of this version ({error}); give the \
             socket of one"
        )),
    }
}

/// `waits` is told for how many seconds there has been no answer.
fn ask(mut stream: UnixStream, request: &Request, waits: impl Fn(u64)) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&line(request)?)?;
    let (mut reader, asked) = (BufReader::new(stream.take(LARGEST)), Instant::now());
    let mut answer = Vec::new();
    loop {
        match reader.read_until(b'\n', &mut answer) {
            Ok(_) => return Ok(answer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => waits(asked.elapsed().as_secs()),
            Err(error) => return Err(error),
        }
    }
}

fn unreachable(socket: &Path, error: &io::Error) -> String {
    let shown = socket.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
            "nobody listens on --control-socket {shown}: is host running with --control-socket?"
        ),
        ErrorKind::PermissionDenied => format!(
            "--control-socket {shown} is another user's: run this as the user that host runs as"
        ),
        _ => format!("--control-socket {shown} cannot be reached: {error}; check the path"),
    }
}
