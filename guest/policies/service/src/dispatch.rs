//! Which input goes where.

use crate::{
    accounts, audit, database, degrade, drill, ended,
    events::{
        Balance, Cancel, Connection, Corruption, Detach, Failback, Health, Init, MarketData, Metrics, NewMatch,
        NewPosition, NewService, Operation, OrderState, Place, Quote, Recover, RegionCheck, Replicated, Request,
        Resume, Settle, StartDrill, Totals, Write, ZoneFailure,
    },
    init, integrity, matches, operations, orders,
    payload::Payload,
    recovery, regions, services,
    turn::Turn,
};
use reprise_guest::{
    Host, HostEvent, StepInput,
    abi::Rejection,
    json::Json,
    rejection::{Code, SdkCode},
    text::join,
    typed,
};

/// A kind of input that is submitted once everything has begun.
struct Input {
    kind: &'static str,
    /// Members of its payload, and whether they may be left out.
    members: &'static [(&'static str, bool)],
    run: fn(&mut Turn<'_>, Payload) -> Result<Json, Rejection>,
}

/// All of them, ascending.
const INPUTS: [Input; 27] = [
    Input { kind: "audit", members: &[], run: |turn, _| audit::begin(turn) },
    Input {
        kind: "balance",
        members: Balance::MEMBERS,
        run: |turn, payload| accounts::balance(turn, &Balance::take(payload)),
    },
    Input {
        kind: "cancel",
        members: Cancel::MEMBERS,
        run: |turn, payload| orders::cancel(turn, &Cancel::take(payload)),
    },
    Input {
        kind: "connection",
        members: Connection::MEMBERS,
        run: |turn, payload| database::connection(turn, &Connection::take(payload)),
    },
    Input {
        kind: "corruption",
        members: Corruption::MEMBERS,
        run: |turn, payload| integrity::corruption(turn, &Corruption::take(payload)),
    },
    Input {
        kind: "detach",
        members: Detach::MEMBERS,
        run: |turn, payload| regions::detach(turn, &Detach::take(payload)),
    },
    Input {
        kind: "drill",
        members: StartDrill::MEMBERS,
        run: |turn, payload| drill::start(turn, &StartDrill::take(payload)),
    },
    Input {
        kind: "failback",
        members: Failback::MEMBERS,
        run: |turn, payload| regions::failback(turn, &Failback::take(payload)),
    },
    Input {
        kind: "health",
        members: Health::MEMBERS,
        run: |turn, payload| services::health(turn, &Health::take(payload)),
    },
    Input {
        kind: "market_data",
        members: MarketData::MEMBERS,
        run: |turn, payload| degrade::market_data(turn, &MarketData::take(payload)),
    },
    Input {
        kind: "match",
        members: NewMatch::MEMBERS,
        run: |turn, payload| matches::log(turn, &NewMatch::take(payload)),
    },
    Input {
        kind: "metrics",
        members: Metrics::MEMBERS,
        run: |turn, payload| services::metrics(turn, &Metrics::take(payload)),
    },
    Input {
        kind: "operation",
        members: Operation::MEMBERS,
        run: |turn, payload| operations::operation(turn, Operation::take(payload)),
    },
    Input {
        kind: "order_state",
        members: OrderState::MEMBERS,
        run: |turn, payload| integrity::order_state(turn, &OrderState::take(payload)),
    },
    Input { kind: "place", members: Place::MEMBERS, run: |turn, payload| orders::place(turn, Place::take(payload)) },
    Input {
        kind: "position",
        members: NewPosition::MEMBERS,
        run: |turn, payload| integrity::position(turn, &NewPosition::take(payload)),
    },
    Input { kind: "quote", members: Quote::MEMBERS, run: |turn, payload| degrade::quote(turn, &Quote::take(payload)) },
    Input {
        kind: "recover",
        members: Recover::MEMBERS,
        run: |turn, payload| recovery::recover(turn, &Recover::take(payload)),
    },
    Input {
        kind: "region",
        members: RegionCheck::MEMBERS,
        run: |turn, payload| regions::check(turn, &RegionCheck::take(payload)),
    },
    Input {
        kind: "register",
        members: NewService::MEMBERS,
        run: |turn, payload| services::register(turn, NewService::take(payload)),
    },
    Input {
        kind: "replicated",
        members: Replicated::MEMBERS,
        run: |turn, payload| database::replicated(turn, &Replicated::take(payload)),
    },
    Input {
        kind: "request",
        members: Request::MEMBERS,
        run: |turn, payload| degrade::request(turn, &Request::take(payload)),
    },
    Input {
        kind: "resume",
        members: Resume::MEMBERS,
        run: |turn, payload| integrity::resume(turn, &Resume::take(payload)),
    },
    Input {
        kind: "settle",
        members: Settle::MEMBERS,
        run: |turn, payload| accounts::settle(turn, &Settle::take(payload)),
    },
    Input {
        kind: "totals",
        members: Totals::MEMBERS,
        run: |turn, payload| integrity::totals(turn, &Totals::take(payload)),
    },
    Input { kind: "write", members: Write::MEMBERS, run: |turn, payload| database::write(turn, &Write::take(payload)) },
    Input {
        kind: "zone_failure",
        members: ZoneFailure::MEMBERS,
        run: |turn, payload| services::zone_failure(turn, &ZoneFailure::take(payload)),
    },
];

