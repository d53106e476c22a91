//! What a timestamp authority signs: TSTInfo (RFC 3161 §2.4.2).

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{Digest, Time};

use crate::element::{
    BOOLEAN, Element, GENERALIZED_TIME, INTEGER, NotDer, OCTET_STRING, OID, SEQUENCE, context,
    context_primitive,
};
use crate::timestamp::{MessageImprint, RequestError, TokenError};

/// The contents of a token. Trust it only once the token is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TstInfo {
    /// The authority's policy.
    pub policy: ObjectIdentifier,
    /// What was timestamped.
    pub imprint: Digest,
    /// The contents of the serial number's INTEGER; some authorities write negative ones.
    pub serial: Vec<u8>,
    /// The time.
    pub time: Time,
    /// How far off the time may be.
    pub accuracy: Option<Accuracy>,
    /// Whether tokens of this authority are ordered by their times alone.
    pub ordering: bool,
    /// The contents of the nonce's INTEGER, as the client sent it.
    pub nonce: Option<Vec<u8>>,
}

/// A deviation: seconds, milliseconds, microseconds, to be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Accuracy {
    /// Whole seconds.
    pub seconds: u32,
    /// Milliseconds, 1 to 999, or 0 if absent.
    pub millis: u32,
    /// Microseconds, 1 to 999, or 0 if absent.
    pub micros: u32,
}

impl TstInfo {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, TokenError> {
        let mut fields = Element::only(der, SEQUENCE)?.inside();
        if fields.expect(INTEGER)?.integer()? != [1] {
            return Err(TokenError::UnknownVersion);
        }
        let policy = fields.expect(OID)?.oid()?;
        let imprint = MessageImprint::parse(&fields.expect(SEQUENCE)?);
        let imprint = imprint.map_err(|error| match error {
            RequestError::WeakHash => TokenError::WeakHash,
            _ => TokenError::Malformed,
        })?;
        let serial = fields.expect(INTEGER)?.integer()?.to_vec();
        let time = fields.expect(GENERALIZED_TIME)?.fractional_time()?;
        let accuracy = fields
            .optional(SEQUENCE)?
            .map(|accuracy| parse_accuracy(&accuracy));
        let ordering = fields.optional(BOOLEAN)?.map(|ordering| ordering.boolean());
        let nonce = fields
            .optional(INTEGER)?
            .map(|nonce| nonce.integer())
            .transpose()?;
        // tsa names the signer for people; who signed follows from the signer's identifier alone.
        fields.optional(context(0))?;
        if let Some(extensions) = fields.optional(context(1))? {
            refuse_critical(&extensions)?;
        }
        fields.finish()?;
        Ok(Self {
            policy,
            imprint: *imprint.digest(),
            serial,
            time,
            accuracy: accuracy.transpose()?,
            ordering: ordering.transpose()?.unwrap_or(false),
            nonce: nonce.map(<[u8]>::to_vec),
        })
    }
}

fn parse_accuracy(accuracy: &Element<'_>) -> Result<Accuracy, NotDer> {
    let mut fields = accuracy.inside();
    let seconds = fields
        .optional(INTEGER)?
        .map(|seconds| seconds.small())
        .transpose()?;
    let millis = fields
        .optional(context_primitive(0))?
        .map(|n| n.small())
        .transpose()?;
    let micros = fields
        .optional(context_primitive(1))?
        .map(|n| n.small())
        .transpose()?;
    fields.finish()?;
    for part in [millis, micros].into_iter().flatten() {
        if !(1..=999).contains(&part) {
            return Err(NotDer);
        }
    }
    Ok(Accuracy {
        seconds: seconds.unwrap_or(0),
        millis: millis.unwrap_or(0),
        micros: micros.unwrap_or(0),
    })
}

fn refuse_critical(extensions: &Element<'_>) -> Result<(), TokenError> {
    let mut list = extensions.inside();
    while !list.is_empty() {
        let mut extension = list.expect(SEQUENCE)?.inside();
        let oid = extension.expect(OID)?.oid()?;
        let critical = extension.optional(BOOLEAN)?;
        extension.expect(OCTET_STRING)?;
        extension.finish()?;
        if critical.map(|critical| critical.boolean()).transpose()? == Some(true) {
            return Err(TokenError::CriticalExtension { oid });
        }
    }
    Ok(())
}
