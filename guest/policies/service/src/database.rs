//! The database: connections, quorum, fencing tokens, acknowledged writes, and the fail-over to a replica (4.2, 5).

use crate::{
    alert::Severity,
    error::No,
    events::{Connection, Replicated, Write},
    params::{FAILED_CHECKS, Operation},
    recovery::Recovery,
    regions::Region,
    stage::Kind,
    state::DATABASE,
    turn::Turn,
    verdict,
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// The nodes of the database, and the regions they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// One or two regions; the first one is where the exchange belongs.
    pub regions: Vec<Region>,
    /// Which of them is active.
    pub active: u32,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Which of them is the primary.
    pub primary: u32,
    /// The last write.
    pub writes: u64,
}
stored!(Database { regions, active, nodes, primary, writes });

/// A node of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: u32,
    /// Consecutive failed connections.
    pub failures: u32,
    /// Its replication lag in milliseconds.
    pub lag_ms: u64,
    /// The last write that it has.
    pub lsn: u64,
    /// It is shut out: it has no vote and cannot be the primary.
    pub fenced: bool,
}
stored!(Node { name, region, failures, lag_ms, lsn, fenced });

impl Node {
    /// It answers, as far as is known.
    #[must_use]
    pub const fn answers(&self) -> bool {
        self.failures < FAILED_CHECKS
    }
}

impl Database {
    /// The primary's name.
    #[must_use]
    pub fn primary(&self) -> &str {
        self.nodes.get(self.primary as usize).map_or("", |node| &node.name)
    }

    /// The nodes that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.fenced)
    }

    /// The last write that more than half of the voters have, and somebody outside the active region if there is a
    /// voter there: the loss of a region loses nothing (3.3, 5).
    #[must_use]
    pub fn safe(&self) -> u64 {
        let voters = self.voters().count();
        let enough = |lsn: &u64| self.voters().filter(|node| node.lsn >= *lsn).count() * 2 > voters;
        let by_majority = self.voters().map(|node| node.lsn).filter(enough).max().unwrap_or_default();
        let elsewhere = self.voters().filter(|node| node.region != self.active).map(|node| node.lsn).max();
        elsewhere.map_or(by_majority, |lsn| by_majority.min(lsn))
    }

    /// Who of a region can take over: answers, has everything acknowledged, is not who has failed. The one with the
    /// most writes, the first of equals; who has failed at it before comes last.
    #[must_use]
    pub fn heir(&self, region: u32, acknowledged: u64, lost: &str, tried: &str) -> Option<usize> {
        let mut best: Option<(bool, u64, usize)> = None;
        for (at, node) in self.nodes.iter().enumerate() {
            let able = node.answers() && node.region == region && node.lsn >= acknowledged && node.name != lost;
            let rank = (node.name != tried, node.lsn);
            if able && best.is_none_or(|(fresh, lsn, _)| rank > (fresh, lsn)) {
                best = Some((rank.0, rank.1, at));
            }
        }
        best.map(|(_, _, at)| at)
    }

    /// The place of a node.
    ///
    /// # Errors
    /// [`No::UnknownNode`].
    #[inline(never)]
    pub fn find(&self, name: &str) -> Result<usize, Rejection> {
        self.nodes.iter().position(|node| node.name == name).ok_or_else(|| No::UnknownNode.about(name))
    }
}

/// A connection to a node works or fails; three failures in a row, and it does not answer.
///
/// # Errors
/// [`No::UnknownNode`].
pub fn connection(turn: &mut Turn<'_>, event: &Connection) -> Result<Json, Rejection> {
    let mut database = load(turn)?;
    let at = database.find(&event.node)?;
    let node = &mut database.nodes[at];
    node.failures = if event.ok { 0 } else { node.failures.saturating_add(1) };
    node.lag_ms = event.lag_ms.unwrap_or(node.lag_ms);
    let mut answer = Json::object();
    answer.number("failures", node.failures);
    let primary = database.primary();
    // A fail-over that waits for a node to choose hears of it under the name of what has failed: the primary.
    if event.ok || event.node == primary {
        verdict::plan(turn, Kind::Database, primary, "connection failures")?;
    }
    save(turn, &database);
    Ok(answer)
}

/// The primary writes. It says under which lease.
///
/// # Errors
/// [`No::TradingHalted`], [`No::ReadOnly`], [`No::UnknownNode`], [`No::StaleToken`].
pub fn write(turn: &mut Turn<'_>, event: &Write) -> Result<Json, Rejection> {
    turn.writable()?;
    let mut database = load(turn)?;
    let at = database.find(&event.node)?;
    fresh(turn, event.token)?;
    if at != database.primary as usize {
        return Err(No::StaleToken.says(&[&event.node, " is not the primary"]));
    }
    database.writes += 1;
    database.nodes[at].lsn = database.writes;
    turn.timer_of("write", database.writes, Operation::Database.timeout_ms());
    let mut answer = Json::object();
    answer.number("lsn", database.writes).number("token", event.token);
    save(turn, &database);
    Ok(answer)
}

