//! A plugin that answers "default" at once: what a call of it takes is the way into a plugin and back,
//! which every call of any plugin takes.

use std::path::Path;
use std::sync::Arc;

use super::load::Loader;
use super::slot::Slot;
use super::{Ability, Calls, LoadError, Plugins, Spec};

/// `idle.wat`, assembled.
const IDLE: &[u8] = include_bytes!("idle.bin");

/// What messages and errors call it.
const NAME: &str = "idle";

/// The ability of it that is called in this way.
#[must_use]
pub fn idle_ability(calls: Calls) -> Ability {
    match calls {
        Calls::Packed => Ability::Key,
        Calls::Typed => Ability::Value,
    }
}

impl Loader {
    /// Loads the plugin that does nothing.
    ///
    /// # Errors
    /// If the engine does not start.
    pub fn idle(&mut self) -> Result<Plugins, LoadError> {
        let spec = Spec::from(Path::new(NAME));
        let fault = |problem| LoadError { file: spec.file.clone(), problem };
        let (engine, clock) = self.running().map_err(fault)?;
        let made = {
            let _running = clock.running();
            self.make(&spec, &IDLE.into(), &engine)
        };
        let (plugin, _thrown_away) = made.map_err(fault)?;
        let slot = Arc::new(Slot::new(spec, plugin));
        Ok(Plugins { loaded: vec![slot], clock: Some(clock), ..Plugins::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Publish, Qos};
    use crate::plugin::tests::assert_assembled;
    use crate::plugin::{Answer, Answers, Limits};

    #[test]
    fn the_committed_idle_plugin_is_the_text() {
        assert_assembled("idle", include_str!("idle.wat"), "UPDATE_IDLE");
    }

    #[test]
    fn it_answers_default_for_every_message_both_ways_as_often_as_it_is_called() {
        let mut batch = Batch::new();
        let payload = vec![0xff; 50_000];
        for sequence in 0..10 {
            let properties: Option<&[u8]> = (sequence % 2 == 0).then_some(&[0x03, 0, 1, b'a']);
            let publish = Publish {
                topic: "t",
                payload: &payload,
                qos: Qos::AtLeastOnce,
                retain: false,
                dup: false,
                packet_id: 1,
                properties,
            };
            batch.push(sequence, 0, &publish);
        }
        let mut loader = Loader::with_cache(Limits::default(), None);
        let mut setters = loader.idle().expect("it loads").instantiate();
        for calls in [Calls::Packed, Calls::Typed] {
            for _ in 0..5 {
                let mut answers = Answers::default();
                setters.call(idle_ability(calls), &batch, 0..10, &mut answers);
                assert!(answers.items.len() == 10);
                let default = |answer: &Answer| matches!(answer, Answer::Default);
                assert!(answers.items.iter().all(default), "{calls:?}: {:?}", answers.items);
            }
        }
    }
}
