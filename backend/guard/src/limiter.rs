use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use emotionviz_core::request::RateLimit;
use uuid::Uuid;

/// The bound on subjects in memory, about 100 bytes each.
const MAX_SUBJECTS: usize = 50_000;

pub(crate) struct Rule {
    /// The window's length in seconds. Windows begin at its multiples since 1970, on all replicas.
    pub(crate) period: u32,
    pub(crate) limit: u32,
}

const USER: &[Rule] = &[
    Rule {
        period: 60,
        limit: 100,
    },
    Rule {
        period: 3600,
        limit: 1000,
    },
];
const LOGIN: &[Rule] = &[Rule {
    period: 60,
    limit: 10,
}];
/// Pictures that the service paints itself.
const PICTURE: &[Rule] = &[Rule {
    period: 60,
    limit: 60,
}];
/// The length of the longest list above.
const MAX_RULES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    User(Uuid),
    /// Attempts to log in or register from an address.
    Login(IpAddr),
    /// Requests for a picture from an address.
    Picture(IpAddr),
}

impl Subject {
    pub(crate) fn login(address: IpAddr) -> Self {
        Self::Login(network(address))
    }

    pub(crate) fn picture(address: IpAddr) -> Self {
        Self::Picture(network(address))
    }

    pub(crate) fn rules(self) -> &'static [Rule] {
        match self {
            Self::User(_) => USER,
            Self::Login(_) => LOGIN,
            Self::Picture(_) => PICTURE,
        }
    }
}

/// The form in the table `rate_limits`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Login(address) => write!(f, "login:{address}"),
            Self::Picture(address) => write!(f, "picture:{address}"),
        }
    }
}

/// Returns what counts as one client: an IPv6 client has a whole /64 network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[derive(Clone, Copy, Default)]
struct Window {
    start: i64,
    /// Admitted by all replicas, as of the last exchange.
    known: u32,
    /// Admitted by this replica, and being sent by the current exchange.
    sending: u32,
    /// Admitted by this replica since.
    unsent: u32,
}

impl Window {
    fn count(self) -> u32 {
        self.known
            .saturating_add(self.sending)
            .saturating_add(self.unsent)
    }
}

/// The count of one window of one subject that an exchange sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) subject: Subject,
    /// The index of the rule in the subject's rules.
    pub(crate) rule: usize,
    pub(crate) start: i64,
    pub(crate) count: u32,
}

/// Counts requests in fixed windows in memory. The [exchange](crate::Exchange) adds the counts of other replicas.
pub(crate) struct Limiter {
    on: bool,
    windows: Mutex<HashMap<Subject, [Window; MAX_RULES]>>,
}

