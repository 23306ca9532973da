//! The jobs of a change before its candidate starts: reading the settings, building, updating the database. What runs is not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::machine::{self, Prepared, Updated};
use super::serving::{Context, Database, Serving};
use super::sources::SourceWatch;
use crate::build::cargo;
use crate::database::container::{self, Prepared as PreparedRole};
use crate::database::external::refuse_unknown;
use crate::database::location;
use crate::project::configuration::{Place, Tool};
use crate::project::kept_ports;
use crate::report::events::Events;
use crate::report::reload::Builder;
use crate::report::up::Service;
use crate::service::program::Program;
use crate::{Environment, Error};
use local_postgres::ClusterConfig;
use local_postgres::roles::{self, RolesError};

/// What a change starts.
pub(super) struct Next {
    pub(super) serving: Serving,
    pub(super) required: Required,
    pub(super) update: Update,
    pub(super) compiled_in: Option<(Builder, Duration)>,
    pub(super) migrated_in: Option<Duration>,
    /// Whether the database exists already.
    pub(super) database_exists: bool,
    /// Another program is watched.
    pub(super) sources: Option<SourceWatch>,
}

/// When a candidate replaces the process that runs.
#[derive(Clone)]
pub(super) enum Required {
    /// When it is ready, or live if the schema is not complete.
    Schema,
    /// When it is ready, if the process at this place is ready when the candidate starts.
    LikeTheRunningOne(Option<Place>),
}

/// What the database needs before the candidate starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    Nothing,
    Save { gives_role: bool, migrates: bool },
    Restart { restarts_database: bool },
}

impl Next {
    /// A candidate with these settings, whose database is up to date.
    pub(super) fn unchanged(serving: Serving) -> Self {
        Self {
            serving,
            required: Required::Schema,
            update: Update::Nothing,
            compiled_in: None,
            migrated_in: None,
            database_exists: true,
            sources: None,
        }
    }
}

/// What a save is compared with.
pub(super) struct Save {
    pub(super) context: Context,
    pub(super) prepared: PreparedRole,
    pub(super) present: Serving,
    pub(super) is_ready: bool,
    pub(super) changed: BTreeSet<PathBuf>,
    pub(super) forced: bool,
    pub(super) builder: machine::Builder,
    /// Only settings have changed.
    pub(super) only_settings: bool,
}

impl Save {
    /// Reads the settings again and builds.
    pub(super) async fn prepare(self) -> Result<(Prepared, Option<Next>), Error> {
        let environment = self.present.environment.reread().await?;
        let checkout = &environment.checkout;
        let tool = environment.configuration.tool(checkout)?;
        let database = match (&tool.external, &self.present.database) {
            (Some(external), Database::External(_)) => {
                Database::External(Box::new(external.clone()))
            }
            (None, own @ Database::Own(_)) => own.clone(),
            _ => return Ok((Prepared::Switch, None)),
        };
        // The role of the API may get another password, which the running process does not have.
        let gives_role = match &database {
            Database::External(external) => {
                environment.is_in_container() && !self.prepared.is(external)
            }
            Database::Own(_) => false,
        };
        let migrates = self
            .changed
            .iter()
            .any(|file| file.starts_with(checkout.migrations()));
        let begun = Instant::now();
        let (program, built_by) = if self.only_settings {
            (self.present.program.clone(), machine::Builder::Cargo)
        } else {
            self.build(&environment, &tool, gives_role || migrates)
                .await?
        };
        let compiled_in = (!self.only_settings && tool.service_binary.is_none()).then(|| {
            let builder = match built_by {
                machine::Builder::Fast => Builder::Fast,
                machine::Builder::Cargo => Builder::Cargo,
            };
            (builder, begun.elapsed())
        });
        let listening = self.present.listening.clone().or_open(
            checkout,
            self.context.host(&tool),
            tool.api_port,
            &self.context.events,
        )?;
        let place = self.context.place(&database, &tool, listening.port());
        let same_settings = same(
            &settings(&environment, &place),
            &settings(&self.present.environment, &self.present.place),
        );
        if program.is(&self.present.program) && same_settings && !self.forced {
            return Ok((Prepared::Nothing, None));
        }
        let updates_database = gives_role || migrates;
        let next = Next {
            required: Required::LikeTheRunningOne(
                self.is_ready.then(|| self.present.place.clone()),
            ),
            update: Update::Save {
                gives_role,
                migrates,
            },
            compiled_in,
            ..Next::unchanged(Serving {
                environment,
                database,
                listening,
                place,
                program,
                schema_is_complete: self.present.schema_is_complete,
            })
        };
        let prepared = Prepared::Live {
            updates_database,
            built_by,
        };
        Ok((prepared, Some(next)))
    }

