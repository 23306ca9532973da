use std::process::Command;

use nix::sys::signal::Signal;
use tokio::net::UnixDatagram;

use crate::support::{Server, TestDatabase, http_client, server_command, until};

/// The next word that a server says about itself.
async fn word(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1000];
    let received = tokio::time::timeout(crate::support::PATIENCE, socket.recv(&mut bytes)).await;
    String::from_utf8_lossy(&bytes[..received.unwrap().unwrap()])
        .trim()
        .to_owned()
}

#[tokio::test]
async fn it_accepts_nothing_before_it_is_ready_and_says_when_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words");
    let socket = UnixDatagram::bind(&path).unwrap();
    let database = TestDatabase::create_empty().await;
    let mut child = server_command(&database.url, &[("NOTIFY_SOCKET", path.to_str().unwrap())])
        .args(["serve", "--when-ready"])
        .spawn()
        .unwrap();
    assert_eq!(
        word(&socket).await,
        "STATUS=its schema is behind this version: migrate up"
    );
    assert!(child.try_wait().unwrap().is_none());

    let binary = env!("CARGO_BIN_EXE_emotionviz");
    let url = database.url.clone();
    let migrated = tokio::task::spawn_blocking(move || {
        Command::new(binary)
            .args(["migrate", "up"])
            .env("DATABASE_URL", url)
            .output()
    });
    assert!(migrated.await.unwrap().unwrap().status.success());
    until("it is ready", async || word(&socket).await == "READY=1").await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn one_that_never_becomes_ready_can_be_stopped() {
    let database = TestDatabase::create_empty().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut child = server_command(&database.url, &[("NOTIFY_SOCKET", path.to_str().unwrap())])
        .args(["serve", "--when-ready"])
        .spawn()
        .unwrap();
    word(&socket).await;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_failed_reload_is_told_in_development() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database.url, &[("APP_ENV", "development")]);
    assert_eq!(server.get("/health").await.header("x-reload"), "");
    server.signal(Signal::SIGUSR1);
    until("answers say so", async || {
        server.get("/health").await.header("x-reload") == "failed"
    })
    .await;
    assert_eq!(server.get("/nowhere").await.header("x-reload"), "failed");
}

#[tokio::test]
async fn a_descriptor_that_is_not_a_tcp_listener_is_passed_over_unless_it_is_the_only_one() {
    let database = TestDatabase::create().await;
    let serve = |descriptors: &str, listener: std::net::TcpListener| {
        let mut command = Command::new("sh");
        let script = format!(
            "exec 3</dev/null 4<&0 </dev/null; LISTEN_FDS={descriptors} LISTEN_PID=$$ exec \"$0\" serve"
        );
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_emotionviz")])
            .env_clear()
            .env("DATABASE_URL", &database.url);
        command
            .env("JWT_SECRET_KEY", "a key that is only for tests, 32+ bytes")
            .stdin(std::os::fd::OwnedFd::from(listener));
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = serve("2", listener).spawn().unwrap();
    let health = format!("http://{address}/health");
    until("it answers", async || {
        let response = http_client().get(&health).send();
        response.await.is_ok_and(|reply| reply.status() == 200)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();

    let mut alone = serve("1", std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let ended = tokio::task::spawn_blocking(move || alone.output().unwrap())
        .await
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(
        !ended.status.success() && said.contains("LISTEN_FDS has no listening TCP socket"),
        "{said}"
    );
}
