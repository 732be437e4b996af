//! Tells whoever wants to know of the connections, on a thread of its own: neither MQTT nor the
//! lanes wait for a hook.

use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::message::ConnectionEvent;

/// Called with each event, in order. An answer ends the program, and says why.
pub type Hook = Box<dyn FnMut(&ConnectionEvent) -> Option<String> + Send + Sync>;

/// How long the end of the program waits for hooks.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where news for the hook goes; nowhere without one.
#[derive(Clone)]
pub struct News(Option<mpsc::Sender<Item>>);

enum Item {
    Event(ConnectionEvent),
    /// Everything before this has been told.
    Told(oneshot::Sender<()>),
}

impl News {
    /// Starts a hook's thread; whatever the hook answers goes to `end`. It ends when all clones of what
    /// this returns are gone.
    pub fn start(
        hook: Option<Hook>,
        end: impl Fn(String) + Send + 'static,
    ) -> Result<Self, String> {
        let Some(hook) = hook else {
            return Ok(Self(None));
        };
        let (sender, items) = mpsc::channel();
        std::thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || tell_all(hook, &items, &end))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self(Some(sender)))
    }

    pub fn tell(&self, event: ConnectionEvent) {
        if let Some(sender) = &self.0 {
            // The thread takes items as long as there is a sender.
            drop(sender.send(Item::Event(event)));
        }
    }

    /// Waits until everything has been told, but not for long.
    pub async fn settle(&self) {
        if let Some(sender) = &self.0 {
            let (told, all_told) = oneshot::channel();
            drop(sender.send(Item::Told(told)));
            drop(timeout(PATIENCE, all_told).await);
        }
    }
}

fn tell_all(mut hook: Hook, items: &mpsc::Receiver<Item>, end: &dyn Fn(String)) {
    for item in items {
        match item {
            Item::Event(event) => {
                if let Some(why) = hook(&event) {
                    end(why);
                }
            }
            // Whoever waited may have lost patience.
            Item::Told(told) => drop(told.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ConnectionOutcome;

    /// Longer than any of this takes.
    const SOON: Duration = Duration::from_secs(20);

    fn start(hook: Option<Hook>) -> (News, mpsc::Receiver<String>) {
        let (sender, ended) = mpsc::channel();
        let end = move |why| sender.send(why).expect("the test listens");
        (News::start(hook, end).expect("a thread starts"), ended)
    }

    fn event(attempt: u32) -> ConnectionEvent {
        ConnectionEvent {
            server: "a:1".to_owned(),
            client_id: "me".to_owned(),
            attempt,
            reconnect: false,
            outcome: ConnectionOutcome::Connected { session_present: false },
        }
    }

    fn settle(news: &News) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(news.settle());
    }

    #[test]
    fn a_hook_is_told_everything_in_order_before_it_counts_as_settled() {
        let (tell, told) = mpsc::channel();
        let (news, ended) = start(Some(Box::new(move |event| {
            tell.send(event.attempt).expect("the test listens");
            None
        })));
        let other = news.clone();
        for attempt in 0..100 {
            if attempt % 2 == 0 { &news } else { &other }.tell(event(attempt));
        }
        settle(&news);
        assert!(told.try_iter().eq(0..100));
        assert!(ended.try_recv().is_err(), "nobody wants the end");
    }

    #[test]
    fn an_answer_asks_for_the_end_and_what_comes_after_it_is_told_all_the_same() {
        let (news, ended) = start(Some(Box::new(|event: &ConnectionEvent| {
            (event.attempt != 1).then(|| format!("enough of {}", event.attempt))
        })));
        (0..3).for_each(|attempt| news.tell(event(attempt)));
        settle(&news);
        for said in ["enough of 0", "enough of 2"] {
            assert_eq!(ended.try_recv(), Ok(said.to_owned()));
        }
        assert!(ended.try_recv().is_err());
    }

    #[test]
    fn the_end_waits_for_a_slow_hook_but_not_for_ever_and_nobody_else_waits_for_it() {
        let (go_on, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let held = std::sync::Mutex::new(held);
        let (news, _ended) = start(Some(Box::new(move |event| {
            // It comes back when the test lets it.
            drop(held.lock().map(|held| held.recv()));
            tell.send(event.attempt).expect("the test listens");
            None
        })));
        (0..2).for_each(|attempt| news.tell(event(attempt)));
        settle(&news);
        assert!(told.try_recv().is_err(), "the hook is at work still");
        drop(go_on);
        assert_eq!(told.recv_timeout(SOON), Ok(0));
        assert_eq!(told.recv_timeout(SOON), Ok(1));
    }

    #[test]
    fn the_thread_ends_with_the_last_who_could_tell_it_something() {
        let (alive, gone) = mpsc::channel::<()>();
        let alive = std::sync::Mutex::new(alive);
        let (news, _ended) = start(Some(Box::new(move |_| {
            let _kept = &alive;
            None
        })));
        let last = news.clone();
        drop(news);
        last.tell(event(1));
        settle(&last);
        assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(last);
        assert_eq!(gone.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn without_a_hook_there_is_nothing_to_wait_for() {
        let (news, ended) = start(None);
        news.tell(event(1));
        settle(&news);
        assert_eq!(
            ended.try_recv(),
            Err(mpsc::TryRecvError::Disconnected),
            "no thread holds on to it"
        );
    }
}
