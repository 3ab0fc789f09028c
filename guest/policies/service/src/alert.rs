//! Alerts: the four severities and their channels (11.3).

/// How severe something is (11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Critical: page on-call immediately.
    P0,
    /// High: e-mail and a ping.
    P1,
    /// Medium: e-mail only.
    P2,
    /// Low: dashboard only.
    P3,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }
}

/// The drivers that an alert goes to (11.3).
#[must_use]
pub const fn channels(severity: Severity) -> &'static [&'static str] {
    match severity {
        Severity::P0 => &["pager"],
        Severity::P1 => &["email", "slack"],
        Severity::P2 => &["email"],
        Severity::P3 => &["dashboard"],
    }
}
