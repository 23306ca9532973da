use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emotionviz_settings::DatabaseUrl;
use secrecy::ExposeSecret;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::broadcast;

/// Stands between a server and its database, so that a test can take the database away and give it back.
pub(crate) struct Proxy {
    pub(crate) url: String,
    up: Arc<AtomicBool>,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    pub(crate) async fn start(database_url: &str) -> Self {
        let target: DatabaseUrl = database_url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut through = target.clone();
        through.host = "127.0.0.1".to_owned();
        through.port = listener.local_addr().unwrap().port();
        let url = through.to_secret().expose_secret().to_owned();
        let (up, cut) = (Arc::new(AtomicBool::new(true)), broadcast::channel(1).0);
        let (is_up, cutter) = (up.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !is_up.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, target) = (cutter.subscribe(), target.clone());
                tokio::spawn(async move {
                    let pass = async {
                        if target.host.starts_with('/') {
                            let mut server = UnixStream::connect(format!(
                                "{}/.s.PGSQL.{}",
                                target.host, target.port
                            ))
                            .await
                            .unwrap();
                            copy_bidirectional(&mut client, &mut server).await.ok();
                        } else {
                            let mut server =
                                TcpStream::connect((target.host.as_str(), target.port))
                                    .await
                                    .unwrap();
                            copy_bidirectional(&mut client, &mut server).await.ok();
                        }
                    };
                    tokio::select! { () = pass => {}, _ = cut.recv() => {} }
                });
            }
        });
        Self { url, up, cut }
    }

    /// Breaks every connection, and closes new ones at once.
    pub(crate) fn take_away(&self) {
        self.up.store(false, Ordering::SeqCst);
        self.cut.send(()).ok();
    }

    /// Closes new connections at once; existing connections continue.
    pub(crate) fn refuse_new(&self) {
        self.up.store(false, Ordering::SeqCst);
    }

    pub(crate) fn give_back(&self) {
        self.up.store(true, Ordering::SeqCst);
    }
}
