// SPDX-License-Identifier: Apache-2.0
//! The picture: load, pods, panic and cold starts over time, one panel a variant, as SVG.
//!
//! Mechanism: panels share their axes; the load is an area on the right axis, pods are steps on the left one. At most
//! `COLUMNS` points are drawn.
//! Invariants: one file without fonts, scripts or links; readable on light and on dark ground; texts are escaped.
//! Depends on: axis, timeline.

mod axis;
mod draw;
mod style;

use super::timeline::{Point, coarser};
use axis::{Axes, Axis, Scale, Time};
use draw::{Frame, escaped};

/// The most points of a panel.
const COLUMNS: usize = 960;
const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 72.0;
const TOP: f64 = 104.0;
const BOTTOM: f64 = 56.0;
/// Above each panel, for its name and its figures.
const CAPTION: f64 = 44.0;

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What tells it from the others.
    pub name: String,
    /// Its figures in a line.
    pub figures: String,
    /// What happened when.
    pub points: Vec<Point>,
    /// How many seconds a point covers.
    pub width: u64,
}

/// A whole picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// By which settings.
    pub subtitle: String,
    /// What the load is counted in.
    pub load: String,
    /// The panels, from the top.
    pub panels: Vec<Panel>,
}

impl Chart {
    /// The picture as the text of an SVG file.
    pub fn to_svg(&self) -> String {
        let plots: Vec<_> = self.panels.iter().map(Plot::of).collect();
        let most = |value: fn(&Point) -> f64| {
            let all = plots.iter().flat_map(|plot| &plot.points).map(value);
            all.fold(0.0, f64::max)
        };
        let axes = Axes {
            pods: Scale::of(Axis::Whole, most(|point| point.desired.max(point.ready))),
            load: Scale::of(Axis::Any, most(|point| point.load)),
            time: Time::of(plots.iter().map(Plot::seconds).fold(1.0, f64::max)),
        };
        let tall = if plots.len() == 1 { 300.0 } else { 170.0 };
        let step = CAPTION + tall;
        let height = TOP + step * plots.len() as f64 + BOTTOM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{label}\">\n<title>{label}</title>\n<style>{style}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
            label = escaped(&self.title),
            style = style::CSS,
        );
        svg += &draw::heading(&self.title, &self.subtitle, LEFT);
        svg += &draw::legend(&self.load, LEFT, TOP - 22.0, plots.iter().any(Plot::has_waiting));
        for (index, (panel, plot)) in self.panels.iter().zip(&plots).enumerate() {
            let frame = Frame {
                left: LEFT,
                right: WIDTH - RIGHT,
                top: TOP + step * index as f64 + CAPTION,
                bottom: TOP + step * (index + 1) as f64,
            };
            svg += &draw::caption(&frame, &panel.name, &panel.figures);
            svg += &draw::panel(&frame, &axes, &plot.points, plot.width);
        }
        let last = Frame {
            left: LEFT,
            right: WIDTH - RIGHT,
            top: TOP,
            bottom: TOP + step * plots.len() as f64,
        };
        svg += &draw::time_axis(&last, &axes.time);
        svg += "</svg>\n";
        svg
    }
}

/// What is drawn of a panel.
struct Plot {
    points: Vec<Point>,
    width: f64,
}

impl Plot {
    fn of(panel: &Panel) -> Self {
        let (points, factor) = coarser(&panel.points, COLUMNS);
        Self {
            points,
            width: panel.width.saturating_mul(factor) as f64,
        }
    }

    fn seconds(&self) -> f64 {
        self.width * self.points.len() as f64
    }

    fn has_waiting(&self) -> bool {
        self.points.iter().any(|point| point.waiting > 0.0)
    }
}

#[cfg(test)]
mod tests;
