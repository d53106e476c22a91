//! A signing config: which services are asked, of which version, by whom run.

use waxseal_formats::{Service, SigningConfig};

use super::trusted_root::window;
use crate::shown::Shown;

/// Shows a signing config.
pub(crate) fn shown(config: &SigningConfig) -> Shown {
    let services = |all: &[Service]| Shown::List(all.iter().map(service).collect());
    Shown::fields([
        ("kind", Shown::text("signing config")),
        ("certificateAuthorities", services(&config.ca_urls)),
        ("identityProviders", services(&config.oidc_urls)),
        ("transparencyLogs", services(&config.log_urls)),
        ("timestampAuthorities", services(&config.tsa_urls)),
    ])
}

fn service(service: &Service) -> Shown {
    Shown::fields([
        ("url", Shown::text(&service.url)),
        (
            "version",
            Shown::Number(i64::from(service.major_api_version)),
        ),
    ])
    .with_text("operator", &service.operator)
    .with_some("validFor", service.valid_for.map(window))
}
