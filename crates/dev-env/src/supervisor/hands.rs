//! What the event loop holds: the processes, what they were started with, and what the current change has prepared.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use emotionviz_settings::declared::SERVICE_BINARY;
use tokio::sync::watch;

use super::candidate::Candidate;
use super::draining::Draining;
use super::mounted_lock::MountedLock;
use super::preparation::Next;
use super::serving::{Context, Serving};
use super::sources::SourceWatch;
use super::status_hub::StatusHub;
use crate::Environment;
use crate::build::cargo;
use crate::database::container::Prepared;
use crate::project::configuration::Place;
use crate::report::events::{Address, Event as Report};
use crate::report::lan;
use crate::report::reload::Times;
use crate::service::command::{self, Probe};
use crate::service::listening::Listening;
use crate::service::program::Program;
use local_postgres::ClusterConfig;
use local_postgres::server::Server;
use process::Process;

/// See the [module](self).
pub(super) struct Hands {
    pub(super) context: Context,
    pub(super) hub: StatusHub,
    /// What the database next to this container is prepared for.
    pub(super) prepared: Prepared,
    /// Where a candidate reports that it is ready.
    pub(super) ready_socket: watch::Receiver<PathBuf>,
    pub(super) mounted_lock: MountedLock,
    pub(super) settings: Settings,
    /// The settings to go back to if a switch fails.
    pub(super) former: Option<Serving>,
    /// What the current change has prepared.
    pub(super) next: Option<Next>,
    /// Whether the database of the settings exists already.
    pub(super) database_exists: bool,
    pub(super) candidate: Option<Candidate>,
    pub(super) server: Option<Server>,
    pub(super) api: Option<Api>,
    pub(super) draining: Draining,
    pub(super) sources: Option<SourceWatch>,
    /// The sources to watch when the change is complete.
    pub(super) next_sources: Option<SourceWatch>,
    /// Requests that were answered before the current reload.
    pub(super) answered: u64,
    /// How long the parts of the last reload took, and when the candidate was ready.
    pub(super) reload: Option<(Times, Instant)>,
}

/// The settings of the services.
pub(super) enum Settings {
    /// What the first start has found so far.
    Assembling(Box<Assembly>),
    Serving(Box<Serving>),
}

pub(super) struct Assembly {
    pub(super) environment: Environment,
    pub(super) listening: Option<Listening>,
    pub(super) database: Option<super::serving::Database>,
    pub(super) program: Option<Program>,
}

/// The process of the API.
pub(super) struct Api {
    pub(super) process: Process,
    pub(super) probe: Probe,
    /// Whether it has to be ready, and not only live.
    pub(super) needs_schema: bool,
    pub(super) is_ready: bool,
}

impl Hands {
    /// The machine starts jobs that need this only when the first start has found everything.
    pub(super) fn serving(&self) -> &Serving {
        match &self.settings {
            Settings::Serving(serving) => serving,
            Settings::Assembling(_) => panic!("the first start has not found everything yet"),
        }
    }

    pub(super) fn serving_mut(&mut self) -> &mut Serving {
        match &mut self.settings {
            Settings::Serving(serving) => serving,
            Settings::Assembling(_) => panic!("the first start has not found everything yet"),
        }
    }

    pub(super) fn environment(&self) -> &Environment {
        match &self.settings {
            Settings::Serving(serving) => &serving.environment,
            Settings::Assembling(assembly) => &assembly.environment,
        }
    }

    pub(super) fn database(&self) -> Option<&super::serving::Database> {
        match &self.settings {
            Settings::Serving(serving) => Some(&serving.database),
            Settings::Assembling(assembly) => assembly.database.as_ref(),
        }
    }

    /// Returns the description of the server that runs.
    pub(super) fn running_cluster(&self) -> Option<&ClusterConfig> {
        self.server
            .as_ref()
            .and_then(|_| self.database().and_then(super::serving::Database::own))
    }

    /// Puts the parts of the first start together, once all of them are there.
    pub(super) fn assemble(&mut self) -> Result<(), crate::Error> {
        let Settings::Assembling(assembly) = &mut self.settings else {
            return Ok(());
        };
        let environment = assembly.environment.clone();
        let tool = environment.configuration.tool(&environment.checkout)?;
        if let (Some(listening), Some(database), Some(program)) = (
            assembly.listening.clone(),
            assembly.database.clone(),
            assembly.program.clone(),
        ) {
            let place = self.context.place(&database, &tool, listening.port());
            self.settings = Settings::Serving(Box::new(Serving {
                environment,
                database,
                listening,
                place,
                program,
                schema_is_complete: false,
            }));
        }
        Ok(())
    }

