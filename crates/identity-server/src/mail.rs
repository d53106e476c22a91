//! The mail that carries a code, and the joint through which it travels.

mod smtp;

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use waxseal_crypto::{BoxFuture, Time};
use waxseal_identity::EmailAddress;

use crate::LoginCode;
pub use smtp::SmtpMailer;
pub(crate) use smtp::read_password;

/// How a code reaches its address.
pub trait Mailer: Send + Sync {
    /// Hands the mail over: to a mail server, or to a file. It may be called for many mails at
    /// once, and must be done within a minute.
    fn send(&self, mail: CodeMail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// A mail was not handed over.
#[derive(Debug, thiserror::Error)]
#[error("the mail was not handed over")]
pub struct MailError(#[source] pub Box<dyn Error + Send + Sync>);

/// One mail with one code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CodeMail {
    /// Whose mailbox.
    pub to: EmailAddress,
    /// The code.
    pub code: LoginCode,
    /// The instance's name for people.
    pub instance: String,
    /// The host of the log-in page.
    pub host: String,
    /// Where the account is that the code ties to the address for good, if it does.
    pub account: Option<String>,
    /// Where the request came from, if that is known.
    pub peer: Option<IpAddr>,
    /// When it was made.
    pub time: Time,
}

impl CodeMail {
    /// The message, from this address, as RFC 5322 text. The library refuses line breaks in
    /// addresses and encodes them in texts, so nobody adds a header.
    ///
    /// # Errors
    /// [`MailError`] if an address is not one that the library takes.
    pub fn encode(&self, from: &str) -> Result<Vec<u8>, MailError> {
        Ok(self.message(from)?.formatted())
    }

    pub(crate) fn message(&self, from: &str) -> Result<Message, MailError> {
        let failed = |error: Box<dyn Error + Send + Sync>| MailError(error);
        let mailbox = |address: &str| {
            let address = address.parse().map_err(|e| failed(Box::new(e)))?;
            Ok(Mailbox::new(None, address))
        };
        let since_epoch = self.time.saturating_since(Time::UNIX_EPOCH);
        Message::builder()
            .from(mailbox(from)?)
            .to(mailbox(self.to.as_str())?)
            .subject(format!("Your log-in code for {}", self.instance))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs()))
            .header(ContentType::TEXT_PLAIN)
            .body(self.text())
            .map_err(|error| failed(Box::new(error)))
    }

    fn text(&self) -> String {
        // Short lines are sent as they are; longer ones would be broken up and marked by `=`.
        let peer = self
            .peer
            .map_or_else(String::new, |address| format!(",\nfrom {address}"));
        // Whoever is talked out of such a code gives away more than one log-in.
        let tied = self.account.as_ref().map_or_else(String::new, |label| {
            let label: String = label.chars().filter(|c| !c.is_control()).collect();
            format!(
                "It ties this address to an account at\n{label}:\n\
                 from then on that account signs in your name, and no code is asked for\n\
                 again. Type it only if the account is yours.\n\n"
            )
        });
        format!(
            "Your code: {code}\n\n{tied}\
             Type it into the page where you asked for it, within ten minutes, at\n\
             {host}.\n\n\
             It was asked for at {time}{peer}.\n\
             If that was not you, do nothing: without the code nobody logs in as you.\n\
             Nobody will ever ask you for this code.\n",
            code = self.code.grouped().as_str(),
            host = self.host,
            time = self.time.truncated_to_second(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn mail(to: &str) -> CodeMail {
        CodeMail {
            to: EmailAddress::parse(to).unwrap(),
            code: LoginCode::typed("12345678").unwrap(),
            instance: "Example\r\nBcc: x@evil.example".to_owned(),
            host: "id.example".to_owned(),
            account: None,
            peer: "192.0.2.1".parse().ok(),
            time: Time::from_unix(1_767_225_600).unwrap(),
        }
    }

    #[test]
    fn the_mail_says_what_it_is_about() {
        let bytes = mail("you@example.com").encode("id@example.com").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        for part in [
            "From: id@example.com\r\n",
            "To: you@example.com\r\n",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Transfer-Encoding: 7bit\r\n",
            "Your code: 1234 5678\r\n",
            "id.example",
            "192.0.2.1",
            "2026-01-01T00:00:00Z",
            "Nobody will ever ask you for this code.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_code_that_ties_an_account_says_so() {
        let mut mail = mail("you@example.com");
        let text = |mail: &CodeMail| String::from_utf8(mail.encode("id@example.com").unwrap());
        assert!(!text(&mail).unwrap().contains("account"));
        mail.account = Some("Face\r\nbook".to_owned());
        let text = text(&mail).unwrap();
        assert!(text.contains("to an account at\r\nFacebook:"), "{text}");
    }

    #[test]
    fn header_injection() {
        let bytes = mail("you@example.com").encode("id@example.com").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\r\nBcc:"), "{head}");
        assert!(
            mail("you@example.com")
                .encode("id@example.com\r\nBcc: x@evil.example")
                .is_err()
        );
    }
}
