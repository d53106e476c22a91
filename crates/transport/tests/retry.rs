//! When a request is sent again, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use waxseal_transport::{
    BoxFuture, Headers, Next, Origin, Request, Response, Retry, Transport, TransportError, Url,
    send_retrying,
};

const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Answer {
    Status(u16),
    After(u16, &'static str),
    Connect,
    Tls,
    Broken,
    Deadline,
    Never,
}

fn target() -> Url {
    "https://a.example/".parse().unwrap()
}

fn outcome(answer: Answer) -> Result<Response, TransportError> {
    let origin = Origin::of(&target());
    let mut headers = Headers::new();
    match answer {
        Answer::Status(status) => Ok(Response::new(status, headers, Vec::new())),
        Answer::After(status, value) => {
            headers.append("retry-after", value);
            Ok(Response::new(status, headers, Vec::new()))
        }
        Answer::Connect => Err(TransportError::Connect {
            origin,
            source: "refused".into(),
        }),
        Answer::Tls => Err(TransportError::Tls {
            origin,
            source: "expired".into(),
        }),
        Answer::Broken => Err(TransportError::Interrupted {
            origin,
            source: "reset".into(),
        }),
        Answer::Deadline | Answer::Never => Err(TransportError::Deadline { after: MS }),
    }
}

/// A transport that answers by a script, and whose clock moves only when all wait.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    now: Mutex<Duration>,
    wakes: Mutex<Vec<Duration>>,
    sent: Mutex<Vec<Duration>>,
}

impl Script {
    fn new(answers: &[Answer]) -> Self {
        Self {
            answers: Mutex::new(answers.iter().copied().collect()),
            now: Mutex::default(),
            wakes: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            let now = self.now();
            let next = self
                .wakes
                .lock()
                .unwrap()
                .iter()
                .copied()
                .filter(|t| *t > now)
                .min();
            *self.now.lock().unwrap() = next.expect("somebody waits for a time");
        }
    }
}

impl Transport for Script {
    fn send<'a>(&'a self, _: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        self.sent.lock().unwrap().push(self.now());
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("an answer is left");
        Box::pin(async move {
            if matches!(answer, Answer::Never) {
                std::future::pending::<()>().await;
            }
            outcome(answer)
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        let until = self.now() + duration;
        self.wakes.lock().unwrap().push(until);
        Box::pin(poll_fn(move |_| match self.now() >= until {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }))
    }
}

/// Sends by the rule over a script; the number of times it was sent, and the outcome.
fn check(retry: &Retry, answers: &[Answer], expected: usize) -> Result<Response, TransportError> {
    let script = Script::new(answers);
    let outcome = script.run(send_retrying(&script, Request::get(target()), retry));
    assert_eq!(script.sent.lock().unwrap().len(), expected, "{answers:?}");
    outcome
}

#[test]
fn transient_failures_are_tried_again() {
    let twice = Retry::idempotent(7);
    for first in [
        Answer::Connect,
        Answer::Broken,
        Answer::Deadline,
        Answer::Status(429),
        Answer::Status(500),
        Answer::Status(502),
        Answer::Status(503),
        Answer::Status(599),
    ] {
        let outcome = check(&twice, &[first, Answer::Status(200)], 2);
        assert_eq!(outcome.unwrap().status, 200);
    }
}

#[test]
fn lasting_failures_are_not() {
    let twice = Retry::idempotent(7);
    for first in [200, 201, 304, 400, 401, 404, 409, 501].map(Answer::Status) {
        assert!(check(&twice, &[first], 1).is_ok());
    }
    assert!(matches!(
        check(&twice, &[Answer::Tls], 1),
        Err(TransportError::Tls { .. })
    ));
}

#[test]
fn what_must_not_arrive_twice_is_sent_again_only_if_it_did_not_arrive() {
    let once = Retry::once(7);
    for first in [Answer::Connect, Answer::Status(429)] {
        assert!(check(&once, &[first, Answer::Status(200)], 2).is_ok());
    }
    for first in [Answer::Broken, Answer::Deadline] {
        assert!(check(&once, &[first], 1).is_err());
    }
    assert_eq!(check(&once, &[Answer::Status(503)], 1).unwrap().status, 503);
}

#[test]
fn attempts_are_counted() {
    let twice = Retry::idempotent(7);
    assert_eq!(
        check(&twice, &[Answer::Status(503); 4], 4).unwrap().status,
        503
    );
    let never = Retry {
        attempts: 0,
        ..twice
    };
    assert!(check(&never, &[Answer::Connect], 1).is_err());
}

#[test]
fn retry_after_is_obeyed_up_to_its_cap() {
    let twice = Retry::idempotent(7);
    let script = Script::new(&[Answer::After(429, "30"), Answer::Status(200)]);
    assert!(
        script
            .run(send_retrying(&script, Request::get(target()), &twice))
            .is_ok()
    );
    assert_eq!(script.now(), Duration::from_secs(30));
    assert_eq!(
        check(&twice, &[Answer::After(429, "31")], 1)
            .unwrap()
            .status,
        429
    );
    // A date, or nonsense, is as if nothing had been said.
    for value in [
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "-1",
        "",
        "99999999999999999999",
    ] {
        assert!(check(&twice, &[Answer::After(503, value), Answer::Status(200)], 2).is_ok());
    }
}

#[test]
fn the_total_ends_everything() {
    let twice = Retry::idempotent(7);
    let outcome = check(&twice, &[Answer::Status(503), Answer::Never], 2);
    assert!(matches!(outcome, Err(TransportError::Deadline { after }) if after == twice.total));
    let hasty = Retry {
        total: Duration::from_secs(5),
        ..twice
    };
    let outcome = check(&hasty, &[Answer::After(429, "6")], 1);
    assert!(matches!(outcome, Err(TransportError::Deadline { .. })));
}

#[test]
fn delays_double_within_their_bounds_and_depend_on_the_jitter_alone() {
    let delays = |jitter| {
        let retry = Retry {
            attempts: 9,
            ..Retry::idempotent(jitter)
        };
        let mut attempts = retry.start();
        let next = (0..8).map(|_| attempts.after(&outcome(Answer::Connect)));
        next.map(|next| match next {
            Next::Again(delay) => delay,
            other => panic!("{other:?}"),
        })
        .collect::<Vec<_>>()
    };
    for jitter in 0..200 {
        let found = delays(jitter);
        for (n, delay) in found.iter().enumerate() {
            let full = (500 * MS * (1 << n)).min(Duration::from_secs(8));
            assert!(full / 2 <= *delay && *delay <= full, "{n}: {delay:?}");
        }
        assert_eq!(found, delays(jitter));
    }
    assert_ne!(delays(1), delays(2));
}
