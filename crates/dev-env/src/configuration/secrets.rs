//! Passwords and keys: made up where nobody sets them, and written where they are set.

use std::path::PathBuf;

use emotionviz_settings::Origin;
use emotionviz_settings::declared::{JWT_SECRET_KEY, POSTGRES_API_PASSWORD, POSTGRES_PASSWORD};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};

use super::Configuration;
use crate::{Checkout, Error, env_files};

/// Letters and digits of a generated secret: 238 bits.
pub(super) const SECRET_LENGTH: usize = 40;

impl Configuration {
    /// Sets the secrets that nobody sets to their public examples, for a container whose files are not its own to write.
    pub(crate) fn set_examples(&mut self) {
        for info in [&POSTGRES_PASSWORD.info, &JWT_SECRET_KEY.info] {
            if let (false, Some(example)) = (self.values.is_set(info), info.example) {
                self.set_default(info, example.to_owned());
            }
        }
    }

    /// Writes to `.env` the secrets that nobody sets, and returns their names.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn make_secrets(&mut self, checkout: &Checkout, database_exists: bool) -> Result<Vec<&'static str>, Error> {
        if self.missing_secrets(database_exists)?.is_empty() {
            return Ok(Vec::new());
        }
        let file = env_files::Editor::open(&checkout.env_file())?;
        // Another command may have made them since the settings were read.
        self.values = std::mem::take(&mut self.values).or(file.layer()?);
        let made: Vec<(&str, String)> = self.missing_secrets(database_exists)?.into_iter().map(|name| (name, generate())).collect();
        if !made.is_empty() {
            let lines: Vec<(&str, &str)> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
            file.append("Made by cargo dev up, for this checkout alone.", &lines)?;
            self.values = std::mem::take(&mut self.values).or(file.layer()?);
        }
        Ok(made.into_iter().map(|(name, _)| name).collect())
    }

    fn missing_secrets(&self, database_exists: bool) -> Result<Vec<&'static str>, Error> {
        let external = self.external()?.is_some();
        let wanted = [
            // A database that exists has a password: a new one would not be it.
            (&POSTGRES_PASSWORD.info, !external && !database_exists),
            (&POSTGRES_API_PASSWORD.info, !external),
            (&JWT_SECRET_KEY.info, true),
        ];
        Ok(wanted.into_iter().filter(|(info, wanted)| *wanted && !self.values.is_set(info)).map(|(info, _)| info.name).collect())
    }

    /// Whether passwords in the files would count.
    ///
    /// # Errors
    /// The shell's environment sets one: that would hide what is written.
    pub fn passwords_can_be_written(&self) -> Result<(), Error> {
        let hidden =
            [&POSTGRES_API_PASSWORD.info, &POSTGRES_PASSWORD.info].into_iter().find(|info| self.origin(info) == Origin::Environment);
        hidden.map_or(Ok(()), |info| Err(Error::PasswordInEnvironment { name: info.name }))
    }

    /// Writes passwords to the file that sets each one, or to `.env`.
    ///
    /// # Errors
    /// When the file cannot be written, or the shell's environment sets one: that would hide what was written.
    pub fn write_passwords(&self, checkout: &Checkout, password: &SecretString, api_password: &SecretString) -> Result<PathBuf, Error> {
        self.passwords_can_be_written()?;
        let passwords = [(&POSTGRES_API_PASSWORD.info, api_password), (&POSTGRES_PASSWORD.info, password)];
        let mut last = checkout.env_file();
        for (info, value) in passwords {
            let path = match self.origin(info) {
                Origin::File(path, _) => path,
                Origin::Environment | Origin::Default => checkout.env_file(),
            };
            if !env_files::change(&path, info.name, value.expose_secret())? {
                env_files::append(&path, "Set by cargo dev db password.", &[(info.name, value.expose_secret())])?;
            }
            last = path;
        }
        Ok(last)
    }
}

/// A new secret.
pub fn generate() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), SECRET_LENGTH)
}
