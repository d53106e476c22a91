//! `waxseald up`: from a directory to a served instance.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_instance::{
    Birth, CONFIG_FILE, Commands, Config, DEMO_IDENTITY, DataDir, Flags, Instance, OutboxReader,
    Part, Program, Settings, World, demonstrate, provision, provision_exporting_roots,
    serve_control, write_client_files,
};
use waxseal_serve::{Limits, Shutdown, telemetry};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::args::UpArgs;
use crate::{say, stores};

/// How this program names itself to other servers.
const AGENT: &str = concat!("waxseald/", env!("CARGO_PKG_VERSION"));

/// Runs until a signal.
pub(crate) async fn up(args: UpArgs) -> anyhow::Result<()> {
    // Asked for before anything is made.
    let export = args.root_export()?;
    let begun = Instant::now();
    if !args.data.exists() && args.config.is_none() {
        // What is refused leaves no directory behind.
        Config::default().settle(args.flags())?;
    }
    let data = DataDir::open(&args.data)?;
    let settings = settings(&args, &data)?;
    telemetry(settings.log.output(), &settings.log.filter)?;
    // An instance that is there says first what it cannot become; a new one is not born under a
    // URL before its port is ours.
    Birth::find(&data, &settings)?;
    let listener = settings.listener().bind().await?;
    let shutdown = Shutdown::on_signals().context("signals cannot be caught")?;

    let mut birth = Birth::of(&data, &settings, SystemClock.now())?;
    let is_new = !birth.is_complete();
    let mut keys = match &export {
        None => provision(&data, &mut birth, provider(), &OsRandom).await?,
        Some(export) => {
            let keys =
                provision_exporting_roots(&data, &mut birth, provider(), &OsRandom, export).await?;
            say::roots_exported(export.path());
            keys
        }
    };
    keys.open_log_cosigner(&data, &settings, provider())?;
    if data.read(Part::Root, CONFIG_FILE)?.is_none() && args.config.is_none() {
        data.create(Part::Root, CONFIG_FILE, settings.to_toml().as_bytes())?;
    }
    let world = world()?;
    let stores = stores::open(&data, &settings)?;
    let instance = Instance::new(&settings, &keys, stores, world.clone()).await?;
    write_client_files(&data, instance.trust_config())?;

    let talk = async {
        let served = async {
            let operators = instance.broker().administration();
            let orders = async {
                serve_control(&data, operators, shutdown.clone()).await;
                Ok(())
            };
            let served = instance.serve(listener, shutdown.clone(), Limits::default());
            tokio::try_join!(served, orders).map(|_| ())
        };
        let greeting = greet(&args, &data, &settings, &instance, &world, (begun, is_new));
        // Serving ends by a signal or a fault; the greeting by itself.
        tokio::pin!(served);
        tokio::select! {
            ended = &mut served => return ended.map_err(anyhow::Error::from),
            greeted = greeting => if let Err(error) = greeted {
                shutdown.trigger();
                served.await?;
                return Err(error);
            },
        }
        served.await.map_err(anyhow::Error::from)
    };
    talk.await?;
    say::stopped();
    Ok(())
}

fn settings(args: &UpArgs, data: &DataDir) -> anyhow::Result<Settings> {
    settings_of(args.config.as_deref(), data, args.flags())
}

/// The configuration of a directory, or a file's.
pub(crate) fn settings_of(
    config: Option<&Path>,
    data: &DataDir,
    flags: Flags,
) -> anyhow::Result<Settings> {
    let config = match config {
        Some(path) => config_at(path)?,
        None => {
            let bytes = data.read(Part::Root, CONFIG_FILE)?.unwrap_or_default();
            let path = data.path().join(CONFIG_FILE);
            parse_config(&path, &String::from_utf8_lossy(&bytes))?
        }
    };
    Ok(config.settle(flags)?)
}

/// The configuration in a file.
pub(crate) fn config_at(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    parse_config(path, &text)
}

fn parse_config(path: &Path, text: &str) -> anyhow::Result<Config> {
    Config::from_toml(text).with_context(|| path.display().to_string())
}

/// The system's clock and randomness, and the network.
pub(crate) fn world() -> anyhow::Result<World> {
    let transport = ReqwestTransport::builder().user_agent(AGENT).build()?;
    Ok(World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(transport),
    })
}

/// Says that it is ready, shows what it does if asked to, and what to type next.
async fn greet(
    args: &UpArgs,
    data: &DataDir,
    settings: &Settings,
    instance: &Instance,
    world: &World,
    (begun, is_new): (Instant, bool),
) -> anyhow::Result<()> {
    instance.ready().await?;
    say::ready(settings, &args.data, is_new, begun.elapsed());
    if args.demo {
        anyhow::ensure!(
            settings.outbox && settings.email_login,
            "--demo reads its log-in code from the outbox, and this instance has none"
        );
        let mailbox = OutboxReader::new(data.part(Part::Outbox));
        say::demo_begins();
        let (config, issuer) = (instance.trust_config(), instance.issuer());
        let verified = demonstrate(config, &issuer, world, &mailbox, &say::step).await?;
        say::demo_ends(&verified);
    }
    let beside = beside();
    let folder = args.data.to_string_lossy();
    let commands = Commands {
        program: match &beside {
            _ if is_on_path() => Program::Installed,
            Some(path) => Program::At(path),
            None => Program::FromSource,
        },
        folder: &folder,
        url: &settings.url,
        identity: DEMO_IDENTITY,
    };
    say::commands(&commands, args.demo);
    Ok(())
}

/// The client beside this program, as it is reached from here.
fn beside() -> Option<String> {
    let path = env::current_exe().ok()?.with_file_name(client());
    if !path.is_file() {
        return None;
    }
    let here = env::current_dir().ok()?;
    typed(&path, &here)
}

/// What a shell needs to find a program from here: a bare name would be looked up on the PATH.
fn typed(path: &Path, here: &Path) -> Option<String> {
    let short = path.strip_prefix(here).unwrap_or(path);
    let is_bare = short.components().count() == 1;
    let text = short.to_str()?;
    Some(if is_bare {
        format!("./{text}")
    } else {
        text.to_owned()
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "binaries read the environment; the PATH tells what the person can type"
)]
fn is_on_path() -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(client()).is_file())
}

fn client() -> PathBuf {
    PathBuf::from(format!("waxseal{}", env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_as_a_shell_finds_them() {
        let check = |path: &str, here: &str, expected: &str| {
            let found = typed(Path::new(path), Path::new(here));
            assert_eq!(found.as_deref(), Some(expected));
        };
        check(
            "/src/target/release/waxseal",
            "/src",
            "target/release/waxseal",
        );
        check(
            "/src/target/release/waxseal",
            "/src/target/release",
            "./waxseal",
        );
        check("/opt/waxseal", "/src", "/opt/waxseal");
        check("/waxseal", "/", "./waxseal");
    }
}
