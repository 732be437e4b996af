//! A child process that never outlives the test run, and whose output a failed test shows.
//!
//! A parent-death signal will not do: it follows the *thread* that started the child, and the
//! test runner's threads end with each test. So the child is started by a shell that first leaves
//! a watcher behind; the watcher waits for the end of a pipe that only the test run holds open.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::usage::Usage;
use crate::{A_WHILE, eventually};

/// The watcher compares its parent, since the child's id may belong to a stranger by then.
const SUPERVISE: &str = r#"
exec 3<&0 </dev/null
(
  trap '' INT TERM HUP
  read -r _ <&3
  read -r _ _ _ parent _ </proc/self/stat
  [ "$parent" = $$ ] && kill -KILL $$
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// Lines of output that a failed test shows, counted from the end.
const SHOWN: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

const STREAMS: usize = 2;

/// What a process has written so far, line by line.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<(Stream, String)>,
    closed: usize,
    /// What is not read at present.
    held: Option<Stream>,
    /// What is not read any more.
    dropped: Option<Stream>,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, stream: Stream, source: impl Read) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(source.read_until(b'\n', &mut line), Ok(size) if size > 0) {
            let held = |lines: &mut Lines| lines.held == Some(stream);
            let lines = self.changed.wait_while(self.lock(), held);
            if lines.unwrap_or_else(PoisonError::into_inner).dropped == Some(stream) {
                break;
            }
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            self.lock().all.push((stream, text));
            self.changed.notify_all();
            line.clear();
        }
        self.lock().closed += 1;
        self.changed.notify_all();
    }

    /// Reads this stream, too, or all but this one.
    fn hold(&self, stream: Option<Stream>) {
        self.lock().held = stream;
        self.changed.notify_all();
    }
}

/// How much a process has written so far, for somebody who watches it from another thread.
#[derive(Debug, Clone)]
pub struct Written(Arc<Output>);

impl Written {
    /// Lines on both streams.
    pub fn lines(&self) -> usize {
        self.0.lock().all.len()
    }
}

/// A running child process, killed when it goes out of scope.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Held for its end, which is the sign for the watcher.
    lifeline: Option<ChildStdin>,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts what `command` says; its standard input is empty and its output is kept here.
    pub fn start(name: &str, command: &Command) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISE, "sh"]).arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`sh` starts");
        let lifeline = child.stdin.take();
        let output = Arc::new(Output::default());
        let readers = vec![
            read_in_background(&output, Stream::Out, child.stdout.take().expect("it is piped")),
            read_in_background(&output, Stream::Err, child.stderr.take().expect("it is piped")),
        ];
        Self { name: name.to_owned(), child, lifeline, output, readers, status: None }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    /// Waits for a line of output that `wanted` accepts, whenever it was written.
    ///
    /// # Panics
    /// If none comes within `deadline`, or the process ends without it.
    pub fn wait_for_line(
        &self,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let end = Instant::now() + deadline;
        let mut lines = self.output.lock();
        let mut seen = 0;
        loop {
            if let Some((_, line)) = lines.all[seen..].iter().find(|(_, line)| wanted(line)) {
                return line.clone();
            }
            seen = lines.all.len();
            let left = end.saturating_duration_since(Instant::now());
            if lines.closed == STREAMS || left.is_zero() {
                let ended = if left.is_zero() { "wrote within the deadline" } else { "ever wrote" };
                drop(lines);
                panic!("no line that {} {ended} says: {what}\n{}", self.name, self.tail());
            }
            let changed = self.output.changed.wait_timeout(lines, left);
            lines = changed.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything written to one stream so far.
    pub fn text(&self, stream: Stream) -> String {
        let lines = self.output.lock();
        let of_stream = lines.all.iter().filter(|(of, _)| *of == stream);
        of_stream.fold(String::new(), |text, (_, line)| text + line + "\n")
    }

    /// How much it has written.
    pub fn written(&self) -> Written {
        Written(Arc::clone(&self.output))
    }

    /// Leaves what it writes to this stream where it is, so that the pipe is full at some time.
    pub fn hold(&self, stream: Stream) {
        self.output.hold(Some(stream));
    }

    /// Reads everything again.
    pub fn release(&self) {
        self.output.hold(None);
    }

    /// Closes the pipe of a stream when the process writes to it the next time.
    pub fn drop_reader(&self, stream: Stream) {
        self.output.lock().dropped = Some(stream);
    }

    /// Lowers a limit of setrlimit(2) by its name in prlimit(1), or raises it again as far as it may.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn limit(&self, name: &str, value: Option<u64>) {
        let value = value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string());
        let changed = Command::new("prlimit")
            .arg(format!("--pid={}", self.id()))
            .arg(format!("--{name}={value}:"))
            .status()
            .expect("`prlimit` starts (Debian: apt-get install util-linux)");
        assert!(changed.success(), "cannot set the limit {name} of {}", self.name);
    }

    /// The last lines of output, for messages.
    pub fn tail(&self) -> String {
        let lines = self.output.lock();
        let from = lines.all.len().saturating_sub(SHOWN);
        let head = format!("--- the last lines of {} ---\n", self.name);
        lines.all[from..].iter().fold(head, |text, (_, line)| text + line + "\n")
    }

    /// SIGTERM, and nothing more.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGINT.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// SIGUSR1.
    pub fn user_signal(&self) {
        self.signal("USR1");
    }

    /// SIGTERM, then waits.
    ///
    /// # Panics
    /// If it has not ended within `deadline`.
    pub fn stop(&mut self, deadline: Duration) -> ExitStatus {
        self.terminate();
        self.wait(deadline)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if self.poll().is_none() {
            self.signal("KILL");
            let status = self.child.wait().expect("a child can be waited for");
            self.ended(status);
        }
    }

    /// SIGSTOP: everything about the process stays, but it does nothing any more.
    ///
    /// # Panics
    /// If it goes on.
    pub fn pause(&self) {
        self.signal("STOP");
        // One thread takes the signal and stops the others, but while it waits for a processor these go on.
        eventually(&format!("{} stands still", self.name), A_WHILE, || {
            let states = thread_states(self.id());
            states.iter().all(|state| "TZX".contains(*state)).then_some(())
        });
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// If it has not ended within `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = self.try_wait(deadline);
        ended.unwrap_or_else(|| {
            panic!("{} has not ended after {deadline:?}\n{}", self.name, self.tail())
        })
    }

    /// Waits for the process to end by itself; `None` if it has not within `deadline`.
    pub fn try_wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            let status = self.poll();
            if status.is_some() || Instant::now() > end {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The most resident memory that the running process ever had, in bytes.
    pub fn peak_resident_bytes(&self) -> u64 {
        Usage::of(self.id()).peak_resident_bytes
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.status.is_none()
            && let Some(status) = self.child.try_wait().expect("a child can be waited for")
        {
            self.ended(status);
        }
        self.status
    }

    fn ended(&mut self, status: ExitStatus) {
        self.status = Some(status);
        self.lifeline = None;
        self.release();
        for reader in &mut self.readers.drain(..) {
            reader.join().expect("the reader of a pipe does not panic");
        }
    }

    fn signal(&self, name: &str) {
        assert!(self.status.is_none(), "{} has ended already\n{}", self.name, self.tail());
        let kill = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.id().to_string()])
            .status()
            .expect("`sh` starts");
        assert!(kill.success(), "cannot send SIG{name} to {}", self.name);
    }
}

