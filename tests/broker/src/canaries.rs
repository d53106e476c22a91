//! Secrets by name, and the places where none of them may turn up (S-56).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use crate::{Page, Visitor};

/// Secrets by name, and texts that must not hold them.
#[derive(Debug, Default)]
pub struct Canaries {
    secrets: Vec<(String, String)>,
    texts: Vec<(String, Vec<u8>)>,
}

impl Canaries {
    /// Something that must turn up nowhere.
    ///
    /// # Panics
    /// If it is so short that it turns up by chance.
    pub fn secret(&mut self, name: &str, value: &str) {
        assert!(value.len() >= 8, "{name} is too short to look for: {value}");
        self.secrets.push((name.to_owned(), value.to_owned()));
        // A token's parts say as much as the whole: the signature is what makes it one.
        if let Some((_, signature)) = value.rsplit_once('.') {
            self.secrets
                .push((format!("{name}'s signature"), signature.to_owned()));
        }
    }

    /// Every cookie that a browser has; one that was taken back is empty.
    pub fn cookies(&mut self, name: &str, visitor: &Visitor) {
        let cookies = visitor.cookies();
        for cookie in cookies.values().filter(|cookie| !cookie.is_empty()) {
            self.secret(name, cookie);
        }
    }

    /// A place where none may be.
    pub fn text(&mut self, name: &str, text: &[u8]) {
        self.texts.push((name.to_owned(), text.to_owned()));
    }

    /// Every file of a folder; what is no file (a socket) has nothing to read.
    ///
    /// # Errors
    /// What the system says.
    pub fn folder(&mut self, folder: &Path) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let path = entry.path();
                self.text(&path.display().to_string(), &std::fs::read(&path)?);
            }
        }
        Ok(())
    }

    /// A page that refuses: its text and its fields.
    ///
    /// # Panics
    /// If it does not refuse.
    pub fn refusal(&mut self, name: &str, page: &Page) {
        assert!(page.status >= 400, "{name} is no refusal: {}", page.body);
        let fields: Vec<_> = page.response.headers.iter().collect();
        self.text(name, format!("{fields:?}\n{}", page.body).as_bytes());
    }

    /// How many secrets, and how many places.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.secrets.len(), self.texts.len())
    }

    /// Each secret that turned up, and where.
    #[must_use]
    pub fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (place, text) in &self.texts {
            // A secret is ASCII, so bytes that are no text around it do not hide it.
            let text = String::from_utf8_lossy(text);
            for (name, secret) in &self.secrets {
                let encoded = STANDARD.encode(secret);
                let in_url: String = byte_serialize(secret.as_bytes()).collect();
                let forms = [
                    secret.as_str(),
                    &grouped(secret),
                    encoded.trim_end_matches('='),
                    &in_url,
                ];
                if forms.iter().any(|form| text.contains(form)) {
                    found.push(format!("{name} in {place}"));
                }
            }
        }
        found.dedup();
        found
    }
}

/// As a mail shows a code.
fn grouped(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((first, rest)) if code.len() == 8 => format!("{first} {rest}"),
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_for_canaries_finds_one() {
        let check = |secret: &str, text: &str, expected: usize| {
            let mut canaries = Canaries::default();
            canaries.secret("a secret", secret);
            canaries.text("a line", text.as_bytes());
            assert_eq!(canaries.found().len(), expected, "{text}");
        };
        check("12345678", "Your code: 1234 5678", 1);
        check("12345678", "MTIzNDU2Nzg", 1);
        check("12345678", "12345679", 0);
        check("head.payload.signature", "…signature…", 1);
        check("4/0abcdefgh", "code=4%2F0abcdefgh", 1);
    }
}
