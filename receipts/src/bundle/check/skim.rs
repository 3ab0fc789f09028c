//! Counting the items of a list before it is decoded.
//!
//! In memory an item takes many times the bytes that it can be encoded in, so a length alone does not bound what
//! decoding takes. The encodings of these kinds are gone through without keeping anything, and counted.

use crate::{attestation::AttestationBody, finality::FINAL_VOTES_MAX, genesis::OPERATORS_MAX};
use reprise_abi::limits::{DESCRIPTION_ITEMS_MAX, EFFECTS_MAX, TIMER_CHANGES_MAX};

/// Most changes of a diff in a bundle: a step's own, and what the ledger adds for effects, timers and answers.
const CHANGES_MAX: u64 = 32 * 1024;
/// Most parts of a witness in a bundle or in evidence.
const WITNESS_PARTS_MAX: u64 = 256 * 1024;

/// Most packages of one step.
const FAULT_PACKAGES_MAX: u64 = 2;
/// Longest path in a proof, in hashes.
const PROOF_HASHES_MAX: u64 = crate::log::LOG_SIZE_MAX.ilog2() as u64 + 2;

/// `None`: more items than there can be, or not the shape of its kind.
type Within = Option<()>;

/// A package has no longer lists than a description may have.
pub(super) fn package(bytes: &[u8]) -> Within {
    Skim(bytes).package()
}

/// A step record has no more changes, effects and timers than a step can make.
pub(super) fn step_record(bytes: &[u8]) -> Within {
    let mut skim = Skim(bytes);
    skim.list(CHANGES_MAX, |change| {
        change.bytes()?;
        change.option(Skim::bytes)?;
        change.option(Skim::bytes)
    })?;
    skim.outcome()?;
    skim.list(EFFECTS_MAX as u64, |effect| {
        effect.bytes()?;
        effect.bytes()?;
        effect.number()?;
        effect.bytes()?;
        effect.option(|undo| undo.bytes().and_then(|()| undo.bytes()))
    })?;
    skim.list(TIMER_CHANGES_MAX as u64, |timer| match timer.number()? {
        0 => timer.bytes().and_then(|()| timer.number()).and_then(|_| timer.bytes()),
        _ => timer.bytes(),
    })
}

/// A witness has no more parts than a bundle's may have.
pub(super) fn witness(bytes: &[u8]) -> Within {
    Skim(bytes).witness()
}

/// A final mark has no more votes than a ledger has members.
pub(super) fn final_mark(bytes: &[u8]) -> Within {
    let mut skim = Skim(bytes);
    skim.number()?;
    skim.receipt()?;
    skim.skip(32)?;
    skim.list(FINAL_VOTES_MAX as u64, |vote| {
        vote.skip(32 + 64)?;
        vote.number()?;
        vote.skip(64)
    })?;
    skim.proof()
}

/// Evidence has no longer lists than its kind can have.
pub(crate) fn evidence(bytes: &[u8]) -> Within {
    let mut skim = Skim(bytes);
    match skim.number()? {
        0 => skim.attestation().and_then(|()| skim.attestation()),
        1 => {
            skim.head()?;
            skim.head()?;
            skim.option(|at| {
                at.number()?;
                (0..2).try_for_each(|_| at.skip(32).and_then(|()| at.proof()))?;
                at.option(|receipts| receipts.receipt().and_then(|()| receipts.receipt()))
            })
        }
        _ => skim.execution_fault(),
    }
}

/// What is left of an encoding: postcard's wire format.
struct Skim<'a>(&'a [u8]);

impl Skim<'_> {
    /// An integer, the length of a list or string, or the number of a variant.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn skip(&mut self, count: u64) -> Within {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn bytes(&mut self) -> Within {
        let len = self.number()?;
        self.skip(len)
    }

    fn option(&mut self, some: impl FnOnce(&mut Self) -> Within) -> Within {
        if self.number()? == 0 { Some(()) } else { some(self) }
    }

    fn list(&mut self, items_max: u64, item: impl Fn(&mut Self) -> Within) -> Within {
        let items = self.number()?;
        if items > items_max {
            return None;
        }
        (0..items).try_for_each(|_| item(self))
    }

    fn outcome(&mut self) -> Within {
        match self.number()? {
            0 => self.bytes(),
            1 => self.number().and_then(|_| self.bytes()),
            2 | 4 => self.number().map(|_| ()),
            3 => Some(()),
            _ => self.bytes().and_then(|()| self.bytes()),
        }
    }

    fn package(&mut self) -> Within {
        self.number()?;
        self.bytes()?;
        self.bytes()?;
        self.bytes()?;
        let items_max = DESCRIPTION_ITEMS_MAX as u64;
        self.list(items_max, Skim::bytes)?;
        self.list(items_max, Skim::bytes)?;
        self.list(items_max, |rejection| rejection.number().and_then(|_| rejection.bytes()))?;
        self.list(items_max, |rule| rule.bytes().and_then(|()| rule.skip(32)))?;
        self.skip(32)?;
        self.bytes()?;
        self.bytes()
    }

    fn witness(&mut self) -> Within {
        self.number()?;
        self.number()?;
        self.list(WITNESS_PARTS_MAX, |part| {
            part.number()?;
            match part.number()? {
                0 => part.skip(32),
                _ => part.bytes().and_then(|()| part.bytes()),
            }
        })
    }

    fn attestation(&mut self) -> Within {
        self.skip(32)?;
        let place = self.number()?;
        self.skip(32 + 32)?;
        if AttestationBody::place_has_epoch(place) {
            self.number()?;
        }
        self.skip(32 + 64)
    }

    fn receipt(&mut self) -> Within {
        self.number()?;
        self.skip(32)?;
        (0..3).try_for_each(|_| self.number().map(|_| ()))?;
        self.skip(3 * 32)?;
        self.number()?;
        self.skip(5 * 32)?;
        (0..3).try_for_each(|_| self.number().map(|_| ()))?;
        self.skip(32)
    }

    fn head(&mut self) -> Within {
        if self.number()? == 0 { self.bytes() } else { self.attestation() }
    }

    fn proof(&mut self) -> Within {
        self.list(PROOF_HASHES_MAX, |hash| hash.skip(32))
    }

    fn genesis(&mut self) -> Within {
        self.number()?;
        self.bytes()?;
        self.skip(16)?;
        self.number()?;
        self.skip(32 + 32)?;
        self.number()?;
        self.skip(32)?;
        self.list(OPERATORS_MAX as u64, |key| key.skip(32))?;
        self.number().map(|_| ())
    }

    fn execution_fault(&mut self) -> Within {
        self.genesis()?;
        self.head()?;
        self.proof()?;
        self.option(Skim::bytes)?;
        self.bytes()?;
        self.bytes()?;
        self.option(Skim::witness)?;
        self.list(FAULT_PACKAGES_MAX, Skim::package)
    }
}
