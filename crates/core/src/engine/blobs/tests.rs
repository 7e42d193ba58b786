use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 1_000_000;

fn hash(number: u8) -> BlobHash {
    BlobHash::of(&[number])
}

fn new(number: u8, links: &[u8]) -> NewBlob {
    let links = links.iter().copied().map(hash).collect();
    NewBlob { hash: hash(number), size: SIZE, serial: number.into(), links }
}

fn blobs(room: u64) -> Blobs {
    Blobs::new(room * footprint(SIZE))
}

fn add(blobs: &mut Blobs, number: u8, links: &[u8]) -> Result<(), Reason> {
    blobs.store(vec![new(number, links)]).map(drop)
}

fn pass_lease(blobs: &mut Blobs) {
    blobs.set_now(blobs.now + limits::BLOB_LEASE);
}

#[test]
fn blob_that_was_free_first_leaves_first() {
    let mut blobs = blobs(2);
    add(&mut blobs, 1, &[]).unwrap();
    pass_lease(&mut blobs);
    add(&mut blobs, 2, &[]).unwrap();
    pass_lease(&mut blobs);
    blobs.extend_lease(&hash(1));
    pass_lease(&mut blobs);
    add(&mut blobs, 3, &[]).unwrap();
    assert!(blobs.is_stored(&hash(1)) && !blobs.is_stored(&hash(2)));
    let (record, effect) = blobs.take_removed().unwrap();
    assert_eq!(record, Record::Blob(BlobRecord::Removed { hashes: vec![hash(2)] }));
    let removed = vec![StoredBlob { hash: hash(2), serial: 2 }];
    assert_eq!(effect, Effect::RemoveBlobs { blobs: removed });
    assert_eq!(blobs.take_removed(), None);
}

#[test]
fn new_blob_stays_for_its_lease() {
    let mut blobs = blobs(1);
    add(&mut blobs, 1, &[]).unwrap();
    let Err(Reason::NoSpace { need, free, budget, .. }) = add(&mut blobs, 2, &[]) else { panic!() };
    assert_eq!((need, free, budget), (footprint(SIZE), 0, footprint(SIZE)));
    pass_lease(&mut blobs);
    add(&mut blobs, 2, &[]).unwrap();
    assert!(!blobs.is_stored(&hash(1)));
}

#[test]
fn held_or_pinned_blob_stays() {
    let mut blobs = blobs(2);
    add(&mut blobs, 1, &[]).unwrap();
    add(&mut blobs, 2, &[]).unwrap();
    blobs.hold(&hash(1));
    blobs.change(&hash(2), |entry| entry.pinned = true);
    pass_lease(&mut blobs);
    let Err(refused @ Reason::NoSpace { in_use, .. }) = add(&mut blobs, 3, &[]) else { panic!() };
    let one = footprint(SIZE);
    let expected = BlobUse { pinned: one, held: one, arriving: 0, others: 0 };
    assert_eq!(in_use, Some(expected));
    let text = refused.to_string();
    assert!(text.contains(&format!("{one} are pinned, {one} needed by tasks")), "{text}");
    assert_eq!(blobs.evict_all(), 0);
    blobs.release(&hash(1));
    blobs.change(&hash(2), |entry| entry.pinned = false);
    assert_eq!(blobs.evict_all(), 2 * footprint(SIZE));
    assert_eq!((blobs.used, blobs.table.len()), (0, 0));
}

#[test]
fn folder_keeps_what_it_names() {
    let mut blobs = blobs(4);
    let missing = add(&mut blobs, 3, &[1]).unwrap_err();
    assert_eq!(missing, Reason::BlobMissing { hash: hash(1) });
    assert_eq!(blobs.used, 0, "nothing is added with a missing part");
    let all = vec![new(1, &[]), new(2, &[1]), new(3, &[2, 1])];
    blobs.store(all).unwrap();
    blobs.hold(&hash(3));
    pass_lease(&mut blobs);
    assert_eq!(blobs.evict_all(), 0);
    blobs.release(&hash(3));
    assert_eq!(blobs.evict_all(), 3 * footprint(SIZE));
    assert!(blobs.table.is_empty(), "{:?}", blobs.table);
}

#[test]
fn lost_blob_is_counted_until_it_is_stored_again() {
    let mut blobs = blobs(4);
    add(&mut blobs, 1, &[]).unwrap();
    blobs.hold(&hash(1));
    blobs.evict(&hash(1));
    assert_eq!((blobs.space().lost, blobs.space().blobs, blobs.used), (1, 0, 0));
    add(&mut blobs, 1, &[]).unwrap();
    assert_eq!((blobs.space().lost, blobs.space().blobs), (0, 1));
    pass_lease(&mut blobs);
    assert_eq!(blobs.evict_all(), 0, "the hold is still there");
    blobs.evict(&hash(1));
    blobs.release(&hash(1));
    assert!(blobs.table.is_empty());
}

#[test]
fn reserved_bytes_are_not_free() {
    let mut blobs = blobs(1);
    blobs.reserve(footprint(SIZE)).unwrap();
    assert!(blobs.reserve(1).is_err());
    blobs.unreserve(footprint(SIZE));
    blobs.reserve(footprint(SIZE)).unwrap();
}

