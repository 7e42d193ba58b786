//! Decodes references to blobs.

use meshwork_blob::limits::ROOT_BYTES;
use meshwork_core::{BlobForm, BlobHash, BlobRef, Reason, limits as core_limits};
use prost::Message as _;

use crate::wire::generated as proto;

/// Decodes the name of a blob.
///
/// # Errors
///
/// Its hash or its form is not of this version: the assignment is refused.
pub(super) fn blob_ref(bytes: &[u8]) -> Result<BlobRef, Reason> {
    let unknown = || Reason::Unsupported { what: "this form of a file".to_owned() };
    let proto::Blob { hash, size, form, list } =
        proto::Blob::decode(bytes).map_err(|_| unknown())?;
    let form = match proto::BlobForm::try_from(form) {
        Ok(proto::BlobForm::File) => BlobForm::FILE,
        Ok(proto::BlobForm::Program) => BlobForm::File { executable: true },
        Ok(proto::BlobForm::Folder) => BlobForm::Folder,
        Ok(proto::BlobForm::Unspecified) | Err(_) => return Err(unknown()),
    };
    let hash: [u8; 32] = hash.as_ref().try_into().map_err(|_| unknown())?;
    if size > core_limits::BLOB_BYTES {
        return Err(Reason::TooLarge { limit: core_limits::BLOB_BYTES });
    }
    // A folder has a list, and only a folder.
    let lists = if form == BlobForm::Folder { 1..=ROOT_BYTES } else { 0..=0 };
    if !lists.contains(&(list as usize)) {
        return Err(unknown());
    }
    Ok(BlobRef { hash: BlobHash::from_bytes(hash), size, form, list })
}
