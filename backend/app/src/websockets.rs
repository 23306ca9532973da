//! WebSockets (RFC 6455) whose clients are told when this process takes leave, so that they come back to the next one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::response::Response;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a client may take to answer that the socket is closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// All WebSockets of this process.
#[derive(Clone, Debug, Default)]
pub struct WebSockets(Arc<watch::Sender<bool>>);

impl WebSockets {
    /// Answers a request for a WebSocket; `talk` then has it, in a task of its own.
    pub fn upgrade<F>(
        &self,
        upgrade: WebSocketUpgrade,
        talk: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let leaving = self.0.subscribe();
        upgrade.on_upgrade(move |socket| talk(Socket { socket, leaving }))
    }

    /// Tells every client to come back (1012, service restart), those that come later too.
    pub fn leave(&self) {
        self.0.send_replace(true);
    }

    /// Waits until no WebSocket is left.
    pub async fn left(&self) {
        self.0.closed().await;
    }
}

/// One WebSocket.
#[derive(Debug)]
pub struct Socket {
    socket: WebSocket,
    leaving: watch::Receiver<bool>,
}

impl Socket {
    /// Sends a message.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn send(&mut self, message: Message) -> Result<(), axum::Error> {
        self.socket.send(message).await
    }

    /// The next message. `None` is the end: the client has closed the socket, or this process takes leave. Whoever talks is to be here
    /// whenever there is nothing to send.
    pub async fn receive(&mut self) -> Option<Message> {
        let leaving = async { drop(self.leaving.wait_for(|leaving| *leaving).await) };
        tokio::select! {
            message = self.socket.recv() => return message?.ok(),
            () = leaving => {}
        }
        self.close().await;
        None
    }

    async fn close(&mut self) {
        let frame = CloseFrame {
            code: close_code::RESTART,
            reason: "the service restarts: connect again".into(),
        };
        let farewell = async {
            // A client that is gone needs no farewell.
            self.socket.send(Message::Close(Some(frame))).await.ok()?;
            while self
                .socket
                .recv()
                .await
                .is_some_and(|message| message.is_ok())
            {}
            Some(())
        };
        timeout(FAREWELL, farewell).await.ok();
    }
}
