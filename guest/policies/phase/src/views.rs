//! Views: what an operator asks, as JSON.

use crate::{
    error::{No, Refusal},
    fields::Fields,
    ids::{NodeId, Phase, RunId, phases},
    nodes::member,
    overrides::threshold,
    params::Config,
    state::{
        CONFIG, CONTROLS, DURATIONS, EFFECTS, FSYNCS, LAGGING, LOCKS, NODES, PROPOSALS, RECORDS, RINGS, ROSTER, RUNS,
        Run, STREAMS, TOMBSTONES, WHOLE, Whole, sync_majority,
    },
};
use reprise_guest::{
    Host,
    json::Json,
    rejection::{Code, SdkCode},
    text::{hex, join},
};

/// Nodes of a page.
const PAGE_NODES: u32 = 256;

/// What a view looks at, and what it writes.
struct Look<'h> {
    host: &'h mut dyn Host,
    whole: Box<Whole>,
    config: Config,
    json: Json,
    about: Fields<'h>,
}

type View = fn(&mut Look<'_>) -> Result<(), Refusal>;

/// The views by name, ascending.
const VIEWS: [(&str, View); 12] = [
    ("control", control),
    ("detector", detector),
    ("figures", figures),
    ("generation", generation),
    ("ledger", ledger),
    ("locks", locks),
    ("log", log),
    ("node", node),
    ("nodes", nodes),
    ("overrides", overrides),
    ("ring", ring),
    ("run", run),
];

/// Names of the views, ascending.
pub const NAMES: [&str; 12] = [
    "control",
    "detector",
    "figures",
    "generation",
    "ledger",
    "locks",
    "log",
    "node",
    "nodes",
    "overrides",
    "ring",
    "run",
];

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], those of what is asked about, unknown view, malformed arguments.
pub fn view<'h>(host: &'h mut dyn Host, name: &str, args: &'h [u8]) -> Result<Vec<u8>, Refusal> {
    let Some((_, view)) = VIEWS.iter().find(|(known, _)| *known == name) else {
        return Err(SdkCode::UnknownView.because(join(&["`", name, "`"])).into());
    };
    let (Some(whole), Some(config)) = (WHOLE.get(host)?, CONFIG.get(host)?) else {
        return Err(No::NotInitialised.says(&["send `init` first"]));
    };
    let mut look = Look { host, whole, config, json: Json::object(), about: Fields::read(args)? };
    view(&mut look)?;
    look.about.end()?;
    Ok(look.json.done())
}

fn control(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, json, about, .. } = look;
    let control = CONTROLS.or_default(*host, &about.take("name")?)?;
    json.number("version", control.version).text("checksum", &hex(&control.checksum));
    Ok(())
}

/// Timeout of a phase, and Φ after so many milliseconds (`offset`).
fn detector(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, config, json, about, .. } = look;
    let name: String = about.take("phase")?;
    let phase = Phase::named(&name)?;
    let window = DURATIONS.or_default(*host, &phase)?;
    let estimate = window.estimate(config.prior(phase));
    let timeout_ms = estimate.timeout(config.k_tenths);
    json.number("samples", window.count())
        .number("k_tenths", config.k_tenths)
        .number("mean_us", estimate.mean_milli)
        .number("p95_us", estimate.p95_milli)
        .number("timeout_ms", timeout_ms)
        .number("threshold_phi_milli", estimate.phi_milli(timeout_ms));
    if let Some(elapsed) = about.maybe("offset")? {
        json.number("phi_milli", estimate.phi_milli(elapsed));
    }
    Ok(())
}

fn figures(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { whole, json, .. } = look;
    let figures = &whole.figures;
    json.number("rollforward", figures.rollforward)
        .number("rollback", figures.rollback)
        .number("hard_failed", figures.hard_failed)
        .number("detect_ms", figures.detect_ms)
        .number("recovery_ms", figures.recovery_ms)
        .number("partition_ms", figures.partition_ms)
        .number("minority_evictions_total", figures.evictions)
        .number("migrated", figures.migrated);
    Ok(())
}

/// A generation and its phases: the present one, or `g`.
fn generation(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, whole, json, about, .. } = look;
    let g = about.maybe("g")?.unwrap_or(whole.g);
    json.number("g", g).number("current", whole.g).nested("phases");
    for phase in phases() {
        let run = RUNS.get(*host, &RunId { g, phase })?;
        json.maybe_text(phase.name(), run.map(|run| run.state.name()));
    }
    json.close();
    json.maybe("leader", whole.leader.map(u64::from)).number("term", whole.term);
    json.text("partition_status", if whole.partition_ms.is_some() { "PARTITIONED" } else { "CONNECTED" });
    Ok(())
}

