//! WebSockets (RFC 6455) that are closed when this process stops, so that clients reconnect to the next one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::response::Response;
use tokio::sync::watch;
use tokio::time::timeout;

/// The time limit for the client to confirm the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Default)]
pub struct WebSockets(Arc<watch::Sender<bool>>);

impl WebSockets {
    /// Answers a request for a WebSocket, which `talk` then uses in a task of its own.
    pub fn upgrade<F>(
        &self,
        upgrade: WebSocketUpgrade,
        talk: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let closing = self.0.subscribe();
        upgrade.on_upgrade(move |socket| talk(Socket { socket, closing }))
    }

    /// Closes every WebSocket, also a later one, with status 1012 (service restart).
    pub fn close(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the last WebSocket is closed.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

#[derive(Debug)]
pub struct Socket {
    socket: WebSocket,
    closing: watch::Receiver<bool>,
}

impl Socket {
    pub async fn send(&mut self, message: Message) -> Result<(), axum::Error> {
        self.socket.send(message).await
    }

    /// Returns the next message, or `None` if the client has closed the socket or this process stops. Call it whenever there is nothing to
    /// send.
    pub async fn receive(&mut self) -> Option<Message> {
        let closing = async { drop(self.closing.wait_for(|closing| *closing).await) };
        tokio::select! {
            message = self.socket.recv() => return message?.ok(),
            () = closing => {}
        }
        self.close().await;
        None
    }

    async fn close(&mut self) {
        let frame = CloseFrame {
            code: close_code::RESTART,
            reason: "the service restarts: connect again".into(),
        };
        let confirmed = async {
            self.socket.send(Message::Close(Some(frame))).await.ok()?;
            while self
                .socket
                .recv()
                .await
                .is_some_and(|message| message.is_ok())
            {}
            Some(())
        };
        timeout(CLOSE_TIMEOUT, confirmed).await.ok();
    }
}
