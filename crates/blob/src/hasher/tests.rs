use bao_tree::{BlockSize, io::outboard::PostOrderMemOutboard};
use proptest::prelude::*;

use super::*;

const GROUP: usize = GROUP_BYTES;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The hash and the outboard of bytes that arrive in pieces of `step`.
fn hashed(bytes: &[u8], step: usize) -> (BlobHash, Vec<u8>) {
    let mut hasher = BlobHasher::new();
    let mut outboard = Vec::new();
    for piece in bytes.chunks(step) {
        hasher.update(piece);
        outboard.extend(hasher.take_outboard());
    }
    assert_eq!(hasher.size(), bytes.len() as u64);
    let (hash, rest) = hasher.finish();
    outboard.extend(rest);
    (hash, outboard)
}

fn check(size: usize, step: usize) {
    let bytes = bytes(size);
    let (hash, outboard) = hashed(&bytes, step);
    assert_eq!(hash, BlobHash::of(&bytes), "{size} bytes by {step}");
    let expected = PostOrderMemOutboard::create(&bytes, BlockSize::from_chunk_log(6));
    assert_eq!(expected.root.as_bytes(), hash.as_bytes());
    assert_eq!(outboard, expected.data, "{size} bytes by {step}");
    assert_eq!(outboard.len() as u64, outboard_size(size as u64), "{size} bytes");
}

#[test]
fn hash_and_outboard_are_those_of_bao_at_every_edge() {
    for groups in [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17] {
        for more in [-1_isize, 0, 1] {
            let Some(size) = (groups * GROUP).checked_add_signed(more) else { continue };
            check(size, 10_000);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn hash_does_not_depend_on_the_pieces(size in 0..10 * GROUP, step in 1_000..3 * GROUP) {
        check(size, step);
    }
}
