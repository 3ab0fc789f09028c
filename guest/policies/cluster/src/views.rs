//! Views: what the policy keeps, as JSON.

use crate::{
    error::No,
    events::Fields,
    json::{Json, join},
    node::find,
    params::PAGE_NODES_MAX,
    state::{
        CLUSTER, CapsuleId, Cluster, EVICTED, HALT, HELD, INCIDENT, LOADS, NODES, Node, NodeId, NodeState, RESTORATION,
        ROUTES, SNAPSHOTS, quorum,
    },
};
use reprise_guest::{
    Host,
    abi::{Rejection, limits::SCAN_ENTRIES_MAX},
    rejection::{Code, SdkCode},
};

/// Names of the views, ascending.
pub const VIEWS: [&str; 9] =
    ["assignments", "cluster", "figures", "halt", "incident", "leader", "node", "nodes", "restoration"];

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownNode`], [`No::UnknownCapsule`], unknown view, malformed arguments.
pub fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
    let Some(cluster) = CLUSTER.get(host)? else { return Err(No::NotInitialised.says(&["send `init` first"])) };
    let json = match name {
        "assignments" => assignments(host, &cluster, read(args)?)?,
        "cluster" => whole(&cluster),
        "figures" => figures(&cluster),
        "halt" => halt(host)?,
        "incident" => incident(host)?,
        "leader" => leader(&cluster),
        "node" => node(host, read(args)?)?,
        "nodes" => nodes(host, &read(args)?)?,
        "restoration" => restoration(host)?,
        _ => return Err(SdkCode::UnknownView.because(join(&["`", name, "`"]))),
    };
    Ok(json.end())
}

/// What a view is asked about: `node`, `capsule`, `after`.
fn read(args: &[u8]) -> Result<Fields, Rejection> {
    let fields = if args.is_empty() { Some(Fields::default()) } else { Fields::read(args) };
    fields.ok_or_else(|| SdkCode::MalformedPayload.because("arguments: `node`, `capsule`, `after`"))
}

fn whole(cluster: &Cluster) -> Json {
    let states =
        NodeState::ALL.into_iter().fold(Json::object(), |json, state| json.num(state.name(), cluster.census.of(state)));
    let members = cluster.census.members();
    Json::object()
        .text("status", cluster.status().name())
        .text("phase", cluster.phase.name())
        .flag("proposals", cluster.accepts_proposals())
        .num("members", members)
        .num("responsive", cluster.census.responsive())
        .num("quorum", quorum(members))
        .nested("nodes", states)
        .num("capsules", cluster.census.capsules)
        .num("round", cluster.round.number)
        .num("agree", cluster.round.agree)
        .flag("conflict", cluster.round.conflict)
        .ids("suspects", &cluster.suspects)
        .maybe("ballot", cluster.ballot.as_ref().map(|ballot| ballot.number))
}

fn figures(cluster: &Cluster) -> Json {
    let figures = &cluster.figures;
    Json::object()
        .num("failovers", figures.failovers)
        .num("recoveries", figures.recoveries)
        .num("moved", figures.moved)
        .num("unhealthy", figures.unhealthy)
        .num("consensus_losses", figures.consensus_losses)
        .num("incidents", figures.incidents)
        .num("evictions", figures.evictions)
        .num("restores", figures.restores)
        .num("audits", figures.audits)
        .num("last_recovery_ms", figures.last_recovery_ms)
        .num("late_recoveries", figures.late_recoveries)
}

fn leader(cluster: &Cluster) -> Json {
    let json = Json::object().num("term", cluster.term);
    match &cluster.leader {
        Some(leader) => json.maybe("node", Some(u64::from(leader.node.0))).flag("confirmed", leader.confirmed),
        None => json.maybe("node", None).flag("confirmed", false),
    }
}

fn node(host: &mut dyn Host, about: Fields) -> Result<Json, Rejection> {
    let Some(id) = about.node else { return Err(SdkCode::MalformedPayload.because("say which: {\"node\":1}")) };
    let node = find(host, id)?;
    describe(host, id, &node)
}

fn describe(host: &mut dyn Host, id: NodeId, node: &Node) -> Result<Json, Rejection> {
    Ok(Json::object()
        .num("node", id.0)
        .text("state", node.state.name())
        .num("last_heartbeat_ms", node.beat_ms)
        .num("retries", node.retries)
        .num("capsules", LOADS.get(host, &id)?.unwrap_or_default()))
}

/// A page of the nodes after `node`, and the evicted ones.
fn nodes(host: &mut dyn Host, about: &Fields) -> Result<Json, Rejection> {
    let nodes = NODES.entries(host)?;
    let evicted = EVICTED.keys(host, None, SCAN_ENTRIES_MAX)?;
    let page = nodes.iter().filter(|(id, _)| about.node < Some(*id)).take(PAGE_NODES_MAX);
    let list = page.map(|(id, node)| describe(host, *id, node)).collect::<Result<_, _>>()?;
    Ok(Json::object().list("nodes", list).ids("evicted", &evicted))
}

/// Where a capsule is; which capsules a node has, a page of them; or how many each node has.
fn assignments(host: &mut dyn Host, cluster: &Cluster, about: Fields) -> Result<Json, Rejection> {
    if let Some(capsule) = about.capsule {
        let Some(node) = ROUTES.get(host, &capsule)? else {
            return Err(No::UnknownCapsule.number("capsule ", u64::from(capsule.0)));
        };
        return Ok(Json::object().num("capsule", capsule.0).num("node", node.0));
    }
    if let Some(id) = about.node {
        let capsules: Vec<CapsuleId> = HELD.keys_of(host, &id, about.after.as_ref(), SCAN_ENTRIES_MAX)?;
        return Ok(Json::object().num("node", id.0).ids("capsules", &capsules));
    }
    let loads: Vec<(NodeId, u32)> = LOADS.entries(host)?;
    let list = loads.into_iter().map(|(id, load)| Json::object().num("node", id.0).num("capsules", load)).collect();
    Ok(Json::object().num("capsules", cluster.census.capsules).list("loads", list))
}

fn halt(host: &mut dyn Host) -> Result<Json, Rejection> {
    let Some(halt) = HALT.get(host)? else { return Ok(Json::object().maybe("halt", None)) };
    let json = Json::object()
        .num("halt", halt.number)
        .text("reason", &halt.reason)
        .text("first", &halt.first)
        .text("second", &halt.second)
        .flag("confirmed", !halt.is_pending())
        .text("snapshot", &halt.snapshot())
        .num("quorum", halt.need)
        .num("nodes_halted", halt.acks)
        .flag("decided", halt.success.is_some());
    Ok(json.flag("success", halt.success == Some(true)))
}

fn incident(host: &mut dyn Host) -> Result<Json, Rejection> {
    let Some(incident) = INCIDENT.get(host)? else { return Ok(Json::object().maybe("incident", None)) };
    Ok(Json::object()
        .num("incident", incident.number)
        .text("reason", &incident.reason)
        .text("mode", incident.mode.map_or("none", |mode| mode.name()))
        .num("since_ms", incident.since_ms)
        .maybe("ended_ms", incident.ended_ms)
        .flag("cleared", incident.cleared))
}

fn restoration(host: &mut dyn Host) -> Result<Json, Rejection> {
    let snapshots = SNAPSHOTS.get(host)?.unwrap_or_default();
    let list = snapshots
        .known
        .iter()
        .map(|known| Json::object().text("snapshot", &known.name).num("tick", known.tick).text("digest", &known.digest))
        .collect();
    let json = Json::object().list("snapshots", list);
    let Some(restoration) = RESTORATION.get(host)? else { return Ok(json.text("stage", "none")) };
    Ok(json
        .text("stage", restoration.stage.name())
        .text("snapshot", &restoration.snapshot.name)
        .text("operator", &restoration.operator)
        .num("restored_tick", restoration.snapshot.tick)
        .num("nodes_restored", restoration.restored)
        .num("nodes_failed", restoration.failed))
}