    async fn build(
        &self,
        environment: &Environment,
        tool: &Tool,
        updates_database: bool,
    ) -> Result<(Program, machine::Builder), Error> {
        let may_be_fast = self.builder == machine::Builder::Fast && !updates_database;
        if may_be_fast && let Some(program) = self.replace_parts(environment, tool).await {
            return Ok((program, machine::Builder::Fast));
        }
        let options = self.building();
        let program = cargo::program(environment, tool, options, &self.context.events).await?;
        Ok((program, machine::Builder::Cargo))
    }

    fn building(&self) -> cargo::Options {
        cargo::Options {
            quiet: true,
            ..self.context.building()
        }
    }

    /// Returns the running program with the edited parts replaced, if only those have to be compiled, and they compile.
    async fn replace_parts(&self, environment: &Environment, tool: &Tool) -> Option<Program> {
        if tool.service_binary.is_some() || self.context.toolchain_changed {
            return None;
        }
        let fast = cargo::fast(&environment.checkout).ok()?;
        fast.replace(
            &self.present.program,
            &self.changed,
            self.context.options.colour,
            &self.context.events,
        )
        .await
    }
}

/// What a restart is prepared from.
pub(super) struct Restart {
    pub(super) context: Context,
    pub(super) present: Serving,
    pub(super) service: Option<Service>,
    pub(super) database_runs: bool,
    /// `None` if the sources are not watched; else the program that the settings named then.
    pub(super) watched: Option<Option<PathBuf>>,
}

impl Restart {
    /// Finds out whatever can be found out while everything runs. Only missing secrets are written.
    pub(super) async fn prepare(self) -> Result<(Prepared, Next), Error> {
        let (context, present) = (&self.context, &self.present);
        let events = &context.events;
        let mut environment = present.environment.reread().await?;
        let checkout = environment.checkout.clone();
        let external = environment.configuration.tool(&checkout)?.external;
        let place = match &external {
            Some(_) => None,
            None => Some(location::prepare(&checkout, events)?),
        };
        let database_exists = place.as_ref().is_none_or(|place| place.exists);
        context
            .make_secrets(&mut environment, database_exists)
            .await?;
        let tool = environment.configuration.tool(&checkout)?;
        let listening = present.listening.clone().or_open(
            &checkout,
            context.host(&tool),
            tool.api_port,
            events,
        )?;
        let old = present.database.own();
        let moves = external.is_some() != old.is_none();
        let lies_down = old.is_some() && !self.database_runs;
        let restarts_database = self.service != Some(Service::Api) || moves || lies_down;
        let database = match (external, place) {
            (Some(external), _) => {
                if !environment.is_in_container() {
                    refuse_unknown(&checkout, &external)?;
                }
                Database::External(Box::new(external))
            }
            (None, Some(place)) => Database::Own(Box::new(
                self.next_cluster(&environment, &tool, place, restarts_database)
                    .await?,
            )),
            (None, None) => return Err(machine::needs_restart()),
        };
        let program = if self.service == Some(Service::Db) {
            present.program.clone()
        } else {
            cargo::program(&environment, &tool, context.building(), events).await?
        };
        let given = tool.service_binary.as_ref().map(|(path, _)| path.clone());
        let sources = match &self.watched {
            Some(watched) if *watched != given => {
                Some(SourceWatch::start(&environment, &tool, events).await?)
            }
            _ => None,
        };
        let next = Next {
            update: Update::Restart { restarts_database },
            database_exists,
            sources,
            ..Next::unchanged(Serving {
                place: context.place(&database, &tool, listening.port()),
                environment,
                database,
                listening,
                program,
                schema_is_complete: present.schema_is_complete,
            })
        };
        let prepared = if restarts_database {
            Prepared::Switch
        } else {
            Prepared::Live {
                updates_database: true,
                built_by: machine::Builder::Cargo,
            }
        };
        Ok((prepared, next))
    }

