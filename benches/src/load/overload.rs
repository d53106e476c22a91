//! More than a server can do, in an open loop: requests are sent when they are due, whatever became
//! of those before, and a refusal is an answer like any other: nobody waits and nobody tries again.
//!
//! The generator shares the machine with the server, so that what it spends is missing there. It
//! sends bytes that were made before the clock started, several requests at once on a connection
//! (HTTP/1.1 allows it), and looks at no more of a refusal than its status and length. Answers are
//! verified after the clock has stopped. A request that was refused is sent again later in the place
//! of a further client's: the server never read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{Endpoint, Served, Work};
use crate::Samples;
use crate::machine::{CpuTime, cpu_time};

/// An answer that comes later than this after its request was due is worth nothing.
const DEADLINE: Duration = Duration::from_secs(1);

/// Read from a connection at once.
const READ: usize = 64 << 10;

/// What a server is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by every bench")]
pub struct Overload {
    /// Requests a second.
    pub rate: u32,
    /// Connections that they are spread over.
    pub connections: usize,
    /// Requests that a connection sends at once.
    pub at_once: usize,
    /// How long.
    pub time: Duration,
}

/// What became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Overloaded {
    /// Requests that were sent.
    pub offered: usize,
    /// The time of every request that was done within a second, from when it was due.
    pub times: Samples,
    /// Requests that were done later than that.
    pub late: usize,
    /// The time of every request that was refused (429 or 503), from when it was due.
    pub refused: Samples,
    /// From the first request to the last answer.
    pub took: Duration,
    /// Time that the server's process was on a processor.
    pub server_cpu: Option<CpuTime>,
    /// The same of this process, which is the generator.
    pub own_cpu: Option<CpuTime>,
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rates to be looked at"
)]
impl Overloaded {
    /// Requests that were done within a second, a second.
    pub fn goodput(&self) -> f64 {
        self.times.count() as f64 / self.took.as_secs_f64()
    }

    /// Requests that were sent, a second.
    pub fn offered_rate(&self) -> f64 {
        self.offered as f64 / self.took.as_secs_f64()
    }
}

/// Offers a server more than it can do, of which it does `most` at most, or leaves so many
/// unanswered, then verifies every answer.
///
/// # Errors
/// Any answer that is neither success nor refusal, or does not verify.
pub async fn overload<W: Work>(
    served: Served,
    work: &mut W,
    load: Overload,
    most: usize,
) -> Result<Overloaded> {
    let (mut requests, mut asked) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let endpoint = work.endpoint();
    for _ in 0..most {
        let one = work.request()?;
        requests.push(serialised(endpoint, served.port, &one.lines, &one.body));
        asked.push(one.asked);
    }
    let mut streams = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let stream = TcpStream::connect(("127.0.0.1", served.port)).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let before = (served.id.and_then(cpu_time), cpu_time(std::process::id()));
    let begin = Instant::now();
    let shared = Arc::new(Offer {
        free: Mutex::new((0..requests.len()).rev().collect()),
        requests,
        status: endpoint.status,
        load,
        begin,
    });
    let mut tasks = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate() {
        let client = Client::new(Arc::clone(&shared), stream, number);
        tasks.spawn(client.run());
    }
    let mut all = Vec::with_capacity(load.connections);
    while let Some(seen) = tasks.join_next().await {
        all.push(seen??);
    }
    let took = begin.elapsed();
    let after = (served.id.and_then(cpu_time), cpu_time(std::process::id()));
    let spent = |after: Option<CpuTime>, before: Option<CpuTime>| Some(after?.since(before?));
    let mut found = Overloaded {
        offered: 0,
        times: Samples::default(),
        late: 0,
        refused: Samples::default(),
        took,
        server_cpu: spent(after.0, before.0),
        own_cpu: spent(after.1, before.1),
    };
    for seen in all {
        found.offered += seen.offered;
        for time in seen.refused {
            found.refused.add(time);
        }
        for (number, answer, time) in seen.done {
            work.verify(asked.get(number).context("no such request")?, &answer)?;
            if time <= DEADLINE {
                found.times.add(time);
            } else {
                found.late += 1;
            }
        }
    }
    ensure!(found.times.count() > 0, "nothing was done in time");
    Ok(found)
}

fn serialised(endpoint: Endpoint, port: u16, lines: &str, body: &[u8]) -> Vec<u8> {
    let Endpoint {
        path, content_type, ..
    } = endpoint;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n{lines}\r\n"
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    request
}

/// What the connections share.
struct Offer {
    requests: Vec<Vec<u8>>,
    /// The numbers of those that were never sent, or refused.
    free: Mutex<Vec<usize>>,
    status: u16,
    load: Overload,
    begin: Instant,
}

/// What one connection has seen.
#[derive(Default)]
struct Seen {
    offered: usize,
    /// Numbers, answers and times.
    done: Vec<(usize, Vec<u8>, Duration)>,
    refused: Vec<Duration>,
}

