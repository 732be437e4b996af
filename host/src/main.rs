//! `host`: arguments, logging, run, exit code.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use host::bridge::{self, Stops};
use host::checkup;
use host::config::{
    self, Capture, Check, Command, Config, Log, New, Replay, SwapRequest, Workbench,
};
use host::control::Control;
use host::demo;
use host::ledger::Ledger;
use host::output;
use host::plugin;
use host::setup::{self, Prepared};
use host::swap::Ask;
use host::telemetry;
use host::workbench::{self, capture, new, redeliver, replay, swap};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// It could not go on.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;

/// How long the end waits for who reads standard output and standard error.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    if let Some(code) = plugin::compile_if_started_for_it() {
        return code;
    }
    let done = match config::read(std::env::args_os(), std::env::vars_os()) {
        Err(refusal) => {
            refusal.print();
            return refusal.exit_code();
        }
        Ok(Command::Demo(demo)) => show(demo),
        Ok(Command::Print(text)) => print(&text),
        Ok(Command::Check(check)) => look_over(check),
        Ok(Command::Workbench(workbench)) => work(workbench),
        Ok(Command::New(plugin)) => begin(&plugin),
        Ok(Command::Capture(capture)) => record(*capture),
        Ok(Command::Replay(letters)) => try_again(letters),
        Ok(Command::Swap(request)) => ask_to_swap(&request),
        Ok(Command::Bridge(config)) => carry(*config),
    };
    let code = match done {
        Ok(()) => 0,
        Err(Failure { code, problem }) => {
            if let Some(problem) = problem {
                output::say(format_args!("host: {problem}"));
            }
            code
        }
    };
    // It may have no line's end.
    drop(std::io::stdout().flush());
    end(code)
}

/// Ends the program once everything it has said is written. Nothing that libraries have registered for the
/// end runs: OpenSSL's handler takes away what threads of Kafka's client are still using.
#[expect(unsafe_code, reason = "the standard library does not end without handlers")]
fn end(code: u8) -> ! {
    output::finish(PATIENCE);
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(code.into()) }
}

/// Why the program does not end with 0.
struct Failure {
    code: u8,
    /// In one line, unless all has been said.
    problem: Option<String>,
}

impl Failure {
    fn new(code: u8, problem: impl Into<String>) -> Self {
        Self { code, problem: Some(problem.into()) }
    }
}

/// Carries messages until told to stop.
fn carry(config: Config) -> Result<(), Failure> {
    let wording = config.wording.clone();
    let ledger = Arc::<Ledger>::default();
    let result = run(carry_until_told(config, Arc::clone(&ledger)))??;
    let counts = ledger.counts();
    output::say(counts);
    if counts.timestamp_unusable > 0 {
        tracing::info!(
            "{} messages had a _timestamp that names no time, and got their time of arrival",
            counts.timestamp_unusable
        );
    }
    counts.balance().map_err(|imbalance| Failure::new(FAILED, imbalance.to_string()))?;
    result.map_err(|problem| Failure::new(FAILED, wording.of(&problem)))
}

/// How the path ended; a failure is one of what has to be there first.
async fn carry_until_told(
    config: Config,
    ledger: Arc<Ledger>,
) -> Result<Result<(), String>, Failure> {
    // Before all else, so that no signal ends the program as it would by itself.
    let failed = |problem| Failure::new(FAILED, problem);
    let hangup = take(SignalKind::hangup()).map_err(failed)?;
    let mut stops = stops().map_err(failed)?;
    start_log(&config.log)?;
    let (wording, socket) = (config.wording.clone(), config.control_socket.clone());
    let prepared = tokio::task::spawn_blocking(|| make(config));
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        // Nothing has begun. What is being compiled ends with the program.
        _ = stops.wait_for(|stops| *stops > 0) => return Ok(Ok(())),
    };
    let prepared = prepared.map_err(|error| Failure::new(FAILED, error.to_string()))?;
    let Prepared { settings, transform, swaps, plugins } = prepared?;
    for plugin in &plugins {
        tracing::info!("{plugin}");
    }
    let ask = swaps.start().map_err(failed)?;
    tokio::spawn(ask_on(hangup, ask.clone()));
    // The socket is there until the end.
    let _control = listen(socket.as_deref(), ask)
        .await
        .map_err(|problem| Failure::new(USAGE, wording.of(&problem)))?;
    Ok(bridge::run(settings, transform, ledger, stops).await)
}

/// Listens for requests, if there is a socket for them.
async fn listen(socket: Option<&Path>, ask: Ask) -> Result<Option<Control>, String> {
    match socket {
        None => Ok(None),
        Some(socket) => Control::open(socket, ask).await.map(Some),
    }
}

/// Says whether a configuration is right, and what is wrong with it.
fn look_over(Check { name, config, connect }: Check) -> Result<(), Failure> {
    let wording = config.wording.clone();
    let Prepared { settings, plugins, .. } = prepare(*config)?;
    plugins.iter().try_for_each(|plugin| print(&format!("plugin {plugin}\n")))?;
    print(&format!("{name}: no mistakes found\n"))?;
    if !connect {
        return Ok(());
    }
    let findings = run(checkup::connect(&settings))?;
    findings.right.iter().try_for_each(|line| print(&format!("{line}\n")))?;
    for problem in &findings.wrong {
        output::say(format_args!("host: {}", wording.of(problem)));
    }
    if findings.wrong.is_empty() { Ok(()) } else { Err(Failure { code: FAILED, problem: None }) }
}

/// Looks at plugins.
fn work(workbench: Workbench) -> Result<(), Failure> {
    telemetry::init(&workbench.log).map_err(|problem| Failure::new(USAGE, problem))?;
    worked(workbench::run(workbench, &mut std::io::stdout().lock()))
}

