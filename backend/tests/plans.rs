use emotionviz_core::Clock;
use emotionviz_db::Pool;
use emotionviz_settings::{Database, DatabaseUrl, Kind};
use sqlx::PgConnection;

use crate::support::{Service, TestDatabase, until};

/// How many users there are beside Ann, and how many entries each has, Ann too.
const OTHERS: i64 = 100;
const EACH: i64 = 200;

/// Of the tables that a list reads: how often one was read from end to end, and how many of the entries' places were looked up in indexes.
async fn counters(connection: &mut PgConnection) -> (i64, i64) {
    sqlx::query("SELECT pg_stat_force_next_flush()")
        .execute(&mut *connection)
        .await
        .unwrap();
    let counters = "SELECT (SELECT sum(seq_scan)::int8 FROM pg_stat_user_tables
                            WHERE relname IN ('emotion_entries', 'visualizations', 'users', 'revoked_tokens')),
                           (SELECT sum(idx_tup_read)::int8 FROM pg_stat_user_indexes WHERE relname = 'emotion_entries')";
    sqlx::query_as(counters)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// By PostgreSQL's own count. What a list reads then grows with the user's entries, and not with everybody's.
#[tokio::test]
async fn a_list_reads_by_index_and_nothing_but_the_users_own() {
    let Service { server, database } = Service::start().await;
    let ann = server.user().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let fill = format!(
        "INSERT INTO users (email, email_key, hashed_password, name) SELECT n, n, '', '' FROM generate_series(1, {OTHERS}) AS n;
         INSERT INTO emotion_entries (user_id, situation, emotions, intensity, created_at)
         SELECT users.id, 'It rained.', CASE n % 3 WHEN 0 THEN '{{joy}}' ELSE '{{fear,anger}}' END::text[], n % 101 / 100.0, now() - n * interval '1 hour'
         FROM generate_series(1, {EACH}) AS n CROSS JOIN users;
         ANALYZE;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&mut *connection)
        .await
        .unwrap();
    let (read_whole, looked_up) = counters(&mut connection).await;

    let mut lists = 0;
    for sort in [
        "created_at",
        "-created_at",
        "intensity",
        "-intensity",
        "updated_at",
        "-updated_at",
    ] {
        for emotion in ["", "&emotion=joy"] {
            for from in ["", "&from=2020-01-01T00:00:00Z"] {
                for to in ["", "&to=2100-01-01T00:00:00Z"] {
                    let page = ann
                        .get(&format!("/entries?sort={sort}{emotion}{from}{to}"))
                        .await
                        .data(200);
                    assert_eq!(
                        page["total"],
                        if emotion.is_empty() { EACH } else { EACH / 3 }
                    );
                    lists += 1;
                }
            }
        }
    }

    // PostgreSQL adds a connection's counts at the latest when the connection ends.
    server.app.pool.close();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'emotionviz'";
    until("its connections have ended", async || {
        database.count(connected).await == 0
    })
    .await;
    let (read_whole_then, looked_up_then) = counters(&mut connection).await;
    assert_eq!(read_whole_then - read_whole, 0);
    // Once for the page and once for the total.
    let looked_up = looked_up_then - looked_up;
    assert!(
        (lists..=lists * 2 * EACH).contains(&looked_up),
        "{looked_up} for {lists} lists"
    );
}

#[tokio::test]
async fn an_empty_first_page_is_not_counted_in_a_second_statement() {
    let Service { server, database } = Service::start().await;
    let ann = server.user().await;
    assert_eq!(ann.get("/entries").await.data(200)["total"], 0);
    server.app.pool.close();
    let scans = "SELECT coalesce(sum(idx_scan), 0)::int8 FROM pg_stat_user_tables WHERE relname = 'emotion_entries'";
    until("the server's connections have reported", async || {
        database.count(scans).await > 0
    })
    .await;
    assert_eq!(database.count(scans).await, 1);
}

/// PostgreSQL would, by its own default: it takes a hundred times as long as the statement.
#[tokio::test]
async fn no_statement_is_compiled() {
    let database = TestDatabase::create().await;
    database.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = on', current_database()); END $$").await;
    let url = DatabaseUrl::read(&database.url).unwrap();
    let settings = Database {
        url: url.clone(),
        migration_url: url,
        connections: 1,
    };
    let pool = Pool::new(&settings, Clock::default());
    let jit: String = pool
        .run(async |connection| Ok(sqlx::query_scalar("SHOW jit").fetch_one(connection).await?))
        .await
        .unwrap();
    assert_eq!(jit, "off");
}
