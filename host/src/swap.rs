//! When changed plugin files are looked at, on a thread that nobody waits for; and the golden cases
//! that plugins have to stand before they run.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::filter;
use crate::golden::Case;
use crate::plugin::{Plugins, Replacements, Swapper};
use crate::transform::Transform;
use crate::transform::builtin::Builtin;

/// How often watched files are looked at, and versions on trial.
const LOOK: Duration = Duration::from_secs(1);

/// A route as cases see it.
pub struct Route {
    /// MQTT topic filters; none match everything.
    pub topics: Vec<String>,
    pub builtin: Builtin,
    pub plugins: Plugins,
}

/// Golden cases, and what becomes of their messages.
pub struct Golden {
    routes: Vec<Route>,
    /// Each with the number of the first route that takes it.
    cases: Vec<(Case, usize)>,
}

impl Golden {
    /// Reads files of cases.
    ///
    /// # Errors
    /// What of it is no case, or takes no route.
    pub fn read(files: &[PathBuf], routes: Vec<Route>) -> Result<Self, String> {
        let mut cases = Vec::new();
        for file in files {
            for case in Case::read(file)? {
                let takes = |route: &Route| {
                    let mut filters = route.topics.iter();
                    route.topics.is_empty() || filters.any(|it| filter::matches(it, &case.topic))
                };
                let Some(number) = routes.iter().position(takes) else {
                    return Err(format!("{}: no route takes the topic {:?}", case.at, case.topic));
                };
                cases.push((case, number));
            }
        }
        Ok(Self { routes, cases })
    }

    /// Lets all plugins stand all cases, with new versions of some; how many cases there were.
    ///
    /// # Errors
    /// Which case failed, and how.
    pub fn prove(&self, new: &Replacements) -> Result<usize, String> {
        // A clock before 1970 counts as 1970.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut transforms: Vec<Option<Transform>> = self.routes.iter().map(|_| None).collect();
        for (case, number) in &self.cases {
            let transform = transforms[*number].get_or_insert_with(|| {
                let Route { builtin, plugins, .. } = &self.routes[*number];
                Transform::new(*builtin, plugins.apart(new).instantiate())
            });
            let mut checked = Ok(());
            transform.each(&case.batch(now.as_millis() as i64), |_, verdict| {
                checked = case.check(&verdict);
            });
            checked?;
        }
        Ok(self.cases.len())
    }
}

/// All that it takes to put changed files in the places of the plugins that run.
pub struct Swaps {
    pub swapper: Swapper,
    pub golden: Golden,
    /// Look for changed files without being asked.
    pub watch: bool,
}

/// Asks for a look at all files. When it is dropped, nothing is looked at any more.
pub struct Ask(mpsc::Sender<()>);

impl Ask {
    pub fn now(&self) {
        // The thread listens as long as there is somebody to ask.
        let _ = self.0.send(());
    }
}

impl Swaps {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none.
    pub fn start(self) -> Result<Ask, String> {
        let (ask, asked) = mpsc::channel();
        std::thread::Builder::new()
            .name("plugin-swap".to_owned())
            .spawn(move || self.run(&asked))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Ask(ask))
    }

    fn run(self, asked: &mpsc::Receiver<()>) {
        let Self { mut swapper, golden, watch } = self;
        let proof = |new: &Replacements| golden.prove(new);
        loop {
            let on_trial = swapper.settle(Instant::now());
            let asked = if watch || on_trial {
                asked.recv_timeout(LOOK)
            } else {
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match asked {
                Ok(()) => swapper.take_all(&proof),
                Err(RecvTimeoutError::Timeout) if watch => swapper.look(&proof),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
