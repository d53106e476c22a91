//! `google.rpc.Status` as JSON: the body of every refusal and fault of the services.

use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message};

/// The longest status that is read.
pub const MAX_STATUS_BYTES: usize = 64 << 10;

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The code (`google.rpc.Code`): 3 for a bad argument, 6 for a duplicate, 13 for a fault.
    pub code: i32,
    /// For people.
    pub message: String,
    /// For programs, if the service gives it.
    pub info: Option<ErrorInfo>,
}

/// `google.rpc.ErrorInfo`, the first of the details.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorInfo {
    /// A stable code, such as `TOKEN_EXPIRED`.
    pub reason: String,
    /// Who defines it.
    pub domain: String,
}

impl Status {
    /// Reads a status. Unknown fields and other details are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not a status.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_STATUS_BYTES,
            values: 1000,
        };
        let value = parse(text, limits)?;
        let message = Message::of(&value, "status")?;
        let mut info = None;
        for detail in message.list("details")? {
            let detail = Message::of(detail, "details")?;
            if info.is_none() && detail.str("@type")? == ERROR_INFO {
                info = Some(ErrorInfo {
                    reason: detail.string("reason")?,
                    domain: detail.string("domain")?,
                });
            }
        }
        Ok(Self {
            code: message.int32("code")?,
            message: message.string("message")?,
            info,
        })
    }

    /// The status as JSON.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.number("code", self.code);
            o.text("message", &self.message);
            o.objects("details", &self.info, |o, info| {
                o.text("@type", ERROR_INFO);
                o.text("reason", &info.reason);
                o.text("domain", &info.domain);
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Status, FieldError>) {
        assert_eq!(Status::from_json(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn statuses() {
        let mut status = Status {
            code: 3,
            message: "no \"x\"".into(),
            info: None,
        };
        assert_eq!(
            status.to_json(),
            r#"{"code":3,"message":"no \"x\"","details":[]}"#
        );
        check(&status.to_json(), Ok(status.clone()));
        check(r#"{"code":3,"message":"no \"x\""}"#, Ok(status.clone()));
        check(
            r#"{"code":3,"message":"no \"x\"","details":[{"@type":"other","x":1}]}"#,
            Ok(status.clone()),
        );
        status.info = Some(ErrorInfo {
            reason: "TOKEN_EXPIRED".into(),
            domain: "ca".into(),
        });
        check(&status.to_json(), Ok(status));
        check(
            r#"{"code":"x"}"#,
            Err(FieldError::Integer { field: "code" }),
        );
        check(
            "[]",
            Err(FieldError::WrongType {
                field: "status",
                expected: "an object",
            }),
        );
    }
}
