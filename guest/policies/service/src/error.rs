//! Why the policy says no.

use reprise_guest::{
    abi::Rejection,
    rejection::Code,
    text::{decimal, join},
};

reprise_guest::rejection_codes! {
    /// Why the policy refuses an input. Nothing of a refused input stays.
    pub enum No {
        /// `init` has not run yet.
        NotInitialised = 100,
        /// `init` has run.
        AlreadyInitialised = 101,
        /// A list of `init` is too long or too short, or its parts do not fit.
        BadParameters = 102,
        /// A text is empty or longer than 64 bytes.
        BadText = 103,
        /// Something is listed twice.
        Duplicate = 104,
        /// A number is out of bounds.
        BadNumber = 105,
        /// A text is none of the words that are known there.
        UnknownWord = 106,
        /// No such service.
        UnknownService = 110,
        /// No such node.
        UnknownNode = 111,
        /// No such region.
        UnknownRegion = 112,
        /// No such zone.
        UnknownZone = 113,
        /// No such operator.
        UnknownOperator = 114,
        /// No such recovery.
        UnknownRecovery = 115,
        /// No such account.
        UnknownAccount = 120,
        /// The account does not have that much.
        InsufficientFunds = 121,
        /// An account or all of them together would hold more than can be counted.
        BalanceOverflow = 122,
        /// No such order.
        UnknownOrder = 123,
        /// The order is filled.
        OrderFilled = 124,
        /// No such trade.
        UnknownTrade = 125,
        /// The idempotency key belongs to another request (9.1).
        KeyReused = 126,
        /// The transaction was another one (9.2).
        TransactionReused = 127,
        /// Another order goes first, by price or by time (4.3).
        NotBest = 128,
        /// The price is not between that of the seller and that of the buyer.
        PriceOutside = 129,
        /// A match before it is missing.
        MatchAhead = 130,
        /// The orders do not match: sides, symbols or quantity.
        BadMatch = 131,
        /// Trading is halted: data is not what it must be (8.2).
        TradingHalted = 140,
        /// 503: nothing may be written now (5, 7.1).
        ReadOnly = 141,
        /// 503: the matching engine is being recovered (7.2).
        EngineDown = 142,
        /// 503: the market data is older than 60 seconds (7.3).
        StaleData = 143,
        /// No price of that symbol was ever heard.
        NoQuote = 144,
        /// 503: no node of the database answers.
        Unavailable = 145,
        /// The fencing token is not the present one (5).
        StaleToken = 150,
        /// Only what was written can be acknowledged.
        AckAhead = 151,
        /// The operation was another one.
        OperationReused = 160,
        /// The circuit breaker is open, and the operation has no fallback (3.2).
        CircuitOpen = 161,
        /// The circuit breaker is open, and nothing is cached (3.2).
        NothingCached = 162,
        /// Too many operations wait.
        QueueFull = 163,
        /// Another dependency, symbol or corrupt place than may be kept.
        TooMany = 164,
        /// Nothing waits for a person.
        NothingWaits = 170,
        /// The region does not have everything that was acknowledged (3.3).
        NotCaughtUp = 171,
        /// It is being recovered already.
        UnderWay = 172,
        /// The exchange is in its first region.
        NothingToFailBack = 173,
        /// What is wrong is still wrong.
        StillWrong = 174,
        /// A drill is under way.
        DrillUnderWay = 180,
        /// Drills wait for better days: something is being recovered.
        NotHealthy = 181,
    }
}

impl No {
    /// The rejection, with a sentence made of parts.
    #[inline(never)]
    pub fn says(self, parts: &[&str]) -> Rejection {
        self.because(join(parts))
    }

    /// The rejection, with a sentence or a name.
    #[inline(never)]
    pub fn about(self, what: &str) -> Rejection {
        self.because(what)
    }

    /// The rejection, about a number.
    #[inline(never)]
    pub fn number(self, what: &str, number: u64) -> Rejection {
        self.says(&[what, &decimal(number)])
    }
}
