//! ISOLATE_LINEAGE: a whole tree into quarantine, with a forensic record (E5, section 1.3 of the document).
//!
//! A tree may be larger than one step can hold. The first step isolates the root and orders the agents to contain the
//! lineage; the rest follows in slices, each by a timer that is due at once, before any other input of the same or a
//! later time. Until the last slice is done, a capsule below a tainted ancestor counts as isolated
//! (`lineage::isolated_above`), so nothing that reads the state in between sees it in the pool. Giving a tree back
//! works the same way, from the root down.

use crate::{
    case::Cause,
    orders::{self, Action},
    quarantine::{enter, quarantine},
    severity::Severity,
    state::{CHILDREN, Figure, ORDERS, Order, Status},
    turn::{Held, Turn},
};
use reprise_guest::{abi::Rejection, typed::CorruptState};

/// Children that are read at once.
const CHILDREN_PAGE: u32 = 64;

/// Isolates the lineage that begins with this capsule.
pub fn isolate(turn: &mut Turn, held: &mut Held, cause: Cause) {
    turn.header.count(Figure::Isolations);
    turn.header.orders += 1;
    let number = turn.header.orders;
    enter(turn, held, Status::Isolated, cause, Severity::Critical);
    held.capsule.lineage_tainted = true;
    held.capsule.order = Some(number);
    orders::contain(turn, Action::IsolateLineage, &held.id);
    orders::notice(turn, &held.id, "MANUAL_REVIEW");
    let order = Order {
        root: held.id.clone(),
        at_ms: turn.now_ms,
        cause,
        reading: held.capsule.reading,
        affected: 1,
        released: 0,
        held: 0,
        superseded_by: None,
        releasing: false,
        path: Vec::new(),
    };
    begin_walk(turn, number, order, held.capsule.has_children);
}

/// Back to isolation: the release of the lineage did not hold. The tree has never left it.
pub fn reisolate(turn: &mut Turn, held: &mut Held, cause: Cause) {
    enter(turn, held, Status::Isolated, cause, Severity::Critical);
    orders::notice(turn, &held.id, "MANUAL_REVIEW");
}

/// The root of the lineage has recovered: its descendants are given back.
///
/// # Errors
/// Corrupt state.
pub fn give_back(turn: &mut Turn, number: u64, has_children: bool) -> Result<(), Rejection> {
    if let Some(mut order) = ORDERS.get(turn.host, &number)? {
        order.releasing = true;
        order.released = 1;
        begin_walk(turn, number, order, has_children);
    }
    Ok(())
}

fn begin_walk(turn: &mut Turn, number: u64, mut order: Order, has_children: bool) {
    if !has_children {
        return end_walk(turn, number, order);
    }
    turn.header.walking.push(number);
    order.path.push((order.root.clone(), None));
    ORDERS.put(turn.host, &number, &order);
}

fn end_walk(turn: &mut Turn, number: u64, order: Order) {
    ORDERS.put(turn.host, &number, &order);
    orders::forensic(turn, number, &order);
    if order.releasing {
        orders::release(turn, Action::ReleaseLineage, Action::IsolateLineage, &order.root);
    }
}

/// Goes on with the tree of an order, as far as this step reaches.
///
/// # Errors
/// Corrupt state.
pub fn walk(turn: &mut Turn, number: u64) -> Result<(), Rejection> {
    let mut order = ORDERS.get(turn.host, &number)?.ok_or(CorruptState { place: b"order/" })?;
    turn.spend(2);
    let path = core::mem::take(&mut order.path);
    let mut levels: Vec<Level> = path.into_iter().map(|(parent, after)| Level::new(parent, after)).collect();
    while let Some(level) = levels.last_mut() {
        if turn.is_spent() {
            order.path = levels.into_iter().map(|level| (level.parent, level.after)).collect();
            ORDERS.put(turn.host, &number, &order);
            return Ok(());
        }
        let Some(child) = level.next(turn)? else {
            levels.pop();
            continue;
        };
        let held = turn.named(&child)?;
        let has_children = held.capsule.has_children;
        let reached = if order.releasing {
            give_back_one(turn, held, number, &mut order)
        } else {
            isolate_one(turn, held, number, &mut order)?
        };
        if reached && has_children {
            levels.push(Level::new(child, None));
        }
    }
    turn.header.walking.remove(0);
    end_walk(turn, number, order);
    Ok(())
}

/// Isolates a descendant. What was being done about it ends here; its own order, if it has one, is part of this one
/// now.
fn isolate_one(turn: &mut Turn, mut held: Held, number: u64, order: &mut Order) -> Result<bool, Rejection> {
    let capsule = &mut held.capsule;
    if let Some(earlier) = capsule.order.filter(|_| capsule.is_order_root())
        && let Some(mut superseded) = ORDERS.get(turn.host, &earlier)?
    {
        superseded.superseded_by = Some(number);
        ORDERS.put(turn.host, &earlier, &superseded);
        turn.spend(2);
    }
    capsule.stand(Status::Isolated);
    capsule.lineage_tainted = true;
    capsule.order = Some(number);
    capsule.case = None;
    capsule.agenda = crate::state::Agenda::default();
    order.affected = order.affected.saturating_add(1);
    turn.save(held);
    Ok(true)
}

/// Gives back a descendant; one that does not meet the criteria itself stays in quarantine (section 4.2).
fn give_back_one(turn: &mut Turn, mut held: Held, number: u64, order: &mut Order) -> bool {
    if held.capsule.order != Some(number) {
        return false;
    }
    held.capsule.lineage_tainted = false;
    held.capsule.order = None;
    if held.capsule.reading.is_some_and(|reading| !reading.is_stable()) {
        quarantine(turn, &mut held, Cause::Requarantine);
        orders::contain(turn, Action::Quarantine, &held.id);
        order.held = order.held.saturating_add(1);
    } else {
        held.capsule.stand(Status::Normal);
        order.released = order.released.saturating_add(1);
    }
    turn.save(held);
    true
}

/// A parent on the way down, with the children that were read and not done yet.
struct Level {
    parent: String,
    after: Option<String>,
    page: std::vec::IntoIter<String>,
    more: bool,
}

impl Level {
    fn new(parent: String, after: Option<String>) -> Self {
        Self { parent, after, page: Vec::new().into_iter(), more: true }
    }

    fn next(&mut self, turn: &mut Turn) -> Result<Option<String>, Rejection> {
        if self.page.len() == 0 && self.more {
            let (page, more) = CHILDREN.under(turn.host, &self.parent, self.after.as_ref(), CHILDREN_PAGE)?;
            turn.spend(1);
            self.page = page.into_iter();
            self.more = more;
        }
        let child = self.page.next();
        if child.is_some() {
            self.after.clone_from(&child);
        }
        Ok(child)
    }
}
