//! The error of what cannot fail: there is no value of it, so the compiler leaves every question about it out.

use core::fmt::{self, Display};
use serde::ser::Error;

/// No value is ever made of it.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl Error for Never {
    /// A value says that it cannot be written: none that derives `Serialize` does.
    #[cold]
    fn custom<T: Display>(_: T) -> Self {
        panic!("a value that cannot be written")
    }
}
