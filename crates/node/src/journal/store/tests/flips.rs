//! One flipped bit of the file is found, or makes no difference (F-07).

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::journal::tests::quick_dir;

/// Number of flipped bits; half of them in the store's header.
const FLIPS: usize = 1_000;
/// Bytes of the store's own header.
const HEADER: usize = 512;

fn read_all(dir: &Path) -> Result<(Vec<Timed>, u64), JournalError> {
    let store = Store::open(dir, None)?;
    let mut all = Vec::new();
    let replayed = store.replay(|_, at, record| all.push((at, record)))?;
    Ok((all, replayed.damaged))
}

/// Describes a difference that was read without an error; none if all is well.
fn silent(dir: &Path, known: &[Timed]) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| read_all(dir))) {
        Err(_) => Some("it panicked".to_owned()),
        Ok(Err(_)) => None,
        Ok(Ok((_, damaged))) if damaged > 0 => None,
        Ok(Ok((all, _))) => (all != known).then(|| format!("{} records", all.len())),
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let dir = quick_dir();
    let store = Store::open(dir.path(), None).unwrap();
    for number in 0..20 {
        write(&store, number, 3);
    }
    drop(store);
    let (file, marker) = paths(dir.path());
    let (whole, marked) = (fs::read(&file).unwrap(), fs::read(&marker).unwrap());
    let (known, _) = read_all(dir.path()).unwrap();
    assert_eq!(known.len(), 60);
    // The rest of the file is empty.
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut dice = SmallRng::seed_from_u64(7);
    for flip in 0..FLIPS {
        let at = match flip % 4 {
            0 | 1 => dice.random_range(0..HEADER),
            2 => used[dice.random_range(0..used.len())],
            _ => used[used.len() - 1 - dice.random_range(0..used.len() / 4)],
        };
        let bit = 1 << dice.random_range(0..8);
        let mut spoilt = whole.clone();
        spoilt[at] ^= bit;
        fs::write(&file, spoilt).unwrap();
        fs::write(&marker, &marked).unwrap();
        let silent = silent(dir.path(), &known);
        assert_eq!(silent, None, "byte {at}, bit {bit}");
    }
}
