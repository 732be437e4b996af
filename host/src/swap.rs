//! When changed plugin files are looked at, on a thread that nobody waits for; and the golden cases
//! that plugins have to stand before they run.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::case::{Line, Outcome, Sample, difference, lines};
use crate::filter;
use crate::message::{ARRIVAL, Batch};
use crate::plugin::{Plugins, Replacements, Report, Swapper};
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
    cases: Vec<Case>,
}

/// A message, and what has to become of it.
struct Case {
    /// Where it stands: file and line.
    at: String,
    batch: Batch,
    expected: Value,
    /// The number of the first route that takes it.
    route: usize,
}

impl Golden {
    /// Reads files of cases.
    ///
    /// # Errors
    /// What of it is no case, or takes no route.
    pub fn read(files: &[PathBuf], routes: Vec<Route>) -> Result<Self, String> {
        let mut cases = Vec::new();
        for file in files {
            let name = file.display().to_string();
            let text = fs::read(file).map_err(|error| format!("{name} cannot be read: {error}"))?;
            for line in lines(&name, &*text) {
                let Line { place, sample: Some(sample), .. } = line? else { continue };
                let case = Case::new(&place, sample, &routes);
                cases.push(case.map_err(|problem| format!("{place}: {problem}"))?);
            }
        }
        Ok(Self { routes, cases })
    }

    /// Lets all plugins stand all cases, with new versions of some; how many cases there were.
    ///
    /// # Errors
    /// Which case failed, and how.
    pub fn prove(&self, new: &Replacements) -> Result<usize, String> {
        let mut transforms: Vec<Option<Transform>> = self.routes.iter().map(|_| None).collect();
        for Case { at, batch, expected, route } in &self.cases {
            let transform = transforms[*route].get_or_insert_with(|| {
                let Route { builtin, plugins, .. } = &self.routes[*route];
                Transform::new(*builtin, plugins.apart(new).instantiate())
            });
            let mut differs = None;
            transform.each(batch, |_, verdict| {
                differs = difference(expected, &Outcome::of(&verdict));
            });
            if let Some(differs) = differs {
                return Err(format!("{at}: {differs}"));
            }
        }
        Ok(self.cases.len())
    }
}

impl Case {
    fn new(place: &str, sample: Sample, routes: &[Route]) -> Result<Self, String> {
        let mut batch = Batch::new();
        sample.push(&mut batch, 0, ARRIVAL)?;
        let expected = sample.expect.ok_or("there is no \"expect\": what is to become of it?")?;
        let takes = |route: &Route| {
            let mut filters = route.topics.iter();
            route.topics.is_empty() || filters.any(|filter| filter::matches(filter, &sample.topic))
        };
        let route = routes.iter().position(takes);
        let route = route.ok_or_else(|| format!("no route takes the topic {:?}", sample.topic))?;
        Ok(Self { at: place.to_owned(), batch, expected, route })
    }
}

/// All that it takes to put changed files in the places of the plugins that run.
pub struct Swaps {
    pub swapper: Swapper,
    pub golden: Golden,
    /// Look for changed files without being asked.
    pub watch: bool,
}

/// Asks for looks at all files, of which there is never more than one at a time. When all clones are
/// dropped, nothing is looked at any more.
#[derive(Clone)]
pub struct Ask(mpsc::Sender<Asked>);

/// Who wants to know what became of the files, if anybody does.
type Asked = Option<oneshot::Sender<Vec<Report>>>;

impl Ask {
    pub fn now(&self) {
        // The thread listens as long as there is somebody to ask.
        let _ = self.0.send(None);
    }

    /// The same, and what became of each file; `None` if the thread is no more.
    pub async fn report(&self) -> Option<Vec<Report>> {
        let (tell, told) = oneshot::channel();
        self.0.send(Some(tell)).ok()?;
        told.await.ok()
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

    fn run(self, asked: &mpsc::Receiver<Asked>) {
        let Self { mut swapper, golden, watch } = self;
        let proof = |new: &Replacements| golden.prove(new);
        swapper.keep();
        loop {
            let on_trial = swapper.settle(Instant::now());
            let asked = if watch || on_trial {
                asked.recv_timeout(LOOK)
            } else {
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match asked {
                Ok(asked) => {
                    let reports = swapper.take_all(&proof);
                    if let Some(tell) = asked {
                        // Who has asked may have gone away meanwhile.
                        let _ = tell.send(reports);
                    }
                }
                Err(RecvTimeoutError::Timeout) if watch => swapper.look(&proof),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::plugin::tests::guests::{File, binary, marked, obedient, typed, wat};
    use crate::plugin::{Limits, Loader, Spec};

    const CASES: &str = r#"
        {"topic": "plain/a", "payload": "a", "expect": {"key": "plain/a"}}
        {"topic": "keyed/a", "payload": "a", "expect": {"key": "a"}}"#;

    /// One route without plugins and one with a key setter, whose file is given.
    fn golden(cases: &str, key: &File) -> (Result<Golden, String>, Swapper) {
        let cases = File::new("cases.jsonl", cases.as_bytes());
        let mut loader = Loader::with_cache(Limits::default(), None);
        let spec = Spec::from(key.path());
        let loaded = [vec![], vec![spec]].map(|specs| loader.load(&specs).expect("good plugins"));
        let routes = ["plain/#", "keyed/#"].into_iter().zip(loaded).map(|(filter, plugins)| {
            Route { topics: vec![filter.to_owned()], builtin: Builtin::new(true), plugins }
        });
        let golden = Golden::read(&[cases.path().to_owned()], routes.collect());
        (golden, Swapper::new(loader, 5))
    }

    #[test]
    fn cases_take_their_route_and_are_put_to_the_new_version() {
        let key = wat("key.wasm", &obedient());
        let (golden, mut swapper) = golden(CASES, &key);
        let golden = golden.expect("good cases");
        assert_eq!(golden.prove(&Replacements::default()), Ok(2));
        let said = RefCell::new(Ok(0));
        let proof = |new: &Replacements| {
            *said.borrow_mut() = golden.prove(new);
            said.borrow().clone()
        };
        key.replace(&binary(&typed()));
        swapper.take_all(&proof);
        let problem = said.replace(Ok(0)).expect_err("another key");
        let expected = r#"cases.jsonl:3: key: expected "a", found "keyed/a""#;
        assert!(problem.ends_with(expected), "{problem}");
        assert_eq!(golden.prove(&Replacements::default()), Ok(2), "the old one stays");
        key.replace(&marked(&binary(&obedient()), 1));
        swapper.take_all(&proof);
        assert_eq!(said.replace(Ok(0)), Ok(2));
    }

    #[test]
    fn a_case_that_no_route_takes_is_refused() {
        let key = wat("key.wasm", &obedient());
        let problem =
            golden(r#"{"topic": "other", "expect": {}}"#, &key).0.err().expect("no route");
        assert!(
            problem.ends_with(r#"cases.jsonl:1: no route takes the topic "other""#),
            "{problem}"
        );
    }
}
