//! Views: what the policy keeps, as JSON.

use crate::{
    census::quorum,
    error::No,
    events::Fields,
    node::find,
    params::PAGE_NODES_MAX,
    state::{
        CLUSTER, CapsuleId, Cluster, EVICTED, HALT, HELD, INCIDENT, LOADS, NODES, Node, NodeId, NodeState, RESTORATION,
        ROUTES, SNAPSHOTS,
    },
};
use reprise_guest::{
    Host,
    abi::{Rejection, limits::SCAN_ENTRIES_MAX},
    json::Json,
    rejection::{Code, SdkCode},
    text::join,
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
    let mut out = Json::object();
    match name {
        "assignments" => assignments(host, &cluster, &read(args)?, &mut out)?,
        "cluster" => whole(&cluster, &mut out),
        "figures" => figures(&cluster, &mut out),
        "halt" => halt(host, &mut out)?,
        "incident" => incident(host, &mut out)?,
        "leader" => leader(&cluster, &mut out),
        "node" => node(host, &read(args)?, &mut out)?,
        "nodes" => nodes(host, &read(args)?, &mut out)?,
        "restoration" => restoration(host, &mut out)?,
        _ => return Err(SdkCode::UnknownView.because(join(&["`", name, "`"]))),
    }
    Ok(out.done())
}

/// What a view is asked about: `node`, `capsule`, `after`.
fn read(args: &[u8]) -> Result<Fields, Rejection> {
    let fields = if args.is_empty() { Some(Fields::default()) } else { Fields::read(args) };
    fields.ok_or_else(|| SdkCode::MalformedPayload.because("arguments: `node`, `capsule`, `after`"))
}

fn whole(cluster: &Cluster, out: &mut Json) {
    let members = cluster.census.members();
    out.text("status", cluster.status().name()).text("phase", cluster.phase.name());
    out.flag("proposals", cluster.accepts_proposals()).number("members", members);
    out.number("responsive", cluster.census.responsive()).number("quorum", quorum(members)).nested("nodes");
    for state in NodeState::ALL {
        out.number(state.name(), cluster.census.of(state));
    }
    out.close().number("capsules", cluster.census.capsules).number("round", cluster.round.number);
    out.number("agree", cluster.round.agree).flag("conflict", cluster.round.conflict);
    out.numbers("suspects", &cluster.suspects).maybe("ballot", cluster.ballot.as_ref().map(|ballot| ballot.number));
}

fn figures(cluster: &Cluster, out: &mut Json) {
    let figures = &cluster.figures;
    out.number("failovers", figures.failovers)
        .number("recoveries", figures.recoveries)
        .number("moved", figures.moved)
        .number("unhealthy", figures.unhealthy)
        .number("consensus_losses", figures.consensus_losses)
        .number("incidents", figures.incidents)
        .number("evictions", figures.evictions)
        .number("restores", figures.restores)
        .number("audits", figures.audits)
        .number("last_recovery_ms", figures.last_recovery_ms)
        .number("late_recoveries", figures.late_recoveries);
}

fn leader(cluster: &Cluster, out: &mut Json) {
    let leader = cluster.leader.as_ref();
    out.number("term", cluster.term).maybe("node", leader.map(|leader| leader.node.into()));
    out.flag("confirmed", leader.is_some_and(|leader| leader.confirmed));
}

fn node(host: &mut dyn Host, about: &Fields, out: &mut Json) -> Result<(), Rejection> {
    let Some(id) = about.node else { return Err(SdkCode::MalformedPayload.because("say which: {\"node\":1}")) };
    let node = find(host, id)?;
    describe(host, id, &node, out)
}

fn describe(host: &mut dyn Host, id: NodeId, node: &Node, out: &mut Json) -> Result<(), Rejection> {
    out.number("node", id.0).text("state", node.state.name()).number("last_heartbeat_ms", node.beat_ms);
    out.number("retries", node.retries).number("capsules", LOADS.get(host, &id)?.unwrap_or_default());
    Ok(())
}

/// A page of the nodes after `node`, and the evicted ones.
fn nodes(host: &mut dyn Host, about: &Fields, out: &mut Json) -> Result<(), Rejection> {
    let nodes = NODES.entries(host)?;
    let evicted = EVICTED.keys(host, None, SCAN_ENTRIES_MAX)?;
    out.list("nodes");
    for (id, node) in nodes.iter().filter(|(id, _)| about.node < Some(*id)).take(PAGE_NODES_MAX) {
        describe(host, *id, node, out.item())?;
        out.close();
    }
    out.close().numbers("evicted", &evicted);
    Ok(())
}

/// Where a capsule is; which capsules a node has, a page of them; or how many each node has.
fn assignments(host: &mut dyn Host, cluster: &Cluster, about: &Fields, out: &mut Json) -> Result<(), Rejection> {
    if let Some(capsule) = about.capsule {
        let Some(node) = ROUTES.get(host, &capsule)? else {
            return Err(No::UnknownCapsule.number("capsule ", u64::from(capsule.0)));
        };
        out.number("capsule", capsule.0).number("node", node.0);
        return Ok(());
    }
    if let Some(id) = about.node {
        let capsules: Vec<CapsuleId> = HELD.keys_of(host, &id, about.after.as_ref(), SCAN_ENTRIES_MAX)?;
        out.number("node", id.0).numbers("capsules", &capsules);
        return Ok(());
    }
    out.number("capsules", cluster.census.capsules).list("loads");
    for (id, load) in LOADS.entries(host)? {
        out.item().number("node", id.0).number("capsules", load).close();
    }
    Ok(())
}

fn halt(host: &mut dyn Host, out: &mut Json) -> Result<(), Rejection> {
    let halt = HALT.get(host)?;
    out.maybe("halt", halt.as_ref().map(|halt| halt.number));
    if let Some(halt) = halt {
        out.text("reason", &halt.reason).text("first", &halt.first).text("second", &halt.second);
        out.flag("confirmed", !halt.is_pending()).text("snapshot", &halt.snapshot()).number("quorum", halt.need);
        out.number("nodes_halted", halt.acks).flag("decided", halt.success.is_some());
        out.flag("success", halt.success == Some(true));
    }
    Ok(())
}

fn incident(host: &mut dyn Host, out: &mut Json) -> Result<(), Rejection> {
    let incident = INCIDENT.get(host)?;
    out.maybe("incident", incident.as_ref().map(|incident| incident.number));
    if let Some(incident) = incident {
        out.text("reason", &incident.reason).text("mode", incident.mode.map_or("none", |mode| mode.name()));
        out.number("since_ms", incident.since_ms).maybe("ended_ms", incident.ended_ms);
        out.flag("cleared", incident.cleared);
    }
    Ok(())
}

fn restoration(host: &mut dyn Host, out: &mut Json) -> Result<(), Rejection> {
    out.list("snapshots");
    for known in SNAPSHOTS.get(host)?.unwrap_or_default().known {
        out.item().text("snapshot", &known.name).number("tick", known.tick).text("digest", &known.digest).close();
    }
    out.close();
    let restoration = RESTORATION.get(host)?;
    out.text("stage", restoration.as_ref().map_or("none", |restoration| restoration.stage.name()));
    if let Some(restoration) = restoration {
        out.text("snapshot", &restoration.snapshot.name).text("operator", &restoration.operator);
        out.number("restored_tick", restoration.snapshot.tick).number("nodes_restored", restoration.restored);
        out.number("nodes_failed", restoration.failed);
    }
    Ok(())
}
