//! `init` and `register`: parameters, and new capsules.

use crate::{
    config::{BATCH_MAX, CAPSULES_MAX, DEPTH_MAX, NODES_MAX, check_count, check_name},
    events::{Init, Newcomer, Register},
    lineage,
    phi::{self, Phi},
    rejection::No,
    state::{Agenda, CHILDREN, CONFIG, Capsule, HEADER, Header, NODES, Status},
    turn::{Held, Turn},
};
use reprise_guest::{Host, StepInput, abi::Rejection, json::Json, rejection::Code};

/// Pins the parameters.
///
/// # Errors
/// [`No::AlreadyInitialised`], [`No::BadNodes`], [`No::BadName`], [`No::BadParameter`].
pub fn init(host: &mut dyn Host, input: &StepInput, init: Init) -> Result<Vec<u8>, Rejection> {
    if HEADER.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.because("`init` comes once"));
    }
    let config = init.config();
    config.validate()?;
    let nodes = init.nodes;
    if !(1..=NODES_MAX).contains(&nodes.len()) || nodes.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(No::BadNodes.because("nodes: 1 to 64, ascending, each of them once"));
    }
    nodes.iter().try_for_each(|node| check_name("node", node))?;
    let mut answer = Json::object();
    answer.number("nodes", config.nodes).number("quorum", config.quorum());
    CONFIG.put(host, &config);
    NODES.put(host, &nodes);
    Turn::with(host, input, config, Header::default()).close();
    Ok(answer.done())
}

/// Takes in new capsules.
///
/// # Errors
/// [`No::BadCount`], [`No::BadName`], [`No::DuplicateCapsule`], [`No::UnknownParent`], [`No::TooDeep`],
/// [`No::TooManyCapsules`], [`No::PropagationBlocked`], [`No::BadPhi`].
pub fn register(turn: &mut Turn, register: Register) -> Result<(), Rejection> {
    check_count("capsules", register.capsules.len(), BATCH_MAX)?;
    for newcomer in register.capsules {
        take_in(turn, newcomer)?;
    }
    let capsules: u32 = turn.header.by_status.iter().sum();
    let mut answer = Json::object();
    answer.number("capsules", capsules);
    turn.answer = answer.done();
    Ok(())
}

fn take_in(turn: &mut Turn, newcomer: Newcomer) -> Result<(), Rejection> {
    let Newcomer { id, parent, phi } = newcomer;
    let phi = Phi(phi);
    check_name("capsule", &id)?;
    if !phi::is_normal(&phi, turn.config.dimension) {
        return Err(No::BadPhi.because([&id, ": as many components as `dimension`, length 1"].concat()));
    }
    if turn.find(&id)?.is_some() {
        return Err(No::DuplicateCapsule.because(&id));
    }
    if turn.header.by_status.iter().sum::<u32>() >= CAPSULES_MAX {
        return Err(No::TooManyCapsules.because("at most 1000000"));
    }
    let depth = match &parent {
        Some(parent) => descend(turn, parent, &id)?,
        None => 0,
    };
    let capsule = Box::new(Capsule {
        parent,
        depth,
        has_children: false,
        phi,
        reading: None,
        status: Status::Normal,
        consensus_participation: true,
        propagation_blocked: false,
        lineage_tainted: false,
        order: None,
        agenda: Agenda::default(),
        case: None,
    });
    turn.save(Held::new(id, capsule));
    Ok(())
}

/// Enters a child with its parent, and says how deep it is. From a capsule in quarantine nothing springs (E3).
fn descend(turn: &mut Turn, parent: &String, child: &str) -> Result<u32, Rejection> {
    let mut held = turn.find(parent)?.ok_or_else(|| No::UnknownParent.because(parent))?;
    let isolated = lineage::isolated_above(turn.host, &turn.header, &held.capsule)?;
    if held.capsule.propagation_blocked || isolated.is_some() {
        return Err(No::PropagationBlocked.because([parent, " is in quarantine"].concat()));
    }
    if held.capsule.depth >= DEPTH_MAX {
        return Err(No::TooDeep.because([child, ": at most 64 ancestors"].concat()));
    }
    let depth = held.capsule.depth + 1;
    CHILDREN.insert(turn.host, &(parent.clone(), child.into()));
    if !held.capsule.has_children {
        held.capsule.has_children = true;
        turn.save(held);
    }
    Ok(depth)
}
