//! What the policy keeps: one record for the exchange as a whole, and a map for everything of which there are many.

use crate::{
    accounts::{Account, Update},
    audit::Audit,
    breaker::Dependency,
    database::Database,
    drill::Drill,
    engine::Engine,
    health::Colour,
    idempotency::{Expiry, Kept},
    integrity::{Halt, Position},
    matches::{Match, Trade},
    operations::Op,
    orders::{Order, Side},
    recovery::Recovery,
    services::Service,
    stage::{Kind, Stage},
    verdict::Planned,
};
use reprise_guest::compact::{Cell, Map, Reader, Stored, stored, write_number};

/// The exchange as a whole. Also says whether `init` has run.
pub const EXCHANGE: Cell<Box<Exchange>> = Cell::new(b"exchange");
/// Who may order things.
pub const OPERATORS: Cell<Vec<String>> = Cell::new(b"operators");
/// The nodes of the database and the regions.
pub const DATABASE: Cell<Database> = Cell::new(b"database");
/// The drill that is or was last.
pub const DRILL: Cell<Drill> = Cell::new(b"drill");
/// What an audit found to be wrong: never outlives its step, see [`crate::check`].
pub const FAULT: Cell<String> = Cell::new(b"fault");
/// Services by name.
pub const SERVICES: Map<String, Service> = Map::new(b"service/");
/// Zones that services are in.
pub const ZONES: Map<String, ()> = Map::new(b"zone/");
/// What is decided at the end of this tick, by (kind, subject).
pub const PLAN: Map<(u8, String), Planned> = Map::new(b"plan/");
/// Recoveries by number.
pub const RECOVERIES: Map<u64, Recovery> = Map::new(b"recovery/");
/// Recoveries that have not ended, by (kind, subject).
pub const ACTIVE: Map<(u8, String), u64> = Map::new(b"active/");
/// What was asked for and has not ended, by the number in its idempotency key.
pub const SENT: Map<u64, Sent> = Map::new(b"sent/");
/// What operations depend on.
pub const DEPENDENCIES: Map<String, Dependency> = Map::new(b"dependency/");
/// Operations by name.
pub const OPERATIONS: Map<String, Op> = Map::new(b"operation/");
/// Operations that wait for a breaker: (dependency, ticket).
pub const WAITING: Map<(String, u64), String> = Map::new(b"waiting/");
/// The last good answer: (dependency, request) to (time, answer).
pub const CACHED: Map<(String, String), (u64, String)> = Map::new(b"cached/");
/// The last price of a symbol and when it was heard, in milliseconds.
pub const QUOTES: Map<String, (u64, u64)> = Map::new(b"quote/");
/// Accounts by name.
pub const ACCOUNTS: Map<String, Account> = Map::new(b"account/");
/// Balance updates by transaction.
pub const TRANSACTIONS: Map<String, Update> = Map::new(b"transaction/");
/// First answers by idempotency key.
pub const KEYS: Map<String, Kept> = Map::new(b"key/");
/// What is forgotten, by (time, (what, name)).
pub const EXPIRIES: Map<(u64, (u8, String)), Expiry> = Map::new(b"expiry/");
/// Orders by number.
pub const ORDERS: Map<u64, Order> = Map::new(b"order/");
/// Orders that are PENDING or PARTIAL.
pub const OPEN: Map<u64, ()> = Map::new(b"open/");
/// The order book. It sorts by price, then by time.
pub const BOOK: Map<(BookSide, BookPlace), ()> = Map::new(b"book/");
/// Orders that are PENDING_SUBMISSION.
pub const QUEUE: Map<u64, ()> = Map::new(b"queue/");
/// Matches that were logged and not applied.
pub const MATCHES: Map<u64, Match> = Map::new(b"match/");
/// Trades by number: that of their match.
pub const TRADES: Map<u64, Trade> = Map::new(b"trade/");
/// Positions by (account, symbol).
pub const POSITIONS: Map<(String, String), Position> = Map::new(b"position/");

/// A side of the book: symbol and [`Side`].
pub type BookSide = (String, u8);
/// A place there: rank of the price, number of the order.
pub type BookPlace = (u64, u64);

/// The place of an order in [`BOOK`]: dear bids and cheap asks come first, then whoever came first.
#[must_use]
pub fn place_in_book(number: u64, order: &Order) -> (BookSide, BookPlace) {
    let rank = if order.side == Side::Buy { u64::MAX - order.price } else { order.price };
    ((order.symbol.clone(), order.side as u8), (rank, number))
}

/// What was asked for and is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The stage of a recovery.
    Stage(u64),
    /// An attempt at an operation.
    Call(String),
    /// A trial of a dependency whose breaker is half open.
    Probe(String),
    /// A step of the drill.
    Drill,
}

impl Stored for Sent {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stage(number) => {
                write_number(0, out);
                number.store(out);
            }
            Self::Call(name) | Self::Probe(name) => {
                write_number(if matches!(self, Self::Call(_)) { 1 } else { 2 }, out);
                name.store(out);
            }
            Self::Drill => write_number(3, out),
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        match from.below(4) {
            0 => Self::Stage(Stored::load(from)),
            1 => Self::Call(Stored::load(from)),
            2 => Self::Probe(Stored::load(from)),
            _ => Self::Drill,
        }
    }
}

