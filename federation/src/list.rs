//! A list with a bound in its type: decoding stops at the first item too many, and reserves nothing on a peer's word.

use core::ops::Deref;
use reprise_receipts::few::few;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At most `MAX` items. The encoding is that of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Without items.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Of these items, or `None` if they are too many.
    #[must_use]
    pub fn new(items: Vec<T>) -> Option<Self> {
        (items.len() <= MAX).then_some(Self(items))
    }

    /// The first `MAX` of these items.
    #[must_use]
    pub fn first(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().take(MAX).collect())
    }

    /// The items.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        few::<_, T, MAX>(deserializer).map(Self)
    }
}
