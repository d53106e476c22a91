//! Clients that others wrote, logging people in by their own ways: a browser, a code to copy, a
//! device. What they sign then is verified by ours.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_tests_broker::{Guided, Letters, Page, Visitor, script};
use waxseal_tests_interop::{Client, Instance, Kind, Tool, Work, block_on, our, trial};

/// One instance for all; each test is another person, for mail is read by address.
struct World {
    instance: Instance,
    letters: Letters,
}

type Shared = Arc<OnceLock<Result<World, String>>>;

fn main() -> ExitCode {
    let shared = Shared::default();
    let case = |name: &'static str, tools: &[Tool], test: fn(&Scene<'_>) -> Result<(), String>| {
        let shared = Arc::clone(&shared);
        trial(name, tools, move || run(&shared, name, test))
    };
    let trials: Vec<Trial> = vec![
        case("sigstore-python, browser", &[Tool::Python], python_browser),
        case("sigstore-python, code", &[Tool::Python], python_code),
        case(
            "sigstore-js, browser",
            &[Tool::Js, Tool::JsLogin],
            js_browser,
        ),
        case("cosign, browser", &[Tool::Cosign], cosign_browser),
        case("cosign, code", &[Tool::Cosign], cosign_code),
        case("cosign, device", &[Tool::Cosign], cosign_device),
        case("cosign, device, refused", &[Tool::Cosign], cosign_refused),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What one client works on.
struct Scene<'a> {
    world: &'a World,
    work: Work,
    bundle: PathBuf,
    person: String,
    /// A folder of programs that a client finds first, the browser among them.
    programs: PathBuf,
}

fn run(
    shared: &Shared,
    name: &str,
    test: fn(&Scene<'_>) -> Result<(), String>,
) -> Result<(), Failed> {
    let world = shared.get_or_init(|| {
        let instance = Instance::start()?;
        let letters = Letters::new(instance.mailbox());
        Ok(World { instance, letters })
    });
    let world = world.as_ref()?;
    let work = Work::new(|bytes| Digest::of(HashAlgorithm::Sha256, bytes).to_hex());
    let person: String = name.chars().filter(char::is_ascii_lowercase).collect();
    let scene = Scene {
        world,
        bundle: work.path("bundle.json"),
        person: format!("{person}@example.com"),
        programs: work.path("programs"),
        work,
    };
    scene.put_browser().unwrap();
    test(&scene).map_err(|error| {
        let browser = std::fs::read_to_string(scene.work.path("browser.log"));
        Failed::from(format!("{error}\nbrowser: {}", browser.unwrap_or_default()))
    })
}

impl Scene<'_> {
    /// A browser that logs the person in by itself, under the names that clients look for.
    fn put_browser(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.programs)?;
        // As with a real one, the program that opens it does not wait for its end: cosign listens
        // for the answer only after that.
        let text = format!(
            "#!/bin/sh\n'{}' '{}' \"$1\" '{}' > '{}' 2>&1 < /dev/null &\n",
            our("browser").display(),
            self.world.instance.mailbox().display(),
            self.person,
            self.work.path("browser.log").display(),
        );
        for name in ["browser", "xdg-open"] {
            let path = self.programs.join(name);
            std::fs::write(&path, &text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client finds its browser by it"
        )]
        let old = std::env::var_os("PATH").unwrap_or_default();
        let mut path = OsString::from(&self.programs);
        path.push(":");
        path.push(old);
        let mut command = Command::new(program);
        command
            .env("PATH", path)
            .env("BROWSER", self.programs.join("browser"))
            .env("TUF_ROOT", self.work.path("tuf"))
            // Some clients log nobody in where CI is set.
            .env_remove("CI");
        command
    }

    /// Ours says who signed, and that it was nobody else.
    fn is_signed(&self) -> Result<(), String> {
        let verify = |identity: &str| {
            let (instance, work) = (&self.world.instance, &self.work);
            Client::Waxseal.verify(Kind::Blob, instance, work, &self.bundle, identity)
        };
        verify(&self.person)?;
        match verify("mallory@example.com") {
            Err(_) => Ok(()),
            Ok(()) => Err("a bundle was accepted as somebody else's".to_owned()),
        }
    }

    fn python(&self) -> Result<Command, String> {
        let mut command = self.command(&Tool::Python.path().map_err(|missing| missing.0)?);
        command
            .arg("--trust-config")
            .arg(self.world.instance.file("trust_config.json"))
            .args(["sign", "--overwrite", "--bundle"])
            .arg(&self.bundle)
            .arg(&self.work.artifact);
        Ok(command)
    }

    fn cosign(&self, flow: &str) -> Result<Command, String> {
        let mut command = self.command(&Tool::Cosign.path().map_err(|missing| missing.0)?);
        command
            .args(["sign-blob", "--yes", "--fulcio-auth-flow", flow])
            .arg("--signing-config")
            .arg(self.world.instance.file("signing_config.json"))
            .arg("--trusted-root")
            .arg(self.world.instance.file("trusted_root.json"))
            .arg("--bundle")
            .arg(&self.bundle)
            .arg(&self.work.artifact);
        Ok(command)
    }

    /// The person logs in from the page that asks for an address; the page at the end.
    async fn prove(&self, visitor: &mut Visitor, page: &Page) -> Result<Page, String> {
        let page = visitor.fill(page, "email", &self.person).await?;
        let code = self.world.letters.code(&self.person).await;
        visitor.fill(&page, "code", &code.ok_or("no mail")?).await
    }

    /// The person opens the URL that a program shows, and copies the code from the last page.
    fn copied(&self, url: &str) -> Result<String, String> {
        block_on(async {
            let mut visitor = Visitor::new()?;
            let page = visitor.visit(url).await?;
            let page = self.prove(&mut visitor, &page).await?;
            page.shown("code").ok_or(page.body)
        })
    }
}

