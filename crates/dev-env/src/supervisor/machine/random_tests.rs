//! Any sequence of events: after each of them every service runs or is explained, and everything can go on.

use proptest::prelude::*;

use super::tests::World;
use super::*;
use crate::report::up::Service;

/// Something that may happen next. What cannot happen at that moment is skipped.
#[derive(Clone, Debug)]
enum Step {
    /// One of the jobs ends.
    Finish {
        which: usize,
        succeeds: bool,
        variant: u8,
    },
    Save(u8),
    Order(Order),
    ApiIsReady,
    ApiIsNotReady,
    ApiExits,
    ServerExits,
    ServerBreaks,
    SessionIsRefused,
    TimePasses,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop_oneof![
        Just(Order::Restart(None)),
        Just(Order::Restart(Some(Service::Api))),
        Just(Order::Restart(Some(Service::Db))),
        Just(Order::ChangePassword),
    ];
    prop_oneof![
        12 => (any::<usize>(), prop::bool::weighted(0.75), 0..5_u8)
            .prop_map(|(which, succeeds, variant)| Step::Finish { which, succeeds, variant }),
        3 => (0..5_u8).prop_map(Step::Save),
        2 => order.prop_map(Step::Order),
        4 => Just(Step::ApiIsReady),
        1 => Just(Step::ApiIsNotReady),
        1 => Just(Step::ApiExits),
        1 => Just(Step::ServerExits),
        1 => Just(Step::ServerBreaks),
        1 => Just(Step::SessionIsRefused),
        3 => Just(Step::TimePasses),
        1 => (0..40_u64).prop_map(Step::Wait),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Finish {
            which,
            succeeds,
            variant,
        } if !world.jobs.is_empty() => {
            world.variant = *variant;
            let kind = world.jobs[which % world.jobs.len()].kind();
            world.finish(kind, *succeeds);
        }
        Step::Save(name) => world.save(&[&format!("{name}.rs")]),
        Step::Order(order) => world.order(*order),
        Step::ApiIsReady if world.waits_for_api() => world.api_is_ready(),
        Step::ApiIsNotReady if world.waits_for_api() => {
            world.event(Event::ApiNotReady(super::tests::end_of_process()));
        }
        Step::ApiExits if world.api => world.api_exits(),
        Step::ServerExits if world.server => world.server_exits(),
        Step::ServerBreaks if world.server => {
            world.event(Event::DatabaseBroken("no socket".to_owned()));
        }
        Step::SessionIsRefused if world.server => {
            world.event(Event::SessionRefused("no memory".to_owned()));
        }
        Step::TimePasses => drop(world.pass()),
        Step::Wait(seconds) => world.now += std::time::Duration::from_secs(*seconds),
        _ => {}
    }
}

/// Whether the database is external, whether everything runs at the beginning, and what happens.
type Story = (bool, bool, Vec<Step>);

fn story() -> impl Strategy<Value = Story> {
    (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        prop::collection::vec(step(), 0..60),
    )
}

fn world((is_external, runs, steps): &Story) -> World {
    let mut world = if *runs {
        World::where_everything_runs(*is_external)
    } else {
        World::new(*is_external)
    };
    steps.iter().for_each(|step| take(&mut world, step));
    world.variant = 0;
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_service_runs_again_and_every_order_is_answered_once_nothing_fails(story in story()) {
        let mut world = world(&story);
        world.settle();
        if world.end.is_none() {
            prop_assert!(world.api && world.server != story.0 && world.machine.is_idle());
            prop_assert!(world.orders.is_empty());
        } else {
            prop_assert!(!world.api && !world.server);
        }
    }

    #[test]
    fn everything_is_stopped_after_a_stop_at_any_time(story in story(), later in prop::collection::vec(step(), 0..20)) {
        let mut world = world(&story);
        world.event(Event::StopAsked);
        later.iter().for_each(|step| take(&mut world, step));
        world.settle();
        prop_assert!(world.end.is_some() && world.jobs.is_empty());
        prop_assert!(!world.api && !world.server && world.draining == 0);
    }

    #[test]
    fn a_second_stop_ends_at_once(story in story()) {
        let mut world = world(&story);
        world.event(Event::StopAsked);
        world.event(Event::StopInsisted);
        prop_assert!(world.end.is_some() && world.jobs.is_empty());
    }
}
