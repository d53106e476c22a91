//! Whole logs, read by somebody else: ours by Tessera's checker and by a file server, theirs by us.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use waxseal_tests_interop::{
    Instance, Records, RekorTiles, Server, Tool, block_on, free_port, our, output, run, trial,
};
use waxseal_transport::{Request, Transport as _};
use waxseal_transport_reqwest::ReqwestTransport;

/// More than one full tile, and a partial one.
const ENTRIES: usize = 300;

/// How long something may take to happen here: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let trials = vec![
        trial(
            "Tessera's fsck accepts our log",
            &[Tool::TesseraFsck],
            tessera_checks_ours,
        ),
        trial(
            "a file server gives the bytes of the running log",
            &[Tool::PythonParts],
            a_file_server_gives_the_same,
        ),
        trial(
            "our fsck accepts the log of rekor-tiles",
            &[Tool::RekorTiles],
            we_check_rekor_tiles,
        ),
        trial(
            "a log of rekor-tiles moves in, and goes on",
            &[Tool::RekorTiles],
            rekor_tiles_moves_in,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn tessera_checks_ours() -> Result<(), Failed> {
    let instance = written()?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("log.vkey");
    std::fs::write(&key, instance.log_key()?.to_vkey())?;
    let tiles = format!("file://{}/", tiles(&instance).display());
    for url in [tiles, format!("{}/", instance.url())] {
        let mut fsck = Command::new(path(Tool::TesseraFsck)?);
        fsck.arg(format!("--storage_url={url}"))
            .arg(format!("--public_key={}", key.display()))
            .arg("--ui=false");
        run(&mut fsck)?;
    }
    // What it finds is found: one flipped bit in an entry.
    let bundle = tiles_file(&instance, "tile/entries/000");
    let mut bytes = std::fs::read(&bundle)?;
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&bundle, bytes)?;
    let mut fsck = our_fsck(&tiles_file(&instance, ""));
    fsck.arg("--instance").arg(instance.data());
    let said = run(&mut fsck).unwrap_err();
    assert!(said.contains("log-altered"), "{said}");
    Ok(())
}

/// A reader of tiles must not see which of the two it reads.
fn a_file_server_gives_the_same() -> Result<(), Failed> {
    let instance = written()?;
    let port = free_port()?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(path(Tool::PythonParts)?);
    command
        .args(["-m", "http.server", "--bind", "127.0.0.1"])
        .arg("--directory")
        .arg(tiles(&instance))
        .arg(port.to_string());
    let _files = Server::start(&mut command, &folder.path().join("log"))?;
    let plain = format!("http://127.0.0.1:{port}");
    wait_until(|| get(&format!("{plain}/checkpoint")).is_ok())?;
    let mut names = files_below(&tiles(&instance), Path::new(""));
    // The history of checkpoints is no part of the format: what it says is asked for by size.
    names.retain(|name| name == "checkpoint" || name.starts_with("tile/"));
    assert!(names.iter().any(|name| name.starts_with("tile/entries/")));
    assert!(names.len() >= 6, "{names:?}");
    for name in &names {
        let from_file = get(&format!("{plain}/{name}"))?;
        assert_eq!(
            get(&format!("{}/{name}", instance.url()))?,
            from_file,
            "{name}"
        );
        let upstream = format!("{}/api/v2/{name}", instance.url());
        assert_eq!(get(&upstream)?, from_file, "{name}");
    }
    for url in [plain, instance.url()] {
        let mut fsck = our_fsck(Path::new(&url));
        run(fsck.arg("--instance").arg(instance.data()))?;
    }
    Ok(())
}

fn we_check_rekor_tiles() -> Result<(), Failed> {
    let rekor = RekorTiles::start("log.local")?;
    write(&rekor.url(), &bodies(ENTRIES), 201)?;
    let mut fsck = our_fsck(&rekor.file("rekor"));
    let said = output(fsck.arg("--json").arg("--key").arg(rekor.file("log.pub")))?;
    assert!(said.contains("\"treeSize\":300"), "{said}");
    Ok(())
}

