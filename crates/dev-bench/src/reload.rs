//! Edits that go live: how long they take, whether a request is lost meanwhile, and whether what answers is ever not what was saved.
//!
//! In a copy of the checkout. Beside it the same edits are made with `cargo build` and a restart.

mod clients;
mod editor;
mod edits;
mod plainly;
mod playground;
mod up;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::database::Scratch;
use super::figures::median;
use super::{BenchError, Figure, Target, Unit, machine, memory, programs};
use clients::{Clients, Seen};
use dev_env::engines::Kind;
use dev_env::report::events::Events;
use dev_env::report::reload::{Builder, Times};
use dev_env::{Environment, Error};
use editor::Check;
use edits::{Edits, Files};
use plainly::Plainly;
use playground::{Playground, Room};
use up::{Tool, Up};

/// Edits of each kind: a hundred, with those of migrations and settings.
const EDITS: [(Room, usize); 7] = [
    (Room::Handler, 20),
    (Room::Schema, 10),
    (Room::Service, 10),
    (Room::Query, 10),
    (Room::Core, 8),
    (Room::Db, 6),
    (Room::Guard, 6),
];
/// And edits of what other crates know of one.
const TOLD: [(Room, usize); 3] = [(Room::Core, 8), (Room::Db, 6), (Room::Guard, 6)];
const MIGRATIONS: usize = 10;
const SETTINGS: usize = 20;
/// Edits that do not compile, among the others.
const BROKEN: usize = 20;
/// Edits of features in a workspace with twice as many.
const DOUBLED: usize = 20;
/// Edits of a feature while an editor checks it at each save.
const CHECKED: usize = 30;
/// How many edits of each group are also made plainly.
const PLAIN: usize = 20;
/// Edits at random.
const RANDOM: usize = 300;
/// How long the environment is watched while nothing happens.
const REST: Duration = Duration::from_secs(10);
/// And asked, to know how long answers take while nothing is edited.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// Measures all of it, over an engine; over containers nothing that is a process of this machine, and no edits at random, which compare
/// the same builds. Takes most of an hour. `program` is the tool. Dropped before its end, it stops what it has started; containers are
/// stopped by the next one.
///
/// # Errors
/// An edit does not go live, or a request is lost, or what answers is not what was saved.
pub async fn reload(
    environment: &Environment,
    program: &Path,
    engine: Kind,
    events: &Events,
) -> Result<Vec<Figure>, BenchError> {
    let generator = programs::generator(&environment.checkout, events).await?;
    if let Some(disturbance) = machine::disturbance().await {
        events.warn(disturbance);
    }
    let scratch = Scratch::new(&environment.checkout).await?;
    let mut bench = Bench::new(
        environment,
        Tool { program, engine },
        &scratch,
        None,
        events,
    )
    .await?;
    let mut figures = bench.idle().await?;
    figures.extend(bench.hundred(&generator).await?);
    if engine == Kind::Native {
        figures.extend(bench.checked(&generator).await?);
    }
    figures.push(bench.doubled().await?);
    if engine == Kind::Native {
        figures.push(bench.first_build());
        figures.push(bench.random(RANDOM, 1).await?);
    }
    bench.stop().await?;
    Ok(figures)
}

/// Measures edits while an editor runs `cargo check` at each save, over the native engine.
///
/// # Errors
/// An edit does not go live, or a request is lost.
pub async fn checked_edits(
    environment: &Environment,
    program: &Path,
    events: &Events,
) -> Result<Vec<Figure>, BenchError> {
    let generator = programs::generator(&environment.checkout, events).await?;
    let scratch = Scratch::new(&environment.checkout).await?;
    let tool = Tool {
        program,
        engine: Kind::Native,
    };
    let mut bench = Bench::new(environment, tool, &scratch, None, events).await?;
    let figures = bench.checked(&generator).await?;
    bench.stop().await?;
    Ok(figures)
}

