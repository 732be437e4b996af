//! Compiling where it cannot hurt. What the compiler has to do for a file may be out of all proportion to
//! the file, so it works in a process of its own: this very program, started again, with limits on
//! memory and time, without an environment, and with a low priority. It can be killed, and ends with
//! the one that has started it.
//!
//! What it writes is kept, and read in the place of being compiled again. Code that was compiled is
//! trusted as this program is, so it is read only from the process that was started for it, and from a
//! folder that nobody but this user can write to.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::engine;
use super::error::Problem;
use super::kept;
use super::load::sha256;
use super::text::{joined, size};

/// The name by which this program knows that it is to compile.
const NAME: &str = "host-plugin-compiler";

/// This program, also after another one has taken its place on disk.
const PROGRAM: &str = "/proc/self/exe";

/// Longest complaint of the compiler that is read, in bytes.
const COMPLAINT: u64 = 4096;

/// How often it is looked whether the compiler has ended.
const OFTEN: Duration = Duration::from_millis(2);

/// Whether this program can be started as a compiler: what tests are built into cannot.
static CAN_SERVE: AtomicBool = AtomicBool::new(false);

/// How much the compiler may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Of all processors together, and by the clock twice as much.
    time: Duration,
    memory: usize,
}

impl Default for Bounds {
    /// A file of 50 MB takes some minutes of one slow processor, and less than a gibibyte.
    fn default() -> Self {
        Self { time: Duration::from_mins(10), memory: 4 << 30 }
    }
}

/// What `main` does before all else: if this process was started as the compiler, it compiles, and ends
/// with this code.
#[must_use]
pub fn compile_if_started_for_it() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    if arguments.next().is_none_or(|name| name != NAME) {
        CAN_SERVE.store(true, Ordering::Relaxed);
        return None;
    }
    Some(match serve(&arguments.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// Compiles the component from standard input to standard output.
fn serve(arguments: &[OsString]) -> Result<(), String> {
    let number = |at: usize| arguments.get(at)?.to_str()?.parse::<u64>().ok();
    let (Some(counting), Some(seconds), Some(memory)) = (number(0), number(1), number(2)) else {
        return Err("this is started by host itself".to_owned());
    };
    limit(seconds, memory).map_err(|error| format!("there are no limits: {error}"))?;
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component).map_err(|error| error.to_string())?;
    let engine = engine(counting == 1).map_err(|error| format!("{error:#}"))?;
    let compiled = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&compiled).map_err(|error| error.to_string())
}

/// From now on this process has no more than that, is of no importance, and ends with its parent.
#[expect(unsafe_code, reason = "the standard library does not know limits")]
fn limit(seconds: u64, memory: u64) -> io::Result<()> {
    // A second later comes SIGKILL, which then means that the system has killed it.
    let time = (seconds, seconds + 1);
    for (what, (most, last)) in
        [(libc::RLIMIT_AS, (memory, memory)), (libc::RLIMIT_CPU, time), (libc::RLIMIT_CORE, (0, 0))]
    {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: last };
        // SAFETY: it reads the limit before it returns.
        if unsafe { libc::setrlimit(what, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Where memory runs out, this process is the one to end, and not the one that carries messages.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    // SAFETY: both take numbers, and change this process alone. Neither is needed.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 5);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    Ok(())
}

/// What compiles components, and where it keeps them, if anywhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Compiler {
    pub counting: bool,
    pub folder: Option<PathBuf>,
}

impl Compiler {
    /// The component, compiled before or now.
    pub fn compile(&self, engine: &Engine, component: &[u8]) -> Result<Component, Problem> {
        let place = self.folder.as_ref().map(|folder| folder.join(file_name(engine, component)));
        if let Some(compiled) = place.as_deref().and_then(|place| read(engine, place)) {
            return Ok(compiled);
        }
        let compiled = if CAN_SERVE.load(Ordering::Relaxed) {
            apart(Path::new(PROGRAM), self.counting, component, Bounds::default())?
        } else {
            let invalid = |error| Problem::Invalid(joined(&format!("{error:#}")));
            engine.precompile_component(component).map_err(invalid)?
        };
        if let Some(place) = &place {
            match kept::write(place, &compiled) {
                // What is read from there needs no memory of its own.
                Ok(()) => {
                    if let Some(compiled) = read(engine, place) {
                        return Ok(compiled);
                    }
                }
                Err(error) => tracing::debug!(%error, "a compiled plugin is not kept"),
            }
        }
        code(engine, &compiled).map_err(|error| Problem::Engine(joined(&format!("{error:#}"))))
    }
}

#[expect(unsafe_code, reason = "what was compiled is trusted")]
fn code(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: this program has compiled it, in this process or in one that it has started.
    unsafe { Component::deserialize(engine, compiled) }
}

/// What was kept there, if it is.
#[expect(unsafe_code, reason = "what was compiled is trusted")]
fn read(engine: &Engine, place: &Path) -> Option<Component> {
    if !is_safe(place.parent()?) || !is_safe(place) {
        return None;
    }
    // SAFETY: this program has written it, and nobody but this user could have changed it.
    let read = unsafe { Component::deserialize_file(engine, place) };
    let refused = |error: &wasmtime::Error| tracing::debug!("{}: {error:#}", place.display());
    let component = read.inspect_err(refused).ok()?;
    kept::touch(place);
    Some(component)
}

/// Whether nobody but this user can write to it, as far as modes say.
#[expect(unsafe_code, reason = "the standard library does not know users")]
fn is_safe(path: &Path) -> bool {
    // SAFETY: it only tells a number.
    let user = unsafe { libc::geteuid() };
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        !metadata.is_symlink() && metadata.uid() == user && metadata.mode() & 0o022 == 0
    })
}

