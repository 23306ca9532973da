//! A database that is thrown away, as durable as the development one and on the same disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;

use super::BenchError;
use dev_env::database::location::{self, Place};
use dev_env::database::session::{api_url, local_url};
use dev_env::database::throw_away::{self, pid_file};
use dev_env::project::configuration::Tool;
use dev_env::project::lock;
use dev_env::report::events::Events;
use dev_env::{Checkout, Error};
use local_postgres::psql::{Psql, identifier, literal};
use local_postgres::server::Server;
use local_postgres::{ClusterConfig, Durability, data_dir};
use process::{Configuration, FileLock, PidFile, StopSignal};

/// How many entries the measured user has.
pub(super) const OWN_ENTRIES: u32 = 1_000;
/// How many more users, with as many entries each, make a table of a million.
const OTHER_USERS: u32 = 999;
/// Whose entries are read.
pub(super) const READER: &str = "reader@bench.invalid";
/// Who writes more of them.
pub(super) const WRITER: &str = "writer@bench.invalid";
/// How long any SQL here may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A folder that goes when its owner does, for one benchmark at a time.
pub(super) struct Scratch {
    folder: PathBuf,
    development: Place,
    // Closing the file gives the lock back.
    _lock: FileLock,
}

impl Scratch {
    /// `bench`, beside the development database: writes cost on another disk what they cost there. What a killed run left
    /// of it goes first.
    pub(super) async fn new(checkout: &Checkout) -> Result<Self, BenchError> {
        let lock = lock::file(checkout, "bench.lock")?.ok_or(BenchError::Busy)?;
        let owner = local_postgres::server_user(checkout.root()).map_err(Error::from)?;
        let data_dir = dev_env::database::data_home::data_home(checkout.root(), &owner)
            .map_err(Error::from)?
            .data_dir;
        let folder = data_dir.with_file_name("bench");
        PidFile::end_leftover(&pid_file(&folder), StopSignal::Quit, PATIENCE)
            .await
            .map_err(Error::from)?;
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove", &folder, source).into());
            }
            _ => {}
        }
        process::files::make_parents(&folder.join("file")).map_err(Error::from)?;
        let exists = data_dir::major_of(&data_dir).is_some();
        Ok(Self {
            folder,
            development: Place {
                owner,
                data_dir,
                exists,
            },
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run removes what cannot be removed now.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server with its databases.
pub(super) struct Database {
    server: Server,
    config: ClusterConfig,
}

impl Database {
    /// With the programs that the development database runs on.
    pub(super) async fn start(
        checkout: &Checkout,
        tool: &Tool,
        scratch: &Scratch,
        events: &Events,
    ) -> Result<Self, Error> {
        let owner = scratch.development.owner.clone();
        let socket_dir = throw_away::socket_folder(&format!("bench-{}", checkout.hash()), &owner);
        let binaries = location::binaries(tool, Some(&scratch.development), events).await?;
        let (server, config) = throw_away::start(
            scratch.path(),
            binaries,
            owner,
            socket_dir,
            Durability::Durable,
        )
        .await?;
        Ok(Self { server, config })
    }

    /// Ends it in order.
    pub(super) async fn stop(self) -> Result<(), Error> {
        self.server.stop().await?;
        Ok(())
    }

    /// The database that is there from the start.
    pub(super) fn first(&self) -> &str {
        &self.config.database
    }

    /// A copy of the first one, which nobody may be connected to.
    pub(super) async fn copy_to(&self, name: &str) -> Result<(), Error> {
        let sql = format!(
            "CREATE DATABASE {} TEMPLATE {}",
            identifier(name),
            identifier(self.first())
        );
        self.config
            .psql()
            .in_database("postgres")
            .run(&sql, PATIENCE)
            .await?;
        Ok(())
    }

    /// As the service connects.
    pub(super) fn url(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl {
            database: database.to_owned(),
            ..api_url(&self.config)
        }
    }

    /// As migrations connect.
    pub(super) fn owners_url(&self, database: &str) -> DatabaseUrl {
        local_url(
            self.config.port,
            &self.config.superuser,
            self.config.password.clone(),
            database,
        )
    }

    /// Runs SQL as the owner and returns what it printed.
    pub(super) async fn run(&self, database: &str, sql: &str) -> Result<String, Error> {
        Ok(self.psql(database).run(sql, PATIENCE).await?)
    }

    /// PostgreSQL's own load generator, where it is installed.
    pub(super) fn pgbench(&self, database: &str) -> Option<Configuration> {
        let program = self.config.binaries.program("pgbench");
        program
            .is_file()
            .then(|| self.psql(database).client("pgbench", program))
    }

    fn psql(&self, database: &str) -> Psql {
        self.config.psql().in_database(database)
    }

    /// Makes sure that a commit is on the disk before it is answered.
    pub(super) async fn check_durability(&self) -> Result<(), BenchError> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = self
                .psql(self.first())
                .run(&format!("SHOW {setting}"), PATIENCE)
                .await
                .map_err(Error::from)?;
            if value != "on" {
                return Err(BenchError::NotDurable { setting, value });
            }
        }
        Ok(())
    }

    /// Makes so many more users that a thousand entries each are a million, see [`Self::add_entries`].
    pub(super) async fn add_users(&self, database: &str) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO users (email, email_key, hashed_password, name)
             SELECT address, address, 'none', 'Somebody else'
             FROM (SELECT format('other-%s@bench.invalid', n) AS address FROM generate_series(1, {OTHER_USERS}) AS n) AS others"
        );
        self.psql(database).run(&sql, PATIENCE).await?;
        Ok(())
    }

    /// Gives each user but the writer a thousand entries. They take turns, so that those of one user lie scattered.
    pub(super) async fn add_entries(&self, database: &str) -> Result<(), Error> {
        // Foreign keys are checked row by row: most of the time it would take, and known to hold.
        let writer = literal(WRITER);
        let sql = format!(
            "SET session_replication_role = replica;
             INSERT INTO emotion_entries (user_id, situation, emotions, intensity, notes, created_at)
             SELECT users.id, format('On day %s the meeting ran late again and nobody had read what I had sent them.', n),
                    CASE n % 3 WHEN 0 THEN '{{joy}}' WHEN 1 THEN '{{anger,frustration}}' ELSE '{{fear,anxiety,sadness}}' END::text[],
                    (n % 101) / 100.0, 'I went for a walk and it got better.', now() - n * interval '1 hour'
             FROM generate_series(1, {OWN_ENTRIES}) AS n CROSS JOIN users WHERE email <> {writer} ORDER BY n"
        );
        self.psql(database).run(&sql, PATIENCE).await?;
        Ok(())
    }

    /// Settles what was written, so that it is not done while something is measured.
    pub(super) async fn settle(&self, database: &str) -> Result<(), Error> {
        let psql = self.psql(database);
        psql.run("VACUUM (ANALYZE)", PATIENCE).await?;
        psql.run("CHECKPOINT", PATIENCE).await?;
        Ok(())
    }

    /// How many entries the writer has.
    pub(super) async fn count_written(&self, database: &str) -> Result<u64, Error> {
        let writer = literal(WRITER);
        let sql = format!(
            "SELECT count(*) FROM emotion_entries JOIN users ON users.id = user_id WHERE email = {writer}"
        );
        let count = self.psql(database).run(&sql, PATIENCE).await?;
        Ok(count.parse().expect("count(*) is a number"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::alone::Alone;
    use super::*;
    use dev_env::Environment;

    /// The schema of this checkout, put there without the service.
    async fn migrate(psql: &Psql) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../backend/db/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|path| path.to_string_lossy().ends_with(".up.sql"));
        files.sort();
        for file in files {
            psql.run(&std::fs::read_to_string(file).unwrap(), PATIENCE)
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn the_bench_database_is_durable_filled_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        for file in ["Cargo.toml", "backend/.env.example"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let environment = Environment::find(folder.path(), []).unwrap();
        let checkout = &environment.checkout;
        let tool = environment.configuration.tool(checkout).unwrap();

        let scratch = Scratch::new(checkout).await.unwrap();
        assert!(matches!(
            Scratch::new(checkout).await,
            Err(BenchError::Busy)
        ));
        let database = Database::start(checkout, &tool, &scratch, &Events::new(|_| {}))
            .await
            .unwrap();
        database.check_durability().await.unwrap();

        migrate(&database.psql(database.first())).await;
        database.copy_to("million").await.unwrap();
        database.add_users("million").await.unwrap();
        let psql = database.psql(database.first());
        for email in [READER, WRITER] {
            let email = literal(email);
            psql.run(&format!("INSERT INTO users (email, email_key, hashed_password, name) VALUES ({email}, {email}, '', '')"), PATIENCE)
                .await
                .unwrap();
        }
        database.add_entries(database.first()).await.unwrap();
        database.settle(database.first()).await.unwrap();
        if let Some(alone) = Alone::new(&database, database.first()).await.unwrap() {
            assert!(alone.list().await.unwrap() > 0.0 && alone.create().await.unwrap() > 0.0);
        }
        assert_eq!(database.count_written(database.first()).await.unwrap(), 0);
        let read = format!(
            "SELECT count(*) FROM emotion_entries JOIN users ON users.id = user_id WHERE email = {}",
            literal(READER)
        );
        assert_eq!(
            psql.run(&read, PATIENCE).await.unwrap(),
            OWN_ENTRIES.to_string()
        );

        database.stop().await.unwrap();
        drop(scratch);
        assert!(
            !folder.path().join("data/bench").exists()
                && !folder.path().join("data/postgres").exists()
        );
    }
}