/// Kinds of input, ascending: those, `init`, and what the ledger itself says.
pub const KINDS: [&str; 30] = [
    "audit",
    "balance",
    "cancel",
    "connection",
    "corruption",
    "detach",
    "drill",
    "failback",
    "health",
    "init",
    "market_data",
    "match",
    "metrics",
    "operation",
    "order_state",
    "place",
    "position",
    "quote",
    "recover",
    "region",
    "register",
    "replicated",
    "reprise.effect",
    "reprise.timer",
    "request",
    "resume",
    "settle",
    "totals",
    "write",
    "zone_failure",
];

/// Runs an input.
///
/// # Errors
/// [`SdkCode::UnknownKind`], [`SdkCode::MalformedPayload`], [`No::NotInitialised`](crate::error::No::NotInitialised),
/// the input's own rejections.
pub fn dispatch(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
    let (now_ms, seed) = (input.logical_time_ms, input.seed[0]);
    let turn = match HostEvent::of(input)? {
        HostEvent::Submitted => return submitted(host, input),
        HostEvent::Timer { id, .. } => {
            let mut turn = Turn::open(host, now_ms, seed)?;
            ended::timer(&mut turn, id)?;
            turn
        }
        HostEvent::Effect(result) => {
            let mut turn = Turn::open(host, now_ms, seed)?;
            ended::effect(&mut turn, &result)?;
            turn
        }
    };
    turn.close(true);
    Ok(Vec::new())
}

fn submitted(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
    let kind = input.kind.as_str();
    if kind == "init" {
        let payload = read(input, Init::MEMBERS)?;
        return init::init(host, input.logical_time_ms, Init::take(payload)).map(|mut answer| answer.done());
    }
    let Ok(at) = INPUTS.binary_search_by_key(&kind, |input| input.kind) else {
        return Err(SdkCode::UnknownKind.because(join(&["`", kind, "`"])));
    };
    let mut turn = Turn::open(host, input.logical_time_ms, input.seed[0])?;
    let payload = read(input, INPUTS[at].members)?;
    let mut answer = (INPUTS[at].run)(&mut turn, payload)?;
    turn.close(false);
    Ok(answer.done())
}

fn read(input: &StepInput, members: &[(&'static str, bool)]) -> Result<Payload, Rejection> {
    let payload: Payload = typed::payload(input)?;
    payload.fits(members).map_err(|(what, member)| {
        SdkCode::MalformedPayload.because(join(&["`", &input.kind, "`: ", what, " field `", member, "`"]))
    })?;
    Ok(payload)
}

#[cfg(test)]
#[test]
fn the_kinds_are_listed() {
    use reprise_guest::abi::{EFFECT_KIND, TIMER_KIND};
    let mut kinds: Vec<&str> = INPUTS.iter().map(|input| input.kind).collect();
    assert!(kinds.is_sorted(), "a binary search finds them");
    kinds.extend(["init", EFFECT_KIND, TIMER_KIND]);
    kinds.sort_unstable();
    assert_eq!(KINDS.as_slice(), kinds);
}
