//! Closed and open loops: connections that are kept alive, and the time of every answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use waxseal_tests_simulation::Connection;

use super::{Asking, Endpoint, Work};
use crate::Samples;
use crate::machine::{CpuTime, cpu_time};

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// This many connections, each with one request at a time, and no pause.
    Closed(usize),
    /// Requests come when they are due, whatever becomes of those before; times count from then, so
    /// that a server that stalls is not spared.
    Open {
        /// Requests a second.
        rate: u32,
        /// More requests than these are not under way at one time: what the server takes to answer
        /// them at that rate, and some.
        connections: usize,
    },
}

/// A server on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by every bench")]
pub struct Served {
    /// Its port.
    pub port: u16,
    /// Its process, if its time is to be counted.
    pub id: Option<u32>,
}

/// Work done at a pace.
#[derive(Debug)]
#[non_exhaustive]
pub struct Paced {
    /// The time of every request.
    pub times: Samples,
    /// From the first request to the last answer.
    pub took: Duration,
    /// The length of a request's body, bytes.
    pub body: usize,
    /// Time that the server's process was on a processor.
    pub server_cpu: Option<CpuTime>,
    /// The same of this process, which is the generator.
    pub own_cpu: Option<CpuTime>,
}

impl Pace {
    /// An open loop over as many connections as a server needs that answers within a tenth of a
    /// second.
    pub const fn open(rate: u32) -> Self {
        Self::Open {
            rate,
            connections: 128,
        }
    }
}

impl Paced {
    /// Answers a second.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "a rate to be looked at"
    )]
    pub fn rate(&self) -> f64 {
        self.times.count() as f64 / self.took.as_secs_f64()
    }
}

struct Answered<A> {
    asked: A,
    answer: Vec<u8>,
    time: Duration,
}

/// Gives a server at most `most` pieces of work for at most `time`, then verifies every answer.
///
/// # Errors
/// Any answer that is no success or does not verify: figures of a server that breaks its word are
/// worth nothing.
pub async fn pace<W: Work>(
    served: Served,
    work: &mut W,
    pace: Pace,
    most: usize,
    time: Duration,
) -> Result<Paced> {
    let mut queue = VecDeque::with_capacity(most);
    for _ in 0..most {
        queue.push_back(work.request()?);
    }
    let body = queue.front().map_or(0, |one| one.body.len());
    let endpoint = work.endpoint();
    let queue = Arc::new(Mutex::new(queue));
    let connections = match pace {
        Pace::Closed(connections) => connections,
        Pace::Open { connections, .. } => connections,
    };
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(served.port).await?);
    }
    let begin = Instant::now();
    let due = Due {
        begin,
        end: begin + time,
        every: match pace {
            Pace::Closed(_) => None,
            Pace::Open { rate, .. } => Some(Duration::from_secs(1) / rate.max(1)),
        },
        total: most,
    };
    let before = (served.id.and_then(cpu_time), cpu_time(std::process::id()));
    let mut workers = JoinSet::new();
    for connection in open {
        let queue = Arc::clone(&queue);
        workers.spawn(ask(connection, endpoint, queue, due));
    }
    let mut answered = Vec::new();
    while let Some(done) = workers.join_next().await {
        answered.extend(done??);
    }
    let took = begin.elapsed();
    let after = (served.id.and_then(cpu_time), cpu_time(std::process::id()));
    ensure!(!answered.is_empty(), "nothing was answered");
    let mut times = Samples::default();
    for one in &answered {
        work.verify(&one.asked, &one.answer)?;
        times.add(one.time);
    }
    let spent = |after: Option<CpuTime>, before: Option<CpuTime>| Some(after?.since(before?));
    Ok(Paced {
        times,
        took,
        body,
        server_cpu: spent(after.0, before.0),
        own_cpu: spent(after.1, before.1),
    })
}

/// When requests are due.
#[derive(Clone, Copy)]
struct Due {
    begin: Instant,
    end: Instant,
    every: Option<Duration>,
    total: usize,
}

impl Due {
    /// When the next request is due, `left` of them being there yet.
    fn next(&self, left: usize) -> Instant {
        let number = u32::try_from(self.total - left).unwrap_or(u32::MAX);
        match self.every {
            Some(every) => self.begin + every * number,
            None => Instant::now(),
        }
    }
}

async fn ask<A>(
    mut connection: Connection,
    endpoint: Endpoint,
    queue: Arc<Mutex<VecDeque<Asking<A>>>>,
    due: Due,
) -> Result<Vec<Answered<A>>> {
    let mut answered = Vec::new();
    loop {
        let next = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let at = due.next(queue.len());
            queue.pop_front().map(|asking| (at, asking))
        };
        let Some((at, Asking { body, lines, asked })) = next else {
            return Ok(answered);
        };
        if at >= due.end {
            return Ok(answered);
        }
        // The timer is as coarse as a millisecond, which is not the server's time. A request that was
        // due while every connection was busy counts from when it was due.
        let begin = if at > Instant::now() {
            tokio::time::sleep_until(at.into()).await;
            Instant::now()
        } else {
            at
        };
        let Endpoint {
            path,
            content_type,
            status,
        } = endpoint;
        let answer = connection.post_as(path, content_type, &lines, &body).await;
        let time = begin.elapsed();
        let answer = answer.with_context(|| format!("POST {path}"))?;
        ensure!(
            answer.status == status,
            "POST {path}: {} {}",
            answer.status,
            answer.text().chars().take(300).collect::<String>()
        );
        answered.push(Answered {
            asked,
            answer: answer.body,
            time,
        });
    }
}
