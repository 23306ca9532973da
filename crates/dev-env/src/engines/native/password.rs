//! New passwords, asked of whoever runs the database.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::Native;
use crate::database::location;
use crate::database::passwords::Passwords;
use crate::project::configuration;
use crate::project::lock::{Holder, Lock};
use crate::report::events::Events;
use crate::report::snapshot::{Snapshot, Stage};
use crate::supervisor::control;
use crate::{Environment, Error};
use local_postgres::ClusterConfig;
use local_postgres::server::Server;
use process::shutdown::Shutdown;

/// The supervisor ends, or a short command does.
const PATIENCE: Duration = Duration::from_secs(90);
const COMMAND: &str = "cargo dev db password";

/// Who can reach the database.
enum Way {
    /// Whoever runs it.
    Supervisor(Holder),
    /// This process, which has started it for the moment.
    Moment(Box<Moment>),
}

struct Moment {
    environment: Environment,
    cluster: ClusterConfig,
    server: Server,
    _lock: Lock,
}

impl Native {
    /// Gives the database's roles new passwords, everywhere: in the database, in `.env`, in the API that runs. Works without the
    /// old ones: through the server's socket, as its files' owner. Returns the file that was changed; `None` when `stop` was
    /// asked before that was known. Whatever happens, either all of it has changed or nothing.
    ///
    /// # Errors
    /// There is no database here, or it does not start.
    pub(crate) async fn change_password(
        &self,
        password: Option<String>,
        events: &Events,
        stop: &Shutdown,
    ) -> Result<Option<PathBuf>, Error> {
        self.tool()?.refuse_external("changing the password")?;
        self.environment.configuration.passwords_can_be_written()?;
        let password: SecretString = password.unwrap_or_else(configuration::generate).into();
        let way = tokio::select! {
            biased;
            () = stop.requested() => return Ok(None),
            way = self.way(password.clone(), events) => way?,
        };
        match way {
            // The change must finish, because until then the file and the database may differ. Only a second signal stops the wait.
            Way::Supervisor(holder) => tokio::select! {
                changed = control::change_password(&holder, &password, events) => changed.map(Some),
                () = stop.requested_twice() => Ok(None),
            },
            Way::Moment(moment) => {
                let Moment {
                    environment,
                    cluster,
                    server,
                    _lock,
                } = *moment;
                let passwords = Passwords {
                    owner: cluster.password.clone(),
                    api: cluster.app_role.password.clone(),
                };
                let changed = passwords
                    .set(&cluster, &environment.configuration, &environment.checkout)
                    .await;
                server.stop().await?;
                changed.map(Some)
            }
        }
    }

    async fn way(&self, password: SecretString, events: &Events) -> Result<Way, Error> {
        let checkout = &self.environment.checkout;
        let place = self.existing(events)?;
        let lock = match control::supervisor_or_lock(checkout, COMMAND, PATIENCE, going_on).await? {
            Ok(holder) => return Ok(Way::Supervisor(holder)),
            Err(lock) => lock,
        };
        // Another `db password` may just have written it.
        let environment = self.environment.reread().await?;
        let mut tool = environment.configuration.tool(checkout)?;
        let binaries = location::binaries(&tool, Some(&place), events).await?;
        let passwords = Passwords::new(password);
        (tool.password, tool.api_password) = (Some(passwords.owner), Some(passwords.api));
        // Nobody else is to find it: any port.
        let cluster = location::describe(
            &environment,
            &tool,
            place,
            binaries,
            crate::project::ports::free_port()?,
            events,
        )?;
        let server = Server::start(&cluster).await?;
        Ok(Way::Moment(Box::new(Moment {
            environment,
            cluster,
            server,
            _lock: lock,
        })))
    }
}

/// Returns the supervisor unless it is stopping.
fn going_on(holder: &Holder, snapshot: &Snapshot) -> Option<Holder> {
    (snapshot.stage != Stage::Stopping).then(|| holder.clone())
}