/// Code is for one version of the engine, with its settings, on one kind of processor.
fn file_name(engine: &Engine, component: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{:016x}.cwasm", sha256(component), hasher.finish())
}

/// Has another process compile.
fn apart(
    program: &Path,
    counting: bool,
    component: &[u8],
    bounds: Bounds,
) -> Result<Vec<u8>, Problem> {
    let unstarted =
        |error: io::Error| Problem::Engine(format!("the compiler does not start: {error}"));
    let mut child = Command::new(program)
        .arg0(NAME)
        .arg(u8::from(counting).to_string())
        .arg(bounds.time.as_secs().to_string())
        .arg(bounds.memory.to_string())
        .env_clear()
        // Where there are many processors, each has address space of its own otherwise.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unstarted)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut input), Some(output), Some(complaints)) = pipes else {
        return Err(unstarted(io::Error::other("it has no pipes")));
    };
    let (status, compiled, complaint) = thread::scope(|scope| {
        // One that has ended is not written to; why it has is what matters.
        scope.spawn(move || drop(input.write_all(component)));
        let compiled = scope.spawn(move || all(output));
        let complaint = scope.spawn(move || all(complaints.take(COMPLAINT)));
        let status = wait(&mut child, bounds.time * 2);
        (status, compiled.join().unwrap_or_default(), complaint.join().unwrap_or_default())
    });
    match status {
        Ok(Some(status)) if status.success() => Ok(compiled),
        Ok(status) => Err(problem(status, &String::from_utf8_lossy(&complaint), bounds)),
        Err(error) => Err(unstarted(error)),
    }
}

fn all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is missing then shows in how the process ends.
    let _ = from.read_to_end(&mut bytes);
    bytes
}

/// How it has ended; `None` if it had to be killed after so long.
fn wait(child: &mut Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(OFTEN);
    }
}

/// Why there is no code.
fn problem(status: Option<ExitStatus>, complaint: &str, bounds: Bounds) -> Problem {
    use std::os::unix::process::ExitStatusExt;

    let signal = status.map(|status| status.signal());
    if signal == Some(Some(libc::SIGKILL)) {
        return Problem::Engine("the compiler was killed; memory may have run out".to_owned());
    }
    if matches!(signal, None | Some(Some(libc::SIGXCPU))) {
        let seconds = bounds.time.as_secs();
        return Problem::TooMuch(format!("it takes more than {seconds} s to compile"));
    }
    if complaint.contains("memory allocation") || complaint.contains("Cannot allocate memory") {
        let most = size(bounds.memory);
        return Problem::TooMuch(format!("it takes more than {most} to compile"));
    }
    match status.and_then(|status| status.code()) {
        Some(1) => Problem::Invalid(joined(complaint)),
        _ => Problem::Engine(joined(&format!("the compiler has failed: {complaint}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::plugin::tests::guests;

    fn component() -> Vec<u8> {
        guests::binary("(component (core module (func)))")
    }

    #[test]
    fn what_was_compiled_is_read_only_from_where_nobody_else_can_write() {
        let engine = engine(false).expect("an engine");
        let file = guests::File::new("x", b"");
        let folder = file.path().with_file_name("compiled");
        let compiler = Compiler { counting: false, folder: Some(folder.clone()) };
        compiler.compile(&engine, &component()).expect("a component");
        let place = folder.join(file_name(&engine, &component()));
        assert!(read(&engine, &place).is_some());
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        for (path, good, bad) in [(&folder, 0o700, 0o770), (&place, 0o600, 0o602)] {
            set(path, bad);
            assert!(read(&engine, &place).is_none(), "{}", path.display());
            compiler.compile(&engine, &component()).expect("it is compiled again");
            set(path, good);
        }
        let other = folder.join("link");
        std::os::unix::fs::symlink(&place, &other).expect("a link");
        assert!(read(&engine, &place).is_some() && read(&engine, &other).is_none());
        fs::write(&place, b"damaged").expect("a written file");
        assert!(read(&engine, &place).is_none());
    }

    #[test]
    fn how_the_compiler_ended_says_what_is_wrong_with_the_file() {
        let bounds = Bounds { time: Duration::from_secs(7), memory: 256 << 20 };
        let told = |status: Option<i32>, complaint: &str| {
            problem(status.map(ExitStatus::from_raw), complaint, bounds).to_string()
        };
        for (status, complaint, expected) in [
            (None, "", "more than 7 s to compile"),
            (Some(libc::SIGXCPU), "", "more than 7 s to compile"),
            (Some(libc::SIGKILL), "", "cannot be run: the compiler was killed; memory may"),
            (Some(libc::SIGABRT), "memory allocation of 9 bytes failed", "more than 256 MiB"),
            (Some(1 << 8), "unexpected end", "is not valid WebAssembly (unexpected end)"),
            (Some(libc::SIGSEGV), "why", "cannot be run: the compiler has failed: why"),
        ] {
            let said = told(status, complaint);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_compiler_that_does_not_end_is_killed() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("a process");
        assert!(matches!(wait(&mut child, Duration::from_millis(20)), Ok(None)));
        assert!(matches!(child.try_wait(), Ok(Some(_))));
    }
}
