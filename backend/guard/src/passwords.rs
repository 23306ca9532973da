//! Passwords: hashed with Argon2id, compared without telling by the time taken whether the user exists.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Why a password could not be hashed or compared. Holds nothing of the password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash function refused.
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The thread that hashed it ended early.
    #[error("hashing ended early")]
    Ended,
}

/// What comparing a password with a stored hash found.
#[derive(Debug)]
pub enum Verdict {
    /// It is the password.
    Right,
    /// It is, and its hash is of an older kind: this is the one to store instead.
    RightButOld(String),
    /// It is another.
    Wrong,
}

/// Hashes and compares passwords, as many at once as there are processor cores, on threads that answer no requests.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// What is compared with when there is no user: takes as long as any other.
    nobody: Arc<str>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    /// With the parameters that OWASP names first for Argon2id of 19 MiB: two passes, one lane
    /// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
    pub fn new() -> Self {
        let params =
            Params::new(19_456, 2, 1, None).expect("OWASP's parameters are within Argon2's bounds");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            nobody: "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlz$DnGTMzXz0KuCCXaJC3V6Ty+3Ap0oJZIdJXKL1XqjVJk".into(),
            turns: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The hash to store for a password, a PHC string (`$argon2id$…`).
    ///
    /// # Errors
    /// When the hash function refuses or its thread ends.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let argon2 = self.argon2.clone();
        self.in_turn(move || hash(&argon2, &password)).await?
    }

    /// Compares a password with a stored hash: Argon2id's, or bcrypt's as the older backend made it. `None`, where there is no
    /// user, takes the same time.
    ///
    /// # Errors
    /// When the hash function refuses or its thread ends. A hash of an unknown kind is no error: it fits no password.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<Verdict, PasswordError> {
        let argon2 = self.argon2.clone();
        let nobody = self.nobody.clone();
        let compare = move || match &stored {
            Some(stored) if stored.starts_with("$2") => {
                // bcrypt reads 72 bytes; the older backend cut what was longer, as this function does.
                if !bcrypt::verify(password.expose_secret().as_bytes(), stored).unwrap_or(false) {
                    return Ok(Verdict::Wrong);
                }
                hash(&argon2, &password).map(Verdict::RightButOld)
            }
            Some(stored) if fits(&argon2, &password, stored) => Ok(Verdict::Right),
            Some(_) => Ok(Verdict::Wrong),
            None => {
                fits(&argon2, &password, &nobody);
                Ok(Verdict::Wrong)
            }
        };
        self.in_turn(compare).await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = self
            .turns
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Ended)?;
        // The turn goes with the work: it lasts when the client that asked goes away.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
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

fn fits(argon2: &Argon2<'_>, password: &SecretString, stored: &str) -> bool {
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
    async fn nobody_takes_as_long_as_somebody() {
        let passwords = Passwords::new();
        assert!(PasswordHash::new(&passwords.nobody).is_ok());
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
