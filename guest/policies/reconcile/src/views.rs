//! Views: JSON of what the policy keeps, and of what it would decide. Arguments are JSON too; none is as good as `{}`.

use crate::{
    decide::{Remedy, reason, remedy},
    error::No,
    events::{Finding, named},
    state::{CONDUCT, COUNTS, LEDGERS, Ledger, SEEN},
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
pub const VIEWS: [&str; 5] = ["decide", "figures", "ledger", "plans", "quarantine"];
/// Most rows of a view: what comes after is asked for with `after`.
const ROWS_MAX: usize = 256;

/// What a view is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// About which ledger.
    #[serde(default)]
    pub ledger: String,
    /// What comes after this name.
    #[serde(default)]
    pub after: String,
}

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownLedger`], malformed arguments, unknown view.
pub fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
    if COUNTS.get(host)?.is_none() {
        return Err(No::NotInitialised.because("the first event is `init`"));
    }
    let mut out = Json::object();
    if name == "decide" {
        would_decide(host, &read(args)?, &mut out)?;
        return Ok(out.done());
    }
    let args: Arguments = if args.is_empty() { Arguments::default() } else { read(args)? };
    match name {
        "figures" => figures(host, &mut out)?,
        "ledger" => ledger(host, &args.ledger, &mut out)?,
        "plans" => plans(host, &args.after, &mut out)?,
        "quarantine" => quarantine(host, &args.after, &mut out)?,
        _ => return Err(SdkCode::UnknownView.because(["`", name, "`"].concat())),
    }
    Ok(out.done())
}

fn read<'a, T: Deserialize<'a>>(args: &'a [u8]) -> Result<T, Rejection> {
    json::read(args).map_err(|error| SdkCode::MalformedPayload.because(error.to_string()))
}

/// What would be decided about a finding, without what is under way.
fn would_decide(host: &mut dyn Host, finding: &Finding, out: &mut Json) -> Result<(), Rejection> {
    named(&finding.ledger)?;
    named(&finding.peer)?;
    let known = LEDGERS.get(host, &finding.ledger)?.unwrap_or_default();
    let divergence = finding.divergence()?;
    let remedy = remedy(divergence, known.protected.max(finding.protected), finding.leads);
    let why = reason(divergence, remedy, finding.leads);
    let decision = match remedy {
        Remedy::Fetch => "fetch",
        Remedy::RollBack { .. } => "roll_back",
        Remedy::Suspend(_) => "suspend",
        Remedy::Nothing => "nothing",
    };
    out.text("decision", decision).text("why", why);
    match remedy {
        Remedy::RollBack { to } => drop(out.number("to", to)),
        Remedy::Suspend(why) => drop(out.text("reason", why.name())),
        _ => {}
    }
    Ok(())
}

fn figures(host: &mut dyn Host, out: &mut Json) -> Result<(), Rejection> {
    let counts = COUNTS.get(host)?.unwrap_or_default();
    out.number("ledgers", counts.ledgers).number("plans", counts.plans).number("quarantined", counts.quarantined);
    Ok(())
}

fn ledger(host: &mut dyn Host, name: &String, out: &mut Json) -> Result<(), Rejection> {
    let ledger = LEDGERS.get(host, name)?.ok_or_else(|| No::UnknownLedger.because(name))?;
    record(name, &ledger, out);
    out.list("peers");
    let of_it = |entry: &Result<((String, String), _), _>| entry.as_ref().is_ok_and(|((of, _), _)| of == name);
    let seen = SEEN.scan(host).skip_while(|entry| !of_it(entry)).take_while(of_it);
    for entry in seen.take(ROWS_MAX) {
        let ((_, peer), seen) = entry?;
        out.item().text("peer", &peer).text("class", seen.divergence.class()).number("at_ms", seen.at_ms).close();
    }
    out.close();
    Ok(())
}

/// Ledgers whose plan is under way, or that are suspended.
fn plans(host: &mut dyn Host, after: &str, out: &mut Json) -> Result<(), Rejection> {
    out.list("plans");
    let mut rows = 0;
    for entry in LEDGERS.scan(host) {
        let (name, ledger) = entry?;
        if name.as_str() > after && (ledger.plan.is_some() || ledger.suspended.is_some()) && rows < ROWS_MAX {
            rows += 1;
            out.item();
            record(&name, &ledger, out);
            out.close();
        }
    }
    out.close();
    Ok(())
}

fn record(name: &str, ledger: &Ledger, out: &mut Json) {
    out.text("ledger", name).maybe_text("suspended", ledger.suspended.map(|why| why.name()));
    out.flag("gave_up", ledger.gave_up).number("protected", ledger.protected);
    out.number("failures", ledger.failures).number("repairs", ledger.repairs);
    let Some(plan) = &ledger.plan else {
        out.null("plan");
        return;
    };
    out.nested("plan").number("number", plan.number).text("step", plan.stage.name()).number("attempt", plan.attempt);
    out.maybe("due_ms", plan.due_ms).flag("verified", plan.verified).number("made_ms", plan.made_ms).close();
}

fn quarantine(host: &mut dyn Host, after: &str, out: &mut Json) -> Result<(), Rejection> {
    out.list("peers");
    let mut rows = 0;
    for entry in CONDUCT.scan(host) {
        let (peer, conduct) = entry?;
        if peer.as_str() > after && rows < ROWS_MAX {
            rows += 1;
            out.item().text("peer", &peer).number("strikes", conduct.strikes).flag("convicted", conduct.convicted);
            out.maybe("until_ms", conduct.quarantined_until_ms).close();
        }
    }
    out.close();
    Ok(())
}
