//! What the settings mean for the chassis of a server.

use waxseal_serve::{HostCheck, Listen, Listener, LogFormat};

use crate::{Format, InstanceUrl, LogOutput, Settings};

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

impl InstanceUrl {
    /// By which names clients may call a server at this URL, and at these others. A loopback instance
    /// answers to every loopback name; a named one to its names alone, also behind a proxy on the
    /// same machine.
    pub(crate) fn host_check<'a>(
        &'a self,
        listener: &Listener,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> HostCheck {
        if self.is_loopback() {
            listener.host_check()
        } else {
            let urls = others.into_iter().chain([self]);
            HostCheck::named_any(urls.map(Self::authority))
        }
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
