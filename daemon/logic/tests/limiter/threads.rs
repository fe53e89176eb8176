// SPDX-License-Identifier: Apache-2.0
//! The shared limiter under shuttle: every access of its lock is a point where another thread may go on.

use logic::limiter::shared::{Admit, Admitted, Core, Exclusive, Message, Shared};
use logic::limiter::{Backends, Counts, Home, Limiter, NodeId, PodId, PodSpec, QueueBound, Rebuff, Refusal, Settings};
use shuttle::sync::atomic::{AtomicU32, Ordering::SeqCst};
use shuttle::{future, thread};
use std::sync::Arc;

/// A lock that shuttle sees.
struct Lock<T>(shuttle::sync::Mutex<T>);

impl<T: Send> Exclusive<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }
}

type Limited = Shared<Lock<Core>>;

fn pod(id: u64, home: Home) -> PodSpec {
    PodSpec {
        id: PodId(id),
        home,
        accepting: true,
    }
}

fn limited(concurrency: u32, pods: &[PodSpec]) -> Arc<Limited> {
    let shared = Shared::new(Limiter::new(Settings::new(concurrency), 1), Box::new(|_, _| {}));
    shared.set_backends(Backends::Pods(pods));
    shared
}

/// Runs on a pod for a moment, and fails if too many do.
fn run(admitted: Result<Admitted<Lock<Core>>, Refusal>, on_pods: &[AtomicU32], concurrency: u32) {
    let Ok(Admitted::Here(permit)) = admitted else {
        panic!("not admitted")
    };
    let on = &on_pods[permit.pod().0 as usize];
    assert!(on.fetch_add(1, SeqCst) < concurrency, "overshoot");
    thread::yield_now();
    on.fetch_sub(1, SeqCst);
}

