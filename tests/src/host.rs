//! The binary under test: started with flags, watched from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::kafka::Kafka;
use crate::mosquitto::Mosquitto;
use crate::process::{Process, Stream, Written};
use crate::{SOON, eventually, target};

/// What the line of the log says that comes once the server has granted the subscription.
pub const READY: &str = "subscribed";

/// Names another binary to test, instead of the one that Cargo builds.
const OVERRIDE: &str = "HOST_BINARY";

/// The binary, built first so that no stale one is tested.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os(OVERRIDE) {
            return path.into();
        }
        let folder = target::profile_folder();
        if folder.ends_with("release") {
            target::cargo_build(&["--workspace", "--bin", "host", "--release"]);
        } else {
            target::cargo_build(&["--workspace", "--bin", "host"]);
        }
        folder.join("host")
    })
}

/// How `host` is to be started.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Where it starts, if not where the tests are.
    folder: Option<PathBuf>,
    /// A shell script that starts it, if it is not started straight away.
    script: Option<String>,
}

impl Builder {
    /// A flag with its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl ToString) -> Self {
        self.arguments.push(format!("--{name}={}", value.to_string()));
        self
    }

    /// An argument exactly as it stands.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A property of Kafka's client: `NAME=VALUE`.
    #[must_use]
    pub fn kafka_property(self, property: impl Into<String>) -> Self {
        self.argument("-X").argument(property)
    }

    /// The same arguments for a subcommand, such as `config check`.
    #[must_use]
    pub fn subcommand(mut self, words: &str) -> Self {
        self.arguments.splice(0..0, words.split(' ').map(str::to_owned));
        self
    }

    /// Drops the flag of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let (alone, with_value) = (format!("--{name}"), format!("--{name}="));
        self.arguments.retain(|known| *known != alone && !known.starts_with(&with_value));
        self
    }

    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it in this folder.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// Starts it by a shell script, for whose standard output and standard error are special. The script
    /// ends with `exec "$@"`.
    #[must_use]
    pub fn by_script(self, script: impl Into<String>) -> Self {
        Self { script: Some(script.into()), ..self }
    }

    #[must_use]
    pub fn plugin(self, package: &str) -> Self {
        let path = crate::plugin::plugin(package);
        self.flag("plugin", path.display())
    }

    /// Starts it without waiting for anything.
    pub fn launch(&self) -> Host {
        let mut command = match &self.script {
            None => Command::new(binary()),
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", script, "sh"]).arg(binary());
                shell
            }
        };
        command.args(&self.arguments).env("NO_COLOR", "1");
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOST_")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").envs(&self.environment);
        Host { process: Process::start("host", &command) }
    }

    /// Starts it and waits until it takes messages.
    ///
    /// # Panics
    /// If it does not come that far.
    pub fn start(&self) -> Host {
        let host = self.launch();
        host.wait_until_ready();
        host
    }

    /// Runs it to its end, which should come by itself.
    ///
    /// # Panics
    /// If it does not end.
    pub fn run(&self) -> Ended {
        self.launch().wait(SOON)
    }
}

/// A running `host`.
#[derive(Debug)]
pub struct Host {
    process: Process,
}

impl Host {
    /// Without any flag.
    pub fn bare() -> Builder {
        Builder::default()
    }

    /// Subscribes to `filter` on the MQTT server at this port, without TLS, and writes to `topic`.
    pub fn between_ports(mqtt: u16, filter: &str, kafka: &str, topic: &str) -> Builder {
        Builder::default()
            .flag("topic", filter)
            .flag("client-id", format!("host-{topic}"))
            .flag("server", "127.0.0.1")
            .flag("port", mqtt)
            .flag("tls-enabled", false)
            .flag("broker-address", kafka)
            .flag("kafka-topic", topic)
    }

    /// The same with brokers of the harness.
    pub fn between(mosquitto: &Mosquitto, filter: &str, kafka: &Kafka, topic: &str) -> Builder {
        Self::between_ports(mosquitto.port(), filter, kafka.address(), topic)
    }

    pub fn wait_until_ready(&self) {
        self.wait_for_line("that it has subscribed", |line| line.contains(READY));
    }

