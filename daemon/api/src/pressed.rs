// SPDX-License-Identifier: Apache-2.0
//! Objects that nobody looks at for a while, in little room.
//!
//! Problem: an object in memory takes five to ten times its text, and thousands of objects of a kind differ in little
//! more than names.
//! Mechanism: a [`Slot`] holds an object as it is until somebody presses it: to its JSON, compressed against a sample of
//! its kind ([`Press`]). Whoever looks then gets an object made again of that. [`Fresh`] says when: so many objects were
//! written after it.
//! Invariants: what is read is what was put in: what would not come back the same is not pressed.
//! Depends on: serde_json, lz4_flex.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest sample: bytes.
const LONGEST_SAMPLE: usize = 8 << 10;
/// The most levels that a value may have which is not read back; JSON is read to 128.
const DEEPEST: usize = 100;

/// An object that can be pressed.
pub trait Pressable: Serialize + DeserializeOwned + PartialEq {}

impl<T: Serialize + DeserializeOwned + PartialEq> Pressable for T {}

/// The place of one version of an object, as it is or pressed; clones of its `Arc` see the same.
#[derive(Debug)]
pub struct Slot<T>(Mutex<State<T>>);

#[derive(Debug)]
enum State<T> {
    Whole(Arc<T>),
    Pressed(Pressed),
}

/// An object's JSON, compressed.
#[derive(Debug)]
struct Pressed {
    bytes: Box<[u8]>,
    /// Of the text.
    length: usize,
    sample: Arc<[u8]>,
}

impl<T: Pressable> Slot<T> {
    /// The place of an object.
    #[must_use]
    pub fn new(object: Arc<T>) -> Self {
        Self(Mutex::new(State::Whole(object)))
    }

    /// The object.
    #[must_use]
    #[expect(clippy::expect_used, reason = "invariant: it was read back when it was pressed")]
    pub fn get(&self) -> Arc<T> {
        match &*self.state() {
            State::Whole(object) => Arc::clone(object),
            State::Pressed(pressed) => Arc::new(pressed.object().expect("invariant: it was read back")),
        }
    }

    /// Calls `write` with the object's JSON, or with the object if it is not pressed.
    pub fn text<R>(&self, write: impl FnOnce(Result<&[u8], &T>) -> R) -> R {
        let state = self.state();
        match &*state {
            State::Whole(object) => {
                let object = Arc::clone(object);
                drop(state);
                write(Err(&object))
            }
            State::Pressed(pressed) => {
                let text = pressed.text();
                drop(state);
                write(Ok(&text.unwrap_or_default()))
            }
        }
    }

    /// Whether it is pressed now.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        matches!(&*self.state(), State::Pressed(_))
    }

    /// Makes it small, if it would come back the same.
    pub fn press(&self, press: &mut Press) {
        self.press_by(|object| press.press(object));
    }

    fn press_by(&self, press: impl FnOnce(&T) -> Option<Pressed>) {
        let object = match &*self.state() {
            State::Whole(object) => Arc::clone(object),
            State::Pressed(_) => return,
        };
        if let Some(pressed) = press(&object) {
            *self.state() = State::Pressed(pressed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<Value> {
    /// As [`Slot::press`], and does not read back what comes back the same by its nature.
    pub fn press_json(&self, press: &mut Press) {
        self.press_by(|object| match is_exact(object, DEEPEST) {
            true => press.pack(object),
            false => press.press(object),
        });
    }
}

/// Whether a value is the same after it was written and read: fractions may be rounded, and what is too deep is not read.
fn is_exact(value: &Value, deepest: usize) -> bool {
    let Some(within) = deepest.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Array(all) => all.iter().all(|one| is_exact(one, within)),
        Value::Object(all) => all.values().all(|one| is_exact(one, within)),
    }
}

impl Pressed {
    fn text(&self) -> Option<Vec<u8>> {
        lz4_flex::block::decompress_with_dict(&self.bytes, self.length, &self.sample).ok()
    }

    fn object<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.text()?).ok()
    }
}

/// Presses objects of one kind.
#[derive(Clone, Debug, Default)]
pub struct Press {
    /// The longest text up to now.
    sample: Arc<[u8]>,
}