/// Polls once; then gives up if it has to wait.
async fn impatient(mut admit: Admit<Lock<Core>>) -> Option<Result<Admitted<Lock<Core>>, Refusal>> {
    let mut polled = false;
    std::future::poll_fn(|context| {
        use std::task::Poll;
        match std::pin::Pin::new(&mut admit).poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if polled => Poll::Ready(None),
            Poll::Pending => {
                polled = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

fn tasks_share_pods() {
    let shared = limited(1, &[pod(0, Home::Here), pod(1, Home::Here)]);
    let on_pods: Arc<[AtomicU32; 2]> = Arc::default();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (shared, on_pods) = (shared.clone(), on_pods.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    run(future::block_on(shared.admit(1)), &*on_pods, 1);
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(shared.counts(), Counts::default());
}

fn some_give_up_while_pods_come_and_go() {
    let pods = [pod(0, Home::Here), pod(1, Home::Here)];
    let shared = limited(1, &[]);
    let on_pods: Arc<[AtomicU32; 2]> = Arc::default();
    let patient: Vec<_> = (0..2)
        .map(|_| {
            let (shared, on_pods) = (shared.clone(), on_pods.clone());
            thread::spawn(move || run(future::block_on(shared.admit(1)), &*on_pods, 1))
        })
        .collect();
    let impatient_ones: Vec<_> = (0..2)
        .map(|_| {
            let (shared, on_pods) = (shared.clone(), on_pods.clone());
            thread::spawn(move || {
                if let Some(admitted) = future::block_on(impatient(shared.admit(1))) {
                    run(admitted, &*on_pods, 1);
                }
            })
        })
        .collect();
    shared.set_backends(Backends::Pods(&pods));
    shared.drain(PodId(0));
    shared.set_backends(Backends::Pods(&pods[..1]));
    patient
        .into_iter()
        .chain(impatient_ones)
        .for_each(|task| task.join().unwrap());
    assert_eq!(shared.counts(), Counts::default());
}

/// Three wait for one pod; all must run at once.
fn a_pod_comes_for_many() {
    let shared = limited(3, &[]);
    let together = Arc::new(shuttle::sync::Barrier::new(3));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (shared, together) = (shared.clone(), together.clone());
            thread::spawn(move || {
                let admitted = future::block_on(shared.admit(1));
                together.wait();
                drop(admitted);
            })
        })
        .collect();
    shared.set_backends(Backends::Pods(&[pod(0, Home::Here)]));
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

/// Two daemons; the second has no pod of its own and asks the first, whose own requests want the same slot.
fn peers_share_one_slot() {
    let wire: Arc<shuttle::sync::Mutex<Vec<(NodeId, Message)>>> = Arc::default();
    let queue_for = |concurrency, pods: &[PodSpec], to: Arc<shuttle::sync::Mutex<Vec<(NodeId, Message)>>>| {
        let outbox = Box::new(move |node, message| to.lock().unwrap().push((node, message)));
        let settings = Settings {
            queue: QueueBound::Waiting(8),
            ..Settings::new(concurrency)
        };
        let shared: Arc<Limited> = Shared::new(Limiter::new(settings, 1), outbox);
        shared.set_backends(Backends::Pods(pods));
        shared
    };
    let owner = queue_for(1, &[pod(0, Home::Here)], wire.clone());
    let other = queue_for(1, &[pod(0, Home::Peer(NodeId(0)))], wire.clone());
    let on_pods: Arc<[AtomicU32; 1]> = Arc::default();
    let left = Arc::new(AtomicU32::new(4));
    let mut tasks: Vec<_> = (0..2)
        .map(|_| {
            let (owner, on_pods, left) = (owner.clone(), on_pods.clone(), left.clone());
            thread::spawn(move || {
                run(future::block_on(owner.admit(1)), &*on_pods, 1);
                left.fetch_sub(1, SeqCst);
            })
        })
        .collect();
    tasks.extend((0..2).map(|_| {
        let (owner, other, on_pods, left) = (owner.clone(), other.clone(), on_pods.clone(), left.clone());
        thread::spawn(move || {
            let mut admit = other.admit(1);
            loop {
                let Ok(Admitted::AtPeer(asking)) = future::block_on(admit) else {
                    panic!("not asked")
                };
                match owner.ask(NodeId(1), asking.ask().pod, asking.ask().offer) {
                    Ok(permit) => {
                        let here = asking.granted().unwrap();
                        run(Ok(Admitted::Here(permit)), &*on_pods, 1);
                        drop(here);
                        break;
                    }
                    Err(refusal) => admit = asking.refused(Rebuff::Busy(refusal)).unwrap(),
                }
            }
            left.fetch_sub(1, SeqCst);
        })
    }));
    // The post between them.
    loop {
        let message = wire.lock().unwrap().pop();
        match message {
            Some((_, Message::Offer(pod, offer))) => other.offered(NodeId(0), pod, offer),
            Some((_, Message::Decline(_, offer))) => owner.declined(NodeId(1), offer),
            None if left.load(SeqCst) == 0 => break,
            None => thread::yield_now(),
        }
    }
    tasks.into_iter().for_each(|task| task.join().unwrap());
    while let Some((_, message)) = { wire.lock().unwrap().pop() } {
        match message {
            Message::Offer(pod, offer) => other.offered(NodeId(0), pod, offer),
            Message::Decline(_, offer) => owner.declined(NodeId(1), offer),
        }
    }
    assert_eq!(owner.counts(), Counts::default());
    assert_eq!(other.counts(), Counts::default());
}

#[test]
fn slots_are_conserved_between_threads() {
    shuttle::check_random(tasks_share_pods, 1000);
    shuttle::check_pct(tasks_share_pods, 500, 3);
}

#[test]
fn one_event_wakes_all_that_it_frees() {
    shuttle::check_random(a_pod_comes_for_many, 500);
}

#[test]
fn who_gives_up_leaves_nothing_and_wakes_the_next() {
    shuttle::check_random(some_give_up_while_pods_come_and_go, 1500);
    shuttle::check_pct(some_give_up_while_pods_come_and_go, 500, 3);
}

#[test]
fn a_peer_is_served_in_turn_with_the_owner() {
    shuttle::check_random(peers_share_one_slot, 1000);
}
