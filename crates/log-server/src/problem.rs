//! Errors as responses: what the client did is refused, what we did is a fault.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use waxseal_formats::FieldError;
use waxseal_serve::{Code, Problem};

use crate::AppendError;
use crate::personality::{Refusal, RefusalKind};
use crate::service::SubmitError;
use crate::shared::ReadError;

/// When to come back to a log that is busy.
const BUSY: Duration = Duration::from_secs(1);

/// When to come back to a log that has stopped: the process is started again by then.
const STOPPED: Duration = Duration::from_secs(5);

/// `retry_after`: when those who wait now will have been answered.
pub(crate) fn submit(error: SubmitError, retry_after: Duration) -> Response {
    match error {
        SubmitError::OverShare => Problem::refusal(
            Code::ResourceExhausted,
            "OVER_SHARE",
            "too many submissions of this client are on their way; retry",
        )
        .with_retry_after(retry_after)
        .into_response(),
        SubmitError::Append(error @ AppendError::Overloaded) => {
            append(error).with_retry_after(retry_after).into_response()
        }
        SubmitError::Refused(refusal) => refused(refusal).into_response(),
        SubmitError::Check(cause) => Problem::fault("CHECK_FAILED", cause).into_response(),
        SubmitError::Append(AppendError::Frozen) => frozen(),
        SubmitError::Append(error) => append(error).into_response(),
    }
}

fn refused(refusal: Refusal) -> Problem {
    let Refusal {
        kind,
        reason,
        message,
        field,
    } = refusal;
    let problem = match kind {
        RefusalKind::Invalid => Problem::refusal(Code::InvalidArgument, reason, message),
        RefusalKind::Unauthenticated => Problem::refusal(Code::Unauthenticated, reason, message),
        RefusalKind::TooLarge => Problem::refusal(Code::InvalidArgument, reason, message)
            .with_status(StatusCode::PAYLOAD_TOO_LARGE),
    };
    match field {
        Some(field) => problem.with_metadata("field", field),
        None => problem,
    }
}

fn append(error: AppendError) -> Problem {
    let unavailable =
        |reason, message: &'static str| Problem::refusal(Code::Unavailable, reason, message);
    match error {
        AppendError::Overloaded => {
            unavailable("OVERLOADED", "reached max pushback; retry").with_retry_after(BUSY)
        }
        AppendError::Stopped => {
            unavailable("STOPPED", "the log is stopping; retry").with_retry_after(STOPPED)
        }
        AppendError::Damaged => {
            unavailable("READ_ONLY", "the log is only read just now").with_retry_after(STOPPED)
        }
        AppendError::ClockAhead => unavailable(
            "CLOCK_AHEAD",
            "the clock of the log has leapt ahead; nothing is appended until it is set right",
        )
        .with_retry_after(STOPPED),
        AppendError::Frozen | AppendError::Full => Problem::refusal(
            Code::FailedPrecondition,
            "LOG_FULL",
            "the log takes no more entries",
        ),
        AppendError::Deadline => Problem::refusal(
            Code::DeadlineExceeded,
            "DEADLINE",
            "the log did not answer in time; the entry may be in it",
        ),
        AppendError::EntryTooLong { .. } => Problem::refusal(
            Code::InvalidArgument,
            "ENTRY_TOO_LONG",
            "the entry is too long for the log",
        )
        .with_status(StatusCode::PAYLOAD_TOO_LARGE),
        AppendError::Store(cause) => {
            Problem::unavailable("NOT_COMMITTED", "the entry was not appended; retry", cause)
                .with_retry_after(BUSY)
        }
        AppendError::Signer(cause) => {
            let message = "the entry is in the log, but its checkpoint is not signed yet; retry";
            Problem::unavailable("NOT_SIGNED", message, cause).with_retry_after(BUSY)
        }
        AppendError::NoQuorum => unavailable(
            "NOT_COSIGNED",
            "the entry is in the log, but its checkpoint is not cosigned yet; retry",
        )
        .with_retry_after(BUSY),
        AppendError::Unknown => Problem::fault("UNKNOWN", AppendError::Unknown),
    }
}

const FROZEN: &str = "This log has been frozen, please switch to the latest log.";

/// As rekor-tiles words it.
pub(crate) fn frozen() -> Response {
    let text = format!("{FROZEN}\n");
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, text).into_response();
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The same for one entry of a batch of which others were taken.
pub(crate) fn frozen_meanwhile() -> Response {
    Problem::refusal(Code::FailedPrecondition, "LOG_FROZEN", FROZEN)
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .into_response()
}

/// 409 with the index in a header, as rekor-tiles answers.
pub(crate) fn duplicate(index: u64) -> Response {
    let message =
        format!("an equivalent entry already exists in the transparency log with index {index}");
    let problem = Problem::refusal(Code::AlreadyExists, "DUPLICATE_ENTRY", message)
        .with_metadata("logIndex", index.to_string());
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert("x-log-index", HeaderValue::from(index));
    response
}

pub(crate) fn read(error: ReadError) -> Response {
    if matches!(error, ReadError::Busy) {
        return overloaded(BUSY).into_response();
    }
    Problem::fault("CANNOT_READ", error).into_response()
}

pub(crate) fn not_found() -> Response {
    Problem::refusal(
        Code::NotFound,
        "NOT_IN_LOG",
        "the log has nothing at this path",
    )
    .into_response()
}

/// More is asked for than the log can do.
pub(crate) fn overloaded(retry_after: Duration) -> Problem {
    append(AppendError::Overloaded).with_retry_after(retry_after)
}

/// The request for something that is there or not is malformed.
pub(crate) fn bad_query(field: &'static str, message: &'static str) -> Response {
    Problem::refusal(Code::InvalidArgument, "BAD_QUERY", message)
        .with_metadata("field", field)
        .into_response()
}

/// There may be such an entry one day.
pub(crate) fn not_yet(tree_size: u64) -> Response {
    let message = format!("the log has no such entry: its published size is {tree_size}");
    Problem::refusal(Code::NotFound, "NOT_IN_LOG", message)
        .with_metadata("treeSize", tree_size.to_string())
        .into_response()
}

/// A checkpoint of that size was never written out, or is not kept any more.
pub(crate) fn not_kept() -> Response {
    let message = "no checkpoint of this size is kept";
    Problem::refusal(Code::NotFound, "NOT_KEPT", message).into_response()
}

/// Nobody may ask for proofs of trees that are not published.
pub(crate) fn no_such_proof(tree_size: u64) -> Response {
    let message = format!("sizes go up, to the published {tree_size} at most");
    Problem::refusal(Code::InvalidArgument, "BAD_SIZES", message)
        .with_metadata("treeSize", tree_size.to_string())
        .into_response()
}

/// A batch is not one.
pub(crate) fn bad_batch(error: &FieldError) -> Response {
    let problem = Problem::refusal(
        Code::InvalidArgument,
        "MALFORMED_REQUEST",
        format!("malformed request: {error}"),
    );
    match error.field() {
        Some(field) => problem.with_metadata("field", field.to_owned()),
        None => problem,
    }
    .into_response()
}
