//! Compact state: records field after field, numbers as LEB128, in cells and maps over the host's bytes.
//!
//! [`typed`](crate::typed) derives its encoders: the quick way to write a policy, and each record type then contains the
//! encoder of every one of its fields. A policy with thirty record types does not stay small that way. Here a field is a
//! call, and what does not depend on a type is one function. A decoder that meets what is no encoding goes on with
//! nothings and says so at the end: a way out behind every field would be half of the code.
//!
//! ```
//! use reprise_guest::{compact::{Map, stored}, testing::MemoryHost};
//!
//! #[derive(Debug, Default, PartialEq)]
//! struct Node { restarts: u32, seen_ms: Option<u64> }
//! stored!(Node { restarts, seen_ms });
//!
//! const NODES: Map<String, Node> = Map::new(b"node/");
//!
//! let mut host = MemoryHost::new();
//! NODES.put(&mut host, &"a".to_owned(), &Node { restarts: 2, seen_ms: None });
//! assert_eq!(NODES.get(&mut host, &"a".to_owned())?.unwrap().restarts, 2);
//! assert_eq!(NODES.or_default(&mut host, &"b".to_owned())?, Node::default());
//! # Ok::<(), reprise_guest::abi::Rejection>(())
//! ```
//!
//! Keys are those of typed state ([`StateKey`](crate::typed::StateKey)). A policy keeps to one of the two for a prefix.

mod kept;
mod value;

pub use crate::{stored, stored_enum};
pub use kept::{Cell, Map};
pub use value::{Reader, Stored, corrupt, decoded, encoded, write_bytes, write_number};

/// Implements [`Stored`](crate::compact::Stored) for a record: `stored!(Type { field, ... })`, in the order of the
/// encoding.
#[macro_export]
macro_rules! stored {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::compact::Stored for $name {
            #[inline(never)]
            fn store(&self, out: &mut Vec<u8>) {
                $($crate::compact::Stored::store(&self.$field, out);)+
            }

            #[inline(never)]
            fn load(from: &mut $crate::compact::Reader<'_>) -> Self {
                Self { $($field: $crate::compact::Stored::load(from)),+ }
            }
        }
    };
}

/// Implements [`Stored`](crate::compact::Stored) for an enum without payload: its `ALL` gives the numbers, which are
/// those of the variants.
#[macro_export]
macro_rules! stored_enum {
    ($name:ident) => {
        impl $crate::compact::Stored for $name {
            fn store(&self, out: &mut Vec<u8>) {
                $crate::compact::write_number(*self as u64, out);
            }

            fn load(from: &mut $crate::compact::Reader<'_>) -> Self {
                Self::ALL[from.below(Self::ALL.len() as u64) as usize]
            }
        }
    };
}

#[cfg(test)]
mod tests;
