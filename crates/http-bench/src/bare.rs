//! The least that an axum server can be: one route that answers with constant JSON.

use std::io;

use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;

/// Serves `GET /` until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let router = Router::new().route(
        "/",
        get(|| async {
            (
                [(CONTENT_TYPE, "application/json")],
                r#"{"status":"healthy"}"#,
            )
        }),
    );
    // As any server of small answers does, the measured ones too.
    let listener = listener.tap_io(|stream| {
        let _kept_slow = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
