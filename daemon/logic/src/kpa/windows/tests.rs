// SPDX-License-Identifier: Apache-2.0
//! The door: what gets into the windows.

use super::*;

#[test]
fn a_sample_that_is_no_number_is_refused_and_poisons_nothing() {
    let mut windows = Windows::of(&Spec::default());
    let now = Moment::from_unix_seconds(100);
    assert_eq!(windows.record(now, 4.0), Ok(()));
    assert_eq!(
        windows.record(now, f64::INFINITY),
        Err(SampleError::NotFinite(f64::INFINITY))
    );
    assert!(windows.record(now, f64::NAN).is_err());
    assert_eq!(windows.record(now, -1e300), Err(SampleError::TooLarge(-1e300)));
    assert_eq!(
        windows.averages(now),
        Some(Averages {
            stable: 4.0,
            panic: 4.0
        })
    );
    assert_eq!(windows.averages_with(now, f64::NAN), None);
}

#[test]
fn there_is_no_average_after_a_stable_window_of_silence() {
    let mut windows = Windows::of(&Spec::default());
    assert_eq!(windows.averages(Moment::from_unix_seconds(100)), None);
    assert_eq!(windows.record(Moment::from_unix_seconds(100), 4.0), Ok(()));
    let silent = windows.averages(Moment::from_unix_seconds(160));
    assert_eq!(
        silent,
        Some(Averages {
            stable: 0.0,
            panic: 0.0
        })
    );
    assert_eq!(windows.averages(Moment::from_unix_seconds(161)), None);
}
