//! Views: JSON of what the policy keeps. Arguments are JSON too; none is as good as `{}`.

use crate::{
    case::Case,
    config::PAGE_MAX,
    lineage,
    rejection::No,
    state::{
        AUDIT, CAPSULES, CHILDREN, CONFIG, Capsule, Figure, HEADER, Header, NODES, ORDERS, Order, Status,
        capsules_after,
    },
};
use reprise_guest::{
    Host,
    abi::Rejection,
    json::Json,
    rejection::{Code, SdkCode},
    typed::json,
};
use serde::Deserialize;

/// Names of the views, ascending.
pub const VIEWS: [&str; 6] = ["capsule", "figures", "forensics", "lineage", "pool", "quarantine"];

/// What a view is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// About which capsule.
    #[serde(default)]
    pub capsule: String,
    /// What comes after this name.
    #[serde(default)]
    pub after: Option<String>,
    /// What comes after this number.
    #[serde(default)]
    pub after_order: u64,
}

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownCapsule`], malformed arguments, unknown view.
pub fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
    let header = HEADER.get(host)?.ok_or_else(|| No::NotInitialised.because("the first event is `init`"))?;
    let args = if args.is_empty() {
        Arguments::default()
    } else {
        json::read(args).map_err(|error| SdkCode::MalformedPayload.because(error.to_string()))?
    };
    let mut out = Json::object();
    match name {
        "capsule" => capsule(host, &header, &args.capsule, &mut out)?,
        "lineage" => descent(host, &args, &mut out)?,
        "pool" => page(host, &header, &args, true, &mut out)?,
        "quarantine" => page(host, &header, &args, false, &mut out)?,
        "forensics" => forensics(host, &args, &mut out)?,
        "figures" => figures(host, &header, &mut out)?,
        _ => return Err(SdkCode::UnknownView.because(["`", name, "`"].concat())),
    }
    Ok(out.done())
}

#[inline(never)]
fn find(host: &mut dyn Host, id: &String) -> Result<Capsule, Rejection> {
    CAPSULES.get(host, id)?.ok_or_else(|| No::UnknownCapsule.because(id))
}

/// One capsule. If its lineage is being isolated and it has not been reached, it is shown as it counts: isolated.
fn capsule(host: &mut dyn Host, header: &Header, id: &String, out: &mut Json) -> Result<(), Rejection> {
    let mut capsule = find(host, id)?;
    let above = lineage::isolated_above(host, header, &capsule)?;
    if above.is_some() {
        capsule.stand(Status::Isolated);
        capsule.lineage_tainted = true;
    }
    out.text("capsule", id).text("status", capsule.status.name());
    out.flag("consensus_participation", capsule.consensus_participation);
    out.flag("propagation_blocked", capsule.propagation_blocked);
    out.flag("lineage_tainted", capsule.lineage_tainted).maybe("order", capsule.order);
    out.maybe("due_tick", capsule.agenda.due).signed_numbers("phi", &capsule.phi.0);
    match &capsule.reading {
        Some(reading) => {
            out.nested("reading").number("tick", reading.tick);
            out.number("drift_velocity_ppm", reading.drift_velocity_ppm).number("ttf_ticks", reading.ttf_ticks);
            out.number("stability_ppm", reading.stability_ppm).number("entropy_ppm", reading.entropy_ppm);
            out.flag("drift", reading.drifts()).text("severity", reading.severity().name()).close();
        }
        None => {
            out.null("reading");
        }
    }
    match &capsule.case {
        Some(case) => describe_case(case, out),
        None => {
            out.null("case");
        }
    }
    Ok(())
}

fn describe_case(case: &Case, out: &mut Json) {
    out.nested("case").text("cause", case.cause.name()).text("worst", case.worst.name());
    out.number("opened_tick", case.opened_tick).number("repairs", case.repairs).number("repair_tick", case.repair_tick);
    out.maybe("stable_since_tick", case.stable_since_tick);
    if let Some(assessment) = &case.assessment {
        out.nested("assessment").number("round", assessment.round).number("until_tick", assessment.until_tick);
        out.number("votes", crate::moves::voters(assessment)).close();
    }
    if let Some(watch) = &case.watch {
        out.nested("verification").number("round", watch.round).number("since_tick", watch.since_tick);
        out.number("extensions", watch.extensions).number("agreed", watch.agreed.count_ones()).close();
    }
    out.close();
}

/// Ancestors from the beginning down, and the children, page by page.
fn descent(host: &mut dyn Host, args: &Arguments, out: &mut Json) -> Result<(), Rejection> {
    let capsule = find(host, &args.capsule)?;
    let lineage = lineage::chain(host, &args.capsule, &capsule)?;
    let (children, more) = CHILDREN.under(host, &args.capsule, args.after.as_ref(), PAGE_MAX)?;
    out.text("capsule", &args.capsule).texts("lineage", &lineage).texts("children", &children).flag("more", more);
    Ok(())
}

/// Capsules in the pool, or out of it. `after` of the next page is the last capsule looked at, in `next`.
fn page(host: &mut dyn Host, header: &Header, args: &Arguments, pool: bool, out: &mut Json) -> Result<(), Rejection> {
    let inside: u32 = header.by_status[..2].iter().sum();
    let all: u32 = header.by_status.iter().sum();
    let (page, more) = capsules_after(host, args.after.as_ref(), PAGE_MAX)?;
    out.number("count", if pool { inside } else { all - inside }).list("capsules");
    let mut next = None;
    for id in page {
        let capsule = find(host, &id)?;
        let above = lineage::isolated_above(host, header, &capsule)?;
        if (above.is_none() && capsule.consensus_participation) == pool {
            let status = if above.is_some() { Status::Isolated } else { capsule.status };
            out.item().text("capsule", &id).text("status", status.name());
            if let Some(case) = &capsule.case {
                out.text("cause", case.cause.name());
            }
            out.close();
        }
        next = Some(id);
    }
    out.close();
    match next.filter(|_| more) {
        Some(next) => out.text("next", &next),
        None => out.null("next"),
    };
    Ok(())
}

/// The forensic records, page by page.
fn forensics(host: &mut dyn Host, args: &Arguments, out: &mut Json) -> Result<(), Rejection> {
    out.list("orders");
    let last = HEADER.get(host)?.map_or(0, |header| header.orders);
    for number in args.after_order.saturating_add(1)..=last.min(args.after_order.saturating_add(PAGE_MAX.into())) {
        if let Some(order) = ORDERS.get(host, &number)? {
            describe_order(number, &order, out);
        }
    }
    out.close().number("last", last);
    Ok(())
}

fn describe_order(number: u64, order: &Order, out: &mut Json) {
    out.item().number("order", number).text("root_capsule", &order.root).number("at_ms", order.at_ms);
    out.text("cause", order.cause.name())
        .number("affected_count", order.affected)
        .flag("complete", order.is_complete());
    if let Some(reading) = &order.reading {
        out.number("drift_velocity_ppm", reading.drift_velocity_ppm).number("ttf_ticks", reading.ttf_ticks);
        out.number("stability_ppm", reading.stability_ppm);
    }
    out.number("released_count", order.released).number("held_count", order.held);
    out.maybe("superseded_by", order.superseded_by).close();
}

fn figures(host: &mut dyn Host, header: &Header, out: &mut Json) -> Result<(), Rejection> {
    out.nested("capsules");
    for status in Status::ALL {
        out.number(status.name(), header.by_status[status as usize]);
    }
    out.close().number("lineages_in_work", header.walking.len() as u32);
    for (name, count) in Figure::NAMES.into_iter().zip(header.figures) {
        out.number(name, count);
    }
    out.flag("audit_complete", AUDIT.get(host)?.is_none_or(|audit| audit.complete));
    let config = CONFIG.get(host)?.ok_or_else(|| No::NotInitialised.because("the first event is `init`"))?;
    out.texts("nodes", &NODES.get(host)?.unwrap_or_default()).number("quorum", config.quorum());
    out.number("tick_ms", config.tick_ms);
    Ok(())
}
