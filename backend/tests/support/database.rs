use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use emotionviz_db::migrate::{self, Cause};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};
use uuid::Uuid;

/// A database that is dropped with this value, cloned from a migrated template that is made once for each state of the migrations.
pub(crate) struct TestDatabase {
    name: String,
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let mut admin = admin().await;
        let template = template(&mut admin).await;
        Self::create_from(&mut admin, &format!("TEMPLATE {template}")).await
    }

    /// One without a schema.
    pub(crate) async fn create_empty() -> Self {
        Self::create_from(&mut admin().await, "").await
    }

    async fn create_from(admin: &mut PgConnection, template: &str) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(admin, format!("CREATE DATABASE {name} {template}")).await;
        let pool = PgPool::connect_lazy(&url_of(&name)).unwrap();
        Self {
            url: url_of(&name),
            name,
            pool,
        }
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Makes every new entry fail with an error that the service does not know (P0001).
    pub(crate) async fn refuse_new_entries(&self) {
        self.execute(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a fault of this test'; END $$;
             CREATE TRIGGER fault BEFORE INSERT ON emotion_entries EXECUTE FUNCTION fault()",
        )
        .await;
    }

    /// How many rows a query counts.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// Lists every object except PostgreSQL's own, with the values that reveal a change.
const SCHEMA: &str = "
    SELECT concat_ws(' ', 'relation', relnamespace::regnamespace, relname, relkind, oid, relfilenode, relrowsecurity, relforcerowsecurity, relacl)
    FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t')
    UNION ALL SELECT concat_ws(' ', 'column', attrelid, attname, format_type(atttypid, atttypmod), attnotnull, atthasdef, attisdropped)
    FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
    UNION ALL SELECT concat_ws(' ', 'constraint', oid, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'trigger', oid, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'event trigger', oid, evtenabled) FROM pg_event_trigger
    UNION ALL SELECT concat_ws(' ', 'rule', oid, rulename, ev_enabled) FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'policy', oid, polname) FROM pg_policy
    UNION ALL SELECT concat_ws(' ', 'function', oid, proname, prosrc) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type WHERE oid >= 16384
    ORDER BY 1";

impl TestDatabase {
    /// Returns a description that is equal as long as the schema is unchanged.
    pub(crate) async fn schema(&self) -> Vec<String> {
        sqlx::query_scalar(SCHEMA)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Dropping is synchronous, and the test's own runtime may be ending.
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { execute(&mut admin().await, sql).await });
        });
        done.join().ok();
    }
}

pub(crate) fn admin_url() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run the tests with `cargo dev test`")
}

async fn admin() -> PgConnection {
    connect(&admin_url()).await
}

async fn connect(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn execute(admin: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(admin)
        .await
        .unwrap();
}

/// The URL of another database on the same server.
fn url_of(name: &str) -> String {
    let url = admin_url();
    let (base, query) = url
        .split_once('?')
        .map_or((url.as_str(), String::new()), |(base, query)| {
            (base, format!("?{query}"))
        });
    let (server, _) = base.rsplit_once('/').unwrap();
    format!("{server}/{name}{query}")
}

async fn template(admin: &mut PgConnection) -> String {
    let mut hasher = DefaultHasher::new();
    let mut files: Vec<_> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../db/migrations"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
    files.sort();
    for file in files {
        (
            file.file_name().unwrap().to_owned(),
            std::fs::read(file).unwrap(),
        )
            .hash(&mut hasher);
    }
    let template = format!("template_{:016x}", hasher.finish());
    // Tests of other processes wait here, too.
    let mut lock = admin.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext($1))")
        .bind(&template)
        .execute(&mut *lock)
        .await
        .unwrap();
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&template)
            .fetch_one(&mut *lock)
            .await
            .unwrap();
    if !there {
        make_template(&template).await;
    }
    lock.commit().await.unwrap();
    template
}

/// Under another name until it is whole: a run that is killed leaves no half of one behind.
async fn make_template(template: &str) {
    let unfinished = format!("{template}_{}", Uuid::new_v4().simple());
    let mut admin = admin().await;
    execute(&mut admin, format!("CREATE DATABASE {unfinished}")).await;
    let mut owner = connect(&url_of(&unfinished)).await;
    migrate::up(&mut owner, Cause::Asked).await.unwrap();
    owner.close().await.unwrap();
    execute(
        &mut admin,
        format!("ALTER DATABASE {unfinished} RENAME TO {template}"),
    )
    .await;
}
