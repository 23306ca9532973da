//! Values of the Python backend that the current column types or indexes cannot hold. They are reported before the first change.

use sqlx::{AssertSqlSafe, PgConnection};

use super::Error;

/// The longest emotion in bytes: a GIN index holds some 2,700 of each key.
const LONGEST_EMOTION: i32 = 2600;
/// The number of rows that an error names.
const NAMED: usize = 20;

/// Names the first column that has such values.
///
/// # Errors
/// There is one.
pub(super) async fn refuse(conn: &mut PgConnection) -> Result<(), Error> {
    json(conn).await?;
    emotions(conn).await
}

/// Values that the revision's own indexes and foreign keys forbid. A database without these indexes or keys may have such values. Each
/// entry is a query that finds the rows, with a description.
const LOST: [(&str, &str, &str, &str, &str, &str); 7] = [
    (
        "users",
        "email",
        "is the same for several accounts",
        "SELECT id, row_number() OVER (PARTITION BY email ORDER BY created_at DESC NULLS LAST, id) > 1 FROM users",
        "UPDATE users SET email = id || '@duplicate.invalid'",
        "the newest account keeps the address",
    ),
    (
        "visualizations",
        "entry_id",
        "is the same for several visualizations",
        "SELECT id, row_number() OVER (PARTITION BY entry_id ORDER BY created_at DESC NULLS LAST, id) > 1 FROM visualizations",
        "DELETE FROM visualizations",
        "each entry keeps its newest visualization",
    ),
    (
        "intake_sessions",
        "user_id",
        NO_ACCOUNT,
        "SELECT id, user_id IS NOT NULL AND NOT EXISTS (SELECT FROM users o WHERE o.id = user_id) FROM intake_sessions",
        "DELETE FROM intake_sessions",
        BELONGS,
    ),
    (
        "visualizations",
        "user_id",
        NO_ACCOUNT,
        "SELECT id, user_id IS NOT NULL AND NOT EXISTS (SELECT FROM users o WHERE o.id = user_id) FROM visualizations",
        "DELETE FROM visualizations",
        BELONGS,
    ),
    (
        "visualizations",
        "entry_id",
        "names an entry that does not exist",
        "SELECT id, entry_id IS NOT NULL AND NOT EXISTS (SELECT FROM emotion_entries o WHERE o.id = entry_id) FROM visualizations",
        "DELETE FROM visualizations",
        "the pictures have no entry",
    ),
    (
        "emotion_entries",
        "user_id",
        NO_ACCOUNT,
        "SELECT id, user_id IS NOT NULL AND NOT EXISTS (SELECT FROM users o WHERE o.id = user_id) FROM emotion_entries",
        "DELETE FROM emotion_entries",
        BELONGS,
    ),
    (
        "emotion_entries",
        "intake_session_id",
        "names a session that does not exist",
        "SELECT id, intake_session_id IS NOT NULL AND NOT EXISTS (SELECT FROM intake_sessions o WHERE o.id = intake_session_id) FROM emotion_entries",
        "UPDATE emotion_entries SET intake_session_id = NULL",
        "the entries stay",
    ),
];
const NO_ACCOUNT: &str = "names an account that does not exist";
const BELONGS: &str = "no account can see them";

/// Names the first column that has such values. The connection is in a transaction.
///
/// # Errors
/// There is one.
pub(super) async fn refuse_inconsistent(conn: &mut PgConnection) -> Result<(), Error> {
    for (table, column, reason, rows, mends, effect) in LOST {
        let find =
            format!("SELECT id::text FROM ({rows}) AS every (id, is_odd) WHERE is_odd ORDER BY id");
        let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(find))
            .fetch_all(&mut *conn)
            .await?;
        if !ids.is_empty() {
            let statement = format!(
                "{mends} WHERE id IN (SELECT id FROM ({rows}) AS every (id, is_odd) WHERE is_odd);"
            );
            return Err(odd(table, column, reason, &ids, &statement, effect));
        }
    }
    Ok(())
}

/// `json` accepts text that `jsonb` refuses: `\u0000`, lone surrogates, numbers that are out of range.
async fn json(conn: &mut PgConnection) -> Result<(), Error> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT quote_ident(table_name), quote_ident(column_name) FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
           AND data_type = 'json'
         ORDER BY 1, 2",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (table, column) in columns {
        // A DO block, because a temporary function needs a privilege that the owner of the tables may lack.
        let each = |what: &str| {
            format!(
                "DECLARE r record; odd text := ''; BEGIN FOR r IN SELECT id, {column} AS value FROM {table} ORDER BY id LOOP \
                 BEGIN PERFORM r.value::jsonb; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN {what}; END; \
                 END LOOP; PERFORM set_config('emotionviz.odd_rows', odd, true); END"
            )
        };
        let find = format!("DO $${}$$", each("odd := odd || r.id || ' '"));
        sqlx::raw_sql(AssertSqlSafe(find))
            .execute(&mut *conn)
            .await?;
        let ids: String = sqlx::query_scalar("SELECT current_setting('emotionviz.odd_rows')")
            .fetch_one(&mut *conn)
            .await?;
        let ids: Vec<String> = ids.split_whitespace().map(str::to_owned).collect();
        if !ids.is_empty() {
            let reason = "has JSON that jsonb cannot hold (\\u0000, half of a surrogate pair, or a number that is out of range)";
            let statement = format!(
                "DO $${}$$;",
                each(&format!(
                    "UPDATE {table} SET {column} = to_json({column}::text) WHERE id = r.id"
                ))
            );
            return Err(odd(
                &table,
                &column,
                reason,
                &ids,
                &statement,
                "its text is kept as one JSON string",
            ));
        }
    }
    Ok(())
}

async fn emotions(conn: &mut PgConnection) -> Result<(), Error> {
    const LONG: &str =
        "EXISTS (SELECT FROM unnest(emotions::text[]) AS emotion WHERE octet_length(emotion) > $1)";
    let find = format!("SELECT id::text FROM emotion_entries WHERE {LONG} ORDER BY id");
    let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(find))
        .bind(LONGEST_EMOTION)
        .fetch_all(conn)
        .await?;
    if ids.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "has an emotion of more than {LONGEST_EMOTION} bytes, which is too long for the index"
    );
    let mends = "UPDATE emotion_entries SET notes = concat_ws(E'\\n', notes, array_to_string(emotions, E'\\n')), \
                emotions = ARRAY(SELECT left(e, 255) FROM unnest(emotions) WITH ORDINALITY AS u (e, n) ORDER BY n)";
    let statement = format!("{mends} WHERE {LONG};").replace("$1", &LONGEST_EMOTION.to_string());
    Err(odd(
        "emotion_entries",
        "emotions",
        &reason,
        &ids,
        &statement,
        "the whole text is kept in the notes",
    ))
}

fn odd(
    table: &str,
    column: &str,
    reason: &str,
    ids: &[String],
    statement: &str,
    effect: &str,
) -> Error {
    let named = &ids[..ids.len().min(NAMED)];
    let more = if ids.len() > NAMED {
        format!(" (the first {NAMED} of {} rows)", ids.len())
    } else {
        String::new()
    };
    Error::OddRows {
        table: table.to_owned(),
        column: column.to_owned(),
        reason: reason.to_owned(),
        rows: format!(
            "the row{} with the id {}{more}",
            if ids.len() > 1 { "s" } else { "" },
            named.join(", ")
        ),
        statement: format!("{statement} -- {effect}"),
    }
}
