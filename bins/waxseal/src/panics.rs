//! A panic ends the process with a code that is not zero, whatever thread it happens in and whatever
//! would catch it: a verifier that recovered from one and went on said "verified" (V-37).

use std::panic::PanicHookInfo;

use crate::outcome::Class;

/// Makes every panic the end of the process.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| end(info)));
}

#[expect(
    clippy::exit,
    clippy::print_stderr,
    reason = "no destructor and no handler may run"
)]
fn end(info: &PanicHookInfo<'_>) -> ! {
    eprintln!("waxseal: internal error, nothing was verified: {info}");
    std::process::exit(i32::from(Class::Internal.exit_code()));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    const MARK: &str = "WAXSEAL_TEST_PANIC";

    /// Runs itself again; there the panic is caught, in another thread, and zero is returned.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        clippy::exit,
        reason = "the second run is told by the environment, and would end well but for the hook"
    )]
    fn v_37_a_panic_that_is_caught_still_fails() {
        if std::env::var_os(MARK).is_some() {
            super::install();
            let caught =
                std::thread::spawn(|| std::panic::catch_unwind(|| panic!("injected")).is_err());
            drop(caught.join());
            std::process::exit(0);
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "panics::tests::v_37_a_panic_that_is_caught_still_fails",
            ])
            .args(["--nocapture"])
            .env(MARK, "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("injected"));
    }
}
