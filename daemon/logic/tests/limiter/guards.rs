// SPDX-License-Identifier: Apache-2.0
//! Who goes before he heard of an offer, or before he took it up, returns it: else its slot is kept for nobody.

use logic::limiter::shared::{Admit, Admitted, Message, Shared};
use logic::limiter::{Backends, Home, Limiter, NodeId, PodId, PodSpec, Rebuff, Settings};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const OWNER: NodeId = NodeId(0);
const POD: PodId = PodId(0);

type Sent = Arc<Mutex<Vec<Message>>>;

/// A daemon with one waiting request, to which the pod's owner, who refused it, now offers a slot.
fn offered() -> (Arc<Shared>, Sent, Admit) {
    let sent = Sent::default();
    let outbox = sent.clone();
    let tell = Box::new(move |_, message| outbox.lock().unwrap().push(message));
    let shared: Arc<Shared> = Shared::new(Limiter::new(Settings::new(1), 1), tell);
    let pod = PodSpec {
        id: POD,
        home: Home::Peer(OWNER),
        accepting: true,
    };
    shared.set_backends(Backends::Pods(&[pod]));
    let Some(Admitted::AtPeer(asking)) = poll(&mut shared.admit(1)) else {
        panic!("not to be asked for")
    };
    let mut waits = asking.refused(Rebuff::Busy(1)).unwrap();
    assert!(poll(&mut waits).is_none());
    shared.offered(OWNER, POD, 2);
    (shared, sent, waits)
}

fn poll(admit: &mut Admit) -> Option<Admitted> {
    match Pin::new(admit).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(admitted) => Some(admitted.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn an_offer_that_nobody_heard_of_is_declined() {
    let (shared, sent, waits) = offered();
    drop(waits);
    assert_eq!(*sent.lock().unwrap(), [Message::Decline(POD, 2)]);
    assert_eq!(shared.counts().present(), 0);
}

#[test]
fn an_offer_that_is_not_taken_up_is_declined() {
    let (shared, sent, mut waits) = offered();
    let heard = poll(&mut waits).unwrap();
    assert_eq!(*sent.lock().unwrap(), []);
    drop(heard);
    assert_eq!(*sent.lock().unwrap(), [Message::Decline(POD, 2)]);
    assert_eq!(shared.counts().present(), 0);
}

#[test]
fn an_offer_of_a_lost_peer_is_not_declined() {
    let (shared, sent, waits) = offered();
    shared.peer_gone(OWNER);
    drop(waits);
    assert_eq!(*sent.lock().unwrap(), []);
    assert_eq!(shared.counts().present(), 0);
}
