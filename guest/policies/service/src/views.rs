//! Views: what the policy keeps, as JSON.

use crate::{
    database::Database,
    degrade,
    drill::{self, Fault},
    error::No,
    health::colour,
    operations,
    orders::Side,
    params::{Operation, PAGE},
    payload::{Member, Payload},
    recovery::Recovery,
    stage::Kind,
    state::{
        ACCOUNTS, BOOK, DATABASE, DEPENDENCIES, DRILL, EXCHANGE, Exchange, Figure, OPERATIONS, ORDERS, POSITIONS,
        RECOVERIES, SERVICES, TRADES,
    },
};
use reprise_guest::{
    Host,
    abi::Rejection,
    json::Json,
    rejection::{Code, SdkCode},
    text::join,
};

type View = fn(&mut dyn Host, &Exchange, &mut Payload, &mut Json) -> Result<(), Rejection>;

/// The views, ascending.
const VIEWS: [(&str, View); 15] = [
    ("account", |host, _, args, json| account(host, args, json)),
    ("book", |host, _, args, json| book(host, args, json)),
    ("database", |host, exchange, _, json| database(host, exchange, json)),
    ("dependency", |host, _, args, json| dependency(host, args, json)),
    ("drill", |host, _, _, json| last_drill(host, json)),
    ("figures", |_, exchange, _, json| figures(exchange, json)),
    ("health", |_, exchange, _, json| health(exchange, json)),
    ("objectives", |_, exchange, _, json| objectives(exchange, json)),
    ("operation", |host, _, args, json| operation(host, args, json)),
    ("order", |host, _, args, json| order(host, args, json)),
    ("position", |host, _, args, json| position(host, args, json)),
    ("recoveries", recoveries),
    ("service", |host, _, args, json| service(host, args, json)),
    ("timeouts", |_, _, _, json| timeouts(json)),
    ("trade", |host, _, args, json| trade(host, args, json)),
];

/// Names of the views, ascending.
#[must_use]
pub fn names() -> Vec<&'static str> {
    VIEWS.iter().map(|(name, _)| *name).collect()
}

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], the unknown of what is asked about, unknown view, malformed arguments.
pub fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
    let Some(exchange) = EXCHANGE.get(host)? else { return Err(No::NotInitialised.about("send `init` first")) };
    let args = if args.is_empty() { Some(Payload::default()) } else { Payload::read(args) };
    let mut args = args.ok_or_else(|| SdkCode::MalformedPayload.because("arguments are an object"))?;
    let Some((_, view)) = VIEWS.iter().find(|(known, _)| *known == name) else {
        return Err(SdkCode::UnknownView.because(join(&["`", name, "`"])));
    };
    let mut json = Json::object();
    view(host, &exchange, &mut args, &mut json)?;
    Ok(json.done())
}

fn asked<T: Member>(args: &mut Payload, name: &'static str) -> Result<T, Rejection> {
    let asked: Option<T> = args.take(name);
    asked.ok_or_else(|| SdkCode::MalformedPayload.because(join(&["say which `", name, "`"])))
}

fn health(exchange: &Exchange, json: &mut Json) -> Result<(), Rejection> {
    let (census, data, engine) = (&exchange.census, &exchange.data, &exchange.engine);
    json.text("health", colour(exchange).name());
    degrade::modes(exchange, json);
    json.number("services", census.services)
        .number("critical_down", census.down_critical)
        .number("others_down", census.down_other)
        .number("late", census.lagging)
        .number("zones_down", census.zones_down)
        .number("replication_lag_ms", data.lag_ms)
        .flag("quorum", data.quorum)
        .number("open_orders", engine.open)
        .number("queued_orders", engine.queued)
        .number("unprocessed_matches", engine.logged - engine.processed)
        .maybe_text("halted", exchange.halt.as_ref().map(|halt| halt.reason.as_str()))
        .maybe("halted_since_ms", exchange.halt.as_ref().map(|halt| halt.since_ms));
    Ok(())
}

