//! What the list of a folder may claim, and what a peer has shown.

use super::*;
use crate::blobs::place::Place;

fn part(files: &[(&str, u64)]) -> Part {
    let file =
        |(name, size): &(&str, u64)| FileRef { hash: BlobHash::of(name.as_bytes()), size: *size };
    Part { files: files.iter().map(file).collect(), ready: None }
}

#[test]
fn parts_name_no_more_files_than_the_folder_has_entries() {
    let parts = || [part(&[("a", 20_000), ("b", 20_000)]), part(&[("c", 20_000)])].map(Ok);
    assert_eq!(read_all(parts().into_iter(), 3).unwrap().len(), 2);
    let mut unread = parts().into_iter().chain([Err(JobError::TooMany)]);
    // The rest is not read.
    assert!(matches!(read_all(&mut unread, 2), Err(JobError::Size)));
    assert_eq!(unread.count(), 1);
}

#[test]
fn files_of_a_folder_have_one_size_and_the_sum_of_its_root() {
    let wants = |parts: &[Part], bytes| Job::wants(parts, bytes);
    let twice = [part(&[("a", 20_000), ("b", 30_000)]), part(&[("a", 20_000)])];
    assert_eq!(wants(&twice, 50_000).unwrap().len(), 2, "the same file is fetched once");
    assert!(matches!(wants(&twice, 49_999), Err(JobError::Size)));
    let lies = [part(&[("a", 20_000)]), part(&[("a", 20_001)])];
    assert!(matches!(wants(&lies, 1 << 40), Err(JobError::Size)));
    let endless = [part(&[("a", u64::MAX), ("b", u64::MAX)])];
    assert!(matches!(wants(&endless, 1 << 60), Err(JobError::Size)));
}

#[test]
fn bytes_that_one_peer_has_sent_are_not_those_of_another() {
    let place = Arc::new(Place::temporary());
    let job = |from| Job {
        number: 1,
        place: Arc::clone(&place),
        calls: mpsc::channel(1).0.downgrade(),
        from,
        blob: BlobRef::file(BlobHash::of(b"secret"), 6, false),
        progress: Progress::default(),
        begun: Begun::default(),
    };
    let [first, second] = [PeerId::random(), PeerId::random()].map(job);
    // A store makes its folders with its first blob.
    drop(place.store().draft().unwrap());
    let partial = |job: &Job| job.store().partial(&job.blob.hash, 6).unwrap();
    let mut sent = partial(&first);
    // Of a blob of one group, a piece is its bytes.
    sent.add(&(0..1), b"secret").unwrap();
    drop(sent);
    assert_eq!(partial(&first).missing(9), []);
    assert_eq!(partial(&second).missing(9).first(), Some(&(0..1)), "it has shown nothing");
}