/// Makes edits at random, compares what answers with what an ordinary build answers after each of them, and says what it saw.
///
/// # Errors
/// What answers is not what was saved. The same `seed` makes the same edits; what the service depends on is taken from `built`, a build
/// folder of cargo's.
pub async fn random_edits(
    environment: &Environment,
    program: &Path,
    count: usize,
    seed: u64,
    built: &Path,
    events: &Events,
) -> Result<Figure, BenchError> {
    let scratch = Scratch::new(&environment.checkout).await?;
    let tool = Tool {
        program,
        engine: Kind::Native,
    };
    let mut bench = Bench::new(environment, tool, &scratch, Some(built), events).await?;
    let figure = bench.random(count, seed).await?;
    bench.stop().await?;
    Ok(figure)
}

struct Bench<'a> {
    playground: Playground,
    up: Up<'a>,
    plainly: Plainly,
    events: &'a Events,
    engine: Kind,
    /// How long the first build took: cargo's, and the environment's, which makes a database too.
    first: [Duration; 2],
}

impl<'a> Bench<'a> {
    async fn new(
        environment: &Environment,
        tool: Tool<'a>,
        scratch: &Scratch,
        built: Option<&Path>,
        events: &'a Events,
    ) -> Result<Self, BenchError> {
        let checkout = &environment.checkout;
        let (logs, copy) = (scratch.path().join("logs"), |name: &str| {
            Playground::new(checkout, scratch.path().join(name), built)
        });
        std::fs::create_dir(&logs).map_err(|source| Error::io("make", &logs, source))?;
        let plainly = Plainly::new(copy("plainly").await?, logs);
        let playground = copy("checkout").await?;
        let files = Edits::new(0).files();
        save(&playground, &Files::new(), &files)?;
        save(&plainly.playground, &Files::new(), &files)?;
        events.phase("the first build, by cargo");
        let by_cargo = plainly.build().await?;
        events.phase("the first build, by cargo dev up");
        let (up, by_up) = Up::start(tool, &playground).await?;
        Ok(Self {
            playground,
            up,
            plainly,
            events,
            engine: tool.engine,
            first: [by_cargo, by_up],
        })
    }

    async fn stop(mut self) -> Result<(), BenchError> {
        self.plainly.stop().await?;
        self.up.stop(&self.playground).await
    }

    fn first_build(&self) -> Figure {
        let [cargo, up] = self.first.map(|took| took.as_secs_f64());
        Figure {
            name: "first cargo dev up / first cargo build".to_owned(),
            value: up / cargo,
            unit: Unit::Ratio,
            target: Some(Target::AtMost(1.3)),
            compared: format!(
                "{up:.1} s, with a new database, and {cargo:.1} s, both with nothing built"
            ),
        }
    }

    async fn idle(&self) -> Result<Vec<Figure>, BenchError> {
        self.events
            .phase("watching the environment while nothing happens");
        let Some(pid) = self.up.pid() else {
            return Ok(Vec::new());
        };
        let before = machine::seconds_of(pid);
        tokio::time::sleep(REST).await;
        let (Some(before), Some(after)) = (before, machine::seconds_of(pid)) else {
            return Ok(Vec::new());
        };
        let share = (after - before) / REST.as_secs_f64();
        let compared = "the supervisor, while nothing happens".to_owned();
        Ok(vec![
            Figure {
                name: "idle supervisor, part of a core".to_owned(),
                value: share,
                unit: Unit::Ratio,
                target: Some(Target::AtMost(0.01)),
                compared: compared.clone(),
            },
            Figure {
                name: "idle supervisor, resident memory".to_owned(),
                value: memory::resident(pid).await.unwrap_or(f64::NAN),
                unit: Unit::Megabytes,
                target: Some(Target::AtMost(30.0)),
                compared,
            },
        ])
    }

