//! From the bytes of a file to code that can be instantiated, or what is wrong with it.

use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::mqtt_source::plugin::{clock, host, types};
use super::compiler::Compiler;
use super::error::Problem;
use super::interfaces::{self, Indices};
use super::state::State;
use super::text::{joined, one_line, size};
use super::{contract, preview1, weigh, wrap};

/// Largest file that is compiled, in bytes. Interpreters with their libraries have some 20 MiB.
pub(super) const LARGEST: usize = 64 << 20;

/// The thread that reads files. Should it panic, that is an error of the file.
pub const THREAD: &str = "plugin-compiler";

/// As deep as the main thread's.
const STACK: usize = 8 << 20;

/// The interface that tells the time.
const CLOCK: &str = "clock";

/// Compiled and linked. Plugins of the same file share it, so it is cheap to clone.
#[derive(Clone)]
pub(super) struct Code {
    pub pre: InstancePre<State>,
    pub indices: Indices,
    /// Whether it imports the clock.
    pub asks_time: bool,
    /// Bytes of the file.
    pub size: usize,
    /// How long it took to compile.
    pub compile: Duration,
}

impl Code {
    /// As [`Self::compile`], where there is room for deeply nested files, and a panic is an error.
    pub fn compile_safely(
        engine: &Engine,
        compiler: &Compiler,
        bytes: &[u8],
    ) -> Result<Self, Problem> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name(THREAD.to_owned())
                .stack_size(STACK)
                .spawn_scoped(scope, || Self::compile(engine, compiler, bytes))
                .map_err(|error| Problem::Engine(error.to_string()))?
                .join()
                .unwrap_or_else(|_| Err(Problem::Engine("reading it has failed".to_owned())))
        })
    }

    /// Compiles a file, and checks all that can be checked without running it.
    pub fn compile(engine: &Engine, compiler: &Compiler, bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > LARGEST {
            return Err(Problem::TooMuch(format!("the file has more than {}", size(LARGEST))));
        }
        let wrapped = wrap::component(bytes)?;
        weigh::check(&wrapped)?;
        let began = Instant::now();
        let component = compiler.compile(engine, &wrapped)?;
        let compile = began.elapsed();

        let asks_time = check_imports(engine, &component)?;
        check_exports(engine, &component)?;
        let pre = link(engine, &component)?;
        let indices =
            Indices::probe(&pre).map_err(|interface| wrong_type(bytes, interface, None))?;
        Ok(Self { pre, indices, asks_time, size: bytes.len(), compile })
    }
}

/// Whether the clock is among them.
fn check_imports(engine: &Engine, component: &Component) -> Result<bool, Problem> {
    let mut asks_time = false;
    for (name, _) in component.component_type().imports(engine) {
        if name == preview1::OUTPUT {
            continue;
        }
        match contract::interface(name) {
            None => return Err(Problem::NotGranted(one_line(name))),
            Some((interface, version)) => {
                contract::check_version(version)?;
                asks_time |= interface == CLOCK;
            }
        }
    }
    Ok(asks_time)
}

fn check_exports(engine: &Engine, component: &Component) -> Result<(), Problem> {
    let ty = component.component_type();
    let ours: Vec<_> =
        ty.exports(engine).filter_map(|(name, _)| contract::interface(name)).collect();
    let Some((_, version)) = ours.first() else {
        return Err(Problem::NoContract);
    };
    let fitting: Vec<_> =
        ours.iter().filter(|(_, version)| contract::check_version(version).is_ok()).collect();
    if fitting.is_empty() {
        return contract::check_version(version);
    }
    let does_something = |interface| interface != interfaces::LIFECYCLE;
    let known = |interface| interfaces::NAMES.contains(&interface) && does_something(interface);
    if fitting.iter().any(|(interface, _)| known(*interface)) {
        return Ok(());
    }
    let names: Vec<_> = fitting.iter().map(|(interface, _)| *interface).collect();
    Err(Problem::NoAbility(one_line(&names.join(", "))))
}

fn link(engine: &Engine, component: &Component) -> Result<InstancePre<State>, Problem> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
        .and_then(|()| host::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state))
        .and_then(|()| clock::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state))
        .and_then(|()| preview1::add_to_linker(&mut linker))
        .map_err(|error| Problem::Engine(joined(&format!("{error:#}"))))?;
    linker
        .instantiate_pre(component)
        .map_err(|error| Problem::NotOffered(joined(&format!("{error:#}"))))
}

/// What to say of an interface of a file that has another type than the contract's.
pub(super) fn wrong_type(
    bytes: &[u8],
    interface: &str,
    error: Option<&wasmtime::Error>,
) -> Problem {
    let difference =
        wrap::component(bytes).ok().and_then(|wrapped| contract::difference(&wrapped, interface));
    match (difference, error) {
        (Some((expected, found)), _) => {
            let found = one_line(&found);
            Problem::WrongType { interface: interface.to_owned(), expected, found }
        }
        (None, Some(error)) => Problem::Unfit(joined(&format!("{interface}: {error:#}"))),
        (None, None) => Problem::Unfit(format!("{interface} has no function of that name")),
    }
}
