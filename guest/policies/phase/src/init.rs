//! `init`: parameters, supervisors, nodes, the first ring.

use crate::{
    error::{No, Refusal},
    fields::Fields,
    nodes, overrides,
    params::{Config, NODE_IDS, NODES_MAX, regions},
    ring,
    state::{CONFIG, Census, Node, ROSTER, WHOLE, Whole},
    turn::Turn,
};
use reprise_guest::Host;

/// Begins everything, once: generation 1, all nodes healthy, no leader yet.
///
/// # Errors
/// [`No::AlreadyInitialised`], [`No::BadNodes`], those of the parameters and the roster, malformed.
pub fn init(host: &mut dyn Host, now_ms: u64, fields: &mut Fields) -> Result<Vec<u8>, Refusal> {
    if WHOLE.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.says(&["it has begun"]));
    }
    let ids: Vec<u64> = fields.take("nodes")?;
    let supervisors = overrides::take_roster(fields)?;
    let config = Config::take(fields)?;
    regions(host, fields)?;
    fields.end()?;
    let ascending = ids.windows(2).all(|pair| pair[0] < pair[1]);
    let in_bounds = ids.last().is_some_and(|last| *last < NODE_IDS.into()) && ids.len() <= NODES_MAX as usize;
    if !ascending || !in_bounds {
        return Err(No::BadNodes.says(&["1 to 1,000 nodes below 4,096, ascending"]));
    }
    CONFIG.put(host, &config);
    ROSTER.put(host, &supervisors);
    let count = ids.len() as u32;
    let census = Census { members: count, reachable: count, lagging: 0 };
    let whole = Box::new(Whole { g: 1, census, ..Whole::default() });
    let mut turn = Turn { host, now_ms, config, whole };
    nodes::enter(&mut turn, &ids, &Node::new(now_ms));
    ring::first(&mut turn, &ids)?;
    turn.close();
    Ok(Vec::new())
}