fn figures(exchange: &Exchange, json: &mut Json) -> Result<(), Rejection> {
    for (name, count) in Figure::NAMES.iter().zip(&exchange.figures) {
        json.number(name, *count);
    }
    let money = &exchange.money;
    json.number("total", money.total).number("accounts", money.accounts).number("fees", money.fees);
    Ok(())
}

/// Recovery times against their objectives (13).
fn objectives(exchange: &Exchange, json: &mut Json) -> Result<(), Rejection> {
    for (kind, objective) in Kind::ALL.iter().zip(&exchange.objectives) {
        let Some(objective_ms) = kind.objective_ms() else { continue };
        json.nested(kind.name())
            .number("objective_ms", objective_ms)
            .number("recoveries", objective.count)
            .number("missed", objective.missed)
            .number("last_ms", objective.last_ms)
            .number("worst_ms", objective.worst_ms)
            .close();
    }
    Ok(())
}

/// The newest recoveries, or those before `after`.
fn recoveries(host: &mut dyn Host, exchange: &Exchange, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let before = args.take::<Option<u64>>("after").unwrap_or(u64::MAX).min(exchange.last.recovery.saturating_add(1));
    json.list("recoveries");
    for number in (1..before).rev().take(PAGE as usize) {
        if let Some(recovery) = RECOVERIES.get(host, &number)? {
            describe(number, &recovery, json.item());
            json.close();
        }
    }
    json.close();
    Ok(())
}

fn describe(number: u64, recovery: &Recovery, json: &mut Json) {
    json.number("recovery", number)
        .text("kind", recovery.kind.name())
        .text("subject", &recovery.subject)
        .text("cause", &recovery.cause)
        .text("stage", recovery.stage.name())
        .number("attempt", recovery.attempt)
        .number("began_ms", recovery.began_ms)
        .maybe("ended_ms", recovery.ended_ms)
        .maybe("recovery_ms", recovery.ended_ms.map(|ended_ms| recovery.took_ms(ended_ms)))
        .maybe("objective_ms", recovery.kind.objective_ms())
        .flag("drill", recovery.drill);
    match recovery.met() {
        Some(met) => json.flag("met", met),
        None => json.null("met"),
    };
}

fn last_drill(host: &mut dyn Host, json: &mut Json) -> Result<(), Rejection> {
    let drill = DRILL.get(host)?;
    if let Some(drill) = &drill {
        json.number("drill", drill.number)
            .text("fault", drill.fault.name())
            .text("subject", &drill.subject)
            .text("operator", &drill.operator)
            .text("phase", drill.phase.name())
            .number("began_ms", drill.began_ms)
            .number("recovery", drill.recovery)
            .number("recovery_ms", drill.took_ms);
        match drill.met {
            Some(met) => json.flag("met", met),
            None => json.null("met"),
        };
    }
    json.nested("due_ms");
    for fault in Fault::ALL {
        json.maybe(fault.name(), drill::due_ms(drill.as_ref(), fault));
    }
    json.close();
    Ok(())
}

fn database(host: &mut dyn Host, exchange: &Exchange, json: &mut Json) -> Result<(), Rejection> {
    let Some(database) = DATABASE.get(host)? else { return Ok(()) };
    let Database { regions, active, nodes, writes, .. } = &database;
    let data = &exchange.data;
    let region_of = |at: u32| regions.get(at as usize).map_or("", |region| region.name.as_str());
    json.text("region", region_of(*active))
        .text("primary", database.primary())
        .number("token", data.token)
        .number("writes", *writes)
        .number("acknowledged", data.acknowledged)
        .flag("quorum", data.quorum)
        .flag("read_only", exchange.read_only())
        .list("nodes");
    for node in nodes {
        json.item()
            .text("node", &node.name)
            .text("region", region_of(node.region))
            .flag("answers", node.answers())
            .flag("fenced", node.fenced)
            .number("lsn", node.lsn)
            .number("lag_ms", node.lag_ms)
            .close();
    }
    json.close();
    Ok(())
}