/// Who leaves the other server takes the log along: its entries, its key, its proofs.
fn rekor_tiles_moves_in() -> Result<(), Failed> {
    let rekor = RekorTiles::start("127.0.0.1")?;
    let before = bodies(ENTRIES);
    write(&rekor.url(), &before, 201)?;
    let mut instance = Instance::start()?;
    instance.kill();
    let url = instance.url().replace("localhost", "127.0.0.1");
    let mut import = Command::new(our("waxseald"));
    import
        .args(["log", "import", "--json", "--since", "2025-01-01T00:00:00Z"])
        .arg("--data")
        .arg(instance.data())
        .args(["--url", &url, "--private-key"])
        .arg(rekor.file("log.pem"))
        .arg(rekor.file("rekor"));
    // Nobody else writes to it any more.
    let rekor = rekor.stop();
    let said = output(&mut import)?;
    assert!(said.contains("\"treeSize\":300"), "{said}");
    instance.restart()?;
    write(&url, &before, 409)?;
    write(&url, &bodies(10), 201)?;
    let mut fsck = our_fsck(Path::new(&url));
    let said = output(
        fsck.arg("--json")
            .arg("--key")
            .arg(rekor.path().join("log.pub")),
    )?;
    assert!(said.contains("\"treeSize\":310"), "{said}");
    Ok(())
}

/// An instance whose log has more than one tile, all of it written out.
fn written() -> Result<Instance, Failed> {
    let instance = Instance::start()?;
    // One entry is there from the beginning.
    write(&instance.url(), &bodies(ENTRIES - 1), 201)?;
    let size = format!("\n{ENTRIES}\n");
    wait_until(|| {
        let text = std::fs::read_to_string(tiles_file(&instance, "checkpoint"));
        text.is_ok_and(|text| text.contains(&size))
    })?;
    Ok(instance)
}

fn tiles(instance: &Instance) -> PathBuf {
    instance.data().join("log/tiles")
}

fn tiles_file(instance: &Instance, name: &str) -> PathBuf {
    tiles(instance).join(name)
}

fn our_fsck(log: &Path) -> Command {
    let mut command = Command::new(our("waxseal"));
    command.args(["log", "fsck"]).arg(log);
    command
}

fn path(tool: Tool) -> Result<PathBuf, String> {
    tool.path().map_err(|unavailable| unavailable.0)
}

/// Entries of one key.
fn bodies(count: usize) -> Vec<Vec<u8>> {
    let records = Records::new();
    let one = |number| records.hashed(number).to_string().into_bytes();
    (0..count).map(one).collect()
}

/// Submits entries, some at a time: each answer waits for a checkpoint.
fn write(url: &str, bodies: &[Vec<u8>], expected: u16) -> Result<(), Failed> {
    let target: waxseal_transport::Url = format!("{url}/api/v2/log/entries").parse()?;
    let transport = Arc::new(ReqwestTransport::builder().build()?);
    block_on(async {
        for some in bodies.chunks(64) {
            let mut writes = tokio::task::JoinSet::new();
            for body in some {
                let request = Request::post(target.clone(), "application/json", body.clone())
                    .with_deadline(PATIENCE);
                let transport = Arc::clone(&transport);
                writes.spawn(async move { transport.send(request).await });
            }
            while let Some(written) = writes.join_next().await {
                let answer = written??;
                if answer.status != expected {
                    let text = format!("{}: {}", answer.status, answer.excerpt().as_str());
                    return Err(Failed::from(text));
                }
            }
        }
        Ok(())
    })
}

fn get(url: &str) -> Result<Vec<u8>, Failed> {
    block_on(async {
        let transport = ReqwestTransport::builder().build()?;
        let request = Request::get(url.parse()?).with_max_response(64 << 20);
        let answer = transport.send(request).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(Failed::from(format!("{url}: status {}", answer.status)))
        }
    })
}

fn wait_until(mut is_so: impl FnMut() -> bool) -> Result<(), Failed> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if is_so() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("it did not happen".into())
}

/// Every file, by its path below the root; what begins with a dot is nobody's business.
fn files_below(root: &Path, folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = folder.join(entry.file_name());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            names.extend(files_below(root, &name));
        } else {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names
}
