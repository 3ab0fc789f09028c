//! A figure of the bench, beside its target.

use crate::cli::{report::Record, text};

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Nothing is asked.
    None,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::None => "-".to_owned(),
            Self::AtMost(max) => format!("<= {max:.2}"),
            Self::AtLeast(min) => format!(">= {min:.2}"),
        }
    }

    /// By which part of the target it is missed; `None` if it is met.
    fn missed_by(self, ratio: f64) -> Option<f64> {
        let excess = match self {
            Self::None => return None,
            Self::AtMost(max) => ratio / max - 1.0,
            Self::AtLeast(min) => 1.0 - ratio / min,
        };
        // What is not a number is missed too.
        if excess <= 0.0 { None } else { Some(excess) }
    }
}

/// One line of the bench.
pub(super) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    against: &'static str,
    ratio: f64,
    target: Target,
}

impl Figure {
    pub(super) fn new(
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        against: &'static str,
        ratio: f64,
        target: Target,
    ) -> Self {
        Self { what: what.into(), value, unit, against, ratio, target }
    }

    pub(super) fn record(&self) -> Record {
        let missed = match (self.target, self.target.missed_by(self.ratio)) {
            (Target::None, _) => "-".to_owned(),
            (_, None) => "met".to_owned(),
            (_, Some(part)) if part.is_finite() => format!("missed by {:.0} %", (part * 100.0).ceil()),
            (_, Some(_)) => "not known".to_owned(),
        };
        Record::new()
            .with("what", self.what.as_str())
            .with("figure", text::fixed(self.value))
            .with("unit", self.unit)
            .with("against", self.against)
            .with("ratio", text::fixed(self.ratio))
            .with("target", self.target.text())
            .with("verdict", missed)
    }
}

#[cfg(test)]
mod tests;
