//! What a command acts on: a checkout and its settings.

use std::path::Path;

use crate::configuration::{Configuration, Variables};
use crate::{Checkout, Error};

/// A checkout with its settings.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The checkout.
    pub checkout: Checkout,
    /// Its settings.
    pub configuration: Configuration,
    variables: Variables,
}

impl Environment {
    /// The environment of the checkout that `folder` is in. `variables` are the top layer of its settings.
    ///
    /// # Errors
    /// No checkout, or a settings file that cannot be read.
    pub fn find(folder: &Path, variables: impl IntoIterator<Item = Variable>) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        let variables: Variables = variables.into_iter().collect();
        let configuration = Configuration::read(&checkout, &variables)?;
        Ok(Self { checkout, configuration, variables })
    }

    /// The same without any settings: enough to stop what runs, whatever is wrong with them.
    ///
    /// # Errors
    /// No checkout.
    pub fn without_settings(folder: &Path) -> Result<Self, Error> {
        let checkout = Checkout::find(folder)?;
        Ok(Self { checkout, configuration: Configuration::default(), variables: Variables::new() })
    }

    /// The same checkout with its files read again.
    ///
    /// # Errors
    /// A settings file that cannot be read.
    pub fn reread(&self) -> Result<Self, Error> {
        let configuration = Configuration::read(&self.checkout, &self.variables)?;
        Ok(Self { checkout: self.checkout.clone(), configuration, variables: self.variables.clone() })
    }
}

/// A name and a value of a process environment.
pub type Variable = (std::ffi::OsString, std::ffi::OsString);
