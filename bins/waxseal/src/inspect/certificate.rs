//! A certificate, unverified: whom it names, who vouches, when it holds, which logs promised it.

use waxseal_formats::claims::ClaimName;
use waxseal_pki::{Certificate, CertificateError, Name, SubjectAltName};

use crate::shown::Shown;

/// Shows a certificate.
///
/// # Errors
/// [`CertificateError`] if it cannot be read.
pub(crate) fn shown(der: &[u8]) -> Result<Shown, CertificateError> {
    let certificate = Certificate::parse(der)?;
    let names = certificate.subject_alt_names().iter().map(name).collect();
    let shown = Shown::fields([("kind", Shown::text("certificate"))])
        .with_some("subject", distinguished(certificate.subject()))
        .with("names", Shown::List(names))
        .with_some("issuedBy", distinguished(certificate.issuer()))
        .with("serial", Shown::hex(certificate.serial()))
        .with("notBefore", Shown::text(certificate.not_before()))
        .with("notAfter", Shown::text(certificate.not_after()))
        .with("authority", Shown::Flag(certificate.is_ca()))
        .with("key", key(&certificate))
        .with_some("claims", claims(&certificate))
        .with_some("certificateTransparency", transparency(&certificate));
    Ok(shown)
}

/// The claims of Sigstore's arc, by name; the first six are those of an older form.
fn claims(certificate: &Certificate) -> Option<Shown> {
    let claims: Vec<(String, Shown)> = certificate
        .sigstore_extensions()
        .map(|(number, value)| (claim_name(number), Shown::text(value)))
        .collect();
    (!claims.is_empty()).then_some(Shown::Fields(claims))
}

fn claim_name(number: u8) -> String {
    ClaimName::by_arc(number).map_or_else(
        || format!("1.3.6.1.4.1.57264.1.{number}"),
        |name| name.as_str().to_owned(),
    )
}

fn transparency(certificate: &Certificate) -> Option<Shown> {
    let list = match certificate.scts() {
        Ok(list) => list?,
        Err(error) => return Some(Shown::text(format!("malformed: {error}"))),
    };
    let promises = list.as_slice().iter().map(|sct| {
        Shown::fields([("log", Shown::hex(&sct.log_id))])
            .with_some("time", sct.time().map(Shown::text))
    });
    Some(Shown::List(promises.collect()))
}

fn key(certificate: &Certificate) -> Shown {
    match certificate.public_key() {
        Ok(key) => Shown::fields([
            ("algorithm", Shown::text(format!("{:?}", key.kind()))),
            ("sha256", Shown::hex(&key.spki_sha256())),
        ]),
        Err(error) => Shown::text(format!("unsupported: {error}")),
    }
}

fn name(name: &SubjectAltName) -> Shown {
    let (kind, value) = match name {
        SubjectAltName::Email(value) => ("email", value.clone()),
        SubjectAltName::Uri(value) => ("uri", value.clone()),
        SubjectAltName::Dns(value) => ("dns", value.clone()),
        SubjectAltName::OtherName { oid, value } => ("otherName", format!("{value} ({oid})")),
        _ => ("other", "of a kind that is not read".to_owned()),
    };
    Shown::fields([(kind, Shown::Text(value))])
}

fn distinguished(name: Name<'_>) -> Option<Shown> {
    let organizations: Vec<&str> = name.organizations().collect();
    let parts = Shown::Fields(Vec::new())
        .with_text("commonName", name.common_name().unwrap_or_default())
        .with_text("organization", &organizations.join(", "));
    matches!(&parts, Shown::Fields(fields) if !fields.is_empty()).then_some(parts)
}
