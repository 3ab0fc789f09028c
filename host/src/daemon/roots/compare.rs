//! `reprise federation compare`: what members have of a ledger after the same number of receipts, root by root.

use super::{NoRoots, RootsFor};
use crate::daemon::driver::Driver;
use reprise_abi::decode_canonical;
use reprise_federation::{
    Ledgers, NodeKey,
    compare::{Likeness, RootsCompared, compare_roots},
    ledgers::mark_at,
    message::{Projected, Reply, Roots, RootsQuery, View},
};
use reprise_receipts::{LedgerId, LogRoot, Receipt, StateRoot};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Comparisons that go on at the same time.
const COMPARISONS_MAX: usize = 4;
/// Hexadecimal digits of a root that differs, for people.
const DIGITS: usize = 12;

/// What an operator wants to be compared.
#[derive(Debug)]
pub(in crate::daemon) struct CompareWish {
    /// Name, or the first digits of its id.
    pub(in crate::daemon) ledger: String,
    /// Names of the peers; all members when there are none.
    pub(in crate::daemon) peers: Vec<String>,
    /// After so many receipts; as many as this node and one of them have when absent.
    pub(in crate::daemon) receipts: Option<u64>,
    /// A view whose projection is compared, too.
    pub(in crate::daemon) view: Option<View>,
    pub(in crate::daemon) reply: oneshot::Sender<Result<Value, String>>,
}

/// A comparison that is not complete yet.
pub(in crate::daemon) struct Comparison {
    number: u64,
    query: RootsQuery,
    here: Option<Box<Roots>>,
    there: BTreeMap<NodeKey, There>,
    reply: oneshot::Sender<Result<Value, String>>,
}

/// What is known of a peer's roots.
enum There {
    /// It was asked, under this number.
    Asked(u32),
    Told(Box<Roots>),
    /// Nothing, and why.
    Not(String),
}

impl Driver {
    /// Begins to compare; the answer comes when every peer has told or will not.
    pub(in crate::daemon) fn compare_ledger(&mut self, wish: CompareWish) {
        let (query, peers) = match self.comparable(&wish) {
            Ok(comparable) => comparable,
            Err(why) => return drop(wish.reply.send(Err(why))),
        };
        let (now_ms, number) = (self.now_ms(), self.federation.new_transfer());
        let mut there = BTreeMap::new();
        for peer in peers {
            let told = match self.reconciler.in_quarantine(peer) {
                true => There::Not("it is in quarantine here: `reprise reconcile --history` says why".to_owned()),
                false => match self.federation.ask_for_roots(now_ms, peer, query.clone()) {
                    Ok(request) => There::Asked(request),
                    Err(why) => There::Not(why.to_string()),
                },
            };
            there.insert(peer, told);
        }
        self.comparisons.push(Comparison { number, query: query.clone(), here: None, there, reply: wish.reply });
        self.find_roots(RootsFor::Comparison(number), query);
    }

    /// What is to be compared, and with whom.
    fn comparable(&self, wish: &CompareWish) -> Result<(RootsQuery, BTreeSet<NodeKey>), String> {
        if self.comparisons.len() >= COMPARISONS_MAX {
            return Err("too much is being compared already: try again later".to_owned());
        }
        let ledger = self.node.find_ledger(&wish.ledger).map_err(|error| error.to_string())?.id;
        let seat = self.federation.seat(ledger).ok_or("this node does not share the ledger: see its configuration")?;
        let is_other = |node: &NodeKey| node.0 != self.link.key();
        let members: BTreeSet<NodeKey> =
            seat.roster.members.iter().map(|member| member.node).filter(is_other).collect();
        let named = |name: &String| {
            let member = members.iter().copied().find(|member| self.name(*member) == *name);
            member.ok_or_else(|| format!("no other member of the ledger is called `{name}`: see `reprise peers`"))
        };
        let peers = match wish.peers.is_empty() {
            true => members.clone(),
            false => wish.peers.iter().map(named).collect::<Result<_, _>>()?,
        };
        if peers.is_empty() {
            return Err("this node shares the ledger with nobody".to_owned());
        }
        // Whoever has less says so; the others are compared.
        let own = self.size(ledger);
        let told = self.federation.peers().filter(|peer| peer.connected && peers.contains(&peer.node));
        let most = told.filter_map(|peer| peer.heads.get(&ledger)).map(|head| head.size).max();
        let size = wish.receipts.unwrap_or(most.filter(|most| (1..own).contains(most)).unwrap_or(own));
        if size == 0 || size > own {
            return Err(format!(
                "this node has {own} receipts of the ledger: there is nothing to compare after {size}"
            ));
        }
        Ok((RootsQuery { ledger, size, view: wish.view.clone() }, peers))
    }

    pub(super) fn own_roots_found(&mut self, number: u64, found: Result<Box<Roots>, NoRoots>) {
        let Some(at) = self.comparisons.iter().position(|comparison| comparison.number == number) else { return };
        match found {
            Ok(roots) => {
                self.comparisons[at].here = Some(roots);
                self.end_comparisons();
            }
            Err(why) => {
                let comparison = self.comparisons.swap_remove(at);
                let _ = comparison.reply.send(Err(format!("what this node has cannot be told: {why}")));
            }
        }
    }

    /// The answer to a question for roots. False: it is the answer to something else.
    pub(in crate::daemon) fn roots_answered(&mut self, from: NodeKey, request: u32, reply: Option<&Reply>) -> bool {
        let asked = |comparison: &&mut Comparison| matches!(comparison.there.get(&from), Some(There::Asked(asked)) if *asked == request);
        let Some(comparison) = self.comparisons.iter_mut().find(asked) else { return false };
        let there = match reply {
            Some(Reply::Roots(roots)) if comparison.query.is_met_by(roots) => There::Told(roots.clone()),
            Some(Reply::Refused(why)) => There::Not(format!("it refuses: {why}")),
            Some(_) => There::Not("its answer is not one to the question".to_owned()),
            None => There::Not("it gave no answer in time".to_owned()),
        };
        comparison.there.insert(from, there);
        self.end_comparisons();
        true
    }