impl Limiter {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            windows: Mutex::default(),
        }
    }

    /// Admits a request, and counts it in each of the subject's windows, unless one of them is used up.
    ///
    /// `Ok` and `Err` hold what the tighter window leaves. Returns `None` if requests are not limited.
    pub(crate) fn take(&self, subject: Subject, now: i64) -> Option<Result<RateLimit, RateLimit>> {
        if !self.on {
            return None;
        }
        let mut all = self.lock();
        if all.len() >= MAX_SUBJECTS && !all.contains_key(&subject) {
            evict(&mut all, now);
            if all.len() >= MAX_SUBJECTS {
                return None;
            }
        }
        let windows = all.entry(subject).or_default();
        let rules = subject.rules();
        for (window, rule) in windows.iter_mut().zip(rules) {
            let start = start(now, rule.period);
            if window.start != start {
                *window = Window {
                    start,
                    ..Window::default()
                };
            }
        }
        let admitted = windows
            .iter()
            .zip(rules)
            .all(|(window, rule)| window.count() < rule.limit);
        if admitted {
            windows
                .iter_mut()
                .zip(rules)
                .for_each(|(window, _)| window.unsent += 1);
        }
        let tighter = windows
            .iter()
            .zip(rules)
            .map(|(window, rule)| RateLimit {
                limit: rule.limit,
                remaining: rule.limit.saturating_sub(window.count()),
                reset: window.start + i64::from(rule.period),
            })
            .min_by_key(|left| (left.remaining, -left.reset))?;
        Some(if admitted { Ok(tighter) } else { Err(tighter) })
    }

    /// Begins an exchange: returns the counts since the last one. Removes ended windows.
    pub(crate) fn unsent(&self, now: i64) -> Vec<Share> {
        let mut all = self.lock();
        all.retain(|subject, windows| {
            windows
                .iter()
                .zip(subject.rules())
                .any(|(window, rule)| window.start + i64::from(rule.period) > now)
        });
        let mut shares = Vec::new();
        for (subject, windows) in all.iter_mut() {
            for (rule, window) in windows.iter_mut().enumerate().filter(|(_, w)| w.unsent > 0) {
                window.sending = std::mem::take(&mut window.unsent);
                shares.push(Share {
                    subject: *subject,
                    rule,
                    start: window.start,
                    count: window.sending,
                });
            }
        }
        shares
    }

    /// Ends the exchange of a share, of which all replicas together have admitted `known`.
    pub(crate) fn commit(&self, share: Share, known: u32) {
        self.change(share, |window| (window.known, window.sending) = (known, 0));
    }

    /// Ends the failed exchange of a share: the next one sends it again.
    pub(crate) fn roll_back(&self, share: Share) {
        self.change(share, |window| {
            window.unsent += std::mem::take(&mut window.sending)
        });
    }

    fn change(&self, share: Share, change: impl FnOnce(&mut Window)) {
        let mut all = self.lock();
        let window = all
            .get_mut(&share.subject)
            .map(|windows| &mut windows[share.rule]);
        if let Some(window) = window.filter(|w| w.start == share.start) {
            change(window);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, [Window; MAX_RULES]>> {
        // Counts are consistent after every step, so a panic of another thread does not matter.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes windows that have ended, and those without unsent counts: the next exchange reads these again.
fn evict(all: &mut HashMap<Subject, [Window; MAX_RULES]>, now: i64) {
    all.retain(|subject, windows| {
        windows.iter().zip(subject.rules()).any(|(window, rule)| {
            window.start + i64::from(rule.period) > now && window.sending + window.unsent > 0
        })
    });
}

fn start(now: i64, period: u32) -> i64 {
    now - now.rem_euclid(i64::from(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_800;

    fn user() -> Subject {
        Subject::User(Uuid::from_u128(1))
    }

    #[test]
    fn a_minute_admits_a_hundred_and_an_hour_a_thousand() {
        let limiter = Limiter::new(true);
        let mut admitted = 0;
        for minute in 0..20 {
            for _ in 0..120 {
                admitted += u32::from(limiter.take(user(), NOW + minute * 60).unwrap().is_ok());
            }
            assert_eq!(
                admitted,
                (u32::try_from(minute + 1).unwrap() * 100).min(1000)
            );
        }
    }

    #[test]
    fn a_clock_that_is_set_back_or_on_locks_nobody_out() {
        let (limiter, user) = (Limiter::new(true), Subject::User(Uuid::new_v4()));
        let used_up = |now| {
            (0..100).all(|_| matches!(limiter.take(user, now), Some(Ok(_))))
                && matches!(limiter.take(user, now), Some(Err(_)))
        };
        let now = 1_800_000_000;
        for now in [now, now - 86_400, now + 86_400, now, 0, -1] {
            assert!(used_up(now), "{now}");
            let (Ok(left) | Err(left)) = limiter.take(user, now).unwrap();
            assert!((1..=3600).contains(&(left.reset - now)), "{now}: {left:?}");
        }
    }

    #[test]
    fn the_tighter_window_is_told() {
        let limiter = Limiter::new(true);
        let minute = start(NOW, 60) + 60;
        assert_eq!(
            limiter.take(user(), NOW),
            Some(Ok(RateLimit {
                limit: 100,
                remaining: 99,
                reset: minute
            }))
        );
        for m in 0..9 {
            for _ in 0..100 {
                limiter.take(user(), NOW + 60 + m * 60);
            }
        }
        let left = limiter.take(user(), NOW + 600).unwrap().unwrap();
        assert_eq!((left.limit, left.remaining), (1000, 98));
    }

    #[test]
    fn replicas_learn_of_each_other() {
        let limiter = Limiter::new(true);
        limiter.take(user(), NOW);
        let shares = limiter.unsent(NOW);
        assert_eq!(shares.iter().map(|s| s.count).collect::<Vec<_>>(), [1, 1]);
        limiter.take(user(), NOW);
        limiter.commit(shares[0], 100);
        limiter.roll_back(shares[1]);
        assert!(limiter.take(user(), NOW).unwrap().is_err());
        assert_eq!(
            limiter
                .unsent(NOW)
                .iter()
                .map(|s| s.count)
                .collect::<Vec<_>>(),
            [1, 2]
        );
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(true);
        for i in 0..60_000_u32 {
            limiter.take(Subject::login(IpAddr::from(i.to_be_bytes())), NOW);
            if i == 40_000 {
                limiter
                    .unsent(NOW)
                    .into_iter()
                    .for_each(|share| limiter.commit(share, 1));
            }
        }
        assert!(limiter.lock().len() <= MAX_SUBJECTS);
        limiter.unsent(NOW + 60);
        assert_eq!(limiter.lock().len(), 0);
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let subject = |text: &str| Subject::login(text.parse().unwrap());
        assert_eq!(subject("2001:db8::1"), subject("2001:db8::ffff"));
        assert_ne!(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
    }

    #[test]
    fn off_is_off() {
        assert_eq!(Limiter::new(false).take(user(), NOW), None);
    }
}
