//! What a password's hash costs by itself.

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use argon2::Argon2;

/// How many hashes of Argon2id some threads together make in a second, with the parameters that OWASP names: 19 MiB, two
/// passes, one lane. Each hashes for as long as told, once at least.
pub fn per_second(threads: NonZeroUsize, measured: Duration) -> f64 {
    thread::scope(|scope| {
        let hashing: Vec<_> = (0..threads.get())
            .map(|_| scope.spawn(move || on_this_thread(measured)))
            .collect();
        hashing
            .into_iter()
            .map(|thread| thread.join().expect("hashing does not panic"))
            .sum()
    })
}

#[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 hashes")]
fn on_this_thread(measured: Duration) -> f64 {
    let hasher = Argon2::default();
    let mut hash = [0; 32];
    let started = Instant::now();
    let mut made = 0_u64;
    loop {
        let hashed = hasher.hash_password_into(
            b"correct horse battery staple",
            b"sixteen bytes...",
            &mut hash,
        );
        hashed.expect("password, salt and hash have valid lengths");
        std::hint::black_box(&hash);
        made += 1;
        let took = started.elapsed();
        if took >= measured {
            return made as f64 / took.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::Params;

    #[test]
    fn the_default_parameters_are_those_of_owasp() {
        let params = Params::default();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (19 * 1024, 2, 1)
        );
    }

    #[test]
    fn the_argon2_baseline_hashes_at_least_once() {
        assert!(per_second(NonZeroUsize::MIN, Duration::ZERO) > 0.0);
    }
}
