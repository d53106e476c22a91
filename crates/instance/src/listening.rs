//! What the settings mean for the chassis of a server.

use waxseal_serve::{Listen, LogFormat};

use crate::{Format, LogOutput, Settings};

impl Settings {
    /// Where to listen, and who speaks TLS.
    #[must_use]
    pub fn listener(&self) -> Listen {
        let mut listen = Listen::new(&self.listen);
        if let Some(tls) = &self.tls {
            listen = listen.with_tls(&tls.cert, &tls.key);
        }
        if self.behind_tls_proxy {
            listen = listen.behind_tls_proxy();
        }
        listen
    }
}

impl LogOutput {
    /// How a log line looks.
    #[must_use]
    pub const fn output(&self) -> LogFormat {
        match self.format {
            Format::Json => LogFormat::Json,
            Format::Text => LogFormat::Text,
        }
    }
}