    /// A hundred edits under load, and those that do not compile.
    async fn hundred(&mut self, generator: &Path) -> Result<Vec<Figure>, BenchError> {
        let clients = Clients::start(generator, self.up.port).await?;
        tokio::time::sleep(UNDISTURBED).await;
        let undisturbed = clients.finish().await?;

        let clients = Clients::start(generator, self.up.port).await?;
        let mut taken: BTreeMap<&str, Taken> = BTreeMap::new();
        let mut broken = 0;
        let bodies = EDITS.iter().map(|(room, times)| (*room, false, *times));
        let groups = bodies.chain(TOLD.iter().map(|(room, times)| (*room, true, *times)));
        let edits: Vec<_> = groups
            .flat_map(|(room, told, times)| std::iter::repeat_n((room, told), times))
            .collect();
        let change = |told| {
            if told {
                Playground::mark_and_tell
            } else {
                Playground::mark
            }
        };
        for (n, (room, told)) in edits.iter().copied().enumerate() {
            self.events.phase(format!("edit {} of a hundred", n + 1));
            if n % 3 == 0 && broken < BROKEN {
                broken += 1;
                self.broken().await?;
            }
            let (took, times) = self.edit(room, change(told)).await?;
            taken.entry(group(room, told)).or_default().add(took, times);
        }
        for n in 0..MIGRATIONS {
            taken
                .entry("a migration")
                .or_default()
                .add_reload(self.migration(n).await?);
        }
        for n in 0..SETTINGS {
            let (took, times) = self.setting(n).await?;
            taken.entry(".env").or_default().add(took, times);
        }
        let (seen, engine) = (clients.finish().await?, self.engine);
        // The clients are gone: they would wait for these builds. All edits are made, as those at random compare what both show.
        self.plainly.again().await?;
        for (n, (room, told)) in edits.into_iter().enumerate() {
            self.events
                .phase(format!("edit {} of a hundred, plainly", n + 1));
            change(told)(&mut self.plainly.playground, room)?;
            let group = taken.entry(group(room, told)).or_default();
            if group.plain.len() < PLAIN {
                group.plain.push(self.plainly.again().await?);
            }
        }
        let mut figures: Vec<Figure> = taken
            .into_iter()
            .map(|(group, taken)| {
                taken.figure(
                    &format!("edit in {group}, live after"),
                    target(group, engine),
                )
            })
            .collect();
        figures.push(longest(&undisturbed, &seen));
        Ok(figures)
    }

    /// Edits of a feature under load, while an editor checks it.
    async fn checked(&mut self, generator: &Path) -> Result<Vec<Figure>, BenchError> {
        self.events.phase("a first cargo check");
        Check::prepare(&self.playground).await?;
        let clients = Clients::start(generator, self.up.port).await?;
        tokio::time::sleep(UNDISTURBED).await;
        let undisturbed = clients.finish().await?;

        let clients = Clients::start(generator, self.up.port).await?;
        let mut taken = Taken::default();
        for n in 0..CHECKED {
            self.events
                .phase(format!("edit {} of {CHECKED} beside cargo check", n + 1));
            let (what, saved) = ("an edit beside cargo check", Instant::now());
            let shown = self.playground.mark(Room::Handler)?;
            self.plainly.playground.mark(Room::Handler)?;
            let check = Check::start(&self.playground).await?;
            let live = self.up.shows(&shown, what).await?;
            taken.add(live - saved, self.up.live(&self.playground, what).await?);
            check.finish().await?;
        }
        let seen = clients.finish().await?;
        let mut longest = longest(&undisturbed, &seen);
        longest.name.push_str(", beside cargo check");
        let name = "edit in a feature beside cargo check of it, live after";
        Ok(vec![taken.figure(name, Some(1000.0)), longest])
    }

