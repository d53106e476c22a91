//! Which log-in fits the machine that we are on.

use crate::Environment;

/// How a person logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginFlow {
    /// A browser on this machine, whose answer comes back to a socket ([`crate::BrowserLogin`]).
    Browser,
    /// A browser anywhere, and a code to enter there ([`crate::DeviceLogin`]).
    Device,
    /// A browser anywhere, and a code to copy from there ([`crate::OutOfBandLogin`]).
    OutOfBand,
}

/// Variables that a session over SSH has.
const SSH: [&str; 3] = ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"];

/// Variables that a session with a display has.
const DISPLAY: [&str; 2] = ["WAYLAND_DISPLAY", "DISPLAY"];

impl LoginFlow {
    /// The flow for this machine: a device code where no browser could reach us, which is over SSH
    /// (its browser is on another machine) and, on Linux and its like, without a display; the
    /// browser everywhere else.
    pub fn here(environment: &dyn Environment) -> Self {
        let needs_display = cfg!(all(unix, not(target_os = "macos")));
        Self::of(environment, needs_display)
    }

    fn of(environment: &dyn Environment, needs_display: bool) -> Self {
        let any = |names: &[&str]| {
            names
                .iter()
                .any(|name| environment.variable(name).is_some())
        };
        // Inside WSL, 127.0.0.1 need not be the Windows browser's.
        let is_elsewhere = any(&SSH) || any(&["WSL_DISTRO_NAME"]);
        // Whoever names a browser has one, be it in the terminal.
        let is_blind = needs_display && !any(&DISPLAY) && !any(&["BROWSER"]);
        match is_elsewhere || is_blind {
            true => Self::Device,
            false => Self::Browser,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeEnvironment;

    fn check(names: &[&'static str], needs_display: bool, expected: LoginFlow) {
        let variables = names.iter().map(|name| (*name, "x".to_owned())).collect();
        let environment = FakeEnvironment {
            variables,
            ..FakeEnvironment::default()
        };
        let found = LoginFlow::of(&environment, needs_display);
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn a_browser_where_one_can_reach_us() {
        check(&["DISPLAY"], true, LoginFlow::Browser);
        check(&["WAYLAND_DISPLAY"], true, LoginFlow::Browser);
        check(&["BROWSER"], true, LoginFlow::Browser);
        check(&[], false, LoginFlow::Browser);
    }

    #[test]
    fn a_device_code_over_ssh_and_without_a_display() {
        check(&[], true, LoginFlow::Device);
        for name in SSH {
            check(&[name], false, LoginFlow::Device);
            check(&[name, "DISPLAY", "BROWSER"], true, LoginFlow::Device);
        }
        check(&["WSL_DISTRO_NAME", "DISPLAY"], true, LoginFlow::Device);
    }
}
