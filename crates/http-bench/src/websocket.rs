use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// How long a client waits before it knocks again at a server that refused it.
const KNOCK_AGAIN: Duration = Duration::from_millis(10);

/// What happened to the WebSockets of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// How often one was opened.
    pub opened: u64,
    /// How often the server said that it restarts (close code 1012).
    pub restarts: u64,
    /// How often one ended in another way, or could not be opened.
    pub failures: BTreeMap<String, u64>,
}

impl Sockets {
    /// Keeps one open for as long as this is polled; opens the next one when the server closes it.
    pub async fn keep_open(&mut self, url: &str) {
        loop {
            let Err(how) = self.open(url).await else {
                continue;
            };
            *self.failures.entry(how).or_default() += 1;
            sleep(KNOCK_AGAIN).await;
        }
    }

    /// One, from its handshake to its end.
    async fn open(&mut self, url: &str) -> Result<(), String> {
        let (mut socket, _) = connect_async(url)
            .await
            .map_err(|error| error.to_string())?;
        self.opened += 1;
        let mut end = Err("without a word".to_owned());
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Restart => {
                    self.restarts += 1;
                    end = Ok(());
                }
                Ok(Message::Close(frame)) => end = Err(format!("{frame:?}")),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        end
    }
}