    /// Waits until it has subscribed so many times since it was started.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_ready_again(&self, times: usize) {
        eventually(&format!("host has subscribed {times} times"), SOON, || {
            (self.errors().matches(READY).count() >= times).then_some(())
        });
    }

    /// Waits for a line of standard output or standard error.
    ///
    /// # Panics
    /// If none comes, or the process ends without it.
    pub fn wait_for_line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.process.wait_for_line(what, SOON, wanted)
    }

    /// Everything on standard error so far.
    pub fn errors(&self) -> String {
        self.process.text(Stream::Err)
    }

    /// The last lines that it has written.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// Everything on standard output so far.
    pub fn output(&self) -> String {
        self.process.text(Stream::Out)
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most resident memory that it ever had, in bytes.
    pub fn peak_resident_bytes(&self) -> u64 {
        self.process.peak_resident_bytes()
    }

    /// SIGTERM, and nothing more.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// SIGINT, as Ctrl-C sends it.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.process.hang_up();
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn stop(self) -> Ended {
        self.terminate();
        self.wait(SOON)
    }

    /// SIGSTOP: everything about it stays, but it does nothing any more.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// How much it has written.
    pub fn written(&self) -> Written {
        self.process.written()
    }

    /// Leaves what it writes to this stream where it is, so that the pipe is full at some time.
    pub fn hold(&self, stream: Stream) {
        self.process.hold(stream);
    }

    /// Reads everything again.
    pub fn release(&self) {
        self.process.release();
    }

    /// Closes the pipe of a stream when it writes to it the next time.
    pub fn drop_reader(&self, stream: Stream) {
        self.process.drop_reader(stream);
    }

    /// Descriptors that it may have open; `None` is as many as it may have at most.
    pub fn limit_descriptors(&self, count: Option<u64>) {
        self.process.limit("nofile", count);
    }

    /// Waits for the end; gives itself back if that does not come within `deadline`.
    ///
    /// # Errors
    /// The process that still runs.
    pub fn try_wait(mut self, deadline: Duration) -> Result<Ended, Self> {
        match self.process.try_wait(deadline) {
            Some(_) => Ok(self.wait(deadline)),
            None => Err(self),
        }
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If it does not come within `deadline`.
    pub fn wait(mut self, deadline: Duration) -> Ended {
        let status = self.process.wait(deadline);
        Ended {
            code: status.code(),
            output: self.process.text(Stream::Out),
            errors: self.process.text(Stream::Err),
        }
    }
}

/// What is left of a `host` that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Ended {
    /// The ledger it printed at the end.
    ///
    /// # Panics
    /// If there is none.
    pub fn ledger(&self) -> Ledger {
        self.try_ledger().unwrap_or_else(|| panic!("no whole ledger in:\n{}", self.errors))
    }

    /// The ledger it printed at the end, if it did.
    pub fn try_ledger(&self) -> Option<Ledger> {
        let line = self.errors.lines().rev().find(|line| line.contains("received="));
        Ledger::parse(line?)
    }

    /// # Panics
    /// If it ended with another code, or did not say all of `words` in one line.
    pub fn assert_failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "the exit code; it wrote:\n{}", self.errors);
        let said = self.errors.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "no line says all of {words:?} in:\n{}", self.errors);
    }

    /// # Panics
    /// If no line of standard output has all of `words`.
    #[track_caller]
    pub fn assert_says(&self, words: &[&str]) {
        let said = self.output.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "no line says all of {words:?} in:\n{}{}", self.output, self.errors);
    }

    /// # Panics
    /// If it did not end with 0 and a ledger that adds up and has nothing in flight.
    pub fn assert_clean(&self) -> Ledger {
        assert_eq!(self.code, Some(0), "the exit code; it wrote:\n{}", self.errors);
        let ledger = self.ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.in_flight, 0, "nothing is in flight at the end: {ledger:?}");
        ledger
    }
}

/// What became of every message that `host` received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    pub received: u64,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub skipped: u64,
    pub dropped: u64,
    pub in_flight: u64,
}

impl Ledger {
    fn parse(line: &str) -> Option<Self> {
        let number = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}="))?;
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        };
        Some(Self {
            received: number("received")?,
            delivered: number("delivered")?,
            dead_lettered: number("dead_lettered")?,
            skipped: number("skipped")?,
            dropped: number("dropped")?,
            in_flight: number("in_flight")?,
        })
    }

    /// # Panics
    /// If something is unaccounted for.
    pub fn assert_balanced(&self) {
        assert!(self.is_balanced(), "the ledger adds up: {self:?}");
    }

    /// Whether everything is accounted for.
    pub fn is_balanced(&self) -> bool {
        let ended = self.delivered + self.dead_lettered + self.skipped + self.dropped;
        self.received == ended + self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_found_in_its_line() {
        let line = "INFO received=6 delivered=3 dead_lettered=1 skipped=1 dropped=1 in_flight=0";
        let ledger = Ledger::parse(line).unwrap();
        assert_eq!((ledger.received, ledger.delivered, ledger.in_flight), (6, 3, 0));
        ledger.assert_balanced();
        assert_eq!(Ledger::parse("received=6 delivered=3"), None);
    }
}
