//! Commands about one ledger that end in receipts: time, operators' commands, and what carries out its effects.

use super::{Happening, Reply};
use crate::{
    effects::{DriverKind, config::Change},
    operators::Stand,
    orderer::{Origin, Proposal},
    pipeline::Answer,
    succession,
};
use reprise_abi::{Event, decode_canonical};
use reprise_receipts::command::{COMMAND_KIND, SignedCommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

type Happenings = mpsc::Sender<Happening>;

pub(super) fn wrong(why: impl ToString) -> Value {
    json!({ "error": why.to_string() })
}

/// Sends what `happening` makes of a place for the answer, and waits for that.
pub(super) async fn ask<T>(
    happenings: &Happenings,
    happening: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Happening,
) -> Result<T, String> {
    let (reply, answer) = oneshot::channel();
    let _ = happenings.send(happening(reply)).await;
    answer.await.unwrap_or_else(|_| Err("the node stops".to_owned()))
}

/// Asks for something that is answered like an event.
async fn place(
    happenings: &Happenings,
    happening: impl FnOnce(mpsc::Sender<Reply>) -> Happening,
) -> Result<Answer, String> {
    let (reply, mut replies) = mpsc::channel(1);
    let _ = happenings.send(happening(reply)).await;
    match replies.recv().await {
        Some(Reply::Answer(Answer::Refused { refusal, .. })) => Err(refusal.to_string()),
        Some(Reply::Answer(answer)) => Ok(answer),
        Some(Reply::NotHere { why, .. }) => Err(why),
        None => Err("the ledger's pipeline ended: what was due may have happened".to_owned()),
    }
}

/// Lets what is due happen, then what may begin be delivered.
pub(super) async fn advance(happenings: &Happenings, ledger: String, to_ms: u64) -> Value {
    let deliver = |at_ms| {
        let ledger = ledger.clone();
        ask(happenings, move |reply| Happening::Deliver { ledger, at_ms, reply })
    };
    // What could begin already is not counted.
    let before = match deliver(0).await {
        Ok(before) => before,
        Err(why) => return wrong(format_args!("effects are not delivered, and time did not go on: {why}")),
    };
    let advance = |reply| Happening::Advance { ledger: ledger.clone(), to_ms, reply };
    let due = match place(happenings, advance).await {
        Ok(Answer::Advanced(advanced)) => advanced.steps,
        Ok(answer) => return wrong(format_args!("an unexpected answer: {answer:?}")),
        Err(why) => return wrong(why),
    };
    let results = match deliver(to_ms).await {
        Ok(all) => all.saturating_sub(before),
        Err(why) => return wrong(format_args!("{due} due steps have receipts, effects are not delivered: {why}")),
    };
    let stand = ask(happenings, |reply| Happening::Stands { ledger, package: None, reply }).await;
    match stand {
        Ok((name, stand)) => json!({
            "name": name,
            "due": due,
            "results": results,
            "receipts": stand.size,
            // As without a running node: of what this command has made.
            "state_root": stand.state_root.filter(|_| due + results > 0).map(|root| root.to_string()),
        }),
        Err(why) => wrong(why),
    }
}

/// Where a ledger stands.
pub(super) async fn stands(happenings: &Happenings, ledger: String, package: Option<String>) -> Value {
    match ask(happenings, |reply| Happening::Stands { ledger, package, reply }).await {
        Ok((_, stand)) => words(&stand),
        Err(why) => wrong(why),
    }
}

/// Orders a signed command.
pub(super) async fn order(happenings: &Happenings, ledger: String, id: String, command: &str) -> Value {
    let payload = succession::parse_hex(command).unwrap_or_default();
    let signed = match decode_canonical::<SignedCommand>(&payload) {
        Ok(signed) => signed,
        Err(error) => return wrong(error),
    };
    let Some((operator, _)) = signed.signatures.first() else { return wrong("nobody has signed the command") };
    let source = format!("operator/{operator}");
    let event = Event { id, source, kind: COMMAND_KIND.to_owned(), payload };
    let proposal = Box::new(Proposal { tag: 0, event, time_ms: None, origin: Origin::Submitted });
    match place(happenings, |reply| Happening::Submit { ledger, proposal, reply }).await {
        Ok(answer) => super::told(Reply::Answer(answer)),
        Err(why) => wrong(why),
    }
}

/// Changes what carries out a ledger's effects. Gives what it is then, by driver.
pub(super) async fn drivers(
    happenings: &Happenings,
    ledger: String,
    set: BTreeMap<String, String>,
    unset: Vec<String>,
) -> Value {
    let kinds = set.into_iter().map(|(driver, kind)| match DriverKind::named(&kind) {
        Some(kind) => Ok((driver, kind)),
        None => Err(format!("there is no kind of driver `{kind}`")),
    });
    let change = match kinds.collect() {
        Ok(set) => Change { set, unset },
        Err(why) => return wrong(why),
    };
    match ask(happenings, |reply| Happening::Drivers { ledger, change, reply }).await {
        Ok(drivers) => {
            drivers.into_iter().map(|(driver, kind)| json!({ "driver": driver, "kind": kind.name() })).collect()
        }
        Err(why) => wrong(why),
    }
}

fn words(stand: &Stand) -> Value {
    json!({
        "id": stand.ledger.to_string(),
        "receipts": stand.size,
        "state_root": stand.state_root.map(|root| root.to_string()),
        "halted_at": stand.halted_at,
        "package": stand.package.to_string(),
        "successor": stand.successor.map(|package| package.to_string()),
    })
}

/// What [`words`] has said; `None`: something else.
pub(in crate::daemon) fn of_words(value: &Value) -> Option<Stand> {
    let text = |name: &str| value.get(name)?.as_str();
    Some(Stand {
        ledger: text("id")?.parse().ok()?,
        size: value.get("receipts")?.as_u64()?,
        state_root: text("state_root").and_then(|root| root.parse().ok()),
        halted_at: value.get("halted_at")?.as_u64(),
        package: text("package")?.parse().ok()?,
        successor: text("successor").and_then(|package| package.parse().ok()),
    })
}
