//! `emotionviz serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use emotionviz_core::{Clock, telemetry};
use emotionviz_db::Pool;
use emotionviz_guard::Exchange;
use emotionviz_settings::{AppEnv, Service, Values};
use listenfd::ListenFd;

use crate::signals::Signals;
use crate::{app, connections, handover};

/// How long the last words to the database may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until a signal ends it. `handed` is the socket of whoever started this process, if it has one for it; `when_ready` leaves
/// connections to the process that serves there until this one is ready.
pub async fn run(values: &Values, handed: ListenFd, when_ready: bool) -> anyhow::Result<ExitCode> {
    let settings = Service::from_values(values)?;
    // First of all: from here on clients wait for an answer, and are not refused.
    let listeners = handover::listeners(
        handed,
        SocketAddr::new(settings.http.host, settings.http.port),
    )
    .await?;
    let log = telemetry::init(&settings.logging).context("LOG_DIR")?;
    let mut signals = Signals::catch(settings.logging.environment == AppEnv::Development)?;
    let app = app::build(&settings, Clock::default());
    let exchange = Exchange::start(app.guard);
    if !when_ready || is_ready(&app.pool, &mut signals).await {
        for listener in &listeners {
            tracing::info!("listening on http://{}", listener.local_addr()?);
        }
        handover::accepting();
        connections::serve(
            listeners,
            app.router,
            &app.websockets,
            app.requests,
            &mut signals,
        )
        .await;
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

/// Waits until it is; not when it is to stop before.
async fn is_ready(pool: &Pool, signals: &mut Signals) -> bool {
    tokio::select! {
        () = handover::ready(pool) => true,
        _ = signals.stop() => false,
    }
}
