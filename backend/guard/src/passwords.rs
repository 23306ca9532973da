//! Passwords: hashed with Argon2id, and compared in a time that does not reveal whether the user exists.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Holds nothing of the password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    #[error("hashing ended early")]
    Ended,
}

/// The result of the comparison of a password with a stored hash.
#[derive(Debug)]
pub enum Verdict {
    Right,
    /// Right, but the stored hash is outdated. Holds the hash to store instead.
    RightButOld(String),
    Wrong,
}

/// Hashes and compares passwords on blocking threads, as many at once as there are processor cores.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// The hash that stands in for a user who does not exist. The comparison takes as long as with any other.
    placeholder: Arc<str>,
    slots: Arc<Semaphore>,
}

impl Passwords {
    /// Uses the parameters that OWASP recommends for Argon2id: 19 MiB, two passes, one lane
    /// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
    pub fn new() -> Self {
        let params =
            Params::new(19_456, 2, 1, None).expect("OWASP's parameters are within Argon2's bounds");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            placeholder: "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlz$DnGTMzXz0KuCCXaJC3V6Ty+3Ap0oJZIdJXKL1XqjVJk".into(),
            slots: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Reslots the hash to store for a password, a PHC string (`$argon2id$…`).
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let argon2 = self.argon2.clone();
        self.run_blocking(move || hash(&argon2, &password)).await?
    }

    /// Compares a password with a stored hash: of Argon2id, or of bcrypt as the Python backend made it. `None`, if there is no user, takes the
    /// same time. A hash of an unknown kind matches no password.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<Verdict, PasswordError> {
        let argon2 = self.argon2.clone();
        let placeholder = self.placeholder.clone();
        let compare = move || match &stored {
            Some(stored) if stored.starts_with("$2") => {
                // bcrypt reads 72 bytes; the Python backend truncated longer passwords, as this function does.
                if !bcrypt::verify(password.expose_secret().as_bytes(), stored).unwrap_or(false) {
                    return Ok(Verdict::Wrong);
                }
                hash(&argon2, &password).map(Verdict::RightButOld)
            }
            Some(stored) if matches(&argon2, &password, stored) => Ok(Verdict::Right),
            Some(_) => Ok(Verdict::Wrong),
            None => {
                matches(&argon2, &password, &placeholder);
                Ok(Verdict::Wrong)
            }
        };
        self.run_blocking(compare).await?
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Ended)?;
        // The slot is held until the work is done, also if the client disconnects.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(slot);
            done
        })
        .await
        .map_err(|_| PasswordError::Ended)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn hash(argon2: &Argon2<'_>, password: &SecretString) -> Result<String, PasswordError> {
    let hash: argon2::password_hash::phc::PasswordHash = argon2
        .hash_password(password.expose_secret().as_bytes())
        .map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

fn matches(argon2: &Argon2<'_>, password: &SecretString, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| {
        argon2
            .verify_password(password.expose_secret().as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn argon2id_with_owasps_parameters() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse 1".into()).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(matches!(
            passwords
                .verify("correct horse 1".into(), Some(stored.clone()))
                .await,
            Ok(Verdict::Right)
        ));
        assert!(matches!(
            passwords
                .verify("correct horse 2".into(), Some(stored))
                .await,
            Ok(Verdict::Wrong)
        ));
        assert!(matches!(
            passwords
                .verify("x".into(), Some("unusable".to_owned()))
                .await,
            Ok(Verdict::Wrong)
        ));
    }

    #[tokio::test]
    async fn a_user_who_does_not_exist_takes_as_long_as_one_who_does() {
        let passwords = Passwords::new();
        assert!(PasswordHash::new(&passwords.placeholder).is_ok());
        let stored = passwords.hash("a1".into()).await.unwrap();
        let mut times = [0, 0];
        for _ in 0..5 {
            for (i, stored) in [None, Some(stored.clone())].into_iter().enumerate() {
                let started = Instant::now();
                assert!(matches!(
                    passwords.verify("b2".into(), stored).await,
                    Ok(Verdict::Wrong)
                ));
                times[i] += started.elapsed().as_micros();
            }
        }
        assert!(times[0] * 3 > times[1], "{times:?}");
    }

    #[tokio::test]
    async fn bcrypt_of_the_older_backend() {
        let passwords = Passwords::new();
        let long = "x".repeat(80);
        // Made by Python's bcrypt 4.0.1: hashpw(b"x" * 80, gensalt(4)).
        let stored = "$2b$04$lFY1DcRzAmrR2SS.ehnKcOemC8afvH7dO4tctbzbf.ZsJsGuoUgyW".to_owned();
        let verdict = passwords.verify(long.into(), Some(stored)).await.unwrap();
        let Verdict::RightButOld(new) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(new.starts_with("$argon2id$"));
    }
}
