//! `host`: arguments, logging, run, exit code.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use host::bridge::{self, Stops};
use host::config::{self, Command, Config};
use host::demo;
use host::setup;
use host::telemetry::{self, Ledger};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// It could not go on.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match config::read(std::env::args_os(), std::env::vars_os()) {
        Err(refusal) => {
            refusal.print();
            refusal.exit_code()
        }
        Ok(Command::Demo(demo)) => show(demo),
        Ok(Command::Print(text)) => print(&text),
        Ok(Command::Bridge(config)) => carry(*config),
    }
}

/// Carries messages until told to stop.
fn carry(config: Config) -> ExitCode {
    if let Err(problem) = telemetry::init(&config.log) {
        return fail(USAGE, &problem);
    }
    end_on_panic();
    let wording = config.wording.clone();
    let (settings, transforms) = match setup::prepare(config) {
        Ok(prepared) => prepared,
        Err(problem) => return fail(USAGE, &wording.of(&problem)),
    };
    let ledger = Arc::<Ledger>::default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("cannot start: {error}")),
    };
    let result = runtime.block_on(async {
        let stops = stops().map_err(|error| format!("cannot listen for signals: {error}"))?;
        bridge::run(settings, transforms, Arc::clone(&ledger), stops).await
    });
    // What may still wait for Kafka's first answer is of no use any more.
    runtime.shutdown_background();
    let counts = ledger.counts();
    eprintln!("{counts}");
    if counts.timestamp_unusable > 0 {
        tracing::info!(
            "{} messages had a _timestamp that names no time, and got their time of arrival",
            counts.timestamp_unusable
        );
    }
    if let Err(imbalance) = counts.balance() {
        return fail(FAILED, &imbalance.to_string());
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(FAILED, &wording.of(&problem)),
    }
}

/// Writes to standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(FAILED, &format!("cannot write to standard output: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Shows the whole path with embedded brokers.
fn show(mut demo: config::Demo) -> ExitCode {
    demo.log.filter.get_or_insert_with(|| demo::LOG_FILTER.to_owned());
    if let Err(problem) = telemetry::init(&demo.log) {
        return fail(USAGE, &problem);
    }
    end_on_panic();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("cannot start: {error}")),
    };
    let options = demo::Options { time: demo.time, messages: demo.messages, plugins: demo.plugins };
    let result = runtime.block_on(async {
        let stops = stops().map_err(|error| format!("cannot listen for signals: {error}"))?;
        demo::run(options, stops).await
    });
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(FAILED, &problem),
    }
}

/// Counts requests to stop: SIGTERM and SIGINT.
fn stops() -> std::io::Result<Stops> {
    let (sender, stops) = watch::channel(0);
    let (terminate, interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let count = |mut signal: Signal, sender: watch::Sender<u32>| async move {
        while signal.recv().await.is_some() {
            sender.send_modify(|stops| *stops += 1);
        }
    };
    tokio::spawn(count(terminate, sender.clone()));
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

fn fail(code: u8, problem: &str) -> ExitCode {
    eprintln!("host: {problem}");
    ExitCode::from(code)
}
