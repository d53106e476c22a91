//! What an authority answers (RFC 3161 §2.4.2): a status and, if it is granted, a token.

use crate::element::{self, BIT_STRING, Element, INTEGER, NotDer, SEQUENCE, UTF8_STRING, encode};
use crate::timestamp::{TimestampToken, TokenError};

/// The largest response that is read. With three RSA-4096 certificates one has about 6 KiB.
pub const MAX_RESPONSE: usize = 65_536;

/// A response: either a token, or the reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampResponse {
    /// `granted` (0) or `grantedWithMods` (1).
    Granted(Box<TimestampToken>),
    /// Any other status.
    Rejected {
        /// PKIStatus: 2 is rejection, 3 waiting, 4 and 5 revocation.
        status: u32,
        /// The bits of PKIFailureInfo, bit 0 lowest.
        failure: u32,
    },
}

/// PKIFailureInfo: the number of its bit (RFC 3161 §2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PkiFailure {
    /// `badAlg`, 0.
    BadAlgorithm,
    /// `badRequest`, 2.
    BadRequest,
    /// `badDataFormat`, 5.
    BadDataFormat,
    /// `timeNotAvailable`, 14.
    TimeNotAvailable,
    /// `unacceptedPolicy`, 15.
    UnacceptedPolicy,
    /// `unacceptedExtension`, 16.
    UnacceptedExtension,
    /// `addInfoNotAvailable`, 17.
    AdditionalInfoNotAvailable,
    /// `systemFailure`, 25.
    SystemFailure,
}

/// Why bytes are not a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// More than [`MAX_RESPONSE`] bytes.
    #[error("the timestamp response has {found} bytes, at most {MAX_RESPONSE} are read")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// Not the strict DER of a TimeStampResp, or bytes follow it; a status that does not go with
    /// the presence of a token counts as that (RFC 3161 §2.4.2).
    #[error("the timestamp response is not strict DER of a TimeStampResp")]
    Malformed,
    /// The token in it is refused.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<NotDer> for ResponseError {
    fn from(_: NotDer) -> Self {
        Self::Malformed
    }
}

impl PkiFailure {
    const fn bit(self) -> usize {
        match self {
            Self::BadAlgorithm => 0,
            Self::BadRequest => 2,
            Self::BadDataFormat => 5,
            Self::TimeNotAvailable => 14,
            Self::UnacceptedPolicy => 15,
            Self::UnacceptedExtension => 16,
            Self::AdditionalInfoNotAvailable => 17,
            Self::SystemFailure => 25,
        }
    }
}

impl TimestampResponse {
    /// Parses DER.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn parse(der: &[u8]) -> Result<Self, ResponseError> {
        if der.len() > MAX_RESPONSE {
            return Err(ResponseError::TooLarge { found: der.len() });
        }
        let mut fields = Element::only(der, SEQUENCE)?.inside();
        let mut info = fields.expect(SEQUENCE)?.inside();
        let status = info.expect(INTEGER)?.small()?;
        if let Some(text) = info.optional(SEQUENCE)? {
            let mut lines = text.inside();
            while !lines.is_empty() {
                lines.expect(UTF8_STRING)?.text()?;
            }
        }
        let failure = match info.optional(BIT_STRING)? {
            Some(bits) => failure_bits(bits.value)?,
            None => 0,
        };
        info.finish()?;
        let token = fields.optional(SEQUENCE)?;
        fields.finish()?;
        match (status, token) {
            (0 | 1, Some(token)) => Ok(Self::Granted(Box::new(TimestampToken::parse(token.raw)?))),
            (2.., None) => Ok(Self::Rejected { status, failure }),
            _ => Err(ResponseError::Malformed),
        }
    }

    /// The DER of a granted response around a token's DER.
    pub fn encode_granted(token: &[u8]) -> Vec<u8> {
        let status = encode(SEQUENCE, &[encode(INTEGER, &[[0]])]);
        encode(SEQUENCE, &[&status, token])
    }

    /// The DER of a rejection.
    pub fn encode_rejection(failure: PkiFailure, text: &str) -> Vec<u8> {
        let bit = failure.bit();
        let mut bits = vec![0; bit / 8 + 1];
        if let Some(last) = bits.last_mut() {
            *last = 0x80u8 >> (bit % 8);
        }
        let unused = u8::try_from(7 - bit % 8).unwrap_or(0);
        let info = [
            encode(INTEGER, &[[2]]),
            encode(SEQUENCE, &[encode(UTF8_STRING, &[text])]),
            encode(BIT_STRING, &[&[unused], &bits[..]]),
        ];
        encode(SEQUENCE, &[encode(SEQUENCE, &info)])
    }
}

fn failure_bits(value: &[u8]) -> element::Result<u32> {
    let (unused, bytes) = value.split_first().ok_or(NotDer)?;
    if *unused > 7 || bytes.len() > 4 {
        return Err(NotDer);
    }
    let bits = bytes.iter().enumerate().flat_map(|(index, byte)| {
        (0..8)
            .filter(move |bit| byte & (0x80 >> bit) != 0)
            .map(move |bit| index * 8 + bit)
    });
    Ok(bits.fold(0, |all, bit| {
        all | 1u32
            .checked_shl(u32::try_from(bit).unwrap_or(32))
            .unwrap_or(0)
    }))
}

#[cfg(test)]
mod tests;
