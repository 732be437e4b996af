//! `host`: arguments, logging, run, exit code.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use host::bridge::{self, Stops};
use host::checkup;
use host::config::{self, Capture, Check, Command, Config, New, Replay, SwapRequest, Workbench};
use host::control::Control;
use host::demo;
use host::plugin;
use host::setup::{self, Prepared};
use host::swap::Ask;
use host::telemetry::{self, Ledger};
use host::workbench::{self, capture, new, redeliver, replay, swap};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// It could not go on.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;

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
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, problem }) => {
            if let Some(problem) = problem {
                eprintln!("host: {problem}");
            }
            ExitCode::from(code)
        }
    }
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
    let (wording, socket) = (config.wording.clone(), config.control_socket.clone());
    let Prepared { settings, transforms, swaps, plugins } = prepare(config)?;
    for plugin in &plugins {
        tracing::info!("{plugin}");
    }
    let ledger = Arc::<Ledger>::default();
    let ask = swaps.start().map_err(|problem| Failure::new(FAILED, problem))?;
    let result = run(async {
        let stops = stops(Some(ask.clone())).map_err(|problem| Failure::new(FAILED, problem))?;
        // The socket is there until the end.
        let _control = listen(socket.as_deref(), ask)
            .await
            .map_err(|problem| Failure::new(USAGE, wording.of(&problem)))?;
        Ok(bridge::run(settings, transforms, Arc::clone(&ledger), stops).await)
    })??;
    let counts = ledger.counts();
    eprintln!("{counts}");
    if counts.timestamp_unusable > 0 {
        tracing::info!(
            "{} messages had a _timestamp that names no time, and got their time of arrival",
            counts.timestamp_unusable
        );
    }
    counts.balance().map_err(|imbalance| Failure::new(FAILED, imbalance.to_string()))?;
    result.map_err(|problem| Failure::new(FAILED, wording.of(&problem)))
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
        eprintln!("host: {}", wording.of(problem));
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
    telemetry::init(&capture.log).map_err(|problem| Failure::new(USAGE, problem))?;
    end_on_panic();
    let Capture { source, output, count, time, wording, .. } = capture;
    let unusable = |problem: String| Failure::new(USAGE, wording.of(&problem));
    let source = setup::source_settings(source).map_err(unusable)?;
    let output = capture::Output::open(output).map_err(unusable)?;
    let recorded = run(async { capture::run(&source, output, count, time, stops(None)?).await })?;
    let messages = recorded.map_err(|problem| Failure::new(FAILED, wording.of(&problem)))?;
    eprintln!("{messages} messages recorded");
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
            let stops = stops(None).map_err(workbench::Ended::Away)?;
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
    telemetry::init(&config.log).map_err(|problem| Failure::new(USAGE, problem))?;
    end_on_panic();
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
    telemetry::init(&demo.log).map_err(|problem| Failure::new(USAGE, problem))?;
    end_on_panic();
    let options = demo::Options { time: demo.time, messages: demo.messages, plugins: demo.plugins };
    let result = run(async { demo::run(options, stops(None)?).await })?;
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

/// Counts requests to stop: SIGTERM and SIGINT. SIGHUP asks for a look at the plugins' files, but ends
/// the program, as it always does, if it says that the terminal is gone.
fn stops(ask: Option<Ask>) -> Result<Stops, String> {
    let (sender, stops) = watch::channel(0);
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (terminate, interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let count = |mut signal: Signal, sender: watch::Sender<u32>| async move {
        while signal.recv().await.is_some() {
            sender.send_modify(|stops| *stops += 1);
        }
    };
    tokio::spawn(count(terminate, sender.clone()));
    if let Some(ask) = ask {
        let mut hangup = listen(SignalKind::hangup())?;
        let had_terminal = std::io::stderr().is_terminal();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                if had_terminal && !std::io::stderr().is_terminal() {
                    // Nothing that could still be said would be read.
                    std::process::exit(i32::from(FAILED));
                }
                ask.now();
            }
        });
    }
    tokio::spawn(count(interrupt, sender));
    Ok(stops)
}

/// A thread that panics leaves messages that nobody would ever confirm: better to start again,
/// since nothing unconfirmed was acknowledged.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("host: this is a bug in host; nothing acknowledged is lost, start it again");
        std::process::exit(i32::from(FAILED));
    }));
}
