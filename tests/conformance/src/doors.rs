//! The doors: every parser of foreign bytes, with good input to begin from.
//!
//! Two kinds of attack knock on the same doors: `tests/foreign_bytes.rs` with mutations from a fixed
//! seed, and the coverage-guided targets under `fuzz/`, one a door. What a door must keep: no panic,
//! no loop, no hoarding, and what was read and can be written reads the same again.
//!
//! What has no door of its own, and why:
//!
//! | parser | reason |
//! |---|---|
//! | the broker's forms and cookies (`identity-server/src/parameters.rs`, `client.rs`, `http.rs`) | `form_urlencoded` and `split` on at most 8 KiB, private to their crate; its attack tests send them |
//! | answers of log-in providers (`identity-server/src/connector`) | [`waxseal_identity::parse_json`], the door `issuer_keys`; private to their crate |
//! | the browser's answer to a log-in (`identity/src/loopback.rs`) | a request line and a host, of bounded length and from this machine, private to its crate, with a table of its own |
//! | request header fields of the log (`Range`, `Accept-Encoding`, `Prefer`, `If-None-Match`) | `split` on one field, private to its crate, each with a table of its own |
//! | configuration files, ledgers, key rings | the operator's own: whoever writes them owns the process; what is damaged is the crash tests' matter |
//! | HTTP, TLS, SMTP, TOML, redb's pages | of other projects, which fuzz them |

#![expect(
    clippy::unwrap_used,
    reason = "an instrument of tests: what fails here is a failed test"
)]

mod bundles;
mod configs;
mod der;
mod entries;
mod files;
mod messages;
mod notes;
mod platforms;
mod servers;
mod tokens;

/// A parser of foreign bytes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Door {
    /// Its name: that of the fuzz target.
    pub name: &'static str,
    /// Good input.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads what is given, as far as it goes.
    pub read: fn(&[u8]),
}

/// All of them.
pub const DOORS: &[Door] = &[
    Door {
        name: "bundle",
        seeds: bundles::seeds,
        read: bundles::read,
    },
    Door {
        name: "bundle_parts",
        seeds: bundles::part_seeds,
        read: bundles::read_part,
    },
    Door {
        name: "trusted_root",
        seeds: configs::root_seeds,
        read: configs::read_root,
    },
    Door {
        name: "signing_config",
        seeds: configs::config_seeds,
        read: configs::read_config,
    },
    Door {
        name: "entry_body",
        seeds: entries::body_seeds,
        read: entries::read_body,
    },
    Door {
        name: "statement",
        seeds: entries::statement_seeds,
        read: entries::read_statement,
    },
    Door {
        name: "certificate",
        seeds: der::certificate_seeds,
        read: der::read_certificate,
    },
    Door {
        name: "timestamp",
        seeds: der::timestamp_seeds,
        read: der::read_timestamp,
    },
    Door {
        name: "sct",
        seeds: der::sct_seeds,
        read: der::read_sct,
    },
    Door {
        name: "key",
        seeds: der::key_seeds,
        read: der::read_key,
    },
    Door {
        name: "note",
        seeds: notes::note_seeds,
        read: notes::read_note,
    },
    Door {
        name: "witness_policy",
        seeds: notes::policy_seeds,
        read: notes::read_policy,
    },
    Door {
        name: "tile",
        seeds: notes::tile_seeds,
        read: notes::read_tile,
    },
    Door {
        name: "log_request",
        seeds: messages::log_seeds,
        read: messages::read_log,
    },
    Door {
        name: "authority_request",
        seeds: messages::authority_seeds,
        read: messages::read_authority,
    },
    Door {
        name: "token",
        seeds: tokens::token_seeds,
        read: tokens::read_token,
    },
    Door {
        name: "issuer_keys",
        seeds: tokens::key_seeds,
        read: tokens::read_keys,
    },
    Door {
        name: "tile_files",
        seeds: files::seeds,
        read: files::read,
    },
    Door {
        name: "platform",
        seeds: platforms::seeds,
        read: platforms::read,
    },
    Door {
        name: "log_submission",
        seeds: servers::submission_seeds,
        read: servers::read_submission,
    },
    Door {
        name: "grpc",
        seeds: servers::grpc_seeds,
        read: servers::read_grpc,
    },
];

/// Runs what a door waits for, on this thread.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The door of a name.
///
/// # Panics
/// There is none of that name.
pub fn door(name: &str) -> Door {
    *DOORS.iter().find(|door| door.name == name).unwrap()
}
