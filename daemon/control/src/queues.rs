// SPDX-License-Identifier: Apache-2.0
//! The queues of all controllers, for the page of figures (data-plane spec 1.17).
//!
//! Depends on: queue, life (metrics).

use std::sync::{Arc, Mutex, PoisonError};

use life::metrics::{Page, Source};

use crate::queue::Queue;

/// Whoever has a queue.
#[derive(Debug, Default)]
pub struct Queues(Mutex<Vec<(&'static str, Arc<Queue>)>>);

impl Queues {
    /// Tells of a queue from now on, under this name.
    pub fn add(&self, name: &'static str, queue: &Arc<Queue>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((name, Arc::clone(queue)));
    }
}

impl Source for Queues {
    fn write(&self, page: &mut Page) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, queue) in all {
            queue.tell(name, page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use life::metrics::Registry;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_tells_how_many_waited_and_how_long() {
        let (queues, queue) = (Arc::new(Queues::default()), Arc::new(Queue::default()));
        queues.add("a", &queue);
        let registry = Registry::new();
        registry.add(&queues);
        queue.add(Key::new("default", "a"));
        queue.add(Key::new("default", "a"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let first = queue.next().await;
        queue.add(Key::new("default", "b"));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let page = registry.page();
        for line in [
            "kn_workqueue_depth{name=\"a\"} 1",
            "kn_workqueue_adds_total{name=\"a\"} 2",
            "kn_workqueue_retries_total{name=\"a\"} 0",
            "kn_workqueue_unfinished_work_seconds{name=\"a\"} 3",
            "kn_workqueue_longest_running_processor_seconds{name=\"a\"} 3",
            "kn_workqueue_queue_duration_seconds_count{name=\"a\"} 1",
            "kn_workqueue_queue_duration_seconds_sum{name=\"a\"} 0.2",
            "kn_workqueue_process_duration_seconds_count{name=\"a\"} 0",
        ] {
            assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
        }
        queue.add_failed(first.clone());
        queue.done(&first);
        let page = registry.page();
        for line in [
            "kn_workqueue_retries_total{name=\"a\"} 1",
            "kn_workqueue_unfinished_work_seconds{name=\"a\"} 0",
            "kn_workqueue_process_duration_seconds_sum{name=\"a\"} 3",
        ] {
            assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
        }
    }
}
