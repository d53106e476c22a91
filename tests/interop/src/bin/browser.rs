//! A browser with a person at it: `browser OUTBOX URL` goes through the log-in page at `URL` by
//! e-mail code, with the code from the files of `OUTBOX`, and follows the redirect at the end.

use std::process::ExitCode;

use waxseal_instance::{OutboxReader, browse_login};
use waxseal_tests_interop::IDENTITY;
use waxseal_transport::{Request, Transport as _, Url};
use waxseal_transport_reqwest::ReqwestTransport;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(outbox), Some(url)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.is_ok_and(|runtime| runtime.block_on(log_in(&outbox, &url)).is_some());
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn log_in(outbox: &str, url: &str) -> Option<()> {
    let mailbox = OutboxReader::new(outbox);
    let transport = ReqwestTransport::builder().build().ok()?;
    let page: Url = url.parse().ok()?;
    let callback = browse_login(&transport, page, IDENTITY, &mailbox)
        .await
        .ok()?;
    let answer = transport.send(Request::get(callback)).await.ok()?;
    (answer.status == 200).then_some(())
}