impl Press {
    fn press<T: Pressable>(&mut self, object: &T) -> Option<Pressed> {
        let pressed = self.pack(object)?;
        (pressed.object::<T>()? == *object).then_some(pressed)
    }

    fn pack<T: Serialize>(&mut self, object: &T) -> Option<Pressed> {
        let text = serde_json::to_vec(object).ok()?;
        let pressed = Pressed {
            bytes: lz4_flex::block::compress_with_dict(&text, &self.sample).into(),
            length: text.len(),
            sample: Arc::clone(&self.sample),
        };
        // It grows by an eighth at least, so that few samples are kept.
        if text.len() > self.sample.len() + self.sample.len() / 8 && text.len() <= LONGEST_SAMPLE {
            self.sample = text.into();
        }
        Some(pressed)
    }
}

/// The places that were written last, oldest first; what falls out is to be pressed.
#[derive(Clone, Debug)]
pub struct Fresh<P> {
    places: VecDeque<P>,
    most: usize,
}

impl<P> Fresh<P> {
    /// Of at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            places: VecDeque::new(),
            most,
        }
    }

    /// Adds one, and answers the one that is no longer fresh.
    pub fn add(&mut self, place: P) -> Option<P> {
        self.places.push_back(place);
        (self.places.len() > self.most)
            .then(|| self.places.pop_front())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-f]{1,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_put_in(objects in proptest::collection::vec(any_json(), 1..8)) {
            let (mut press, mut of_json) = (Press::default(), Press::default());
            let slots: Vec<_> = objects.iter().map(|object| Slot::new(Arc::new(object.clone()))).collect();
            let of_jsons: Vec<_> = objects.iter().map(|object| Slot::new(Arc::new(object.clone()))).collect();
            for (slot, of_json_too) in slots.iter().zip(&of_jsons) {
                slot.press(&mut press);
                slot.press(&mut press);
                of_json_too.press_json(&mut of_json);
            }
            for (slot, object) in slots.iter().zip(&objects).chain(of_jsons.iter().zip(&objects)) {
                prop_assert_eq!(&*slot.get(), object);
                let read: Value = slot.text(|text| match text {
                    Ok(text) => serde_json::from_slice(text).unwrap(),
                    Err(object) => object.clone(),
                });
                prop_assert_eq!(&read, object);
            }
        }
    }

    #[test]
    fn objects_of_a_kind_share_what_they_have_in_common() {
        let object = |name: u32| {
            let labels = json!({"app": name.to_string(), "serving.knative.dev/configurationGeneration": "1"});
            json!({"kind": "Service", "metadata": {"labels": labels, "name": format!("service-{name}")},
                "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8012}]}})
        };
        let mut press = Press::default();
        let sizes = (0..3).map(|name| {
            let text = object(name).to_string().len();
            (text, press.press(&object(name)).unwrap().bytes.len())
        });
        let sizes: Vec<_> = sizes.collect();
        assert!(
            sizes.iter().skip(1).all(|(text, pressed)| pressed * 4 < *text),
            "{sizes:?}"
        );
    }

    #[test]
    fn what_would_come_back_different_stays_as_it_is() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Forgetful {
            #[serde(skip)]
            forgotten: u32,
        }
        let slot = Slot::new(Arc::new(Forgetful { forgotten: 7 }));
        slot.press(&mut Press::default());
        assert_eq!(slot.get().forgotten, 7);
    }

    #[test]
    fn json_that_cannot_be_read_stays_as_it_is() {
        let deep = (0..200).fold(json!(1), |within, _| json!([within]));
        let slot = Slot::new(Arc::new(deep.clone()));
        slot.press_json(&mut Press::default());
        assert!(!slot.is_pressed());
        assert_eq!(*slot.get(), deep);
        let flat = Slot::new(Arc::new(json!({"a": [1, -1, u64::MAX, "\u{0}\"", null, {}]})));
        flat.press_json(&mut Press::default());
        assert!(flat.is_pressed());
    }

    #[test]
    fn the_oldest_falls_out() {
        let mut fresh = Fresh::new(2);
        assert_eq!(
            [1, 2, 3, 4].map(|place| fresh.add(place)),
            [None, None, Some(1), Some(2)]
        );
    }
}
