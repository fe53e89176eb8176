// SPDX-License-Identifier: Apache-2.0
//! What happened when, at a resolution that fits into memory.
//!
//! Mechanism: a point a second; when there are too many, neighbours are joined and each point covers twice the time.
//! Invariants: at most [`MOST`] points; sums and maxima survive joining.
//! Depends on: nothing.

/// The most points.
pub const MOST: usize = 4096;

/// What was true over some seconds: means, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Requests in flight and waiting.
    pub load: f64,
    /// Requests waiting.
    pub waiting: f64,
    /// Pods wanted.
    pub desired: f64,
    /// Pods that take requests.
    pub ready: f64,
    /// Pods that are starting.
    pub starting: f64,
    /// Whether the autoscaler was in panic at any time.
    pub panic: bool,
    /// Cold starts in this time.
    pub cold_starts: u32,
}

impl Point {
    fn with(self, other: Self) -> Self {
        let mean = |left: f64, right: f64| f64::midpoint(left, right);
        Self {
            load: mean(self.load, other.load),
            waiting: mean(self.waiting, other.waiting),
            desired: mean(self.desired, other.desired),
            ready: mean(self.ready, other.ready),
            starting: mean(self.starting, other.starting),
            panic: self.panic || other.panic,
            cold_starts: self.cold_starts.saturating_add(other.cold_starts),
        }
    }
}

/// Points in order, each over `width` seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    points: Vec<Point>,
    width: u64,
    /// What the next point has so far, and over how many seconds.
    open: Option<(Point, u64)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            width: 1,
            open: None,
        }
    }
}

impl Timeline {
    /// Adds the next second.
    pub fn push(&mut self, second: Point) {
        let (point, count) = match self.open.take() {
            None => (second, 1),
            Some((point, count)) => (add(point, count, second), count + 1),
        };
        if count < self.width {
            self.open = Some((point, count));
            return;
        }
        self.points.push(point);
        if self.points.len() >= MOST {
            self.points = joined(&self.points);
            self.width = self.width.saturating_mul(2);
        }
    }

    /// The points, and how many seconds each covers; the last may cover less.
    pub fn finish(mut self) -> (Vec<Point>, u64) {
        self.points.extend(self.open.map(|(point, _)| point));
        (self.points, self.width)
    }
}

/// At most `most` points (at least one) that say the same more coarsely, and by how much.
pub fn coarser(points: &[Point], most: usize) -> (Vec<Point>, u64) {
    let mut points = points.to_vec();
    let mut factor = 1_u64;
    while points.len() > most.max(1) {
        points = joined(&points);
        factor = factor.saturating_mul(2);
    }
    (points, factor)
}

fn joined(points: &[Point]) -> Vec<Point> {
    let pairs = points.chunks(2).filter_map(|pair| match pair {
        [left, right] => Some(left.with(*right)),
        [only] => Some(*only),
        _ => None,
    });
    pairs.collect()
}

/// The mean of `count` seconds and one more.
fn add(point: Point, count: u64, second: Point) -> Point {
    let count = count as f64;
    let mean = |left: f64, right: f64| (left * count + right) / (count + 1.0);
    Point {
        load: mean(point.load, second.load),
        waiting: mean(point.waiting, second.waiting),
        desired: mean(point.desired, second.desired),
        ready: mean(point.ready, second.ready),
        starting: mean(point.starting, second.starting),
        panic: point.panic || second.panic,
        cold_starts: point.cold_starts.saturating_add(second.cold_starts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_takes_no_more_memory_and_keeps_its_sums() {
        let mut timeline = Timeline::default();
        let seconds = 100_000_u32;
        for second in 0..seconds {
            timeline.push(Point {
                load: f64::from(second),
                cold_starts: u32::from(second % 10 == 0),
                ..Point::default()
            });
        }
        let (points, width) = timeline.finish();
        assert!(points.len() <= MOST && points.len() as u64 * width >= u64::from(seconds));
        assert_eq!(points.iter().map(|point| point.cold_starts).sum::<u32>(), 10_000);
        let first = points[0].load;
        assert_eq!(first, (width - 1) as f64 / 2.0);
    }
}