fn run(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, json, about, .. } = look;
    let id = RunId::taken(about)?;
    let Some(run) = RUNS.get(*host, &id)? else { return Err(No::UnknownRun.run(id)) };
    let Run { since, recovery, .. } = &run;
    json.text("trace", &id.trace())
        .text("state", run.state.name())
        .number("owner", run.owner)
        .number("began_ms", since.began_ms)
        .number("since_ms", since.state_ms)
        .number("timeout_at_ms", since.timeout_ms)
        .maybe_text("cause", run.cause.map(|cause| cause.name()))
        .number("started", run.started.count())
        .number("finished", run.finished.count())
        .number("heads", run.merge.nodes.count())
        .number("attempts", recovery.attempts)
        .flag("held", recovery.held)
        .text("step", recovery.step.name())
        .flag("ordered", recovery.order != 0)
        .maybe("checkpoint", run.log.checkpoint.map(|(offset, _)| offset));
    Ok(())
}

/// The side effects of a run, a page after index `after`.
fn ledger(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, json, about, .. } = look;
    let id = RunId::taken(about)?;
    let Some(run) = RUNS.get(*host, &id)? else { return Err(No::UnknownRun.run(id)) };
    json.number("cost", run.spend.cost)
        .number("cap", run.spend.cap)
        .number("swings", run.spend.swings_ms.len() as u64)
        .number("uncompensated", run.recovery.uncompensated)
        .list("effects");
    for index in 0..run.spend.effects {
        if let Some(effect) = EFFECTS.get(*host, &(id, index))? {
            json.item().text("key", &effect.key).number("cost", effect.cost).text("undo", &effect.undo).close();
        }
    }
    json.close();
    Ok(())
}

fn locks(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, json, .. } = look;
    for phase in phases() {
        let lock = LOCKS.or_default(*host, &phase)?;
        json.nested(phase.name())
            .number("token", lock.token)
            .maybe_text("holder", lock.holder.map(RunId::trace).as_deref())
            .number("waiting", lock.waiting.len() as u64)
            .close();
    }
    Ok(())
}

/// The log as a whole, and one record of it.
fn log(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, whole, json, about, .. } = look;
    json.number("last", whole.last.record)
        .number("durable", whole.last.durable)
        .number("need", sync_majority(whole.census.replicas()))
        .number("fsync_p95_us", FSYNCS.or_default(*host)?.fsync_p95_us())
        .maybe("async_until_ms", whole.allowance.map(|(until_ms, _)| until_ms));
    if let Some(index) = about.maybe("record")? {
        let Some(record) = RECORDS.get(*host, &index)? else { return Err(No::UnknownRecord.number("record ", index)) };
        json.text("entry", record.what.name())
            .text("trace", &record.run.trace())
            .number("token", record.token)
            .number("crc", record.crc)
            .number("ring", record.peers.ring)
            .number("from", record.peers.from)
            .number("peers", record.peers.count)
            .number("acks", record.acks.count())
            .flag("is_durable", record.durable);
    }
    Ok(())
}

fn node(look: &mut Look<'_>) -> Result<(), Refusal> {
    let id = look.about.take("node")?;
    describe(look.host, &mut look.json, id)
}

fn describe(host: &mut dyn Host, json: &mut Json, id: NodeId) -> Result<(), Refusal> {
    if let Some(hash) = TOMBSTONES.get(host, &id)? {
        json.text("tombstone", &hex(&hash));
        return Ok(());
    }
    let lagging = LAGGING.or_default(host)?.has(id);
    match NODES.get(host, &id)? {
        Some(node) if node.left_ms.is_some() => json.maybe("left_ms", node.left_ms),
        _ => {
            let node = member(host, id)?;
            json.text("health", node.health.name())
                .flag("lagging", lagging)
                .number("heartbeat_ms", node.beat_ms)
                .number("gossip_ms", node.gossip_ms)
                .maybe("pending_eviction_ms", node.pending_ms)
                .number("counter", node.counter)
        }
    };
    Ok(())
}

/// How many there are, and a page of those after `after`.
fn nodes(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, whole, json, about, .. } = look;
    let census = &whole.census;
    json.number("members", census.members)
        .number("reachable", census.reachable)
        .number("replicas", census.replicas())
        .flag("partitioned", census.partitioned())
        .list("nodes");
    let after: Option<u32> = about.maybe("after")?;
    for id in NODES.keys(*host, after.map(NodeId).as_ref(), PAGE_NODES)? {
        json.item().number("node", id);
        describe(*host, json, id)?;
        json.close();
    }
    json.close();
    Ok(())
}

fn overrides(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, whole, json, .. } = look;
    let roster = ROSTER.or_default(*host)?;
    json.texts("supervisors", &roster).number("need", threshold(roster.len())).list("under_way");
    for id in &whole.proposals {
        if let Some(proposal) = PROPOSALS.get(*host, id)? {
            json.item().text("trace", &id.trace()).text("action", proposal.action.name()).texts("by", &proposal.by);
            json.maybe("record", proposal.record).close();
        }
    }
    json.close();
    Ok(())
}

/// Which ring each stream is on, and the newest ring.
fn ring(look: &mut Look<'_>) -> Result<(), Refusal> {
    let Look { host, whole, json, .. } = look;
    let newest = RINGS.or_default(*host, &whole.ring.newest)?;
    let nodes: Vec<u32> = newest.0.iter().map(|node| u32::from(*node)).collect();
    json.number("version", whole.ring.newest).flag("stale", whole.ring.stale);
    json.numbers("streams", &STREAMS.or_default(*host)?).numbers("nodes", &nodes);
    Ok(())
}