/// The exchange as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Trading is halted since data is not what it must be.
    pub halt: Option<Halt>,
    /// What the database's nodes amount to.
    pub data: Data,
    /// The matching engine.
    pub engine: Engine,
    /// Services, counted.
    pub census: Census,
    /// Money, summed up.
    pub money: Money,
    /// The last numbers given.
    pub last: Last,
    /// How often what happened, by [`Figure`].
    pub figures: Vec<u64>,
    /// Recovery times against their objectives, in the order of [`Kind::ALL`].
    pub objectives: Vec<Objective>,
    /// Health, as people were told.
    pub colour: Colour,
    /// The audit that is under way.
    pub audit: Option<Audit>,
    /// What the last step changed, for [`crate::check`].
    pub touched: Touched,
}
stored!(Exchange { halt, data, engine, census, money, last, figures, objectives, colour, audit, touched });

impl Exchange {
    /// An exchange where nothing has happened.
    #[must_use]
    pub fn new(fee_ppm: u64) -> Self {
        Self {
            halt: None,
            data: Data::default(),
            engine: Engine::default(),
            census: Census::default(),
            money: Money { fee_ppm, ..Money::default() },
            last: Last::default(),
            figures: vec![0; Figure::NAMES.len()],
            objectives: vec![Objective::default(); Kind::ALL.len()],
            colour: Colour::Green,
            audit: None,
            touched: Touched::default(),
        }
    }

    /// Nothing may be written: no quorum, no primary, or no active region (5, 7.1).
    #[must_use]
    pub fn read_only(&self) -> bool {
        !self.data.quorum || self.data.failing_over > 0
    }

    /// Counts one more.
    pub fn count(&mut self, figure: Figure) {
        if let Some(count) = self.figures.get_mut(figure as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// What the database's nodes amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// More than half of the voters answer (5).
    pub quorum: bool,
    /// Whether people were told so.
    pub quorum_said: bool,
    /// Any node answers.
    pub readable: bool,
    /// Fail-overs of the database or a region that are under way.
    pub failing_over: u32,
    /// Repairs of corrupt data that are under way.
    pub corrupt: u32,
    /// The longest replication lag of the voters that answer, in milliseconds.
    pub lag_ms: u64,
    /// The fencing token: the present lease of the primary.
    pub token: u64,
    /// The last write that was acknowledged.
    pub acknowledged: u64,
}
stored!(Data { quorum, quorum_said, readable, failing_over, corrupt, lag_ms, token, acknowledged });

/// Services, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// All.
    pub services: u32,
    /// One of them is the matching engine.
    pub engine: bool,
    /// Critical ones that are being recovered.
    pub down_critical: u32,
    /// Others that are being recovered.
    pub down_other: u32,
    /// Market data services that are being recovered.
    pub feeds_down: u32,
    /// Those that process events a second late or more.
    pub lagging: u32,
    /// Zones that are being recovered.
    pub zones_down: u32,
}
stored!(Census { services, engine, down_critical, down_other, feeds_down, lagging, zones_down });

/// Money, summed up, in money units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Everything that was paid in and not paid out.
    pub total: u64,
    /// The sum of all accounts.
    pub accounts: u64,
    /// Fees.
    pub fees: u64,
    /// The fee of each side of a trade, in parts of a million of what it is worth.
    pub fee_ppm: u64,
}
stored!(Money { total, accounts, fees, fee_ppm });

/// Numbers that make names unique: the last one given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Effect.
    pub effect: u64,
    /// Recovery.
    pub recovery: u64,
    /// Order.
    pub order: u64,
    /// Place in a queue of operations.
    pub ticket: u64,
}
stored!(Last { effect, recovery, order, ticket });

/// Recovery times of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objective {
    /// Recoveries that ended.
    pub count: u64,
    /// Those that took longer than their objective.
    pub missed: u64,
    /// How long the last one took, in milliseconds.
    pub last_ms: u64,
    /// How long the longest one took, in milliseconds.
    pub worst_ms: u64,
}
stored!(Objective { count, missed, last_ms, worst_ms });

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Operations that were asked for.
    Operations,
    /// Retries.
    Retries,
    /// Operations that failed for good.
    Failures,
    /// Circuit breakers that opened.
    Opened,
    /// Recoveries begun.
    Recoveries,
    /// Recoveries that a person has to decide.
    Persons,
    /// Duplicates that got the first answer, or did nothing.
    Duplicates,
    /// Orders accepted.
    Orders,
    /// Trades settled.
    Settlements,
    /// Violations of what must hold of the data.
    Violations,
    /// Audits that found nothing wrong.
    Audits,
}

impl Figure {
    /// Their names, in order.
    pub const NAMES: [&str; 11] = [
        "operations",
        "retries",
        "failures",
        "breakers_opened",
        "recoveries",
        "persons",
        "duplicates",
        "orders",
        "settlements",
        "violations",
        "audits",
    ];
}

/// What the last step changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Accounts and what they held before.
    pub accounts: Vec<(String, u64)>,
    /// The sum of all accounts before.
    pub accounts_before: u64,
    /// The fencing token and the last acknowledged write before.
    pub data_before: (u64, u64),
    /// Orders.
    pub orders: Vec<u64>,
    /// Positions.
    pub positions: Vec<(String, String)>,
    /// Stages that recoveries went through: (recovery, (from, to)).
    pub stages: Vec<(u64, (Stage, Stage))>,
}
stored!(Touched { accounts, accounts_before, data_before, orders, positions, stages });
