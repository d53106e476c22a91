//! A provider above the broker: npm's oidc-provider.

use std::io::{BufRead as _, BufReader};
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
        let node = Tool::NodeParts.path().map_err(|missing| missing.0)?;
        let child = Command::new(node)
            .arg(script("js/upstream.mjs"))
            .arg(port.to_string())
            .args([redirect_uri, CLIENT_SECRET])
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

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
