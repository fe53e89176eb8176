// SPDX-License-Identifier: Apache-2.0
//! Several things at once, within one task.
//!
//! Depends on: nothing.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Waits for all; what they came to, in the order in which they ended.
pub(crate) async fn join<T>(futures: impl IntoIterator<Item = impl Future<Output = T> + Send>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done = Vec::with_capacity(waiting.len());
    poll_fn(|context| {
        waiting.retain_mut(|future| match Pin::new(future).poll(context) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                done.push(result);
                false
            }
        });
        match waiting.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done
}
