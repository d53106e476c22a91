//! The transparency log, alone in its process: the same configuration, data directory and routes as
//! in `waxseald up`, without the other roles.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_instance::{Config, DataDir, Flags, LogAlone, LogStores, Part, World};
use waxseal_serve::{Limits, Shutdown, telemetry};
use waxseal_store_embedded::{LogLedger, LogObjects};
use waxseal_transport_reqwest::ReqwestTransport;

/// Half of what the system's allocator costs an entry, and memory that comes back after a crowd.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The transparency log, alone in its process
#[derive(Debug, Parser)]
#[command(name = "waxseal-log", version)]
struct Args {
    /// Configuration, as docs/operate/log.md describes it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Data directory, which is made on the first start
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program talks to whoever started it")]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> anyhow::Result<()> {
    waxseal_serve::forbid_core_dumps().context("core dumps cannot be forbidden")?;
    let named = || args.config.display().to_string();
    let text = std::fs::read_to_string(&args.config).with_context(named)?;
    let config = Config::from_toml(&text).with_context(named)?;
    let settings = config.settle_without_people(Flags::default())?;
    telemetry(settings.log.output(), &settings.log.filter)?;
    let data = DataDir::open(&args.data)?;
    let listener = settings.listener().bind().await?;
    let shutdown = Shutdown::on_signals().context("signals cannot be caught")?;
    let agent = concat!("waxseal-log/", env!("CARGO_PKG_VERSION"));
    let world = World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(ReqwestTransport::builder().user_agent(agent).build()?),
    };
    let folder = data.make(Part::Log)?;
    let cannot_open = || format!("cannot open {}", folder.display());
    let ledger = LogLedger::open(&folder.join("state.redb")).with_context(cannot_open)?;
    let objects = LogObjects::open(&folder.join("tiles")).with_context(cannot_open)?;
    let stores = LogStores {
        ledger: Arc::new(ledger),
        objects: Arc::new(objects),
    };
    let log = LogAlone::new(&data, &settings, stores, world).await?;
    log.serve(listener, shutdown, Limits::default()).await?;
    Ok(())
}
