//! `emotionviz serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use axum::serve::ListenerExt;
use emotionviz_core::telemetry;
use emotionviz_guard::Exchange;
use emotionviz_settings::{Service, Values};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app;

/// How long requests that are under way at a stop may still take.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last words to the database may take after that.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(values: &Values) -> anyhow::Result<ExitCode> {
    let settings = Service::from_values(values)?;
    // First of all: from here on clients wait for an answer, and are not refused.
    let listener = bind(SocketAddr::new(settings.http.host, settings.http.port)).await?;
    let log = telemetry::init(&settings.logging).context("LOG_DIR")?;
    tracing::info!("listening on http://{}", listener.local_addr()?);

    // Both are caught from before the first request on.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = app::build(&settings);
    let exchange = Exchange::start(app.guard);
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let listener = listener.tap_io(|connection| {
        // Answers go out at once. It fails on a connection that is gone already.
        connection.set_nodelay(true).ok();
    });
    let service = app.router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        stopped.await.ok();
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => ended?,
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
    }
    stopping.send(()).ok();
    if tokio::time::timeout(GRACE, server).await.is_err() {
        tracing::warn!("requests were still under way after {} s", GRACE.as_secs());
    }
    let farewell = async {
        exchange.stop().await;
        app.pool.close();
    };
    tokio::time::timeout(FAREWELL, farewell).await.ok();
    tracing::info!("stopped");
    drop(log);
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} of {} is taken by another process: stop that one, or set API_PORT to another port",
            address.port(),
            address.ip()
        ),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address} (API_HOST, API_PORT)")),
    })
}
