//! Every engine is the same ordered map: they are held to a plain one, step by step.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

/// Few keys, of few bytes, so that changes meet and one key begins another.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), Just(1), Just(255)], 0..4)
}

fn batch() -> impl Strategy<Value = Vec<Change>> {
    let change = (key(), proptest::option::of(vec(any::<u8>(), 0..40)));
    vec(change.prop_map(|(key, value)| Change { key, value }), 0..12)
}

/// Reads all pages under a prefix.
fn everything(engine: &dyn Engine, prefix: &[u8]) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| key.clone());
        let page = engine.page(prefix, after.as_deref()).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn behaves(engine: &dyn Engine, batches: Vec<Vec<Change>>, prefix: &[u8]) {
    let mut model = BTreeMap::new();
    for batch in batches {
        engine.write(batch.clone()).unwrap();
        for Change { key, value } in batch {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        let expected: Vec<Entry> = model
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(everything(engine, prefix), expected);
        assert_eq!(engine.last_key(prefix).unwrap(), expected.last().map(|(key, _)| key.clone()));
        for (key, value) in &model {
            assert_eq!(engine.get(key).unwrap().as_ref(), Some(value));
        }
    }
}

proptest! {
    #[test]
    fn memory_is_an_ordered_map(batches in vec(batch(), 0..8), prefix in key()) {
        behaves(&Memory::default(), batches, &prefix);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sled_is_an_ordered_map(batches in vec(batch(), 0..8), prefix in key()) {
        let folder = tempfile::tempdir().unwrap();
        behaves(&SledFiles::open(folder.path()).unwrap(), batches, &prefix);
    }
}

#[test]
fn a_page_ends_when_it_is_full_and_nothing_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let engines: [Box<dyn Engine>; 2] =
        [Box::new(Memory::default()), Box::new(SledFiles::open(folder.path()).unwrap())];
    for engine in engines {
        let entry =
            |number: u16, bytes| Change { key: number.to_be_bytes().to_vec(), value: Some(vec![7; bytes]) };
        engine.write((0..300).map(|number| entry(number, 1)).collect()).unwrap();
        assert_eq!(engine.page(&[], None).unwrap().len(), PAGE_ENTRIES);
        engine.write((0..3).map(|number| entry(number, PAGE_BYTES - 3)).collect()).unwrap();
        assert_eq!(engine.page(&[], None).unwrap().len(), 2);
        assert_eq!(everything(&*engine, &[]).len(), 300);
    }
}

#[test]
fn what_sled_was_given_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    // small ones go to the log, large ones to files of their own
    let sizes = [10, 1 << 10, 200 << 10, 1 << 20];
    let entries: Vec<Entry> = (0_u8..).zip(sizes).map(|(key, size)| (vec![key], vec![key; size])).collect();
    let engine = SledFiles::open(folder.path()).unwrap();
    let put = |(key, value): &Entry| Change { key: key.clone(), value: Some(value.clone()) };
    engine.write(entries.iter().map(put).collect()).unwrap();
    assert!(std::fs::read_dir(folder.path().join("blobs")).unwrap().count() > 0);
    drop(engine);
    assert_eq!(everything(&SledFiles::open(folder.path()).unwrap(), &[]), entries);
}
