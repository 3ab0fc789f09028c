//! `init`: the exchange as it begins, everything running, the first node the primary.

use crate::{
    database::{Database, Node, save},
    error::No,
    events::{Init, NewService},
    params::{INIT_SERVICES_MAX, NODES_MAX, OPERATORS_MAX, PPM},
    payload::Payload,
    regions::Region,
    services,
    state::{EXCHANGE, Exchange, OPERATORS},
    turn::{Turn, number, text},
};
use reprise_guest::{Host, abi::Rejection, json::Json};

/// Begins everything, once.
///
/// # Errors
/// [`No::AlreadyInitialised`], [`No::BadParameters`], [`No::BadText`], [`No::Duplicate`], [`No::BadNumber`],
/// [`No::UnknownWord`], [`No::UnknownRegion`].
pub fn init(host: &mut dyn Host, now_ms: u64, init: Init) -> Result<Json, Rejection> {
    if EXCHANGE.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.about("the exchange has begun"));
    }
    let fee_ppm = init.fee_ppm.unwrap_or_default();
    number("fee_ppm", fee_ppm, 0, PPM)?;
    for (list, len, max) in [
        ("regions", init.regions.len(), 2),
        ("operators", init.operators.len(), OPERATORS_MAX),
        ("nodes", init.nodes.len(), NODES_MAX),
        ("services", init.services.len(), INIT_SERVICES_MAX),
    ] {
        if len == 0 || len > max {
            return Err(No::BadParameters.says(&["`", list, "` is empty or too long"]));
        }
    }
    unique(&init.operators)?;
    unique(&init.regions)?;
    let database = database(init.nodes, &init.regions)?;
    let mut turn = Turn { host, now_ms, seed: 0, exchange: Box::new(Exchange::new(fee_ppm)) };
    // The exchange is said to have a quorum, so that having one is no news.
    turn.exchange.data.quorum_said = true;
    turn.exchange.data.token = 1;
    OPERATORS.put(turn.host, &init.operators);
    for spec in init.services {
        fits(&spec, NewService::MEMBERS)?;
        services::register(&mut turn, NewService::take(spec))?;
    }
    save(&mut turn, &database);
    let mut answer = Json::object();
    answer.number("services", turn.exchange.census.services).number("token", turn.exchange.data.token);
    turn.close(false);
    Ok(answer)
}

fn database(nodes: Vec<Payload>, regions: &[String]) -> Result<Database, Rejection> {
    let mut known = Vec::new();
    for mut spec in nodes {
        fits(&spec, &[("node", false), ("region", false)])?;
        let (name, region): (String, String) = (spec.take("node"), spec.take("region"));
        text("node", &name)?;
        let Some(region) = regions.iter().position(|known| *known == region) else {
            return Err(No::UnknownRegion.about(&region));
        };
        if known.iter().any(|node: &Node| node.name == name) {
            return Err(No::Duplicate.about(&name));
        }
        known.push(Node { name, region: region as u32, failures: 0, lag_ms: 0, lsn: 0, fenced: false });
    }
    if known.first().is_none_or(|primary| primary.region != 0) {
        return Err(No::BadParameters.about("the first node is in the first region"));
    }
    let regions = regions.iter().map(|name| Region { name: name.clone(), failures: 0 }).collect();
    Ok(Database { regions, active: 0, nodes: known, primary: 0, writes: 0 })
}

#[inline(never)]
fn fits(spec: &Payload, members: &[(&'static str, bool)]) -> Result<(), Rejection> {
    spec.fits(members).map_err(|(what, member)| No::BadParameters.says(&[what, " `", member, "`"]))
}

fn unique(names: &[String]) -> Result<(), Rejection> {
    for (at, name) in names.iter().enumerate() {
        text("name", name)?;
        if names[..at].contains(name) {
            return Err(No::Duplicate.about(name));
        }
    }
    Ok(())
}