    /// A connection ended: what was asked over it is not answered.
    pub(in crate::daemon) fn roots_gone(&mut self, peer: NodeKey) {
        for comparison in &mut self.comparisons {
            if let Some(there @ There::Asked(_)) = comparison.there.get_mut(&peer) {
                *there = There::Not("the connection to it ended".to_owned());
            }
        }
        self.end_comparisons();
    }

    /// Answers what is complete.
    fn end_comparisons(&mut self) {
        let is_complete = |comparison: &mut Comparison| {
            comparison.here.is_some() && comparison.there.values().all(|there| !matches!(there, There::Asked(_)))
        };
        let complete: Vec<Comparison> = self.comparisons.extract_if(.., is_complete).collect();
        for Comparison { query, here, there, reply, .. } in complete {
            let Some(here) = here else { continue };
            let told = |there: &There| matches!(there, There::Told(roots) if matches!(roots.projection, Some(Projected::Root(_))));
            let answer =
                if mark_at(&self.facts, query.ledger, query.size).map(|mark| mark.log_root) != Some(here.log_root) {
                    Err("the log was taken back here meanwhile: compare again".to_owned())
                } else if here.projection == Some(Projected::Refused) && !there.values().any(told) {
                    Err("the view has no answer on this node: `reprise state view` says why".to_owned())
                } else {
                    let row = |(peer, there): (&NodeKey, &There)| self.compared_row(*peer, &query, &here, there);
                    Ok(Value::Array(there.iter().map(row).collect()))
                };
            let _ = reply.send(answer);
        }
    }

    /// What is said of one peer.
    fn compared_row(&self, peer: NodeKey, query: &RootsQuery, here: &Roots, there: &There) -> Value {
        let mut row = Map::new();
        row.insert("name".to_owned(), self.name(peer).into());
        row.insert("receipts".to_owned(), query.size.into());
        let there = match there {
            There::Told(there) => there,
            There::Not(why) => {
                row.extend([("verdict".to_owned(), "incomparable".into()), ("why".to_owned(), why.clone().into())]);
                return Value::Object(row);
            }
            There::Asked(_) => unreachable!("a comparison is complete when nobody is asked any more"),
        };
        let checkpoint = there.checkpoint.as_ref().map(|record| record.claim.size);
        let compared = compare_roots(here, there, checkpoint.and_then(|size| self.receipts_say(query.ledger, size)));
        for (name, likeness) in compared.named() {
            row.insert(name.to_owned(), said(name, likeness, here, there));
        }
        row.insert("its checkpoint".to_owned(), json!(checkpoint));
        let (verdict, why) = self.compared_verdict(query, &compared, here);
        row.insert("verdict".to_owned(), verdict.into());
        row.insert("why".to_owned(), why.into());
        Value::Object(row)
    }

    fn compared_verdict(
        &self,
        query: &RootsQuery,
        compared: &RootsCompared,
        here: &Roots,
    ) -> (&'static str, Option<String>) {
        let why = match compared.difference() {
            Some("log root") => "the logs part before this: `reprise reconcile --dry-run` says where".to_owned(),
            Some("state root") => {
                let receipt = self.receipts_say(query.ledger, query.size).map(|(_, state)| state);
                let whose = if receipt == Some(here.state_root) { "there" } else { "here" };
                format!("the receipts are the same, and what is stored {whose} is not what they say")
            }
            Some("checkpoint") => {
                "its checkpoint claims another log or another state than the receipts here give".to_owned()
            }
            Some("projection root") => {
                "the view answers otherwise there, on the same state: one of the two nodes runs it wrongly".to_owned()
            }
            Some(root) => format!("the {root} is another there"),
            None if query.view.is_some() && compared.projection == Likeness::Unknown => {
                let whose = if here.projection == Some(Projected::Missing) { "here" } else { "there" };
                return ("incomparable", Some(format!("the package that has the view cannot be run {whose}")));
            }
            None => return ("match", None),
        };
        ("divergent", Some(why))
    }

    /// The roots of log and state after so many receipts, by the receipts here.
    fn receipts_say(&self, ledger: LedgerId, size: u64) -> Option<(LogRoot, StateRoot)> {
        let receipt: Receipt = decode_canonical(&self.facts.receipt(ledger, size.checked_sub(1)?)?).ok()?;
        Some((mark_at(&self.facts, ledger, size)?.log_root, receipt.next_state))
    }
}

/// One root, for people: the same, or the first digits of both.
fn said(name: &str, likeness: Likeness, here: &Roots, there: &Roots) -> Value {
    let digits = |root: String| root.chars().take(DIGITS).collect::<String>();
    let root = |roots: &Roots| match (name, roots.projection) {
        ("log root", _) => digits(roots.log_root.to_string()),
        ("state root", _) => digits(roots.state_root.to_string()),
        ("execution root", _) => digits(roots.execution.to_string()),
        ("projection root", Some(Projected::Root(root))) => digits(root.to_string()),
        ("projection root", Some(Projected::Refused)) => "refused".to_owned(),
        _ => String::new(),
    };
    match likeness {
        Likeness::Same => "same".into(),
        Likeness::Unknown => Value::Null,
        Likeness::Differs => match (root(here), root(there)) {
            (here, _) if here.is_empty() => "differs".into(),
            (here, there) => format!("{here} here, {there} there").into(),
        },
    }
}