struct Client {
    offer: Arc<Offer>,
    stream: TcpStream,
    /// Numbers of those that are not answered, and when they were due.
    sent: VecDeque<(usize, Instant)>,
    /// Bytes to be sent, and how many of them are.
    out: (Vec<u8>, usize),
    /// Bytes that are read and not used.
    buffer: Vec<u8>,
    seen: Seen,
    /// When the next are due.
    due: Instant,
    every: Duration,
}

impl Client {
    fn new(offer: Arc<Offer>, stream: TcpStream, number: usize) -> Self {
        let Overload {
            rate,
            connections,
            at_once,
            ..
        } = offer.load;
        let seconds = |requests: usize| {
            Duration::from_secs(u64::try_from(requests).unwrap_or(u64::MAX)) / rate.max(1)
        };
        Self {
            stream,
            sent: VecDeque::new(),
            out: (Vec::new(), 0),
            buffer: Vec::with_capacity(READ),
            seen: Seen::default(),
            due: offer.begin + seconds(number * at_once),
            every: seconds(connections * at_once),
            offer,
        }
    }

    async fn run(mut self) -> Result<Seen> {
        let end = self.offer.begin + self.offer.load.time;
        let mut timer = std::pin::pin!(sleep_until(self.due.into()));
        loop {
            let (is_sending, is_over) = (!self.out.0.is_empty(), self.due >= end);
            if is_over && !is_sending && self.sent.is_empty() {
                return Ok(self.seen);
            }
            tokio::select! {
                ready = self.stream.readable(), if !self.sent.is_empty() => {
                    ready?;
                    self.receive()?;
                }
                ready = self.stream.writable(), if is_sending => {
                    ready?;
                    self.send()?;
                }
                () = timer.as_mut(), if !is_sending && !is_over => {
                    if Instant::now() >= end {
                        // What the server did not let be sent in time is not offered.
                        self.due = end;
                        continue;
                    }
                    self.take()?;
                    self.send()?;
                    self.due += self.every;
                    timer.as_mut().reset(self.due.into());
                }
            }
        }
    }

    /// The next requests become bytes to be sent.
    fn take(&mut self) -> Result<()> {
        let count = self.offer.load.at_once;
        let mut free = self
            .offer
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Everything that was prepared is with the server, in its queue or in its sockets: what is
        // not sent is not counted as offered.
        let Some(from) = free.len().checked_sub(count) else {
            return Ok(());
        };
        let numbers = free.split_off(from);
        drop(free);
        for number in numbers.into_iter().rev() {
            let request = self.offer.requests.get(number);
            self.out
                .0
                .extend_from_slice(request.context("no such request")?);
            self.sent.push_back((number, self.due));
            self.seen.offered += 1;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let (bytes, sent) = &mut self.out;
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.try_write(rest) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        bytes.clear();
        *sent = 0;
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => bail!("the server has closed a connection"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut used = 0;
        let mut refused = Vec::new();
        while let Some(answer) = Answer::read(self.buffer.get(used..).unwrap_or_default())? {
            used += answer.length;
            let (number, due) = self.sent.pop_front().context("an answer too many")?;
            if answer.status == self.offer.status {
                let body = answer.body.to_vec();
                self.seen.done.push((number, body, due.elapsed()));
            } else if matches!(answer.status, 429 | 503) {
                refused.push(number);
                self.seen.refused.push(due.elapsed());
            } else {
                let text = String::from_utf8_lossy(answer.body);
                bail!("{} {text}", answer.status);
            }
        }
        self.buffer.drain(..used);
        if !refused.is_empty() {
            let mut free = self
                .offer
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            free.append(&mut refused);
        }
        Ok(())
    }
}

/// An answer of HTTP/1.1 with its length.
#[derive(Debug, PartialEq, Eq)]
struct Answer<'a> {
    status: u16,
    body: &'a [u8],
    /// Of head and body.
    length: usize,
}

impl<'a> Answer<'a> {
    /// The first one among these bytes, if all of it is there.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>> {
        const LENGTH: &[u8] = b"content-length: ";
        let mut length = None;
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return Ok(None);
            };
            let line = rest.get(..end).unwrap_or_default().trim_ascii_end();
            at += end + 1;
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix(LENGTH) {
                length = std::str::from_utf8(value)?.parse().ok();
            }
        }
        let status = bytes.get(9..12).context("no status")?;
        let status = std::str::from_utf8(status)?.parse()?;
        let length: usize = length.context("an answer without a length")?;
        let body = bytes.get(at..at + length);
        Ok(body.map(|body| Self {
            status,
            body,
            length: at + length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_by_one() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
                      content-length: 2\r\nx: y\r\n\r\n{}HTTP/1.1 201 Created\r\n\
                      content-length: 3\r\n\r\nabc";
        let first = Answer::read(bytes).unwrap().unwrap();
        assert_eq!((first.status, first.body), (503, &b"{}"[..]));
        let rest = &bytes[first.length..];
        let second = Answer::read(rest).unwrap().unwrap();
        assert_eq!((second.status, second.body), (201, &b"abc"[..]));
        assert_eq!(second.length, rest.len());
        for end in 0..rest.len() {
            assert_eq!(Answer::read(&rest[..end]).unwrap(), None, "{end}");
        }
        let unknown = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(Answer::read(unknown).is_err());
    }
}
