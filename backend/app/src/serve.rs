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

/// The time limit of the last exchange of rate limits.
const LAST_EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until a signal ends it. `handed` may hold sockets of the parent process. With `when_ready` no connection is accepted before the
/// service is ready: another process serves on the same socket until then.
pub async fn run(values: &Values, handed: ListenFd, when_ready: bool) -> anyhow::Result<ExitCode> {
    let settings = Service::from_values(values)?;
    // First of all: from here on clients are not refused.
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
    let last_exchange = async {
        exchange.stop().await;
        app.pool.close();
    };
    tokio::time::timeout(LAST_EXCHANGE_TIMEOUT, last_exchange)
        .await
        .ok();
    tracing::info!("stopped");
    drop(log);
    Ok(ExitCode::SUCCESS)
}

/// Waits until the service is ready. Returns false if it is stopped before.
async fn is_ready(pool: &Pool, signals: &mut Signals) -> bool {
    tokio::select! {
        () = handover::until_ready(pool) => true,
        _ = signals.stop() => false,
    }
}
