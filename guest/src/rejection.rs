//! The policy's "no": a list of codes with stable names, declared once.

use reprise_abi::{Rejection, RejectionCode};

/// One entry of a policy's list of rejection codes; [`rejection_codes!`](crate::rejection_codes) implements it.
pub trait Code: Copy {
    /// The number in receipts.
    fn code(self) -> u32;
    /// The name in documents and tables.
    fn name(self) -> &'static str;
    /// The whole list, ascending, for the policy's description.
    fn list() -> Vec<RejectionCode>;

    /// A rejection with this code and a sentence for people, which begins with the code's name.
    fn because(self, why: impl AsRef<str>) -> Rejection {
        Rejection { code: self.code(), detail: [self.name(), ": ", why.as_ref()].concat() }
    }
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
            fn code(self) -> u32 {
                self as u32
            }

            fn name(self) -> &'static str {
                match self { $(Self::$item => stringify!($item)),+ }
            }

            fn list() -> ::std::vec::Vec<$crate::abi::RejectionCode> {
                let mut list = ::std::vec![
                    $($crate::abi::RejectionCode { code: $code, name: ::std::string::String::from(stringify!($item)) }),+
                ];
                list.extend($crate::rejection::SdkCode::own());
                list
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
    const ALL: [Self; 5] =
        [Self::UnknownView, Self::NoMigration, Self::CorruptState, Self::UnknownKind, Self::MalformedPayload];

    /// The SDK's own codes alone, ascending.
    #[must_use]
    pub fn own() -> Vec<RejectionCode> {
        Self::ALL.into_iter().map(|c| RejectionCode { code: c.code(), name: c.name().into() }).collect()
    }
}

impl Code for SdkCode {
    fn code(self) -> u32 {
        self as u32
    }

    fn name(self) -> &'static str {
        match self {
            Self::UnknownView => "UnknownView",
            Self::NoMigration => "NoMigration",
            Self::CorruptState => "CorruptState",
            Self::UnknownKind => "UnknownKind",
            Self::MalformedPayload => "MalformedPayload",
        }
    }

    fn list() -> Vec<RejectionCode> {
        Self::own()
    }
}
