//! A program that runs beside us: a future with a deadline, and no runtime.

use std::future::Future;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Longest output that is read: a token, and a line end.
const MAX_OUTPUT: u64 = 32 * 1024;

/// How often the watching thread looks.
const LOOK: Duration = Duration::from_millis(20);

/// The program's output, when it has ended. Dropping it ends the program.
pub(crate) struct Running(Arc<Shared>);

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    dropped: AtomicBool,
}

#[derive(Default)]
struct Slot {
    outcome: Option<io::Result<String>>,
    waker: Option<Waker>,
}

impl Running {
    pub(crate) fn start(program: &str, arguments: &[&str], deadline: Duration) -> io::Result<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        thread::Builder::new()
            .name("program".to_owned())
            .spawn(move || {
                let outcome = watch(child, deadline, &watched.dropped);
                let mut slot = watched.slot.lock().unwrap_or_else(PoisonError::into_inner);
                slot.outcome = Some(outcome);
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            })?;
        Ok(Self(shared))
    }
}

impl Future for Running {
    type Output = io::Result<String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::Release);
    }
}

/// Waits for the program's end, or makes one. Its output is read by a thread of its own, which the
/// program's children may keep waiting: nobody waits for that thread after the end.
fn watch(mut child: Child, deadline: Duration, dropped: &AtomicBool) -> io::Result<String> {
    let started = Instant::now();
    let (sender, receiver) = std::sync::mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::Builder::new().spawn(move || {
            let mut text = Vec::new();
            let read = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut text);
            // Nobody listens once the deadline is over.
            drop(sender.send(read.map(|_| text)));
        })?;
    }
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let is_late = started.elapsed() >= deadline;
        if is_late || dropped.load(Ordering::Acquire) {
            // It may have ended by itself just now.
            drop(child.kill());
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK);
    };
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    let left = deadline.saturating_sub(started.elapsed()).max(LOOK);
    let text = receiver
        .recv_timeout(left)
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_OUTPUT) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn ran(script: &str, deadline: Duration) -> io::Result<String> {
        Running::start("/bin/sh", &["-c", script], deadline)?.await
    }

    #[tokio::test]
    async fn its_output_and_how_it_ended() {
        let minute = Duration::from_secs(60);
        assert_eq!(ran("echo token", minute).await.unwrap(), "token\n");
        let kind = |outcome: io::Result<String>| outcome.unwrap_err().kind();
        assert_eq!(kind(ran("exit 3", minute).await), io::ErrorKind::Other);
        let long = format!("head -c {} /dev/zero; true", MAX_OUTPUT + 2);
        assert_eq!(kind(ran(&long, minute).await), io::ErrorKind::InvalidData);
        let missing = Running::start("/nowhere/at/all", &[], minute);
        assert_eq!(missing.err().unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn it_blocks_nobody_and_ends_at_the_deadline() {
        let running = ran("exec sleep 60", Duration::from_millis(300));
        let beside = async {};
        // Something else is done first, on the same thread.
        let first = futures_util::future::select(Box::pin(running), Box::pin(beside)).await;
        let futures_util::future::Either::Right(((), running)) = first else {
            panic!("it blocked");
        };
        assert_eq!(running.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn dropping_it_ends_it() {
        let running = Running::start("/bin/sleep", &["60"], Duration::from_secs(60)).unwrap();
        let shared = Arc::clone(&running.0);
        drop(running);
        // Without the end that dropping makes, this would wait for a minute.
        while shared.slot.lock().unwrap().outcome.is_none() {
            thread::sleep(LOOK);
        }
        let outcome = shared.slot.lock().unwrap().outcome.take().unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
