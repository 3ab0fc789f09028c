//! Bundles as files: written from a journal, read into one, and verified with nothing else at hand.
//!
//! | module | what it does |
//! | --- | --- |
//! | `file` | reads and writes files through the state machines of [`reprise_receipts::bundle`] |
//! | `export` | from a journal to a file |
//! | `verify` | a file and whom to trust: match, divergent or incomparable |
//! | `redo` | one step again, on a whole state or on a witness |
//! | `finality` | what members have made final: taken along, and kept |
//! | `import` | from a file into a journal: verified first, staged, visible at the end or not at all |

mod error;
mod executors;
mod export;
mod file;
mod finality;
mod import;
mod redo;
mod verify;
mod witness;

pub(crate) use self::{export::head_at, redo::hangs_on_the_size_of_the_state};

pub use self::{
    error::BundleFileError,
    executors::BundleExecutors,
    export::{ExportOptions, Exported, export},
    file::{BundleFile, FileWriter},
    import::{
        ImportPlan, Imported, Moment, NoWatch, Publishers, Watch, import, import_verified, import_watched, plan_import,
        take_packages_of_ledger,
    },
    redo::{Redo, StepToRedo},
    verify::{Verified, verify},
    witness::Recorder,
};