    /// Edits of a feature where there are twice as many.
    async fn doubled(&mut self) -> Result<Figure, BenchError> {
        self.events.phase("twice the features");
        self.playground.double()?;
        self.plainly.playground.double()?;
        self.up.live(&self.playground, "twice the features").await?;
        let mut taken = Taken::default();
        for _ in 0..DOUBLED {
            let (took, times) = self.edit(Room::Handler, Playground::mark).await?;
            taken.add(took, times);
            self.plainly.playground.mark(Room::Handler)?;
        }
        Ok(taken.figure(
            "the same with twice the features",
            target(FEATURE, self.engine),
        ))
    }

    /// Edits at random, each compared with an ordinary build.
    async fn random(&mut self, count: usize, seed: u64) -> Result<Figure, BenchError> {
        let mut edits = Edits::new(seed);
        let (mut kinds, mut fast) = (BTreeMap::<&str, usize>::new(), 0);
        for n in 0..count {
            let before = edits.files();
            let what = edits.next();
            self.events
                .phase(format!("edit {} of {count} at random: {what}", n + 1));
            let files = edits.files();
            save(&self.playground, &before, &files)?;
            save(&self.plainly.playground, &before, &files)?;
            let named = format!("{what} (edit {n} of the seed {seed})");
            let times = self.up.live(&self.playground, &named).await?;
            self.plainly.again().await?;
            let (shown, expected) = (self.up.marks().await?, self.plainly.marks().await?);
            if shown != expected {
                return Err(BenchError::Stale {
                    what: named,
                    shown,
                    expected,
                });
            }
            *kinds.entry(what).or_default() += 1;
            fast += usize::from(times.builder == Some(Builder::Fast));
        }
        let kinds: Vec<_> = kinds
            .into_iter()
            .map(|(what, times)| format!("{times} × {what}"))
            .collect();
        Ok(Figure {
            name: "edits at random that answered as an ordinary build".to_owned(),
            value: 1.0,
            unit: Unit::Ratio,
            target: Some(Target::AtLeast(1.0)),
            compared: format!(
                "{count}, {fast} of them by the fast way: {}",
                kinds.join(", ")
            ),
        })
    }

    /// One edit: from the save to the first answer of the new code.
    async fn edit(&mut self, room: Room, change: Change) -> Result<(Duration, Times), BenchError> {
        let (what, saved) = (format!("an edit of {room:?}"), Instant::now());
        let shown = change(&mut self.playground, room)?;
        let live = self.up.shows(&shown, &what).await?;
        Ok((live - saved, self.up.live(&self.playground, &what).await?))
    }

    /// An edit that does not compile, and its mending, which is nothing new to what runs.
    async fn broken(&mut self) -> Result<(), BenchError> {
        const FILE: &str = "backend/entries/src/services.rs";
        self.playground
            .edit(FILE, "fn mark() -> u32 {", "fn mark() -> u32 { oh dear")?;
        self.up
            .failed(&self.playground, "an edit that does not compile")
            .await?;
        self.playground
            .edit(FILE, "fn mark() -> u32 { oh dear", "fn mark() -> u32 {")?;
        self.up
            .live(&self.playground, "its mending")
            .await
            .map(drop)
    }

    async fn migration(&mut self, n: usize) -> Result<Times, BenchError> {
        self.events
            .phase(format!("migration {} of {MIGRATIONS}", n + 1));
        let file = |way: &str| {
            format!(
                "backend/db/migrations/{}_bench.{way}.sql",
                29_990_101_000_000 + n
            )
        };
        self.playground
            .write(&file("down"), &format!("DROP TABLE bench_{n};\n"))?;
        self.playground
            .write(&file("up"), &format!("CREATE TABLE bench_{n} ();\n"))?;
        self.up.live(&self.playground, "a migration").await
    }

