// SPDX-License-Identifier: Apache-2.0
//! The parts of the picture, as SVG elements.
//!
//! Mechanism: coordinates have one decimal; steps are drawn by horizontal and vertical moves, equal neighbours once.
//! Depends on: axis, timeline.

use super::axis::{Axes, Scale, Time};
use crate::replay::timeline::Point;
use std::fmt::Write as _;

/// Where a panel is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    fn x(&self, part: f64) -> f64 {
        self.left + (self.right - self.left) * part.clamp(0.0, 1.0)
    }

    fn y(&self, part: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * part.clamp(0.0, 1.0)
    }
}

/// Text that is safe between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

fn text(class: &str, x: f64, y: f64, anchor: &str, content: &str) -> String {
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
        escaped(content)
    )
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\n",
        from.0, from.1, to.0, to.1
    )
}

/// Title and settings.
pub(super) fn heading(title: &str, subtitle: &str, left: f64) -> String {
    text("title", left, 34.0, "start", title) + &text("", left, 55.0, "start", subtitle)
}

/// What the lines and areas are.
pub(super) fn legend(load: &str, left: f64, y: f64, has_waiting: bool) -> String {
    let mut out = String::new();
    let mut x = left;
    let mut entry = |mark: &dyn Fn(f64) -> String, name: &str, wide: f64| {
        out += &mark(x);
        out += &text("", x + 26.0, y + 4.0, "start", name);
        x += wide;
    };
    let area = |class: &'static str| {
        move |x: f64| {
            format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"20\" height=\"12\"/>\n",
                y - 6.0
            )
        }
    };
    let stroke = |class: &'static str| move |x: f64| line(class, (x, y), (x + 20.0, y));
    entry(&area("load"), load, 26.0 + 6.2 * load.chars().count() as f64 + 12.0);
    if has_waiting {
        entry(&area("waiting"), "of these, waiting", 140.0);
    }
    entry(&stroke("desired"), "pods desired", 118.0);
    entry(&stroke("ready"), "pods ready", 108.0);
    entry(&area("panic"), "panic", 78.0);
    entry(&|x| triangle(x + 10.0, y - 5.0), "cold start", 0.0);
    out
}

/// A mark that points down at `y` + 9.
fn triangle(x: f64, y: f64) -> String {
    format!("<path class=\"cold\" d=\"M{:.1} {y:.1}h10l-5 9z\"/>\n", x - 5.0)
}

/// A panel's name and figures.
pub(super) fn caption(frame: &Frame, name: &str, figures: &str) -> String {
    let y = frame.top - 16.0;
    text("name", frame.left, y, "start", name) + &text("", frame.right, y, "end", figures)
}

/// A panel: axes, shades, areas, lines, marks.
pub(super) fn panel(frame: &Frame, axes: &Axes, points: &[Point], width: f64) -> String {
    let part = |index: usize| index as f64 * width / axes.time.seconds;
    let mut out = shades(frame, points, &part);
    out += &grid(frame, axes);
    let load = |point: &Point| point.load / axes.load.top;
    let waiting = |point: &Point| point.waiting / axes.load.top;
    out += &area(frame, "load", points, &part, &load);
    if points.iter().any(|point| point.waiting > 0.0) {
        out += &area(frame, "waiting", points, &part, &waiting);
    }
    let desired = |point: &Point| point.desired / axes.pods.top;
    let ready = |point: &Point| point.ready / axes.pods.top;
    for (class, value) in [("desired", &desired as &dyn Fn(&Point) -> f64), ("ready", &ready)] {
        let steps = steps(frame, points, &part, value);
        let _ = writeln!(out, "<path class=\"{class}\" d=\"{steps}\"/>");
    }
    for (index, _) in points.iter().enumerate().filter(|(_, point)| point.cold_starts > 0) {
        let x = frame.x(part(index));
        out += &line("coldline", (x, frame.top), (x, frame.bottom));
        out += &triangle(x, frame.top - 9.0);
    }
    out
}

