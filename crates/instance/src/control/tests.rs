//! The control socket, from both ends, and what it refuses.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use waxseal_crypto_aws_lc::SystemClock;
use waxseal_identity_server::{BanTarget, NoAuditLog};
use waxseal_store_embedded::IdentityStore;

use super::*;
use crate::Part;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn data(folder: &tempfile::TempDir) -> DataDir {
    DataDir::open(&folder.path().join("data")).unwrap()
}

fn broker(data: &DataDir) -> Administration {
    let path = data.make(Part::Broker).unwrap().join("state.redb");
    let store = IdentityStore::open(&path).unwrap();
    Administration::new(Arc::new(store), Arc::new(SystemClock), Arc::new(NoAuditLog))
}

fn socket(data: &DataDir) -> PathBuf {
    data.part(Part::Broker).join("control.sock")
}

#[tokio::test]
async fn orders_reach_a_running_broker() {
    let folder = folder();
    let data = data(&folder);
    assert_eq!(
        order_running(data.path(), &Order::Bans).await.unwrap(),
        None
    );
    // What a killed process leaves behind.
    data.make(Part::Broker).unwrap();
    drop(UnixListener::bind(socket(&data)).unwrap());
    assert_eq!(
        order_running(data.path(), &Order::Bans).await.unwrap(),
        None
    );
    let control = Control::open(&data).unwrap();
    let mode = std::fs::metadata(socket(&data)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let (shutdown, broker) = (Shutdown::new(), broker(&data));
    let serving = tokio::spawn(control.serve(broker, shutdown.clone()));
    let ban = Order::Ban {
        who: BanTarget::parse("you@example.com").unwrap(),
        reason: None,
        until: None,
    };
    let done = order_running(data.path(), &ban).await.unwrap();
    assert_eq!(done, Some(OrderDone::Banned));
    let Some(OrderDone::Bans(bans)) = order_running(data.path(), &Order::Bans).await.unwrap()
    else {
        panic!("no list");
    };
    assert_eq!(bans[0].target, "you@example.com");
    shutdown.trigger();
    serving.await.unwrap();
    assert!(!socket(&data).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_silent_or_endless_is_cut_off() {
    let folder = folder();
    let data = data(&folder);
    let control = Control::open(&data).unwrap();
    let serving = tokio::spawn(control.serve(broker(&data), Shutdown::new()));
    let path = socket(&data);
    let begun = Instant::now();
    let (endless, silent) = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&[b' '; 64 * 1024]).ok();
        let mut endless = String::new();
        stream.read_to_string(&mut endless).ok();
        let mut stream = UnixStream::connect(&path).unwrap();
        let mut silent = String::new();
        stream.read_to_string(&mut silent).unwrap();
        (endless, silent)
    })
    .await
    .unwrap();
    assert!(
        endless.is_empty() || endless.contains("not_an_order"),
        "{endless}"
    );
    assert!(silent.is_empty(), "{silent}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let bans = order_running(data.path(), &Order::Bans).await.unwrap();
    assert_eq!(bans, Some(OrderDone::Bans(Vec::new())));
    serving.abort();
}

/// Somebody else's program at the socket.
async fn answered_with(answer: &'static str) -> Result<Option<OrderDone>, ControlError> {
    let folder = folder();
    let data = data(&folder);
    data.make(Part::Broker).unwrap();
    let listener = UnixListener::bind(socket(&data)).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut order = [0; 64];
        assert!(stream.read(&mut order).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let done = order_running(data.path(), &Order::Bans).await;
    other.join().unwrap();
    done
}

#[tokio::test]
async fn no_answer() {
    for answer in ["", "{\"done\":"] {
        let done = answered_with(answer).await;
        assert!(matches!(done, Err(ControlError::NoAnswer)), "{done:?}");
    }
}

#[tokio::test]
async fn order() {
    let done = answered_with("{\"refused\":\"not_an_order\"}\n").await;
    assert!(
        matches!(done, Err(ControlError::Order(OrderError::NotAnOrder))),
        "{done:?}"
    );
}

#[tokio::test]
async fn io() {
    let folder = folder();
    let data = data(&folder);
    let parent = data.make(Part::Broker).unwrap();
    std::fs::create_dir(socket(&data)).unwrap();
    let opened = Control::open(&data);
    assert!(matches!(opened, Err(ControlError::Io { .. })), "{opened:?}");
    std::fs::remove_dir_all(&parent).unwrap();
    std::fs::write(&parent, "").unwrap();
    let asked = order_running(data.path(), &Order::Bans).await;
    assert!(matches!(asked, Err(ControlError::Io { .. })), "{asked:?}");
}

/// However deep the directory lies, also beyond what a socket's address has room for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_path_has_its_socket() {
    let folder = folder();
    let check = async |below: &Path| {
        let data = DataDir::open(&folder.path().join(below)).unwrap();
        let none = order_running(data.path(), &Order::Bans).await;
        assert_eq!(none.unwrap(), None, "no broker has run");
        let control = Control::open(&data).unwrap();
        let mode = std::fs::metadata(socket(&data)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let (shutdown, broker) = (Shutdown::new(), broker(&data));
        let serving = tokio::spawn(control.serve(broker, shutdown.clone()));
        let bans = order_running(data.path(), &Order::Bans).await;
        assert_eq!(bans.unwrap(), Some(OrderDone::Bans(Vec::new())));
        shutdown.trigger();
        serving.await.unwrap();
        assert!(!socket(&data).exists());
        let none = order_running(data.path(), &Order::Bans).await;
        assert_eq!(none.unwrap(), None, "it runs no more");
    };
    // From one that fits to one that does not, and far beyond.
    let taken = folder.path().as_os_str().len() + "//broker/control.sock".len();
    for longest in 106..=109 {
        check(&Path::new("").join("d".repeat(longest - taken))).await;
    }
    check(Path::new(&"e".repeat(200))).await;
    check(&Path::new(&"f".repeat(200)).join("g".repeat(200))).await;
}

#[tokio::test]
async fn data_of_others() {
    let folder = folder();
    let data = data(&folder);
    let broker = data.make(Part::Broker).unwrap();
    std::fs::set_permissions(broker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let opened = Control::open(&data);
    assert!(matches!(opened, Err(ControlError::Data(_))), "{opened:?}");
}