/// The first URL of the instance in what a program printed, once its line has ended.
fn url_in(printed: &str, instance: &Instance) -> Option<String> {
    let start = printed.find(&instance.issuer())?;
    let (url, _) = printed.get(start..)?.split_once(char::is_whitespace)?;
    Some(url.to_owned())
}

fn python_browser(scene: &Scene<'_>) -> Result<(), String> {
    Guided::start(&mut scene.python()?)?.ends()?;
    scene.is_signed()
}

fn python_code(scene: &Scene<'_>) -> Result<(), String> {
    let mut command = scene.python()?;
    command.arg("--oauth-force-oob");
    let mut python = Guided::start(&mut command)?;
    let url = python.wait_for(|printed| url_in(printed, &scene.world.instance))?;
    python.type_line(&scene.copied(&url)?)?;
    python.ends()?;
    scene.is_signed()
}

fn js_browser(scene: &Scene<'_>) -> Result<(), String> {
    let node = Tool::Js.path().map_err(|missing| missing.0)?;
    let modules = Tool::JsLogin.path().map_err(|missing| missing.0)?;
    let mut command = scene.command(&node);
    command
        .env("NODE_PATH", modules)
        .arg(script("js/oauth_sign.cjs"))
        .arg(scene.world.instance.file("signing_config.json"))
        .arg(scene.world.instance.issuer())
        .arg(&scene.work.artifact)
        .arg(&scene.bundle);
    Guided::start(&mut command)?.ends()?;
    scene.is_signed()
}

fn cosign_browser(scene: &Scene<'_>) -> Result<(), String> {
    Guided::start(&mut scene.cosign("normal")?)?.ends()?;
    scene.is_signed()
}

/// No browser can be opened: it shows the URL, and asks for the code.
fn cosign_code(scene: &Scene<'_>) -> Result<(), String> {
    for name in ["xdg-open", "x-www-browser", "www-browser"] {
        let path = scene.programs.join(name);
        std::fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let mut cosign = Guided::start(&mut scene.cosign("normal")?)?;
    let url = cosign.wait_for(|printed| {
        let url = url_in(printed, &scene.world.instance)?;
        url.contains("oob").then_some(url)
    })?;
    cosign.type_line(&scene.copied(&url)?)?;
    cosign.ends()?;
    scene.is_signed()
}

/// From the URL that cosign shows to the page that says who asks.
async fn who_asks(visitor: &mut Visitor, url: &str) -> Result<Page, String> {
    let page = visitor.visit(url).await?;
    let (_, fields) = page.form("user_code").ok_or(page.body.clone())?;
    let code = fields.get("user_code").cloned().unwrap_or_default();
    if code.len() != 9 {
        return Err(format!("the link brings no code: {}", page.body));
    }
    visitor.fill(&page, "user_code", &code).await
}

fn cosign_device(scene: &Scene<'_>) -> Result<(), String> {
    let mut cosign = Guided::start(&mut scene.cosign("device")?)?;
    let url = cosign.wait_for(|printed| url_in(printed, &scene.world.instance))?;
    block_on(async {
        let mut visitor = Visitor::new()?;
        let page = who_asks(&mut visitor, &url).await?;
        let page = visitor.press(&page, "answer", "continue").await?;
        let end = scene.prove(&mut visitor, &page).await?;
        assert!(end.body.contains("You are logged in"), "{}", end.body);
        Ok::<_, String>(())
    })?;
    cosign.ends()?;
    scene.is_signed()
}

fn cosign_refused(scene: &Scene<'_>) -> Result<(), String> {
    let mut cosign = Guided::start(&mut scene.cosign("device")?)?;
    let url = cosign.wait_for(|printed| url_in(printed, &scene.world.instance))?;
    block_on(async {
        let mut visitor = Visitor::new()?;
        let page = who_asks(&mut visitor, &url).await?;
        let end = visitor.press(&page, "answer", "refuse").await?;
        assert!(end.body.contains("Refused"), "{}", end.body);
        Ok::<_, String>(())
    })?;
    let said = cosign.ends().expect_err("nobody agreed");
    assert!(said.contains("denied"), "{said}");
    assert!(!scene.bundle.exists());
    Ok(())
}
