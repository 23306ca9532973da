//! What the service tells of itself to Prometheus. Never in the envelope.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use emotionviz_db::Pool;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry, TEXT_FORMAT, TextEncoder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Tells what is in the registry, and how the process and the database's connections are.
pub(crate) fn router(registry: Registry, pool: Pool) -> OpenApiRouter {
    registry
        .register(Box::new(Gauges::of(pool)))
        .expect("they are registered once");
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .with_state(registry)
}

/// Figures in Prometheus' text format
///
/// Requests by method, route and status, and how long they took; the database's connections; the process. Probes are counted when they fail.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain", description = "Of this process, since its start"),
))]
async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    let text = TextEncoder::new()
        .encode_to_string(&registry.gather())
        .expect("what is gathered is complete");
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}

/// What is looked at when somebody asks.
struct Gauges {
    pool: Pool,
    started: IntGauge,
    memory: Option<IntGauge>,
    most: IntGauge,
    open: IntGauge,
    idle: IntGauge,
    waiting: IntGauge,
}

impl Gauges {
    fn of(pool: Pool) -> Self {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect("the name is valid");
        let gauges = Self {
            pool,
            started: gauge(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
            ),
            memory: resident_bytes().map(|_| {
                gauge(
                    "process_resident_memory_bytes",
                    "Memory of the process that is not swapped out.",
                )
            }),
            most: gauge(
                "db_pool_max_connections",
                "Connections to the database that there may be.",
            ),
            open: gauge(
                "db_pool_open_connections",
                "Connections to the database that there are.",
            ),
            idle: gauge(
                "db_pool_idle_connections",
                "Those of them that nobody uses.",
            ),
            waiting: gauge("db_pool_waiting_requests", "Requests that wait for one."),
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        gauges
            .started
            .set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        gauges
    }

    fn all(&self) -> impl Iterator<Item = &IntGauge> {
        [
            &self.started,
            &self.most,
            &self.open,
            &self.idle,
            &self.waiting,
        ]
        .into_iter()
        .chain(&self.memory)
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.pool.status();
        let set = |gauge: &IntGauge, n: usize| gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        set(&self.most, status.max_size);
        set(&self.open, status.size);
        set(&self.idle, status.available);
        set(&self.waiting, status.waiting);
        if let (Some(gauge), Some(bytes)) = (&self.memory, resident_bytes()) {
            set(gauge, bytes);
        }
        self.all().flat_map(Collector::collect).collect()
    }
}

/// What Linux says of it, in a file that is no disk's; `None` elsewhere.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    Some(kilobytes.trim().parse::<usize>().ok()? * 1024)
}
