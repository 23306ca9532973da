//! One attempt to let changed code or settings go live. Whatever it does ends when it is dropped, and what runs is not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::api;
use super::handover::Successor;
use crate::build::cargo;
use crate::database::container;
use crate::database::container::Prepared;
use crate::project::configuration::{External, Place, Tool};
use crate::report::events::Events;
use crate::report::reload::Builder;
use crate::report::up::UpOptions;
use crate::service::command::Probe;
use crate::service::listening::Listening;
use crate::service::program::Program;
use crate::{Environment, Error};
use local_postgres::ClusterConfig;
use process::Process;

/// What is to be done, and what runs meanwhile.
pub(super) struct Plan {
    /// As it was for what runs.
    pub(super) environment: Environment,
    pub(super) options: UpOptions,
    pub(super) events: Events,
    pub(super) cluster: Option<ClusterConfig>,
    pub(super) prepared: Prepared,
    pub(super) listening: Listening,
    pub(super) place: Place,
    pub(super) program: Program,
    /// Whether what runs was seen ready.
    pub(super) ready: bool,
    /// What has changed since that program, as far as it is known.
    pub(super) changed: BTreeSet<PathBuf>,
    /// Whether to compile.
    pub(super) compile: bool,
    /// And how.
    pub(super) building: cargo::Options,
    /// Whether to apply migrations.
    pub(super) migrate: bool,
    /// Whether a new process is wanted in any case.
    pub(super) anew: bool,
    /// Where the new process says that it is ready.
    pub(super) ready_socket: PathBuf,
    /// Whether the database is being changed at this moment, which is not to be interrupted.
    pub(super) held: Arc<AtomicBool>,
}

/// A process that accepts connections beside the one that did so far.
pub(super) struct Candidate {
    pub(super) process: Process,
    pub(super) environment: Environment,
    pub(super) listening: Listening,
    pub(super) place: Place,
    pub(super) program: Program,
    /// Whether the schema is known to be complete.
    pub(super) complete: bool,
    pub(super) compiled_in: Option<(Builder, Duration)>,
    pub(super) migrated_in: Option<Duration>,
    pub(super) started_in: Duration,
}

impl Plan {
    /// Does it. `None` when nothing is new to the service.
    pub(super) async fn carry_out(self) -> Result<Option<Candidate>, Error> {
        let environment = self.environment.reread().await?;
        let tool = environment.configuration.tool(&environment.checkout)?;
        if tool.external.is_some() != self.cluster.is_none() {
            return Err(Error::NeedsRestart);
        }
        if !self.compile {
            return self
                .start(environment, &tool, self.program.clone(), None)
                .await;
        }
        let begun = Instant::now();
        let took = |builder| {
            tool.service_binary
                .is_none()
                .then(|| (builder, begun.elapsed()))
        };
        if let Some(program) = self.replace_parts(&environment, &tool).await {
            let compiled_in = took(Builder::Fast);
            // Where that does not start, cargo's may, and says more.
            if let Ok(candidate) = self
                .start(environment.clone(), &tool, program, compiled_in)
                .await
            {
                return Ok(candidate);
            }
        }
        let program = cargo::program(&environment, &tool, self.building, &self.events).await?;
        let compiled_in = took(Builder::Cargo);
        self.start(environment, &tool, program, compiled_in).await
    }

    /// The program that runs with the parts that have changed, if others see nothing of it, and they compile.
    async fn replace_parts(&self, environment: &Environment, tool: &Tool) -> Option<Program> {
        if tool.service_binary.is_some() || self.migrate || self.building.toolchain_changed {
            return None;
        }
        let fast = cargo::fast(&environment.checkout).ok()?;
        fast.replace(
            &environment.checkout,
            &self.program,
            &self.changed,
            self.building.colour,
            &self.events,
        )
        .await
    }

    /// Starts a program beside the one that runs; `None` when nothing is new to the service.
    async fn start(
        &self,
        environment: Environment,
        tool: &Tool,
        program: Program,
        compiled_in: Option<(Builder, Duration)>,
    ) -> Result<Option<Candidate>, Error> {
        let checkout = &environment.checkout;
        let listening = self.listening.clone().or_open(
            checkout,
            api::host(tool, self.options),
            tool.api_port,
            &self.events,
        )?;
        let place = api::place(self.cluster.as_ref(), tool, self.options, listening.port());
        let same_settings = same(
            &settings(&environment, &place),
            &settings(&self.environment, &self.place),
        );
        if program.is(&self.program) && same_settings && !self.anew {
            return Ok(None);
        }
        // The API's role may get another password, which what runs does not have.
        let new_database =
            |external: &&External| environment.is_in_container() && !self.prepared.is(external);
        let Some(external) = tool.external.as_ref().filter(new_database) else {
            return self
                .start_at(environment, listening, place, tool, program, compiled_in)
                .await
                .map(Some);
        };
        container::wait(external, &self.events).await?;
        self.held.store(true, Ordering::Relaxed);
        let started = match self.prepared.give_role(external).await {
            Ok(()) => {
                self.start_at(environment, listening, place, tool, program, compiled_in)
                    .await
            }
            Err(error) => Err(error),
        };
        if started.is_err() {
            self.prepared
                .keep_role(&self.environment, &self.events)
                .await;
        }
        self.held.store(false, Ordering::Relaxed);
        started.map(Some)
    }

    async fn start_at(
        &self,
        environment: Environment,
        listening: Listening,
        place: Place,
        tool: &Tool,
        program: Program,
        compiled_in: Option<(Builder, Duration)>,
    ) -> Result<Candidate, Error> {
        let mut migrated_in = None;
        let complete = if self.migrate {
            let begun = Instant::now();
            let held = self.held.swap(true, Ordering::Relaxed);
            let url = api::migration_url(self.cluster.as_ref(), tool);
            let complete = api::migrate(program.path(), &url, self.options, &self.events).await;
            self.held.store(held, Ordering::Relaxed);
            migrated_in = Some(begun.elapsed());
            complete?
        } else {
            // What replaces a service that is not ready, for want of a migration perhaps, need not be readier.
            self.ready
                && Probe::new(self.place.host, self.place.port)
                    .ready()
                    .await
                    .is_ok()
        };
        let successor = Successor {
            program: &program,
            environment: &environment,
            place: &place,
            listening: &listening,
            ready: complete,
            ready_socket: &self.ready_socket,
        };
        let (process, started_in) = successor.start(&self.events).await?;
        Ok(Candidate {
            process,
            environment,
            listening,
            place,
            program,
            complete,
            compiled_in,
            migrated_in,
            started_in,
        })
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
