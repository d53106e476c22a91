//! PEM (RFC 7468, strict in structure, lax in line length): one block in, one block out.

use base64::Engine as _;
#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
use base64::engine::general_purpose::STANDARD;

/// Base64 by vector instructions where the processor has them.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
static STANDARD: std::sync::LazyLock<base64::engine::Simd> = std::sync::LazyLock::new(|| {
    base64::engine::Simd::standard(base64::engine::general_purpose::PAD)
});

/// One PEM block: its label and its DER.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pem {
    /// The label, such as `PUBLIC KEY`.
    pub label: String,
    /// The decoded contents.
    pub der: Vec<u8>,
}

/// Why a text is not PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// There is no `-----BEGIN …-----` line.
    #[error("no PEM block: expected a line -----BEGIN …-----")]
    NoBlock,
    /// A block has no end, or its end has another label.
    #[error("the PEM block {label:?} is not closed by its own label")]
    NotClosed {
        /// The block's label.
        label: String,
    },
    /// The contents are not base64.
    #[error("the PEM block {label:?} is not base64")]
    NotBase64 {
        /// The block's label.
        label: String,
    },
    /// There is text outside of the blocks, or more blocks than one where one is expected.
    #[error("expected exactly one PEM block and nothing else")]
    NotAlone,
    /// The block has another label than the caller wants.
    #[error("expected a PEM block {expected:?}, found {found:?}")]
    WrongLabel {
        /// The label wanted.
        expected: &'static str,
        /// The label found.
        found: String,
    },
}

impl Pem {
    /// Makes a block.
    pub fn new(label: &str, der: &[u8]) -> Self {
        Self {
            label: label.to_owned(),
            der: der.to_vec(),
        }
    }

    /// Parses a text that holds exactly one block.
    ///
    /// # Errors
    /// [`PemError`].
    pub fn parse(text: &str) -> Result<Self, PemError> {
        let mut blocks = Self::parse_many(text)?;
        match (blocks.pop(), blocks.is_empty()) {
            (Some(block), true) => Ok(block),
            _ => Err(PemError::NotAlone),
        }
    }

    /// Parses a text that holds one block of a given label.
    ///
    /// # Errors
    /// [`PemError`], [`PemError::WrongLabel`] among them.
    pub fn parse_labelled(text: &str, label: &'static str) -> Result<Vec<u8>, PemError> {
        let block = Self::parse(text)?;
        if block.label == label {
            Ok(block.der)
        } else {
            Err(PemError::WrongLabel {
                expected: label,
                found: block.label,
            })
        }
    }

    /// Parses a text that holds one or more blocks and, between them, blank lines only.
    ///
    /// # Errors
    /// [`PemError`].
    pub fn parse_many(text: &str) -> Result<Vec<Self>, PemError> {
        let mut blocks = Vec::new();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let label = line
                .strip_prefix("-----BEGIN ")
                .and_then(|rest| rest.strip_suffix("-----"))
                .ok_or(if blocks.is_empty() {
                    PemError::NoBlock
                } else {
                    PemError::NotAlone
                })?;
            let mut body = String::new();
            let mut closed = false;
            for line in lines.by_ref() {
                if let Some(rest) = line.strip_prefix("-----END ") {
                    closed = rest.strip_suffix("-----") == Some(label);
                    break;
                }
                body.push_str(line);
            }
            if !closed {
                return Err(PemError::NotClosed {
                    label: label.to_owned(),
                });
            }
            let der = STANDARD.decode(&body).map_err(|_| PemError::NotBase64 {
                label: label.to_owned(),
            })?;
            blocks.push(Self {
                label: label.to_owned(),
                der,
            });
        }
        if blocks.is_empty() {
            Err(PemError::NoBlock)
        } else {
            Ok(blocks)
        }
    }

    /// The text form: 64 characters a line, a newline at the end.
    pub fn encode(&self) -> String {
        Self::encode_block(&self.label, &self.der)
    }

    /// The text form of a block that is not made for it.
    pub fn encode_block(label: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        let mut text = String::with_capacity(body.len() + body.len() / 64 + 128);
        text.push_str("-----BEGIN ");
        text.push_str(label);
        text.push_str("-----\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = tail;
        }
        text.push_str("-----END ");
        text.push_str(label);
        text.push_str("-----\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for length in [0, 1, 47, 48, 49, 500] {
            let block = Pem::new("PUBLIC KEY", &vec![7; length]);
            assert_eq!(Pem::parse(&block.encode()), Ok(block));
        }
    }

    #[test]
    fn errors() {
        let check = |text: &str, expected: PemError| assert_eq!(Pem::parse(text), Err(expected));
        let good = Pem::new("A", b"x").encode();
        check("", PemError::NoBlock);
        check("hello", PemError::NoBlock);
        check(&format!("{good}{good}"), PemError::NotAlone);
        check(&format!("{good}trailer"), PemError::NotAlone);
        check(
            "-----BEGIN A-----\neA==\n",
            PemError::NotClosed { label: "A".into() },
        );
        check(
            "-----BEGIN A-----\neA==\n-----END B-----\n",
            PemError::NotClosed { label: "A".into() },
        );
        check(
            "-----BEGIN A-----\n!\n-----END A-----\n",
            PemError::NotBase64 { label: "A".into() },
        );
        let wrong = PemError::WrongLabel {
            expected: "B",
            found: "A".into(),
        };
        assert_eq!(Pem::parse_labelled(&good, "B"), Err(wrong));
    }
}