/// A node has all writes up to one. Those that are safe now are acknowledged.
///
/// # Errors
/// [`No::UnknownNode`], [`No::StaleToken`], [`No::AckAhead`].
pub fn replicated(turn: &mut Turn<'_>, event: &Replicated) -> Result<Json, Rejection> {
    let mut database = load(turn)?;
    let at = database.find(&event.node)?;
    fresh(turn, event.token)?;
    if event.lsn > database.writes {
        return Err(No::AckAhead.number("the last write is ", database.writes));
    }
    let (writes, home) = (database.writes, database.active == 0);
    let node = &mut database.nodes[at];
    node.lsn = node.lsn.max(event.lsn);
    // Who was shut out while the exchange was at home, and has everything again, votes again. After a fail-over to
    // another region only a failback does that: by hand (3.3).
    if node.fenced && node.lsn == writes && home && turn.exchange.data.failing_over == 0 {
        node.fenced = false;
    }
    let safe = database.safe();
    if safe > turn.exchange.data.acknowledged {
        turn.exchange.data.acknowledged = safe;
        turn.say("client", Json::object().text("do", "acknowledge").number("through", safe));
    }
    if turn.exchange.data.failing_over > 0 {
        let primary = database.primary();
        verdict::plan(turn, Kind::Database, primary, "connection failures")?;
    }
    save(turn, &database);
    let mut answer = Json::object();
    answer.number("acknowledged", turn.exchange.data.acknowledged);
    Ok(answer)
}

/// A write has had its time (10.3).
///
/// # Errors
/// None: it is called like those that have some.
pub fn write_is_due(turn: &mut Turn<'_>, lsn: u64) -> Result<(), Rejection> {
    if lsn > turn.exchange.data.acknowledged {
        turn.alert(Severity::P1, "write_not_acknowledged", "database");
    }
    Ok(())
}

/// Whether the primary of this name does not answer, and nobody moves the exchange elsewhere anyway.
///
/// # Errors
/// Corrupt state.
pub fn primary_is_lost(turn: &mut Turn<'_>, name: &str) -> Result<bool, Rejection> {
    let database = load(turn)?;
    let node = &database.nodes[database.primary as usize];
    Ok(node.name == name && !node.answers() && turn.exchange.data.failing_over == 0)
}

/// Who takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This node.
    Node(String),
    /// Nobody: the primary answers again, or another one is the primary already.
    NotNeeded,
    /// Nobody yet: no quorum, or no node that has everything.
    Wait,
}

/// Chooses the replica that takes over: of those that answer and have everything acknowledged, who has most; one that
/// has failed at it before comes last.
///
/// # Errors
/// Corrupt state.
pub fn choose(turn: &mut Turn<'_>, recovery: &Recovery) -> Result<Choice, Rejection> {
    let database = load(turn)?;
    let primary = &database.nodes[database.primary as usize];
    if primary.name != recovery.subject || primary.answers() && !primary.fenced {
        return Ok(Choice::NotNeeded);
    }
    if !turn.exchange.data.quorum {
        return Ok(Choice::Wait);
    }
    let acknowledged = turn.exchange.data.acknowledged;
    let heir = database.heir(database.active, acknowledged, &primary.name, &recovery.work.target);
    // While a region is given up its nodes are shut out.
    let heir = heir.map(|at| &database.nodes[at]).filter(|node| !node.fenced);
    Ok(heir.map_or(Choice::Wait, |node| Choice::Node(node.name.clone())))
}

/// The new primary has replayed its log up to a write: what is after it was never acknowledged and is gone.
///
/// # Errors
/// Corrupt state.
pub fn replayed(turn: &mut Turn<'_>, recovery: &Recovery, lsn: u64) -> Result<Option<&'static str>, Rejection> {
    let mut database = load(turn)?;
    let Ok(at) = database.find(&recovery.work.target) else { return Ok(Some("the node is gone")) };
    if lsn > database.writes {
        return Ok(Some("a write that was never made"));
    }
    // The region may have been given up meanwhile.
    if database.nodes[at].fenced {
        return Ok(Some("the node is shut out"));
    }
    lead(&mut database, at, lsn);
    save(turn, &database);
    Ok(None)
}

/// A node is the primary, and its last write the last one.
pub fn lead(database: &mut Database, at: usize, lsn: u64) {
    database.primary = at as u32;
    database.writes = lsn;
    for node in &mut database.nodes {
        node.lsn = node.lsn.min(lsn);
    }
    database.nodes[at].lsn = lsn;
}

/// The database.
///
/// # Errors
/// [`No::NotInitialised`], or corrupt state.
#[inline(never)]
pub fn load(turn: &mut Turn<'_>) -> Result<Database, Rejection> {
    DATABASE.get(turn.host)?.ok_or_else(|| No::NotInitialised.about("no database"))
}

/// Stores the database, and sees to what its nodes amount to.
#[inline(never)]
pub fn save(turn: &mut Turn<'_>, database: &Database) {
    let answering = || database.voters().filter(|node| node.answers());
    let quorum = answering().count() * 2 > database.voters().count();
    let lags = answering().filter(|node| node.name != database.primary()).map(|node| node.lag_ms);
    let data = &mut turn.exchange.data;
    data.lag_ms = lags.max().unwrap_or_default();
    data.readable = database.nodes.iter().any(Node::answers);
    data.quorum = quorum;
    DATABASE.put(turn.host, database);
}

#[inline(never)]
fn fresh(turn: &Turn<'_>, token: u64) -> Result<(), Rejection> {
    if token == turn.exchange.data.token {
        return Ok(());
    }
    Err(No::StaleToken.number("the present token is ", turn.exchange.data.token))
}
