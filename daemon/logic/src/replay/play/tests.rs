// SPDX-License-Identifier: Apache-2.0

use super::*;
use proptest::prelude::*;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    Settings::of(&pairs.iter().map(own).collect::<Vec<_>>()).unwrap()
}

/// Requests at these milliseconds, each so many long.
fn play(settings: &Settings, requests: &[(u64, u64)]) -> Outcome {
    let start = requests.first().map_or(0, |(start, _)| start * 1_000_000);
    let mut simulation = Simulation::new(settings, start);
    for (start, duration) in requests {
        let arrival = Arrival {
            start: start * 1_000_000,
            duration: duration * 1_000_000,
        };
        simulation.arrive(arrival).unwrap();
    }
    simulation.finish()
}

/// So many requests a second over some seconds, each so many milliseconds long.
fn steady(per_second: u64, seconds: u64, duration: u64) -> Vec<(u64, u64)> {
    let all = 0..per_second * seconds;
    all.map(|index| (index * 1000 / per_second, duration)).collect()
}

#[test]
fn a_cold_start_takes_the_start_up_time_and_with_events_hardly_more() {
    let zero = |events| settings(&[("pods", "0"), ("start-up", "3s"), ("events", events)]);
    let cold = play(&zero("on"), &[(500, 100), (600, 100)]);
    assert_eq!((cold.cold_starts, cold.cold_requests, cold.answered), (1, 2, 2));
    assert_eq!(cold.waits.longest(), Duration::from_secs(3));
    let ticks = play(&zero("off"), &[(500, 100)]);
    assert!(
        ticks.waits.longest() >= Duration::from_millis(4500),
        "{:?}",
        ticks.waits.longest()
    );
    assert_eq!(ticks.cold_starts, 1);
}

#[test]
fn pods_follow_the_load_up_and_to_zero() {
    let outcome = play(
        &settings(&[("capacity", "10"), ("tail", "200s")]),
        &steady(50, 120, 1000),
    );
    let at = |second: usize| outcome.points[second];
    // 50 in flight, 7 a pod.
    assert_eq!((at(100).desired, at(100).ready), (8.0, 8.0));
    assert!((at(100).load - 50.0).abs() < 1.0, "{:?}", at(100));
    assert!(outcome.panic_seconds > 0);
    let last = outcome.points.last().unwrap();
    assert_eq!((last.ready, last.desired, last.load), (0.0, 0.0, 0.0));
    assert_eq!(outcome.answered, 6000);
}

#[test]
fn settings_bound_the_pods() {
    let load = steady(100, 60, 1000);
    assert_eq!(
        play(&settings(&[("target", "1"), ("max-scale", "3")]), &load).most_ready,
        3
    );
    let least = play(&settings(&[("min-scale", "2"), ("tail", "300s")]), &load);
    assert_eq!(least.points.last().unwrap().ready, 2.0);
    let kept = play(&settings(&[("enable-scale-to-zero", "false"), ("tail", "300s")]), &load);
    assert_eq!(kept.points.last().unwrap().ready, 1.0);
}

#[test]
fn a_full_queue_refuses() {
    let outcome = play(
        &settings(&[("queue", "5"), ("capacity", "1"), ("max-scale", "1")]),
        &(0..20).map(|_| (0, 1000)).collect::<Vec<_>>(),
    );
    assert_eq!((outcome.answered, outcome.refused), (6, 14));
}

#[test]
fn a_target_that_wants_the_world_is_capped() {
    let set = settings(&[("target", "0.01"), ("capacity", "0")]);
    let outcome = play(&set, &steady(1000, 20, 1000));
    assert!(outcome.is_capped && outcome.most_ready <= MOST_PODS);
}

#[test]
fn too_many_requests_at_a_time_are_an_error_not_memory() {
    let mut simulation = Simulation::new(&settings(&[]), 0);
    let arrival = Arrival {
        start: 0,
        duration: 1 << 60,
    };
    let taken = (0..=MOST_PRESENT)
        .take_while(|_| simulation.arrive(arrival).is_ok())
        .count();
    assert_eq!(taken, MOST_PRESENT);
}

#[test]
fn pod_seconds_are_the_area_under_the_pods() {
    let set = settings(&[("min-scale", "3"), ("max-scale", "3"), ("pods", "3"), ("tail", "10s")]);
    let outcome = play(&set, &[(0, 1000)]);
    assert_eq!(outcome.time, Duration::from_secs(11));
    assert_eq!(outcome.pod_seconds, 33.0);
}

fn requests() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let gap = prop_oneof![8 => 0..200_u64, 1 => 0..200_000_u64];
    prop::collection::vec((gap, 0..5_000_u64), 1..300).prop_map(|gaps| {
        let mut now = 0;
        let arrive = gaps.into_iter().map(|(gap, duration)| {
            now += gap;
            (now, duration)
        });
        arrive.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_request_is_answered_refused_or_still_here(
        requests in requests(), capacity in 0..4_u32, queue in 0..20_u32, pods in 0..3_u32, start in 0..20_u32, on in any::<bool>()
    ) {
        let mut set = settings(&[("tail", "1s"), ("max-scale", "2")]);
        set.model.capacity = capacity;
        set.model.queue = queue;
        set.model.pods = Some(pods);
        set.model.start_up = Duration::from_secs(u64::from(start));
        set.model.events = on;
        let outcome = play(&set, &requests);
        prop_assert_eq!(outcome.requests, requests.len() as u64);
        prop_assert_eq!(outcome.requests, outcome.answered + outcome.refused + outcome.running + outcome.waiting);
        prop_assert_eq!(outcome.waits.count(), outcome.answered + outcome.running);
        prop_assert!(outcome.cold_starts <= outcome.cold_requests);
    }

    #[test]
    fn the_same_trace_and_seed_give_the_same(requests in requests(), seed in any::<u64>(), capacity in 0..6_u32) {
        let mut set = settings(&[("target", "2")]);
        set.model.seed = seed;
        set.model.capacity = capacity;
        prop_assert_eq!(play(&set, &requests), play(&set, &requests));
    }

    /// First come, first served over slots that are all alike: with one more slot nobody waits longer.
    #[test]
    fn more_pods_never_mean_more_waiting(requests in requests(), pods in 1..4_u32, capacity in 1..4_u32) {
        let fixed = |pods: u32| {
            let mut set = settings(&[("queue", "1000000"), ("tail", "1h")]);
            (set.config.min_scale, set.config.max_scale) = (pods as i32, pods as i32);
            set.model.pods = Some(pods);
            set.model.capacity = capacity;
            play(&set, &requests)
        };
        let (few, many) = (fixed(pods), fixed(pods + 1));
        prop_assert!(many.waits.total() <= few.waits.total());
        prop_assert!(many.waits.longest() <= few.waits.longest());
        prop_assert_eq!(few.answered, requests.len() as u64);
    }
}
