//! The figures of this process for Prometheus, without the envelope.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use emotionviz_db::Pool;
use emotionviz_db::pool::Status;
use prometheus::{IntGauge, Registry, TEXT_FORMAT, TextEncoder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The name, the description and the value of each gauge of the connection pool.
type PoolGauge = (&'static str, &'static str, fn(&Status) -> usize);
#[rustfmt::skip]
const POOL_GAUGES: [PoolGauge; 4] = [
    ("db_pool_max_connections", "Connections to the database that there may be.", |pool| pool.max_size),
    ("db_pool_open_connections", "Connections to the database that there are.", |pool| pool.size),
    ("db_pool_idle_connections", "Open connections of the pool that are not in use.", |pool| pool.available),
    ("db_pool_waiting_requests", "Requests that wait for one.", |pool| pool.waiting),
];

struct Figures {
    registry: Registry,
    pool: Pool,
    pool_gauges: [IntGauge; 4],
    memory: Option<IntGauge>,
}

pub(crate) fn router(registry: Registry, pool: Pool) -> OpenApiRouter {
    let gauge = |name, help| {
        let gauge = IntGauge::new(name, help).expect("the name is valid");
        registry
            .register(Box::new(gauge.clone()))
            .expect("each gauge is registered once");
        gauge
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    set(
        &gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
        ),
        now.as_secs(),
    );
    let figures = Figures {
        pool_gauges: POOL_GAUGES.map(|(name, help, _)| gauge(name, help)),
        memory: resident_bytes().map(|_| {
            gauge(
                "process_resident_memory_bytes",
                "Memory of the process that is not swapped out.",
            )
        }),
        registry: registry.clone(),
        pool,
    };
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .with_state(Arc::new(figures))
}

/// Figures in Prometheus' text format
///
/// Requests by method, route and status, and how long they took; the database's connections; the process. Probes are counted when they fail.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain", description = "Of this process, since its start"),
))]
async fn metrics(State(figures): State<Arc<Figures>>) -> impl IntoResponse {
    let status = figures.pool.status();
    for (gauge, (_, _, value)) in figures.pool_gauges.iter().zip(POOL_GAUGES) {
        set(gauge, value(&status));
    }
    if let (Some(gauge), Some(bytes)) = (&figures.memory, resident_bytes()) {
        set(gauge, bytes);
    }
    let text = TextEncoder::new()
        .encode_to_string(&figures.registry.gather())
        .expect("gathered figures are complete");
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}

fn set(gauge: &IntGauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}

/// Reads the figure from Linux's `/proc`. Returns `None` on other systems.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    Some(kilobytes.trim().parse::<usize>().ok()? * 1024)
}
