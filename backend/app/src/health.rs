//! Health and readiness, without the envelope.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use emotionviz_core::Plain;
use emotionviz_core::time::now;
use emotionviz_db::Pool;
use emotionviz_db::schema::{self, SchemaState};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const TIME_LIMIT: Duration = Duration::from_secs(2);

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn router(pool: Pool) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(welcome))
        .with_state(pool)
}

/// The service answers.
#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    timestamp: String,
    version: &'static str,
}

/// Whether the service can serve.
#[derive(Serialize, ToSchema)]
struct Readiness {
    status: Ready,
    checks: Checks,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    timestamp: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Ready {
    Ready,
    NotReady,
}

/// What was checked.
#[derive(Serialize, ToSchema)]
struct Checks {
    /// Answers, and has the schema that this version needs.
    database: Check,
    gemini_api: Check,
    nanobanana_api: Check,
}

#[derive(Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Check {
    Healthy,
    Unhealthy,
    /// There is no key: the built-in provider serves.
    NotConfigured,
}

/// What this is.
#[derive(Serialize, ToSchema)]
struct Welcome {
    message: &'static str,
    version: &'static str,
    docs: &'static str,
}

/// Touches nothing outside the process.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health, description = "It lives")))]
async fn health() -> Plain<Health> {
    Plain(
        StatusCode::OK,
        Health {
            status: "healthy",
            timestamp: now(),
            version: VERSION,
        },
    )
}

/// Asks the database.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = 200, body = Readiness, description = "It can serve"),
    (status = 503, body = Readiness, description = "The database is away, or its schema is not the one that this version needs"),
))]
async fn ready(State(pool): State<Pool>) -> Plain<Readiness> {
    let database = database(&pool).await;
    let (code, status) = match database {
        Check::Healthy => (StatusCode::OK, Ready::Ready),
        _ => (StatusCode::SERVICE_UNAVAILABLE, Ready::NotReady),
    };
    let checks = Checks {
        database,
        gemini_api: Check::NotConfigured,
        nanobanana_api: Check::NotConfigured,
    };
    Plain(
        code,
        Readiness {
            status,
            checks,
            timestamp: now(),
        },
    )
}

async fn database(pool: &Pool) -> Check {
    let Some(problem) = problem(pool).await else {
        return Check::Healthy;
    };
    tracing::warn!(problem, "the database is not ready");
    Check::Unhealthy
}

/// Returns what keeps the service from serving, or `None` if it is ready.
pub(crate) async fn problem(pool: &Pool) -> Option<String> {
    let check = async {
        let state = pool.run(async |c| schema::check(c).await).await?;
        // The next request may need a new connection.
        pool.check_opening().await?;
        Ok::<_, emotionviz_db::Error>(state)
    };
    match tokio::time::timeout(TIME_LIMIT, check).await {
        Ok(Ok(SchemaState::Current)) => None,
        Ok(Ok(SchemaState::Behind)) => {
            Some("its schema is behind this version: migrate up".to_owned())
        }
        Ok(Ok(SchemaState::NewerBreaking)) => {
            Some("its schema is of a newer version that this one cannot serve".to_owned())
        }
        Ok(Ok(SchemaState::Foreign(why))) => Some(why),
        Ok(Err(cause)) => Some(cause.to_string()),
        Err(_) => Some(format!("no answer within {} s", TIME_LIMIT.as_secs())),
    }
}

/// Where to go from here.
#[utoipa::path(get, path = "/", tag = "health", responses((status = 200, body = Welcome, description = "Where the documentation is")))]
async fn welcome() -> Plain<Welcome> {
    Plain(
        StatusCode::OK,
        Welcome {
            message: "EmotionVisualizer API",
            version: VERSION,
            docs: "/docs",
        },
    )
}
