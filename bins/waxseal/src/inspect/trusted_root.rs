//! A trusted root: who is in it, and from when to when.

use waxseal_formats::{
    CertificateAuthority, TimeRange, TransparencyLogInstance, TrustedRoot, TrustedRootVersion,
};

use super::certificate;
use crate::shown::Shown;

/// Shows a trusted root.
pub(crate) fn shown(root: &TrustedRoot) -> Shown {
    let version = match root.version {
        TrustedRootVersion::V01 => "0.1",
        TrustedRootVersion::V02 => "0.2",
        _ => "unknown",
    };
    let logs = |logs: &[TransparencyLogInstance]| Shown::List(logs.iter().map(log).collect());
    let authorities =
        |all: &[CertificateAuthority]| Shown::List(all.iter().map(authority).collect());
    Shown::fields([
        ("kind", Shown::text("trusted root")),
        ("version", Shown::text(version)),
        ("transparencyLogs", logs(&root.tlogs)),
        (
            "certificateAuthorities",
            authorities(&root.certificate_authorities),
        ),
        ("certificateTransparencyLogs", logs(&root.ctlogs)),
        (
            "timestampAuthorities",
            authorities(&root.timestamp_authorities),
        ),
    ])
}

fn log(log: &TransparencyLogInstance) -> Shown {
    Shown::fields([
        ("url", Shown::text(&log.base_url)),
        ("key", Shown::text(&log.public_key.key_details)),
    ])
    .with_some(
        "id",
        (!log.log_id.is_empty()).then(|| Shown::hex(&log.log_id)),
    )
    .with_some(
        "checkpointKeyId",
        log.checkpoint_key_id.as_deref().map(Shown::hex),
    )
    .with_text("operator", &log.operator)
    .with_some("validFor", log.public_key.valid_for.map(window))
}

fn authority(authority: &CertificateAuthority) -> Shown {
    let chain = authority.cert_chain.iter().map(|der| {
        certificate::shown(der).unwrap_or_else(|error| Shown::text(format!("malformed: {error}")))
    });
    Shown::fields([("url", Shown::text(&authority.uri))])
        .with_text("organization", &authority.organization)
        .with_text("commonName", &authority.common_name)
        .with_text("operator", &authority.operator)
        .with_some("validFor", authority.valid_for.map(window))
        .with("chain", Shown::List(chain.collect()))
}

/// A window of validity; an end that is absent is open.
pub(crate) fn window(range: TimeRange) -> Shown {
    Shown::Fields(Vec::new())
        .with_some("from", range.start.map(Shown::text))
        .with_some("to", range.end.map(Shown::text))
}
