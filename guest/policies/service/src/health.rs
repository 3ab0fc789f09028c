//! Health: green, yellow or red (11.1).

use crate::{
    alert::Severity,
    params::{LAG_RED_MS, LAG_YELLOW_MS},
    state::Exchange,
    turn::Turn,
};
use reprise_guest::compact::stored_enum;

/// How the exchange is (11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colour {
    /// Healthy.
    Green,
    /// Degraded.
    Yellow,
    /// Unhealthy.
    Red,
}
stored_enum!(Colour);

impl Colour {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Green, Self::Yellow, Self::Red];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "GREEN",
            Self::Yellow => "YELLOW",
            Self::Red => "RED",
        }
    }
}

/// The colour that the indicators give (11.1).
#[must_use]
pub fn colour(exchange: &Exchange) -> Colour {
    let (data, census) = (&exchange.data, &exchange.census);
    let red = exchange.halt.is_some() || census.down_critical > 0 || data.lag_ms > LAG_RED_MS || !data.readable;
    let yellow = exchange.read_only()
        || census.down_other > 0
        || census.zones_down > 0
        || census.lagging > 0
        || data.lag_ms >= LAG_YELLOW_MS;
    match (red, yellow) {
        (true, _) => Colour::Red,
        (false, true) => Colour::Yellow,
        (false, false) => Colour::Green,
    }
}

/// Tells people when the quorum or the colour changes. While a tick goes on that waits for its end: of what comes and
/// goes within a tick nobody hears.
pub fn watch(turn: &mut Turn<'_>, tick_is_over: bool) {
    let (colour, quorum) = (colour(&turn.exchange), turn.exchange.data.quorum);
    let news = (colour, quorum) != (turn.exchange.colour, turn.exchange.data.quorum_said);
    if news && !tick_is_over {
        turn.timer("judge", "now", 1);
        return;
    }
    if core::mem::replace(&mut turn.exchange.data.quorum_said, quorum) != quorum {
        let (severity, what) = if quorum { (Severity::P3, "quorum_is_back") } else { (Severity::P1, "quorum_lost") };
        turn.alert(severity, what, "database");
    }
    if core::mem::replace(&mut turn.exchange.colour, colour) != colour {
        let severity = match colour {
            Colour::Red => Severity::P0,
            Colour::Yellow => Severity::P2,
            Colour::Green => Severity::P3,
        };
        turn.alert(severity, "health", colour.name());
    }
}
