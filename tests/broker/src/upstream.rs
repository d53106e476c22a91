//! Providers above the broker: npm's oidc-provider, and stand-ins for the platforms whose own pages
//! cannot be had.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use waxseal_tests_interop::{Tool, root};

use crate::script;

/// The secret that the broker has at the provider.
pub const CLIENT_SECRET: &str = "CANARY-secret-of-the-client-upstream";

/// A running provider; it ends with this value.
#[derive(Debug)]
pub struct Upstream(Child);

impl Upstream {
    /// Starts one on a port, which knows the broker by its redirect URI.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn start(port: u16, redirect_uri: &str) -> Result<Self, String> {
        let port = port.to_string();
        Self::run("js/upstream.mjs", &[&port, redirect_uri, CLIENT_SECRET])
    }

    /// Starts stand-ins for Google, GitHub, Microsoft, Facebook and a provider of bare OAuth 2.0 on
    /// a port, as [`platforms`] configures them.
    ///
    /// # Errors
    /// If they do not listen.
    pub fn platforms(port: u16) -> Result<Self, String> {
        Self::run("js/platforms.mjs", &[&port.to_string(), CLIENT_SECRET])
    }

    fn run(name: &str, arguments: &[&str]) -> Result<Self, String> {
        let node = Tool::NodeParts.path().map_err(|missing| missing.0)?;
        let child = Command::new(node)
            .arg(script(name))
            .args(arguments)
            .env("NODE_PATH", root().join("web/node_modules"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut upstream = Self(child);
        let output = upstream.0.stdout.take();
        let (says, said) = mpsc::channel();
        // It goes on talking, and would die of a closed pipe.
        std::thread::spawn(move || {
            let lines = output.into_iter().flat_map(|o| BufReader::new(o).lines());
            for line in lines.map_while(Result::ok) {
                drop(says.send(line));
            }
        });
        if said.iter().any(|line| line == "listening") {
            Ok(upstream)
        } else {
            Err("the provider does not listen".to_owned())
        }
    }
}

/// The tenant of the connector `microsoft`.
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// The `[[connectors]]` of a broker that knows the stand-ins on a port. The names in certificates
/// are the real ones, and so are the buttons.
#[must_use]
pub fn platforms(port: u16, secret_file: &Path) -> String {
    let home = format!("http://localhost:{port}");
    let secret = secret_file.display();
    let connector = |kind: &str, more: &str| {
        format!(
            "[[connectors]]\ntype = \"{kind}\"\nclient_id = \"waxseal\"\n\
             client_secret_file = \"{secret}\"\nallow_domains = [\"example.com\"]\n{more}\n"
        )
    };
    let known = |kind: &str, id: &str, more: &str| {
        let more = format!("url = \"{home}\"\nconnector_id = \"{id}\"\n{more}");
        connector(kind, &more)
    };
    [
        known("google", "https://accounts.google.com", ""),
        known("github", "https://github.com/login/oauth", ""),
        known(
            "microsoft",
            "https://login.microsoftonline.com",
            &format!("tenant = \"{TENANT}\""),
        ),
        known(
            "microsoft",
            "https://login.microsoftonline.com/common",
            "name = \"any-tenant\"\nlabel = \"Microsoft, any tenant\"",
        ),
        known("facebook", "https://www.facebook.com", ""),
        connector(
            "oauth2",
            &format!(
                "name = \"forge\"\nlabel = \"Example forge\"\n\
                 connector_id = \"https://forge.example.com\"\n\
                 authorization_endpoint = \"{home}/forge/authorize\"\n\
                 token_endpoint = \"{home}/forge/token\"\nuserinfo_endpoint = \"{home}/forge/me\"\n\
                 userinfo = {{ user_id = \"id\", email = \"mail\", email_verified = \"confirmed\" }}"
            ),
        ),
    ]
    .concat()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
