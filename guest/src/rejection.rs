//! The policy's "no": a list of codes with stable names, declared once.

use crate::text::join;
use reprise_abi::{Rejection, RejectionCode};

/// One entry of a policy's list of rejection codes; [`rejection_codes!`](crate::rejection_codes) implements it.
pub trait Code: Copy + 'static {
    /// The codes and their names, ascending.
    const TABLE: &'static [(u32, &'static str)];

    /// The number in receipts.
    fn code(self) -> u32;

    /// The name in documents and tables.
    fn name(self) -> &'static str {
        name_in(Self::TABLE, self.code())
    }

    /// The whole list, ascending, the SDK's codes among it: for the policy's description.
    #[must_use]
    fn list() -> Vec<RejectionCode> {
        records(&[Self::TABLE, SdkCode::TABLE])
    }

    /// A rejection with this code and a sentence for people, which begins with the code's name.
    fn because(self, why: impl AsRef<str>) -> Rejection {
        Rejection { code: self.code(), detail: join(&[self.name(), ": ", why.as_ref()]) }
    }
}

#[inline(never)]
fn name_in(table: &[(u32, &'static str)], code: u32) -> &'static str {
    table.iter().find(|entry| entry.0 == code).map_or("", |entry| entry.1)
}

/// From tables: a list written out would be as many allocations, one after the other.
#[inline(never)]
fn records(tables: &[&[(u32, &str)]]) -> Vec<RejectionCode> {
    let entries = tables.iter().copied().flatten();
    entries.map(|(code, name)| RejectionCode { code: *code, name: String::from(*name) }).collect()
}

/// Declares an enum of rejection codes, ascending and below 9,000.
///
/// ```
/// reprise_guest::rejection_codes! {
///     /// Why this policy says no.
///     pub enum No {
///         /// The counter cannot go higher.
///         CounterOverflow = 100,
///     }
/// }
/// use reprise_guest::rejection::Code;
/// assert_eq!(No::CounterOverflow.because("it is at 2^64 - 1").detail, "CounterOverflow: it is at 2^64 - 1");
/// ```
#[macro_export]
macro_rules! rejection_codes {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$item_doc:meta])* $item:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        $vis enum $name { $($(#[$item_doc])* $item = $code),+ }

        impl $crate::rejection::Code for $name {
            const TABLE: &'static [(u32, &'static str)] = &[$(($code, stringify!($item))),+];

            fn code(self) -> u32 {
                self as u32
            }
        }
    };
}

/// The SDK's own codes: every policy's list has them. They are above 9,000; a policy's own are below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SdkCode {
    /// There is no view of that name.
    UnknownView = crate::policy::UNKNOWN_VIEW,
    /// There is no migration from that version.
    NoMigration = crate::policy::NO_MIGRATION,
    /// The stored bytes are not of the type that this version keeps under that key: a migration is missing.
    CorruptState = 9_003,
    /// The policy does not know this kind of input.
    UnknownKind = 9_004,
    /// The payload is not the JSON that this kind of input asks for.
    MalformedPayload = 9_005,
}

impl SdkCode {
    /// The SDK's own codes alone, ascending.
    #[must_use]
    pub fn own() -> Vec<RejectionCode> {
        records(&[Self::TABLE])
    }
}

impl Code for SdkCode {
    const TABLE: &'static [(u32, &'static str)] = &[
        (Self::UnknownView as u32, "UnknownView"),
        (Self::NoMigration as u32, "NoMigration"),
        (Self::CorruptState as u32, "CorruptState"),
        (Self::UnknownKind as u32, "UnknownKind"),
        (Self::MalformedPayload as u32, "MalformedPayload"),
    ];

    fn code(self) -> u32 {
        self as u32
    }

    fn list() -> Vec<RejectionCode> {
        Self::own()
    }
}
