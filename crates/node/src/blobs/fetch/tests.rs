//! What the list of a folder may claim.

use super::*;

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
