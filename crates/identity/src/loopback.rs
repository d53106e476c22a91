//! The one socket that this crate opens: on 127.0.0.1, for the browser's redirect. Blocking
//! threads serve it, so that no runtime is named; dropping the future ends them.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::{AuthorizationCode, LoginError, MAX_CALLBACK};

/// Where the browser comes back to, as the Go and Python clients have it.
pub(crate) const CALLBACK_PATH: &str = "/auth/callback";

/// Longest request head: the callback, and a browser's headers.
const MAX_HEAD: usize = MAX_CALLBACK + 16 * 1024;

/// How long one connection may take to say what it wants. Browsers open spare ones and say
/// nothing; each has a thread of its own, so they keep nobody waiting.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Most connections at once.
const MAX_CONNECTIONS: usize = 16;

/// How often the accepting thread looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(20);

type Outcome = Result<AuthorizationCode, LoginError>;

/// A bound socket, not served yet.
pub(crate) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

impl Loopback {
    pub(crate) fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the socket until a callback of this log-in has been judged, whatever the verdict, or
    /// the answer is dropped.
    pub(crate) fn listen(
        self,
        judge: impl Fn(&str) -> Outcome + Send + Sync + 'static,
    ) -> io::Result<Answer> {
        self.listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot::default()),
            done: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            host: self.address.to_string(),
            judge: Box::new(judge),
        });
        let served = Arc::clone(&shared);
        let listener = self.listener;
        std::thread::Builder::new()
            .name("login-callback".to_owned())
            .spawn(move || accept(&listener, &served))?;
        Ok(Answer(shared))
    }
}

struct Shared {
    slot: Mutex<Slot>,
    done: AtomicBool,
    connections: AtomicUsize,
    host: String,
    judge: Box<dyn Fn(&str) -> Outcome + Send + Sync>,
}

#[derive(Default)]
struct Slot {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Shared {
    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code, when it arrives.
pub(crate) struct Answer(Arc<Shared>);

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut slot = self.0.slot();
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.done.load(Ordering::Acquire) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(POLL);
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let served = Arc::clone(shared);
        let spawned = std::thread::Builder::new().spawn(move || {
            // A broken connection is the browser's matter: it may come again.
            let _ = serve(stream, &served);
            served.connections.fetch_sub(1, Ordering::AcqRel);
        });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    let head = read_head(&mut stream)?;
    match callback_query(&head, &shared.host) {
        Err(status) => respond(
            &mut stream,
            status,
            "This is not the page you are looking for.",
        ),
        Ok(query) => {
            let outcome = (shared.judge)(query);
            // Any page of the web can ask this port for a callback, and knows no state. It is not
            // taken, and does not end the log-in of whoever waits here (S-42).
            if let Err(LoginError::WrongState | LoginError::MalformedCallback) = outcome {
                let text = "This answer belongs to another log-in. The program waits for its own.";
                return respond(&mut stream, "400 Bad Request", text);
            }
            let (status, text) = match &outcome {
                Ok(_) => (
                    "200 OK",
                    "You are logged in. Close this page and go back to the program.",
                ),
                Err(_) => (
                    "400 Bad Request",
                    "The log-in failed. Go back to the program: it says what happened.",
                ),
            };
            let answered = respond(&mut stream, status, text);
            let mut slot = shared.slot();
            if !shared.done.swap(true, Ordering::AcqRel) {
                slot.outcome = Some(outcome);
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            }
            answered
        }
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let length = stream.read(&mut buffer)?;
        if length == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The query of a callback, or the status for anything else. The `Host` must be this socket's
/// own: a page of the web that points its own name at loopback has another (DNS rebinding).
fn callback_query<'a>(head: &'a str, host: &str) -> Result<&'a str, &'static str> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let mut hosts = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim());
    if (hosts.next(), hosts.next()) != (Some(host), None) {
        return Err("421 Misdirected Request");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != CALLBACK_PATH {
        return Err("404 Not Found");
    }
    if method != Some("GET") {
        return Err("405 Method Not Allowed");
    }
    Ok(query)
}

fn respond(stream: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Log-in</title><p>{text}</p></html>\n"
    );
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{page}"
    )?;
    stream.flush()
}

#[cfg(test)]
mod tests;
