//! What a command acts on: a checkout and its settings.

use std::path::{Path, PathBuf};

use crate::project::configuration::{Configuration, Variables, container};
use crate::{Checkout, Error};
use process::thread::in_thread;

/// A checkout with its settings.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The checkout.
    pub checkout: Checkout,
    /// Its settings.
    pub configuration: Configuration,
    variables: Variables,
    home: Home,
}

/// Where the services run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// On a developer's machine.
    Machine,
    /// In the development container, beside the database's.
    Container,
}

impl Environment {
    /// The environment of the checkout that `folder` is in. `variables` are the top layer of its settings.
    ///
    /// # Errors
    /// No checkout, or a settings file that cannot be read.
    pub fn find(
        folder: &Path,
        variables: impl IntoIterator<Item = Variable>,
    ) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        let variables: Variables = variables.into_iter().collect();
        let configuration = Configuration::read(&checkout, &variables)?;
        Ok(Self {
            checkout,
            configuration,
            variables,
            home: Home::Machine,
        })
    }

    /// The environment in the development container, where the checkout is mounted at `folder`.
    ///
    /// # Errors
    /// As [`Self::find`], or a value that does not fit.
    pub fn in_container(
        folder: &Path,
        variables: impl IntoIterator<Item = Variable>,
    ) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        let variables: Variables = variables.into_iter().collect();
        let configuration = container::settings(&checkout, &variables)?;
        Ok(Self {
            checkout,
            configuration,
            variables,
            home: Home::Container,
        })
    }

    /// The same without any settings: enough to stop what runs, whatever is wrong with them.
    ///
    /// # Errors
    /// No checkout.
    pub fn without_settings(folder: &Path) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        Ok(Self {
            checkout,
            configuration: Configuration::default(),
            variables: Variables::new(),
            home: Home::Machine,
        })
    }

    /// Returns the same checkout with its files read again, in another thread: a pipe is waited for.
    ///
    /// # Errors
    /// A settings file that cannot be read.
    pub async fn reread(&self) -> Result<Self, Error> {
        let environment = self.clone();
        in_thread(move |_| environment.reread_blocking())
            .await
            .unwrap_or_else(|| {
                let broken = std::io::Error::other("the work broke off");
                Err(Error::io("read", &self.checkout.env_file(), broken))
            })
    }

    fn reread_blocking(&self) -> Result<Self, Error> {
        let configuration = match self.home {
            Home::Machine => Configuration::read(&self.checkout, &self.variables)?,
            Home::Container => container::settings(&self.checkout, &self.variables)?,
        };
        Ok(Self {
            checkout: self.checkout.clone(),
            configuration,
            variables: self.variables.clone(),
            home: self.home,
        })
    }

    /// Whether this is the development container.
    pub(crate) fn is_in_container(&self) -> bool {
        self.home == Home::Container
    }

    /// Where it can be tried whether changes of the sources are told.
    pub(crate) fn watch_test(&self) -> PathBuf {
        match self.home {
            Home::Machine => self.checkout.run().join("watch-test"),
            // The one folder of the mounted sources that may be written.
            Home::Container => self.checkout.migrations().join(".watch-test"),
        }
    }

    /// Where the program that runs is kept: on the disk that it was built on where the checkout's own folder is memory.
    pub(crate) fn kept_program(&self) -> PathBuf {
        match self.home {
            Home::Machine => self.checkout.run().join("emotionviz"),
            Home::Container => self.checkout.build_folder().join("emotionviz"),
        }
    }
}

/// A name and a value of a process environment.
pub type Variable = (std::ffi::OsString, std::ffi::OsString);