/// Where there was panic.
fn shades(frame: &Frame, points: &[Point], part: &dyn Fn(usize) -> f64) -> String {
    let mut out = String::new();
    let mut begin = None;
    let ended = points.iter().map(|point| point.panic).chain([false]);
    for (index, panic) in ended.enumerate() {
        match (panic, begin) {
            (true, None) => begin = Some(index),
            (false, Some(from)) => {
                let (left, right) = (frame.x(part(from)), frame.x(part(index)));
                let _ = writeln!(
                    out,
                    "<rect class=\"panic\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                    frame.top,
                    (right - left).max(1.0),
                    frame.bottom - frame.top
                );
                begin = None;
            }
            _ => {}
        }
    }
    out
}

fn grid(frame: &Frame, axes: &Axes) -> String {
    let mut out = String::new();
    let middle = f64::midpoint(frame.top, frame.bottom);
    for (part, label) in axes.pods.ticks() {
        let y = frame.y(part);
        out += &line("grid", (frame.left, y), (frame.right, y));
        out += &text("pods", frame.left - 8.0, y + 4.0, "end", &label);
    }
    for (part, _) in axes.time.ticks() {
        out += &line("grid", (frame.x(part), frame.top), (frame.x(part), frame.bottom));
    }
    out += &right_axis(frame, &axes.load);
    out += &line("edge", (frame.left, frame.bottom), (frame.right, frame.bottom));
    out += &turned("pods", frame.left - 44.0, middle, "pods");
    out += &turned("loads", frame.right + 60.0, middle, "requests");
    out
}

fn right_axis(frame: &Frame, load: &Scale) -> String {
    let mut out = String::new();
    for (part, label) in load.ticks() {
        let y = frame.y(part);
        out += &line("edge", (frame.right, y), (frame.right + 4.0, y));
        out += &text("loads", frame.right + 8.0, y + 4.0, "start", &label);
    }
    out
}

/// Text that runs upwards.
fn turned(class: &str, x: f64, y: f64, content: &str) -> String {
    format!(
        "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        escaped(content)
    )
}

fn area(
    frame: &Frame,
    class: &str,
    points: &[Point],
    part: &dyn Fn(usize) -> f64,
    value: &dyn Fn(&Point) -> f64,
) -> String {
    let steps = steps(frame, points, part, value);
    let right = frame.x(part(points.len()));
    format!(
        "<path class=\"{class}\" d=\"M{:.1} {:.1}L{}L{right:.1} {:.1}z\"/>\n",
        frame.left,
        frame.bottom,
        steps.trim_start_matches('M'),
        frame.bottom
    )
}

/// A line in steps.
fn steps(frame: &Frame, points: &[Point], part: &dyn Fn(usize) -> f64, value: &dyn Fn(&Point) -> f64) -> String {
    let mut out = String::new();
    let mut last = String::new();
    for (index, point) in points.iter().enumerate() {
        let y = format!("{:.1}", frame.y(value(point)));
        if index == 0 {
            let _ = write!(out, "M{:.1} {y}", frame.x(0.0));
        } else if y != last {
            let _ = write!(out, "H{:.1}V{y}", frame.x(part(index)));
        }
        last = y;
    }
    let _ = write!(out, "H{:.1}", frame.x(part(points.len())));
    out
}

/// The time axis below the last panel.
pub(super) fn time_axis(frame: &Frame, time: &Time) -> String {
    let mut out = String::new();
    for (part, label) in time.ticks() {
        let x = frame.x(part);
        out += &line("edge", (x, frame.bottom), (x, frame.bottom + 5.0));
        out += &text("", x, frame.bottom + 19.0, "middle", &label);
    }
    let middle = f64::midpoint(frame.left, frame.right);
    out + &text(
        "",
        middle,
        frame.bottom + 40.0,
        "middle",
        "time since the start of the trace",
    )
}
