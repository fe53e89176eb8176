// SPDX-License-Identifier: Apache-2.0

use super::*;

fn chart(points: Vec<Point>) -> Chart {
    Chart {
        title: "a <b> & \"c\"".to_owned(),
        subtitle: "window=60s".to_owned(),
        load: "requests in flight".to_owned(),
        panels: vec![Panel {
            name: "x".to_owned(),
            figures: String::new(),
            points,
            width: 1,
        }],
    }
}

#[test]
fn texts_are_escaped_and_nothing_is_fetched() {
    let svg = chart(vec![Point::default()]).to_svg();
    assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !svg.contains("<b>"));
    assert!(!svg.contains("href") && !svg.contains("@import") && !svg.contains("url("));
}

#[test]
fn any_points_make_a_small_picture_of_finite_numbers() {
    let wild = |index: u32| Point {
        load: f64::from(index % 977) * 1e3,
        desired: f64::from(index % 31),
        ready: f64::from(index % 29),
        panic: index.is_multiple_of(7),
        cold_starts: u32::from(index.is_multiple_of(500)),
        ..Point::default()
    };
    for count in [0, 1, 2, 961, 9000] {
        let svg = chart((0..count).map(wild).collect()).to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{count}");
        assert!(svg.len() < 200_000, "{count}: {}", svg.len());
    }
}

#[test]
fn panic_is_shaded_once_a_run_and_cold_starts_are_marked() {
    let point = |panic, cold_starts| Point {
        panic,
        cold_starts,
        ..Point::default()
    };
    let svg = chart(vec![point(true, 1), point(true, 0), point(false, 0), point(true, 2)]).to_svg();
    // One more of each in the legend.
    assert_eq!(svg.matches("<rect class=\"panic\"").count(), 3);
    assert_eq!(svg.matches("<path class=\"cold\"").count(), 3);
}
