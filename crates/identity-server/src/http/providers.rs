//! The routes of log-ins at providers.

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{
    Broker, EMAIL, OfLogin, Peer, answered, device, form_of_login, page_url, pages, read_cookie,
    see_other, with_cookie, without_cookie,
};
use crate::connector::Next;
use crate::parameters::Parameters;
use crate::records::Arrived;
use crate::service::Refusal;

/// The page with a button for each way to log in, or for the one that `connector` names.
pub(super) const CHOOSE: &str = "/auth/choose";

/// The page that shows who signs.
pub(super) const CONFIRM: &str = "/auth/confirm";

pub(super) async fn choose_page(
    State(service): Broker,
    RawQuery(query): RawQuery,
    login: OfLogin,
) -> Response {
    let cookie = login.cookie.as_deref();
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let only = query.value("connector");
    let only = only.filter(|name| service.upstream(name).is_some());
    match service.choose(&login.request, cookie).await {
        Ok(found) => pages::choose(&service, &login.request, &found, only),
        Err(Refusal::NotConfirmed) => {
            see_other(&page_url(&service, device::CONFIRM, &login.request))
        }
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

/// Sends the browser to a provider.
pub(super) async fn leave(
    State(service): Broker,
    Path(provider): Path<String>,
    peer: Peer,
    login: OfLogin,
) -> Response {
    let cookie = login.cookie.as_deref();
    let peer = peer.of(&service);
    match service.leave(&login.request, cookie, &provider, peer).await {
        Ok(url) => see_other(url.as_str()),
        Err(Refusal::NotConfirmed) => {
            see_other(&page_url(&service, device::CONFIRM, &login.request))
        }
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

/// Takes the browser back. Its log-in goes on under new secrets, whatever the provider says.
pub(super) async fn arrive(
    State(service): Broker,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let peer = peer.of(&service);
    let cookie_of = |login: &crate::RecordKey| read_cookie(&service, &headers, login);
    let arrival = service
        .arrive(&provider, query.as_bytes(), cookie_of, peer)
        .await;
    let arrival = match arrival {
        Ok(arrival) => arrival,
        Err(refusal) => return pages::refusal(&service, "", None, &refusal),
    };
    let request = arrival.begun.request.expose();
    let response = match &arrival.next {
        Ok(Next::Answer(answer)) => {
            let response = answered(&service, answer, None).await;
            return without_cookie(response, &service, &arrival.before);
        }
        Ok(Next::Confirm) => see_other(&page_url(&service, CONFIRM, request)),
        Ok(Next::Address) => see_other(&page_url(&service, EMAIL, request)),
        Err(refusal) => pages::refusal(&service, request, None, refusal),
    };
    let response = with_cookie(response, &service, &arrival.begun);
    without_cookie(response, &service, &arrival.before)
}

pub(super) async fn confirm_page(State(service): Broker, login: OfLogin) -> Response {
    let found = service.login(&login.request, login.cookie.as_deref()).await;
    match found {
        Ok(found) => match &found.arrived {
            Some(Arrived::Proven(identity)) => {
                pages::confirm(&service, &login.request, &found, identity)
            }
            _ => {
                let refusal = Refusal::NotProven;
                pages::refusal(&service, &login.request, Some(&found), &refusal)
            }
        },
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

pub(super) async fn confirm(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let Some((_, login)) = form_of_login(&service, &headers, &body) else {
        return pages::refusal(&service, "", None, &Refusal::UnknownLogin);
    };
    let cookie = login.cookie.as_deref();
    let peer = peer.of(&service);
    match service.confirm(&login.request, cookie, peer).await {
        Ok(answer) => answered(&service, &answer, Some(&login.request)).await,
        Err(refusal) => {
            let found = service.login(&login.request, cookie).await.ok();
            pages::refusal(&service, &login.request, found.as_ref(), &refusal)
        }
    }
}