    async fn next_cluster(
        &self,
        environment: &Environment,
        tool: &Tool,
        place: location::Place,
        restarts: bool,
    ) -> Result<ClusterConfig, Error> {
        let events = &self.context.events;
        let old = self.present.database.own();
        let binaries = location::binaries(tool, Some(&place), events).await?;
        let checkout = &environment.checkout;
        let port = match old {
            Some(old)
                if !restarts
                    || kept_ports::is_postgres_still(checkout, tool.postgres_port, old.port) =>
            {
                old.port
            }
            _ => kept_ports::postgres(checkout, tool.postgres_port, events)?,
        };
        let cluster = location::describe(environment, tool, place, binaries, port, events)?;
        Ok(match old {
            // It goes on as it was started.
            Some(old) if !restarts => ClusterConfig {
                binaries: old.binaries.clone(),
                ..cluster
            },
            _ => cluster,
        })
    }
}

/// What the database is updated from.
pub(super) struct DatabaseUpdate {
    pub(super) context: Context,
    pub(super) prepared: PreparedRole,
    /// The server that runs, if one does.
    pub(super) running: Option<ClusterConfig>,
}

impl DatabaseUpdate {
    /// Gives the API's role the password of the next settings, and applies migrations.
    pub(super) async fn update(self, mut next: Next) -> (Next, Result<Updated, Error>) {
        let updated = self.try_update(&mut next).await;
        (next, updated)
    }

    async fn try_update(&self, next: &mut Next) -> Result<Updated, Error> {
        let events = &self.context.events;
        let in_container = next.serving.environment.is_in_container();
        let migrates = match (next.update, &next.serving.database) {
            (Update::Nothing, _) => false,
            (
                Update::Save {
                    gives_role,
                    migrates,
                },
                database,
            ) => {
                if let (true, Database::External(external)) = (gives_role, database) {
                    container::wait(external, events).await?;
                    self.prepared.give_role(external).await?;
                }
                migrates
            }
            (Update::Restart { .. }, Database::External(external)) => {
                if in_container {
                    self.prepared.prepare(external, events).await?;
                }
                true
            }
            (Update::Restart { restarts_database }, Database::Own(cluster)) => {
                match self.verify(cluster).await {
                    Ok(Some(running)) => {
                        let url = Database::Own(Box::new(running)).migration_url();
                        let program = next.serving.program.path();
                        next.serving.schema_is_complete =
                            self.context.migrate(program, &url).await?;
                        return Ok(Updated::Migrated);
                    }
                    Ok(None) => return Ok(Updated::Unreachable),
                    // A restart can repair a server that accepts no session. The schema is checked afterwards.
                    Err(RolesError::Psql(error)) if restarts_database => {
                        events.note(format!(
                            "the database does not answer; restarting it: {}",
                            RolesError::Psql(error)
                        ));
                        return Ok(Updated::Unreachable);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if migrates {
            let begun = Instant::now();
            let url = next.serving.database.migration_url();
            let program = next.serving.program.path();
            next.serving.schema_is_complete = self.context.migrate(program, &url).await?;
            next.migrated_in = Some(begun.elapsed());
            next.required = Required::Schema;
        }
        Ok(Updated::Migrated)
    }

    /// Verifies that the next settings fit the server that runs, and returns it with them. Gives the API's role their password.
    async fn verify(&self, next: &ClusterConfig) -> Result<Option<ClusterConfig>, RolesError> {
        let Some(old) = &self.running else {
            return Ok(None);
        };
        let running = ClusterConfig {
            port: old.port,
            socket_dir: old.socket_dir.clone(),
            binaries: old.binaries.clone(),
            ..next.clone()
        };
        roles::verify(&running).await?;
        Ok(Some(running))
    }

    /// Gives the API's role the password of the settings that stay.
    pub(super) async fn roll_back(self, environment: Environment) {
        let events: &Events = &self.context.events;
        if environment.is_in_container() {
            self.prepared.keep_role(&environment, events).await;
        } else if let Some(cluster) = &self.running
            && let Err(error) = roles::verify(cluster).await
        {
            events.warn(error.to_string());
        }
    }
}

type Settings = BTreeMap<&'static str, SecretString>;

fn settings(environment: &Environment, place: &Place) -> Settings {
    environment.configuration.for_service(
        place,
        &environment.configuration.log_dir(&environment.checkout),
    )
}

fn same(one: &Settings, other: &Settings) -> bool {
    let plain = |settings: &Settings| {
        settings
            .iter()
            .map(|(name, value)| (*name, value.expose_secret().to_owned()))
            .collect::<Vec<_>>()
    };
    plain(one) == plain(other)
}
