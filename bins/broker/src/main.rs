//! The identity broker, alone in its process: the same configuration, data directory and pages as
//! in `waxseald up`, without the other roles.

mod stores;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_instance::{BrokerAlone, Config, DataDir, Flags, World, serve_control};
use waxseal_serve::{Limits, Shutdown, telemetry};
use waxseal_transport_reqwest::ReqwestTransport;

/// The identity broker, alone in its process
#[derive(Debug, Parser)]
#[command(name = "waxseal-broker", version)]
struct Args {
    /// Configuration, as docs/operate/broker.md describes it
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
    let settings = config.settle(Flags::default())?;
    telemetry(settings.log.output(), &settings.log.filter)?;
    let data = DataDir::open(&args.data)?;
    let listener = settings.listener().bind().await?;
    let shutdown = Shutdown::on_signals().context("signals cannot be caught")?;
    let agent = concat!("waxseal-broker/", env!("CARGO_PKG_VERSION"));
    let world = World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(ReqwestTransport::builder().user_agent(agent).build()?),
    };
    let stores = stores::open(&data, &settings)?;
    let broker = BrokerAlone::new(&data, &settings, stores, world).await?;
    let served = broker.serve(listener, shutdown.clone(), Limits::default());
    let orders = async {
        serve_control(&data, broker.broker().administration(), shutdown).await;
        Ok(())
    };
    tokio::try_join!(served, orders)?;
    Ok(())
}