/// Begins a plugin.
fn begin(plugin: &New) -> Result<(), Failure> {
    telemetry::init(&plugin.log).map_err(|problem| Failure::new(USAGE, problem))?;
    worked(new::run(plugin, &mut std::io::stdout().lock()))
}

fn worked(result: Result<(), workbench::Ended>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(workbench::Ended::Unusable(problem)) => {
            Err(Failure::new(USAGE, problem.replace('\n', "\nhost: ")))
        }
        Err(workbench::Ended::Away(problem)) => Err(Failure::new(FAILED, problem)),
        Err(workbench::Ended::Failed) => Err(Failure { code: FAILED, problem: None }),
        Err(workbench::Ended::Output(error)) => written(Err(error)),
    }
}

/// Records messages.
fn record(capture: Capture) -> Result<(), Failure> {
    start_log(&capture.log)?;
    let Capture { source, output, count, time, wording, .. } = capture;
    let unusable = |problem: String| Failure::new(USAGE, wording.of(&problem));
    let source = setup::source_settings(source).map_err(unusable)?;
    let output = capture::Output::open(output).map_err(unusable)?;
    let recorded = run(async { capture::run(&source, output, count, time, stops()?).await })?;
    let messages = recorded.map_err(|problem| Failure::new(FAILED, wording.of(&problem)))?;
    output::say(format_args!("{messages} messages recorded"));
    Ok(())
}

/// Tries dead letters or recorded messages again.
fn try_again(replay: Replay) -> Result<(), Failure> {
    let Replay { config, candidates, redeliver, what, json, count } = replay;
    let (wording, limits, routes) =
        (config.wording.clone(), config.plugin_limits, config.routes.clone());
    let prepared = prepare(*config)?;
    let options = replay::Options { routes, candidates, limits, json, count, what };
    let mut out = std::io::stdout();
    let tried = if redeliver {
        run(async {
            let stops = stops().map_err(workbench::Ended::Away)?;
            redeliver::run(prepared, options, stops, &mut out).await
        })?
    } else {
        replay::run(prepared, options, &mut out)
    };
    worked(tried.map_err(|ended| ended.in_words(|problem| wording.of(problem))))
}

/// Has a running host look at its plugins' files.
fn ask_to_swap(request: &SwapRequest) -> Result<(), Failure> {
    telemetry::init(&request.log).map_err(|problem| Failure::new(USAGE, problem))?;
    worked(swap::run(request, &mut std::io::stdout().lock()))
}

/// Starts the log, and makes of the configuration what it takes to run.
fn prepare(config: Config) -> Result<Prepared, Failure> {
    start_log(&config.log)?;
    make(config)
}

/// Starts the log, also for panics.
fn start_log(log: &Log) -> Result<(), Failure> {
    telemetry::init(log).map_err(|problem| Failure::new(USAGE, problem))?;
    end_on_panic();
    Ok(())
}

/// Makes of the configuration what it takes to run.
fn make(config: Config) -> Result<Prepared, Failure> {
    let wording = config.wording.clone();
    setup::prepare(config).map_err(|problem| Failure::new(USAGE, wording.of(&problem)))
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    written(std::io::stdout().write_all(text.as_bytes()))
}

/// Whether standard output was written to. A reader that has seen enough is no failure.
fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(FAILED, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Shows the whole path with embedded brokers.
fn show(mut demo: config::Demo) -> Result<(), Failure> {
    demo.log.filter.get_or_insert_with(|| demo::LOG_FILTER.to_owned());
    start_log(&demo.log)?;
    let options = demo::Options { time: demo.time, messages: demo.messages, plugins: demo.plugins };
    let result = run(async { demo::run(options, stops()?).await })?;
    result.map_err(|problem| Failure::new(FAILED, problem))
}

/// Runs something to its end.
fn run<F: Future>(something: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FAILED, format!("cannot start: {error}")))?;
    let output = runtime.block_on(something);
    // What may still wait for Kafka's first answer is of no use any more.
    runtime.shutdown_background();
    Ok(output)
}

/// Counts requests to stop, SIGTERM and SIGINT, from now on.
fn stops() -> Result<Stops, String> {
    let (sender, stops) = watch::channel(0);
    let count = |mut signal: Signal, sender: watch::Sender<u32>| async move {
        while signal.recv().await.is_some() {
            sender.send_modify(|stops| *stops += 1);
        }
    };
    tokio::spawn(count(take(SignalKind::terminate())?, sender.clone()));
    tokio::spawn(count(take(SignalKind::interrupt())?, sender));
    Ok(stops)
}

/// A signal that from now on does nothing by itself.
fn take(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("cannot listen for signals: {error}"))
}

/// SIGHUP asks for a look at the plugins' files, but ends the program, as it always does, if it says that
/// the terminal is gone.
async fn ask_on(mut hangup: Signal, ask: Ask) {
    let had_terminal = std::io::stderr().is_terminal();
    while hangup.recv().await.is_some() {
        if had_terminal && !std::io::stderr().is_terminal() {
            // Nothing that could still be said would be read.
            end(FAILED);
        }
        ask.now();
    }
}

/// A thread that panics leaves messages that nobody would ever confirm: better to start again,
/// since nothing unconfirmed was acknowledged. One that reads a plugin's file has none.
fn end_on_panic() {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name() == Some(plugin::READS_FILES) {
            tracing::debug!("a plugin's file cannot be read: {panic}");
            return;
        }
        output::say(format_args!("thread '{}' {panic}", thread.name().unwrap_or("unnamed")));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            output::say(backtrace);
        }
        output::say("host: this is a bug in host; nothing acknowledged is lost, start it again");
        end(FAILED);
    }));
}