/// What each thread of a process does, in the letters of proc(5).
fn thread_states(id: u32) -> Vec<char> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let stat =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    // The name before it, in brackets, may have anything in it.
    stat.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
}

fn read_in_background(
    output: &Arc<Output>,
    stream: Stream,
    source: impl Read + Send + 'static,
) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || output.read(stream, source))
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            // SIGKILL needs no care for whether it runs, is paused, or has just ended.
            let _: std::io::Result<()> = self.child.kill();
            let _: std::io::Result<ExitStatus> = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::SOON;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", &command)
    }

    #[test]
    fn a_child_is_killed_when_the_run_ends_even_if_it_is_paused() {
        let mut process = shell("echo started; exec sleep 100");
        process.wait_for_line("that it runs", SOON, |line| line == "started");
        process.pause();
        process.lifeline = None;
        assert_eq!(process.wait(SOON).signal(), Some(9));
    }

    #[test]
    fn a_paused_child_stands_still_until_it_is_resumed() {
        let process = shell("echo started; while :; do :; done");
        process.wait_for_line("that it runs", SOON, |line| line == "started");
        process.pause();
        assert_eq!(thread_states(process.id()), ['T']);
        process.resume();
        eventually("it goes on", SOON, || (thread_states(process.id()) == ['R']).then_some(()));
    }

    #[test]
    fn a_child_ends_with_its_own_code_and_all_of_its_output() {
        let mut process = shell("echo one; echo two >&2; exit 3");
        assert_eq!(process.wait(SOON).code(), Some(3));
        assert_eq!(process.text(Stream::Out), "one\n");
        assert_eq!(process.text(Stream::Err), "two\n");
    }

    #[test]
    fn a_child_is_asked_to_stop() {
        let mut process =
            shell("trap 'echo stopping; exit 0' TERM; echo up; while :; do sleep 0.01; done");
        process.wait_for_line("that it runs", SOON, |line| line == "up");
        assert!(process.is_running() && process.peak_resident_bytes() > 0);
        assert_eq!(process.stop(SOON).code(), Some(0));
        assert!(process.text(Stream::Out).ends_with("stopping\n"));
    }
}