fn dependency(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let name: String = asked(args, "dependency")?;
    let dependency = DEPENDENCIES.get(host, &name)?.unwrap_or_default();
    json.text("dependency", &name)
        .text("breaker", dependency.breaker.name())
        .text("failure", dependency.failure())
        .maybe("failing_since_ms", dependency.failing_since_ms)
        .number("failures", dependency.failed_ms.len() as u64)
        .number("successes", dependency.successes)
        .number("waiting", dependency.waiting);
    Ok(())
}

fn service(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let name: String = asked(args, "service")?;
    let Some(service) = SERVICES.get(host, &name)? else { return Err(No::UnknownService.about(&name)) };
    json.text("service", &name)
        .text("role", service.role.name())
        .flag("critical", service.critical)
        .text("zone", &service.zone)
        .number("failures", service.failures)
        .flag("running", service.recovery == 0)
        .number("recovery", service.recovery);
    Ok(())
}

fn operation(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let name: String = asked(args, "operation")?;
    match OPERATIONS.get(host, &name)? {
        Some(op) => *json = operations::describe(&name, &op),
        None => drop(json.null("operation")),
    }
    Ok(())
}

fn account(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let name: String = asked(args, "account")?;
    let Some(account) = ACCOUNTS.get(host, &name)? else { return Err(No::UnknownAccount.about(&name)) };
    json.text("account", &name)
        .number("balance", account.balance)
        .number("held", account.held)
        .number("available", account.available());
    Ok(())
}

fn order(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let number: u64 = asked(args, "order")?;
    let Some(order) = ORDERS.get(host, &number)? else { return Err(No::UnknownOrder.number("order ", number)) };
    json.number("order", number)
        .text("account", &order.account)
        .text("symbol", &order.symbol)
        .text("side", order.side.name())
        .number("price", order.price)
        .number("quantity", order.quantity)
        .number("filled", order.filled)
        .number("remaining", order.remaining)
        .text("status", order.status.name())
        .number("placed_ms", order.placed_ms);
    Ok(())
}

fn trade(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let number: u64 = asked(args, "trade")?;
    let Some(trade) = TRADES.get(host, &number)? else { return Err(No::UnknownTrade.number("trade ", number)) };
    json.number("trade", number)
        .text("buyer", &trade.buyer)
        .text("seller", &trade.seller)
        .number("price", trade.price)
        .number("quantity", trade.quantity)
        .flag("settled", trade.settled);
    Ok(())
}

fn position(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let key: (String, String) = (asked(args, "account")?, asked(args, "symbol")?);
    if let Some(position) = POSITIONS.get(host, &key)? {
        json.number("size", position.size)
            .number("entry_price", position.entry_price)
            .number("margin", position.margin)
            .number("leverage", position.leverage);
    }
    Ok(())
}

/// The best orders of a symbol, in the order in which they are matched.
fn book(host: &mut dyn Host, args: &mut Payload, json: &mut Json) -> Result<(), Rejection> {
    let symbol: String = asked(args, "symbol")?;
    for side in Side::ALL {
        json.list(side.name());
        for number in BOOK.numbers_of(host, &(symbol.clone(), side as u8), PAGE) {
            let Some(order) = ORDERS.get(host, &number)? else { continue };
            json.item().number("order", number).number("price", order.price).number("remaining", order.remaining);
            json.close();
        }
        json.close();
    }
    Ok(())
}

/// Timeouts by kind of operation (10.3).
fn timeouts(json: &mut Json) -> Result<(), Rejection> {
    for operation in Operation::ALL {
        json.number(operation.name(), operation.timeout_ms());
    }
    Ok(())
}
