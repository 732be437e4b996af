//! Fault injection at length: `make chaos`. Each round is a line when it is over, all of them are a
//! table at the end. docs/reliability.md says what it means.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::chaos::faults::{FAULTS, Fault, fault};
use tests::chaos::report;
use tests::chaos::round;
use tests::chaos::scene::Length;

/// Disturbs host and what it works with, and checks that every message arrived as it should.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// Which fault (repeatable); all of them by default.
    #[arg(long, value_name = "NAME", value_parser = known)]
    fault: Vec<&'static Fault>,
    /// Rounds of each fault, each with the next seed. Four of them have QoS 1 and 2 with MQTT 3.1.1
    /// and 5.
    #[arg(long, default_value_t = 4)]
    rounds: u64,
    /// The seed of the first round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the fault `mixed` goes on.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Rounds of a few seconds, as `make test` has them.
    #[arg(long)]
    quick: bool,
    /// Say what faults there are, and nothing more.
    #[arg(long)]
    list: bool,
}

fn known(name: &str) -> Result<&'static Fault, String> {
    let names = || FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    fault(name).ok_or_else(|| format!("there are {}", names()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for fault in FAULTS {
            println!("{:<20}{}", fault.name, fault.about);
        }
        return ExitCode::SUCCESS;
    }
    let length = if arguments.quick {
        Length::Quick
    } else {
        Length::Full(Duration::from_secs(arguments.seconds))
    };
    let faults = if arguments.fault.is_empty() { FAULTS.iter().collect() } else { arguments.fault };
    let (mut outcomes, mut broken) = (Vec::new(), 0);
    for fault in faults {
        for seed in arguments.seed..arguments.seed + arguments.rounds {
            // What the harness could not do says nothing about the other rounds.
            let outcome = catch_unwind(AssertUnwindSafe(|| round::run(fault, seed, length)));
            if let Ok(outcome) = outcome {
                eprintln!("{outcome}");
                outcomes.push(outcome);
            } else {
                eprintln!("{} seed {seed} could not be run to its end: see above", fault.name);
                broken += 1;
            }
        }
    }
    println!("{}", report::table(&outcomes));
    if broken == 0 && outcomes.iter().all(round::Outcome::is_good) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
