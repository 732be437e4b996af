//! A writer whose bytes are on their way once it says that it has taken them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// TLS and websockets keep what the socket below has no room for, and nobody would write that: the
/// connection asks for nothing once all its bytes are taken. So this says that bytes are taken
/// only after a flush.
///
/// As long as a write is pending, the next one must offer the same bytes again, and may offer more
/// behind them; that it was dropped in between does not matter.
#[derive(Debug)]
pub(super) struct Flushed<W> {
    inner: W,
    /// Bytes that the inner writer has taken and that are not yet flushed.
    taken: usize,
}

impl<W> Flushed<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, taken: 0 }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Flushed<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        }
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Takes everything at once, and lets it go only when its gate is open.
    #[derive(Clone, Default)]
    struct Gated(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        open: bool,
        taken: Vec<u8>,
        gone: usize,
    }

    impl AsyncWrite for Gated {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().taken.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            let mut state = self.0.lock().unwrap();
            if !state.open {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            state.gone = state.taken.len();
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_is_said_to_be_taken_is_gone_and_nothing_is_taken_twice() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let gated = Gated::default();
            let mut writer = Flushed::new(gated.clone());
            tokio::select! {
                biased;
                _ = writer.write(b"one") => panic!("the gate is closed"),
                () = tokio::task::yield_now() => {}
            }
            gated.0.lock().unwrap().open = true;
            assert_eq!(writer.write(b"one, two").await.unwrap(), 3);
            assert_eq!(gated.0.lock().unwrap().gone, 3);
            assert_eq!(writer.write(b", two").await.unwrap(), 5);
            let state = gated.0.lock().unwrap();
            assert_eq!((state.taken.as_slice(), state.gone), (&b"one, two"[..], 8));
        });
    }
}
