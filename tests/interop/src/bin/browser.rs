//! A browser with a person at it: `browser OUTBOX URL [ADDRESS]` goes through the log-in page at
//! `URL` by e-mail code, with the code from the files of `OUTBOX`, and follows the redirect at the
//! end.

use waxseal_instance::{OutboxReader, browse_login};
use waxseal_tests_interop::{IDENTITY, block_on};
use waxseal_transport::{Origin, Request, Transport as _, Url};
use waxseal_transport_reqwest::ReqwestTransport;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let (Some(outbox), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err("browser OUTBOX URL [ADDRESS]".to_owned());
    };
    let address = arguments.next().unwrap_or_else(|| IDENTITY.to_owned());
    block_on(log_in(&outbox, &url, &address))
}

async fn log_in(outbox: &str, url: &str, address: &str) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let mailbox = OutboxReader::new(outbox);
    let transport = ReqwestTransport::builder().build().map_err(|e| text(&e))?;
    let mut page: Url = url.parse().map_err(|e| text(&e))?;
    // Some programs open a page of their own, which leads to the broker's.
    let first = Request::get(page.clone()).returning_redirects();
    let first = transport.send(first).await.map_err(|e| text(&e))?;
    let location = first.headers.only("Location");
    if let Some(next) = location.and_then(|location| page.join(location).ok())
        && Origin::of(&next) != Origin::of(&page)
    {
        page = next;
    }
    let callback = browse_login(&transport, page, address, &mailbox)
        .await
        .map_err(|e| text(&e))?;
    let answer = Request::get(callback).returning_redirects();
    let answer = transport.send(answer).await.map_err(|e| text(&e))?;
    if answer.status < 400 {
        Ok(())
    } else {
        Err(format!("the program answered {}", answer.status))
    }
}
