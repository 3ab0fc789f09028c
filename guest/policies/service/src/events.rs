//! What the policy is told: a type for the payload of each kind of input, read strictly.
//!
//! [`crate::dispatch`] says which kind has which.

use crate::payload::{Member, Payload};

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $member:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl $name {
            /// Its members, and whether they may be left out.
            pub const MEMBERS: &[(&'static str, bool)] = &[$(($member, <$type as Member>::OPTIONAL)),+];

            /// Takes it out of a payload that fits.
            #[inline(never)]
            #[must_use]
            pub fn take(mut payload: Payload) -> Self {
                Self { $($field: payload.take($member)),+ }
            }
        }
    )+};
}

payloads! {
    /// Money comes or goes, once for each transaction (9.2).
    Balance {
        /// Its name.
        transaction: String = "transaction",
        /// Whose account; it is opened when it is not there.
        account: String = "account",
        /// Money units; negative: it goes.
        amount: i64 = "amount",
    }
    /// An order is cancelled; again changes nothing (9.2).
    Cancel {
        /// Which.
        order: u64 = "order",
    }
    /// A connection to a database node works or fails (4.2).
    Connection {
        /// Which node.
        node: String = "node",
        /// It works.
        ok: bool = "ok",
        /// Its replication lag in milliseconds.
        lag_ms: Option<u64> = "lag_ms",
        /// The last write that it has.
        lsn: Option<u64> = "lsn",
    }
    /// A checksum does not match (8.1).
    Corruption {
        /// What is corrupt: a page, a log entry, a message.
        place: String = "place",
    }
    /// An operator goes on without the other region.
    Detach {
        /// The region that is out.
        region: String = "region",
        /// Who says so.
        operator: String = "operator",
    }
    /// An operator begins a drill (12).
    StartDrill {
        /// Which: `kill`, `latency`, `disk_full`, `corrupt_page`, `zone_failure`, `node_failure`, `region_failover`.
        drill: String = "drill",
        /// Of what.
        subject: String = "subject",
        /// Who begins it.
        operator: String = "operator",
    }
    /// An operator goes back to the first region (3.3).
    Failback {
        /// Who.
        operator: String = "operator",
        /// What the cause of the failure was found to be.
        root_cause: String = "root_cause",
    }
    /// A health check of a service (4.1).
    Health {
        /// Which.
        service: String = "service",
        /// It passed.
        ok: bool = "ok",
        /// How late the service processes events, in milliseconds.
        lag_ms: Option<u64> = "lag_ms",
    }
    /// Begins everything, once.
    Init {
        /// Services: `service`, `role`, optional `critical`, `zone`.
        services: Vec<Payload> = "services",
        /// Database nodes, the primary first: `node`, `region`.
        nodes: Vec<Payload> = "nodes",
        /// One or two regions, the active one first.
        regions: Vec<String> = "regions",
        /// Operators.
        operators: Vec<String> = "operators",
        /// Fee of each side of a trade, in parts of a million; none if absent.
        fee_ppm: Option<u64> = "fee_ppm",
    }
    /// A price was heard.
    MarketData {
        /// Of what.
        symbol: String = "symbol",
        /// Money units for a lot.
        price: u64 = "price",
    }
    /// The matching engine matched two orders; the log numbers its matches.
    NewMatch {
        /// Its number in the log, from 1 (`match`).
        number: u64 = "match",
        /// The order that buys.
        buy: u64 = "buy",
        /// The order that sells.
        sell: u64 = "sell",
        /// Money units for a lot.
        price: u64 = "price",
        /// Lots.
        quantity: u64 = "quantity",
    }
    /// What a service uses (11.2).
    Metrics {
        /// Which.
        service: String = "service",
        /// Memory in use.
        memory_percent: Option<u64> = "memory_percent",
        /// Disk in use.
        disk_percent: Option<u64> = "disk_percent",
        /// For how long its longest idle database connection has been idle.
        idle_ms: Option<u64> = "idle_ms",
    }
    /// An operation on something that may fail (3, 10).
    Operation {
        /// Its name.
        operation: String = "operation",
        /// `database`, `rpc_internal`, `rpc_external`, `http`: its timeout (10.3).
        kind: String = "kind",
        /// What it depends on.
        dependency: String = "dependency",
        /// What is asked; the same question may have a cached answer.
        request: String = "request",
        /// `queue`, `cache` or `none`, while the breaker is open.
        fallback: String = "fallback",
    }
    /// What somebody else says of an order: held against 8.2.
    OrderState {
        /// Which.
        order: u64 = "order",
        /// Lots filled.
        filled: u64 = "filled",
        /// Lots that remain.
        remaining: u64 = "remaining",
    }
    /// A new order (7.2, 9.1).
    Place {
        /// Unique for the request.
        idempotency_key: String = "idempotency_key",
        /// Whose.
        account: String = "account",
        /// What.
        symbol: String = "symbol",
        /// `buy` or `sell`.
        side: String = "side",
        /// Limit, in money units for a lot.
        price: u64 = "price",
        /// Lots.
        quantity: u64 = "quantity",
    }
    /// A position as it stands: held against 8.2.
    NewPosition {
        /// Whose.
        account: String = "account",
        /// In what.
        symbol: String = "symbol",
        /// Lots.
        size: u64 = "size",
        /// Money units for a lot.
        entry_price: u64 = "entry_price",
        /// Money units.
        margin: u64 = "margin",
        /// Times.
        leverage: u64 = "leverage",
    }
    /// Asks for a price (7.3).
    Quote {
        /// Of what.
        symbol: String = "symbol",
    }
    /// An operator has a recovery tried again.
    Recover {
        /// Which.
        recovery: u64 = "recovery",
        /// Who.
        operator: String = "operator",
    }
    /// One more service.
    NewService {
        /// Its name.
        service: String = "service",
        /// `matching`, `settlement`, `market_data` or `other`.
        role: String = "role",
        /// Health is red without it; matching and settlement are critical anyway.
        critical: Option<bool> = "critical",
        /// Its zone.
        zone: Option<String> = "zone",
    }
    /// A check of a region (3.3).
    RegionCheck {
        /// Which.
        region: String = "region",
        /// It passed.
        ok: bool = "ok",
    }
    /// A database node has all writes up to one (5).
    Replicated {
        /// Which node.
        node: String = "node",
        /// The last write that it has.
        lsn: u64 = "lsn",
        /// The fencing token that the write came with.
        token: u64 = "token",
    }
    /// A request of a client (7.1).
    Request {
        /// `GET`, `POST`, `PUT` or `DELETE`.
        method: String = "method",
    }
    /// An operator ends a halt of trading.
    Resume {
        /// Who.
        operator: String = "operator",
    }
    /// A trade is settled; again changes nothing (9.2).
    Settle {
        /// Which: the number of its match.
        trade: u64 = "trade",
    }
    /// What somebody else has counted: held against 8.2.
    Totals {
        /// Everything that was paid in and not paid out.
        total: u64 = "total",
        /// The sum of all accounts.
        accounts: u64 = "accounts",
        /// Fees.
        fees: u64 = "fees",
    }
    /// The primary writes (5).
    Write {
        /// Who writes.
        node: String = "node",
        /// Under which fencing token.
        token: u64 = "token",
    }
    /// An availability zone is gone (13).
    ZoneFailure {
        /// Which.
        zone: String = "zone",
    }
}
