//! Who descends from whom.
//!
//! Downwards the index of children is read page by page, upwards the records of the parents; a lineage is at most 64
//! long. Neither depends on how many capsules there are.

use crate::{
    phi::Phi,
    state::{CAPSULES, Capsule, Header, Status},
};
use reprise_guest::{Host, abi::Rejection};

/// The lineage of a capsule, from the beginning down to itself.
///
/// # Errors
/// Corrupt state.
pub fn chain(host: &mut dyn Host, id: &str, capsule: &Capsule) -> Result<Vec<String>, Rejection> {
    let mut chain = vec![String::from(id)];
    let mut above = capsule.parent.clone();
    while let Some((id, ancestor)) = next(host, above)? {
        chain.push(id);
        above = ancestor.parent;
    }
    chain.reverse();
    Ok(chain)
}

/// The nearest ancestor that is fit to heal from: in the pool, with nothing being done about it, and without drift.
///
/// # Errors
/// Corrupt state.
pub fn stable_ancestor(host: &mut dyn Host, capsule: &Capsule) -> Result<Option<(String, Phi)>, Rejection> {
    let mut above = capsule.parent.clone();
    while let Some((id, ancestor)) = next(host, above)? {
        if ancestor.status == Status::Normal && ancestor.reading.is_some_and(|reading| !reading.drifts()) {
            return Ok(Some((id, ancestor.phi)));
        }
        above = ancestor.parent;
    }
    Ok(None)
}

/// The root of an isolated lineage above a capsule that has not been reached yet.
///
/// Asked while a tree is being worked through, in several steps: the root is isolated from the first one on, and
/// whoever is below a tainted ancestor counts as isolated too.
///
/// # Errors
/// Corrupt state.
pub fn isolated_above(host: &mut dyn Host, header: &Header, capsule: &Capsule) -> Result<Option<String>, Rejection> {
    if header.walking.is_empty() || capsule.lineage_tainted {
        return Ok(None);
    }
    let mut above = capsule.parent.clone();
    while let Some((id, ancestor)) = next(host, above)? {
        if ancestor.lineage_tainted {
            return Ok(Some(id));
        }
        above = ancestor.parent;
    }
    Ok(None)
}

#[inline(never)]
fn next(host: &mut dyn Host, above: Option<String>) -> Result<Option<(String, Box<Capsule>)>, Rejection> {
    let Some(id) = above else { return Ok(None) };
    let capsule = CAPSULES.get(host, &id)?;
    Ok(capsule.map(|capsule| (id, Box::new(capsule))))
}