#[test]
fn blob_stored_again_has_its_new_file() {
    let mut blobs = blobs(4);
    add(&mut blobs, 1, &[]).unwrap();
    let again = NewBlob { serial: 77, ..new(1, &[]) };
    assert_eq!(blobs.store(vec![again]).unwrap(), [], "it needs no second record");
    pass_lease(&mut blobs);
    blobs.evict_all();
    let (_, effect) = blobs.take_removed().unwrap();
    let removed = vec![StoredBlob { hash: hash(1), serial: 77 }];
    assert_eq!(effect, Effect::RemoveBlobs { blobs: removed });
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Hold(u8),
    Release(u8),
    Pin(u8, bool),
    Lose(u8),
    Collect,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..8_u8;
    prop_oneof![
        4 => number.clone().prop_map(Step::Add),
        2 => number.clone().prop_map(Step::Hold),
        2 => number.clone().prop_map(Step::Release),
        1 => (number.clone(), any::<bool>()).prop_map(|(number, on)| Step::Pin(number, on)),
        1 => number.prop_map(Step::Lose),
        1 => Just(Step::Collect),
        2 => Just(Step::Wait),
    ]
}

/// The blobs that a blob names: its bytes decide, and it cannot name itself.
fn links(number: u8) -> &'static [u8] {
    [&[], &[], &[], &[1][..], &[1, 2], &[], &[3, 5], &[0]][usize::from(number)]
}

/// What the table should know, in its plainest form.
#[derive(Default)]
struct Model {
    holds: BTreeMap<u8, u32>,
    links: BTreeMap<u8, Vec<u8>>,
    pinned: BTreeSet<u8>,
}

impl Model {
    /// Held, or pinned.
    fn roots(&self) -> BTreeSet<u8> {
        let held = self.holds.iter().filter(|(_, holds)| **holds > 0).map(|(number, _)| *number);
        held.chain(self.pinned.iter().copied()).collect()
    }

    /// The blobs that must stay: the roots, and what stored ones of them name.
    fn needed(&self) -> BTreeSet<u8> {
        let (mut needed, mut open) = (self.roots(), Vec::from_iter(self.roots()));
        while let Some(number) = open.pop() {
            let named = self.links.get(&number).into_iter().flatten();
            open.extend(named.filter(|link| needed.insert(**link)));
        }
        needed
    }

    /// The roots, and everything that a stored blob names.
    fn kept_by_others(&self) -> BTreeSet<u8> {
        self.roots().into_iter().chain(self.links.values().flatten().copied()).collect()
    }

    fn forget(&mut self, number: u8) {
        self.links.remove(&number);
        self.pinned.remove(&number);
    }
}

proptest! {
    #[test]
    fn needed_blobs_stay_and_sums_are_right(steps in prop::collection::vec(step(), 1..60)) {
        let mut blobs = blobs(4);
        let mut model = Model::default();
        for step in steps {
            let needed = model.needed();
            match step {
                Step::Add(number) => {
                    if add(&mut blobs, number, links(number)).is_ok() {
                        model.links.insert(number, links(number).to_vec());
                    }
                }
                Step::Hold(number) => {
                    blobs.hold(&hash(number));
                    *model.holds.entry(number).or_default() += 1;
                }
                Step::Release(number) => {
                    if let Some(holds) = model.holds.get_mut(&number).filter(|holds| **holds > 0) {
                        *holds -= 1;
                        blobs.release(&hash(number));
                    }
                }
                Step::Pin(number, on) if blobs.is_stored(&hash(number)) => {
                    blobs.change(&hash(number), |entry| entry.pinned = on);
                    if on { model.pinned.insert(number); } else { model.pinned.remove(&number); }
                }
                Step::Lose(number) => {
                    blobs.evict(&hash(number));
                    model.forget(number);
                }
                Step::Collect => drop(blobs.evict_all()),
                Step::Wait => pass_lease(&mut blobs),
                Step::Pin(..) => {}
            }
            let stored: BTreeSet<u8> = (0..8).filter(|at| blobs.is_stored(&hash(*at))).collect();
            for number in 0..8 {
                if model.links.contains_key(&number) && !stored.contains(&number) {
                    prop_assert!(!needed.contains(&number), "{number} was needed and left");
                    model.forget(number);
                }
            }
            prop_assert_eq!(blobs.used, stored.len() as u64 * footprint(SIZE));
            let kept = blobs.table.values().map(Entry::kept);
            let kept = kept.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            prop_assert_eq!((blobs.pinned, blobs.held), kept);
            prop_assert!(blobs.used <= blobs.budget);
            prop_assert_eq!(blobs.stored, stored.len());
            let free: BTreeSet<BlobHash> = blobs.free.iter().map(|(_, hash)| *hash).collect();
            let kept = model.kept_by_others();
            let may_leave = stored.iter().filter(|number| !kept.contains(number));
            prop_assert_eq!(free, may_leave.copied().map(hash).collect());
            for number in 0..8 {
                let holds = model.holds.get(&number).copied().unwrap_or_default();
                let named = model.links.values().flatten().filter(|link| **link == number).count();
                let held = blobs.table.get(&hash(number)).map_or(0, |entry| entry.holds);
                prop_assert_eq!(held as usize, holds as usize + named, "holds of {}", number);
            }
        }
    }
}

#[test]
fn request_that_cannot_be_met_removes_nothing() {
    let mut blobs = blobs(2);
    add(&mut blobs, 1, &[]).unwrap();
    pass_lease(&mut blobs);
    blobs.reserve(1 << 60).unwrap_err();
    assert!(blobs.is_stored(&hash(1)));
    blobs.reserve(footprint(SIZE) * 2).unwrap();
    assert!(!blobs.is_stored(&hash(1)));
}
