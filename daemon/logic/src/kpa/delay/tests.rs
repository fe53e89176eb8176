// SPDX-License-Identifier: Apache-2.0
//! The scale-down delay against V19 and against a slow model.

use super::*;
use proptest::prelude::*;

fn at_slot(slot: u64) -> Moment {
    Moment::from_unix_seconds(slot * 2)
}

#[test]
fn a_smaller_number_counts_after_the_delay() {
    let mut window = DelayWindow::new(Duration::from_secs(5)).unwrap();
    assert_eq!(window.record(at_slot(100), 8), 8);
    assert_eq!(window.record(at_slot(101), 3), 8);
    assert_eq!(window.record(at_slot(102), 3), 8);
    assert_eq!(window.record(at_slot(103), 3), 3);
}

#[test]
fn the_larger_of_two_numbers_in_one_slot_counts() {
    let mut window = DelayWindow::new(Duration::from_secs(2)).unwrap();
    assert_eq!(window.record(at_slot(100), 8), 8);
    assert_eq!(window.record(at_slot(100), 3), 8);
}

#[test]
fn no_delay_is_no_window() {
    assert_eq!(DelayWindow::new(Duration::ZERO), None);
}

proptest! {
    #[test]
    fn it_is_the_maximum_of_its_slots(records in prop::collection::vec((0u64..4, 0i32..50), 1..60), delay in 1u64..20) {
        let mut window = DelayWindow::new(Duration::from_secs(delay)).unwrap();
        let mut all: Vec<(u64, i32)> = Vec::new();
        let mut slot = 1000;
        for (step, value) in records {
            slot += step;
            all.push((slot, value));
            let expected = all.iter().filter(|(at, _)| at + delay.div_ceil(2) > slot).map(|(_, value)| *value).max();
            prop_assert_eq!(Some(window.record(at_slot(slot), value)), expected);
        }
    }
}
