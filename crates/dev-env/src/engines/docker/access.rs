//! How the docker engine reaches its database server.

use emotionviz_settings::DatabaseUrl;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use process::{Configuration, Output};

use super::inside::{Inside, Moment};
use crate::database::session::{Build, DatabaseAccess, Migrate, RunBy};
use crate::report::events::Events;
use crate::{Checkout, Error};

/// A database in a container.
pub(super) struct DockerAccess {
    pub(super) checkout: Checkout,
    pub(super) inside: Inside,
    /// Set if the session started the container.
    pub(super) moment: Option<Moment>,
    pub(super) events: Events,
}

/// The program in the container.
struct Inner<'a>(&'a DockerAccess);

impl DatabaseAccess for DockerAccess {
    fn run_by(&self) -> RunBy {
        match &self.moment {
            Some(_) => RunBy::Session,
            None if self.inside.runs_api() => RunBy::Services,
            None => RunBy::Other,
        }
    }

    fn is_in_container(&self) -> bool {
        true
    }

    fn client<'a>(
        &'a self,
        program: &'a str,
        url: &'a DatabaseUrl,
        interactive: bool,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>> {
        let client = self.inside.client(program, &url.database, interactive);
        std::future::ready(Ok(client)).boxed_local()
    }

    fn script<'a>(
        &'a self,
        script: &'a str,
        url: &'a DatabaseUrl,
    ) -> LocalBoxFuture<'a, Result<Configuration, Error>> {
        let shell = self.inside.client("sh", &url.database, false);
        std::future::ready(Ok(shell.args(["-c", script, "psql"]))).boxed_local()
    }

    fn migrate<'a>(
        &'a self,
        build: Build<'a>,
        url: &'a DatabaseUrl,
        _colour: bool,
    ) -> LocalBoxFuture<'a, Result<Box<dyn Migrate + 'a>, Error>> {
        async move {
            if let Build::Current(args) = build {
                self.inside
                    .wait_for_files(&self.checkout, url, args, &self.events)
                    .await?;
            }
            Ok(Box::new(Inner(self)) as Box<dyn Migrate>)
        }
        .boxed_local()
    }

    fn end(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), Error>> {
        async move {
            match self.moment {
                Some(moment) => moment.end().await,
                None => Ok(()),
            }
        }
        .boxed_local()
    }
}

impl Migrate for Inner<'_> {
    fn run<'a>(
        &'a self,
        url: &'a DatabaseUrl,
        args: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<Output, Error>> {
        let Self(DockerAccess {
            checkout,
            inside,
            events,
            ..
        }) = self;
        async move {
            match inside.wait_for_files(checkout, url, args, events).await {
                // The settings of the build must suffice.
                Ok(()) | Err(Error::OldProgram { .. }) => inside.migrate(url, args).await,
                Err(error) => Err(error),
            }
        }
        .boxed_local()
    }
}
