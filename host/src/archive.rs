//! Archives: the history of a ledger as plain files that any transparency client reads, and that steps come back from.
//!
//! An archive is a directory, or any store of named objects ([`Store`]), in the C2SP tlog-tiles layout, with what doing
//! the steps again takes beside it:
//!
//! | name | what | written |
//! | --- | --- | --- |
//! | `checkpoint` | the signed checkpoint that everything else reaches up to | last, in the place of the one before |
//! | `tile/<L>/<N>` | 256 hashes of level `L` | once |
//! | `tile/entries/<N>` | 256 receipts, each behind its length as big-endian u16 | once |
//! | `reprise/genesis` | the encoded genesis record; its digest is the ledger id of the checkpoint | once |
//! | `reprise/packages/<digest>` | an encoded package that a receipt names, behind a digest of its bytes | once |
//! | `reprise/steps/<N>/<P>` | part `P` of inputs, step records and attestations of those receipts ([`StepsPart`]) | once |
//!
//! `<N>` is written as C2SP asks: groups of three digits, all but the last behind an `x`, so 1234067 is
//! `x001/x234/067`. What is not complete at the checkpoint's size is under `<N>.p/<W>` instead, with `W` the number of
//! hashes or receipts in it, and goes when the complete one is there and a later checkpoint says so. `P` is decimal,
//! from 0; a part ends when it is full, so that no file is larger than [`PART_BYTES_MAX`].
//!
//! A complete file never changes. A crash leaves files that no checkpoint speaks of, and the next run finds them as
//! they should be. Nothing in an archive is believed: a reader holds hashes against the checkpoint, receipts against
//! hashes, and inputs, records and packages against receipts.
//!
//! | module | what it does |
//! | --- | --- |
//! | `write` | brings an archive up to a checkpoint ([`write`](write())) |
//! | `verify` | reads all of it back ([`verify`](verify())) |
//! | `prune` | lets archived steps leave the journal ([`prune`](prune())) |
//! | `hydrate` | brings them back ([`hydrate`](hydrate())) |
//! | `read` | one step after the other, each held against its receipt ([`ArchiveReader`]) |
//! | `sign` | the checkpoint to publish ([`checkpoint_of`]) |

mod error;
mod hydrate;
mod layout;
mod part;
mod prune;
mod read;
mod sign;
mod store;
mod verify;
mod write;

pub use self::{
    error::ArchiveError,
    hydrate::{Hydrated, hydrate, plan_hydrate},
    part::{ArchivedStep, PART_BYTES_MAX, PART_BYTES_TARGET, StepsPart},
    prune::{PrunePlan, plan_prune, prune},
    read::ArchiveReader,
    sign::checkpoint_of,
    store::{Directory, Store, StoreError},
    verify::{Verified, verify},
    write::{Contents, Written, write},
};

#[cfg(test)]
mod tests;