    /// The candidate takes the place of the API. Returns whether the API answers at another address now.
    pub(super) fn commit(&mut self) -> bool {
        let Some(candidate) = self.candidate.take() else {
            return false;
        };
        let before = self.serving().place.clone();
        self.reload = Some((
            Times {
                total_ms: 0,
                builder: candidate.compiled_in.map(|(builder, _)| builder),
                compile_ms: candidate.compiled_in.map(|(_, took)| ms(took)),
                migrate_ms: candidate.migrated_in.map(ms),
                start_ms: ms(candidate.started_in),
                switch_ms: 0,
                requests: 0,
            },
            candidate.ready,
        ));
        self.drain();
        *self.serving_mut() = candidate.serving;
        self.api = Some(Api::new(candidate.process, self.serving(), true));
        self.show_place();
        let place = &self.serving().place;
        (before.host, before.port) != (place.host, place.port)
    }

    /// The API finishes its requests and ends.
    pub(super) fn drain(&mut self) {
        if let Some(former) = self.api.take() {
            self.draining.add(former.process, former.is_ready);
        }
    }

    /// Keeps the running program where the next build does not replace it, and remembers what it was built from.
    pub(super) fn settle(&mut self) {
        if let Some(sources) = self.next_sources.take() {
            self.sources = Some(sources);
        }
        let program = self.serving().program.clone();
        if let Some(sources) = &mut self.sources {
            sources.learn(program.path());
        }
        self.keep(program);
    }

    pub(super) fn keep(&mut self, program: Program) {
        let environment = self.environment();
        let values = environment.configuration.values();
        let kept = if values.is_set(&SERVICE_BINARY.info) {
            Ok(program.clone())
        } else {
            program.clone().kept(environment.kept_program())
        };
        let program = kept.unwrap_or_else(|error| {
            self.context.events.warn(error.to_string());
            program
        });
        if let Ok(fast) = cargo::fast(&self.environment().checkout) {
            fast.sweep(&program);
        }
        self.serving_mut().program = program;
    }

    /// Makes `status` report where the API answers.
    pub(super) fn show_place(&self) {
        let serving = self.serving();
        let Place { host, port, .. } = serving.place;
        let program = serving.program.path().to_owned();
        self.hub.update(|snapshot| {
            snapshot.api.port = Some(port);
            snapshot.api.url = Some(command::base_url(host, port));
            snapshot.program = Some(program);
        });
    }

    /// Makes `status` report where the database is.
    pub(super) fn show_database(&self) {
        let Some(database) = self.database() else {
            return;
        };
        let url = Some(database.migration_url().masked());
        self.hub.update(|snapshot| match database {
            super::serving::Database::Own(cluster) => {
                snapshot.bin_dir = Some(cluster.binaries.dir.clone());
                snapshot.db.port = Some(cluster.port);
                snapshot.db.url = url;
                snapshot.db.version = Some(cluster.binaries.version.clone());
            }
            super::serving::Database::External(external) => {
                snapshot.db.port = None;
                snapshot.db.url = Some(external.url.masked());
            }
        });
    }

    /// Reports where everything answers.
    pub(super) fn announce(&self) {
        let addresses = self.addresses();
        self.context.events.tell(Report::Ready(addresses));
    }

    fn addresses(&self) -> Vec<Address> {
        let (serving, events) = (self.serving(), &self.context.events);
        if serving.environment.is_in_container() {
            // Compose publishes them elsewhere.
            events.note("the API answers with these sources; what is saved goes live");
            return Vec::new();
        }
        let place = &serving.place;
        if let Some(address) = place.lan {
            events.note(lan::pages_may_call(address));
        }
        let url = command::base_url(place.host, place.port);
        let mut addresses = vec![
            Address::new("API", url.clone()),
            Address::new("documentation", format!("{url}/docs")),
        ];
        if let Some(here) = lan::address().filter(|_| place.host.is_unspecified()) {
            addresses.push(Address::for_phones(command::base_url(here, place.port)));
        }
        if let Some(url) = self.hub.snapshot().db.url {
            addresses.push(Address::new("database", url));
        }
        addresses
    }
}

impl Api {
    pub(super) fn new(process: Process, serving: &Serving, is_ready: bool) -> Self {
        Self {
            process,
            probe: Probe::new(serving.place.host, serving.place.port),
            needs_schema: serving.schema_is_complete,
            is_ready,
        }
    }
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
