//! `waxseald up`, killed in the middle of two hundred log-ins, and started again: no code counts
//! twice, and nothing that was answered is lost.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and a measurement is printed"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_tests_broker::{Attempt, Letters, Page, Visitor, network, soaks};
use waxseal_tests_interop::{Instance, block_on};
use waxseal_transport_reqwest::ReqwestTransport;

/// Log-ins of one round.
const LOGINS: u64 = 200;

/// People at once.
const PEOPLE: usize = 16;

fn main() -> ExitCode {
    let trial = Trial::test("killed in the middle of two hundred log-ins", killed);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// How far a log-in got, by what its person and its program were told.
enum Reached {
    /// Nothing was answered.
    Nowhere,
    /// The page that asks for an address.
    Address(Page),
    /// The page that asks for a code: a mail was sent.
    Code(Page),
    /// The page that asks for a code, which was typed; no answer came.
    Typed(Page),
    /// The program has its code.
    Granted(String),
    /// The program sent it; no answer came.
    Sent(String),
    /// The program has its tokens.
    Done(String),
}

struct Login {
    number: u64,
    visitor: Visitor,
    attempt: Attempt,
    reached: Reached,
}

fn killed() -> Result<(), Failed> {
    let rounds = if soaks() { 20 } else { 3 };
    let mut instance = Instance::start()?;
    let mut reached = BTreeMap::new();
    for round in 0..rounds {
        // The kill comes after a number of answers that is another in each round: never at the
        // beginning, never at the end.
        let after = 60 + (round * 331) % (LOGINS * 4 - 120);
        one_round(&mut instance, round, after, &mut reached)?;
    }
    println!("{rounds} kills; how far log-ins were: {reached:?}");
    for stage in [
        "asked for an address",
        "asked for a code",
        "granted",
        "done",
    ] {
        assert!(reached.contains_key(stage), "no log-in was {stage}");
    }
    Ok(())
}

fn one_round(
    instance: &mut Instance,
    round: u64,
    after: u64,
    seen: &mut BTreeMap<&'static str, u64>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answers = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mailbox = Arc::new(Letters::new(instance.mailbox()));
    let transport = network()?;
    let running = Arc::new(AtomicUsize::new(0));
    let mut people = Vec::new();
    for number in 0..LOGINS {
        let login = Login {
            number: round * LOGINS + number,
            visitor: Visitor::on(Arc::clone(&transport)),
            attempt: Attempt::new(&instance.issuer())?,
            reached: Reached::Nowhere,
        };
        let (answers, mailbox) = (Arc::clone(&answers), Arc::clone(&mailbox));
        let (running, over) = (Arc::clone(&running), Arc::clone(&over));
        people.push(runtime.spawn(async move {
            while running.fetch_add(1, Ordering::SeqCst) >= PEOPLE {
                running.fetch_sub(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            let login = go(login, &answers, &over, &mailbox).await;
            running.fetch_sub(1, Ordering::SeqCst);
            login
        }));
    }
    while answers.load(Ordering::SeqCst) < after {
        std::thread::sleep(Duration::from_micros(200));
    }
    // Whoever is about to send something does not: what they were told is what they reached.
    over.store(true, Ordering::SeqCst);
    instance.kill();
    let logins: Vec<Login> = runtime.block_on(async {
        let mut logins = Vec::new();
        for person in people {
            logins.push(person.await.unwrap());
        }
        logins
    });
    instance.restart()?;
    block_on(async {
        let transport = network()?;
        for login in logins {
            let name = told(&login.reached);
            *seen.entry(name).or_default() += 1;
            let number = login.number;
            afterwards(login, &transport, &mailbox)
                .await
                .map_err(|error| format!("log-in {number}, {name}, round {round}: {error}"))?;
        }
        Ok(())
    })
}

fn told(reached: &Reached) -> &'static str {
    match reached {
        Reached::Nowhere => "not answered",
        Reached::Address(_) => "asked for an address",
        Reached::Code(_) => "asked for a code",
        Reached::Typed(_) => "typed without an answer",
        Reached::Granted(_) => "granted",
        Reached::Sent(_) => "sent without an answer",
        Reached::Done(_) => "done",
    }
}

fn address(number: u64) -> String {
    format!("person-{number}@example.com")
}

/// Goes on until nobody answers any more.
async fn go(mut login: Login, answers: &AtomicU64, over: &AtomicBool, mailbox: &Letters) -> Login {
    let is_over = || over.load(Ordering::SeqCst);
    if is_over() {
        return login;
    }
    let answered = || answers.fetch_add(1, Ordering::SeqCst);
    let Ok(page) = login.visitor.visit(&login.attempt.url()).await else {
        return login;
    };
    answered();
    login.reached = Reached::Address(page.clone());
    dawdle(&login, 1).await;
    if is_over() {
        return login;
    }
    let address = address(login.number);
    let Ok(page) = login.visitor.fill(&page, "email", &address).await else {
        return login;
    };
    answered();
    login.reached = Reached::Code(page.clone());
    dawdle(&login, 2).await;
    let Some(code) = mailbox.code(&address).await else {
        return login;
    };
    if is_over() {
        return login;
    }
    login.reached = Reached::Typed(page.clone());
    let Ok(answer) = login.visitor.fill(&page, "code", &code).await else {
        return login;
    };
    answered();
    let Some(code) = answer.parameter("code") else {
        return login;
    };
    login.reached = Reached::Granted(code.clone());
    dawdle(&login, 3).await;
    if is_over() {
        return login;
    }
    login.reached = Reached::Sent(code.clone());
    match login.visitor.exchange(&login.attempt, &code).await {
        Ok(page) if page.status == 200 => {
            answered();
            login.reached = Reached::Done(code);
        }
        _ => {}
    }
    login
}

/// Some people are slow, each at another step, so that the kill finds log-ins at every step.
async fn dawdle(login: &Login, step: u64) {
    if login.number % 4 == step {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// What must hold for a log-in when the broker is back.
async fn afterwards(
    mut login: Login,
    transport: &Arc<ReqwestTransport>,
    mailbox: &Letters,
) -> Result<(), String> {
    login.visitor.move_to(Arc::clone(transport));
    let address = address(login.number);
    let code = match &login.reached {
        // Nothing was said, so nothing is owed.
        Reached::Nowhere => return Ok(()),
        // The pages go on where they were.
        Reached::Address(page) => {
            let page = login.visitor.fill(page, "email", &address).await?;
            finish(&mut login, &page, &address, mailbox).await?
        }
        Reached::Code(page) => {
            let page = page.clone();
            finish(&mut login, &page, &address, mailbox).await?
        }
        // It counted or it did not; if not, it counts now. Never twice: the second time is below.
        Reached::Typed(page) => {
            let page = page.clone();
            match finish(&mut login, &page, &address, mailbox).await {
                Ok(code) => code,
                Err(error) if error.starts_with("its session") => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Reached::Granted(code) => code.clone(),
        Reached::Sent(code) => {
            // The tokens may have been made and lost on the way; then the code is spent.
            let code = code.clone();
            login.visitor.exchange(&login.attempt, &code).await?;
            return spent(&mut login, &code).await;
        }
        Reached::Done(code) => {
            let code = code.clone();
            return spent(&mut login, &code).await;
        }
    };
    let tokens = login.visitor.exchange(&login.attempt, &code).await?;
    if tokens.status != 200 {
        return Err(format!("its code is lost: {}", tokens.body));
    }
    spent(&mut login, &code).await
}

/// Types the code of the mail; the program's code. A second time the mailed code is nobody's.
async fn finish(
    login: &mut Login,
    page: &Page,
    address: &str,
    mailbox: &Letters,
) -> Result<String, String> {
    let mailed = mailbox.code(address).await.ok_or("its mail is lost")?;
    let answer = login.visitor.fill(page, "code", &mailed).await?;
    let code = answer
        .parameter("code")
        .ok_or_else(|| format!("its session is lost: {} {}", answer.status, answer.body))?;
    let again = login.visitor.fill(page, "code", &mailed).await?;
    if again.parameter("code").is_some() {
        return Err("the mailed code counted twice".to_owned());
    }
    Ok(code)
}

async fn spent(login: &mut Login, code: &str) -> Result<(), String> {
    let again = login.visitor.exchange(&login.attempt, code).await?;
    let error = again.json();
    if again.status == 400 && error.get("error").is_some_and(|e| e == "invalid_grant") {
        Ok(())
    } else {
        Err(format!("a code counted twice: {}", again.status))
    }
}