    async fn setting(&mut self, n: usize) -> Result<(Duration, Times), BenchError> {
        let (before, after) = (
            format!("https://n{n}.example"),
            format!("https://n{}.example", n + 1),
        );
        if n == 0 {
            let path = self.playground.root().join(".env");
            let text = std::fs::read_to_string(&path)
                .map_err(|source| Error::io("read", &path, source))?;
            self.playground
                .write(".env", &format!("{text}ALLOWED_ORIGINS={before}\n"))?;
            self.up.live(&self.playground, "a first setting").await?;
        }
        let saved = Instant::now();
        self.playground.edit(".env", &before, &after)?;
        let allowed = format!("access-control-allow-origin: {after}");
        let live = self
            .up
            .answers(
                playground::MARKS,
                &format!("Origin: {after}\r\n"),
                |answer| answer.contains(&allowed),
                "a setting",
            )
            .await?;
        Ok((
            live - saved,
            self.up.live(&self.playground, "a setting").await?,
        ))
    }
}

/// An edit of a room, which says what is shown from then on.
type Change = fn(&mut Playground, Room) -> Result<String, BenchError>;

/// What edits of one group took.
#[derive(Default)]
struct Taken {
    live: Vec<Duration>,
    plain: Vec<Duration>,
    fast: usize,
}

impl Taken {
    fn add(&mut self, took: Duration, times: Times) {
        self.live.push(took);
        self.fast += usize::from(times.builder == Some(Builder::Fast));
    }

    fn add_reload(&mut self, times: Times) {
        self.add(Duration::from_millis(times.total_ms), times);
    }

    fn figure(self, name: &str, target: Option<f64>) -> Figure {
        let ms = |took: &Duration| took.as_secs_f64() * 1000.0;
        let all: Vec<f64> = self.live.iter().map(ms).collect();
        let (count, worst) = (all.len(), all.iter().copied().fold(0.0, f64::max));
        let mut compared = format!(
            "median of {count}, the worst {worst:.0} ms, {} by the fast way",
            self.fast
        );
        let value = median(all);
        if !self.plain.is_empty() {
            let plain = median(self.plain.iter().map(ms).collect());
            compared += &format!(
                "; cargo build and a restart, without the load, {plain:.0} ms, {:.2} of it",
                value / plain
            );
        }
        Figure {
            name: name.to_owned(),
            value,
            unit: Unit::Milliseconds,
            target: target.map(Target::AtMost),
            compared,
        }
    }
}

const FEATURE: &str = "a feature";
const BELOW: &str = "core, db or guard";
const TOLD_BELOW: &str = "what these show others";

fn group(room: Room, told: bool) -> &'static str {
    match room {
        Room::Handler | Room::Schema | Room::Service | Room::Query => FEATURE,
        Room::Core | Room::Db | Room::Guard if told => TOLD_BELOW,
        Room::Core | Room::Db | Room::Guard => BELOW,
    }
}

/// In milliseconds.
fn target(group: &str, engine: Kind) -> Option<f64> {
    match (group, engine) {
        (FEATURE, Kind::Native) => Some(800.0),
        (FEATURE, Kind::Docker) => Some(1100.0),
        (BELOW | TOLD_BELOW, _) => Some(3500.0),
        (".env", _) => Some(300.0),
        _ => None,
    }
}

fn longest(undisturbed: &Seen, seen: &Seen) -> Figure {
    let [new, kept] = seen.answered;
    Figure {
        name: "the longest answer meanwhile, less the longest before".to_owned(),
        value: seen.longest_ms - undisturbed.longest_ms,
        unit: Unit::Milliseconds,
        target: Some(Target::AtMost(100.0)),
        compared: format!(
            "{:.1} and {:.1} ms; {new} requests over new connections and {kept} over kept ones were answered, none was lost, and a WebSocket was told to come back {} times",
            seen.longest_ms, undisturbed.longest_ms, seen.restarts
        ),
    }
}

/// Writes what differs, and removes what is gone.
fn save(playground: &Playground, before: &Files, after: &Files) -> Result<(), BenchError> {
    for (file, text) in after
        .iter()
        .filter(|(file, text)| before.get(*file) != Some(text))
    {
        playground.write(file, text)?;
    }
    before
        .keys()
        .filter(|file| !after.contains_key(*file))
        .try_for_each(|file| playground.remove(file))
}
