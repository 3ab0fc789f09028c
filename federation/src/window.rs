//! Consensus windows: the members sign what the ledger is at one size, and a quorum of equal votes makes it final.
//!
//! The owner's vote opens a window: every so many receipts, or after some time if there are new ones. Members vote on the
//! same size when they have it and know it committed. Whoever sees a quorum of votes that say the same knows that the
//! window is final, and can show the votes to anybody.
//!
//! Two different votes of one member on one size are kept as what they are: evidence.

use crate::{
    limits::{MEMBERS_MAX, OPEN_WINDOWS_MAX},
    membership::{Roster, WindowRule},
    message::{Mark, Vote},
};
use reprise_receipts::{
    FinalMark, PublicKey, Receipt,
    evidence::{Equivocation, Evidence},
    finality::{FINAL_VOTES_MAX, FinalVote},
};
use std::collections::{BTreeMap, BTreeSet};

// A mark has room for every member's vote.
const _: () = assert!(MEMBERS_MAX <= FINAL_VOTES_MAX);

/// A window with a quorum of equal votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalWindow {
    /// The log.
    pub mark: Mark,
    /// The votes, in the order of their signers: enough for the quorum, perhaps more.
    pub votes: Vec<Vote>,
}

/// What a vote is to those that were there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It was not known.
    New,
    /// It was known, is too old, or its signer has contradicted itself before.
    Nothing,
    /// The signer has voted otherwise on this size.
    Contradicts(Box<Evidence>),
}

/// The open windows of one ledger.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// By size, then by signer.
    votes: BTreeMap<u64, BTreeMap<PublicKey, Vote>>,
    /// Signers that have contradicted themselves: their votes do not count any more.
    excluded: BTreeSet<PublicKey>,
    /// When this node opened a window last.
    opened_ms: u64,
}

impl Windows {
    /// The size at which the owner opens a window now, if one is due: the last multiple of the rule's receipts, or all
    /// that is committed if the last window is long ago.
    pub fn due(&mut self, now_ms: u64, rule: &WindowRule, committed: u64, signed: u64) -> Option<u64> {
        let multiple = committed - committed % rule.receipts;
        let size = if multiple > signed {
            multiple
        } else if committed > signed && now_ms.saturating_sub(self.opened_ms) >= rule.every_ms {
            committed
        } else {
            return None;
        };
        self.opened_ms = now_ms;
        Some(size)
    }

    /// The largest window that `owner` has opened and that this member can vote on.
    #[must_use]
    pub fn wanted(&self, owner: &PublicKey, committed: u64, signed: u64) -> Option<u64> {
        if committed <= signed {
            return None;
        }
        let open = self.votes.range(signed + 1..=committed).rev();
        open.into_iter().find(|(_, votes)| votes.contains_key(owner)).map(|(size, _)| *size)
    }

    /// Takes a vote whose signatures hold and whose signer is a voting member.
    pub fn note(&mut self, vote: Vote) -> Noted {
        if self.excluded.contains(&vote.signer) {
            return Noted::Nothing;
        }
        let known = self.votes.get(&vote.size).and_then(|votes| votes.get(&vote.signer));
        match known {
            // An owner that lost its epoch signs what took the place of its own receipts: the later epoch counts.
            Some(known) if known.ordered_in > vote.ordered_in => return Noted::Nothing,
            Some(known) if known.ordered_in < vote.ordered_in => {}
            Some(known) if known.attestation().body != vote.attestation().body => {
                let both = Equivocation::new(known.attestation(), vote.attestation());
                self.exclude(vote.signer);
                return Noted::Contradicts(Box::new(Evidence::Equivocation(Box::new(both))));
            }
            Some(_) => return Noted::Nothing,
            None => {}
        }
        self.make_room(&vote.signer);
        self.votes.entry(vote.size).or_default().insert(vote.signer, vote);
        Noted::New
    }

    /// The votes of this signer do not count any more, those that are there included.
    pub fn exclude(&mut self, signer: PublicKey) {
        self.excluded.insert(signer);
        for votes in self.votes.values_mut() {
            votes.remove(&signer);
        }
        self.votes.retain(|_, votes| !votes.is_empty());
    }

    /// The signer has contradicted itself.
    #[must_use]
    pub fn is_excluded(&self, signer: &PublicKey) -> bool {
        self.excluded.contains(signer)
    }

    /// The largest window beyond `last` with a quorum of equal votes.
    #[must_use]
    pub fn final_beyond(&self, last: u64, roster: &Roster) -> Option<FinalWindow> {
        let windows = self.votes.range(last + 1..).rev();
        windows.into_iter().find_map(|(_, votes)| quorum(votes, roster))
    }

    /// Votes of this node on open windows, to be sent again.
    pub fn of<'a>(&'a self, signer: &'a PublicKey) -> impl Iterator<Item = &'a Vote> {
        self.votes.values().filter_map(|votes| votes.get(signer))
    }

    /// Forgets the votes on windows at or before this size, except the last one.
    pub fn forget(&mut self, size: u64) {
        self.votes = self.votes.split_off(&size);
    }

    /// A signer has votes on so many sizes at most: its oldest goes.
    fn make_room(&mut self, signer: &PublicKey) {
        let sizes: Vec<u64> =
            self.votes.iter().filter(|(_, votes)| votes.contains_key(signer)).map(|(size, _)| *size).collect();
        if sizes.len() >= OPEN_WINDOWS_MAX {
            let oldest = self.votes.get_mut(&sizes[0]).expect("just seen");
            oldest.remove(signer);
            if oldest.is_empty() {
                self.votes.remove(&sizes[0]);
            }
        }
    }
}

fn quorum(votes: &BTreeMap<PublicKey, Vote>, roster: &Roster) -> Option<FinalWindow> {
    let voting: BTreeSet<PublicKey> = roster.voting().map(|member| member.receipts).collect();
    votes.values().find_map(|first| {
        let equal = votes.values().filter(|vote| voting.contains(&vote.signer) && vote.agrees_with(first));
        let votes: Vec<Vote> = equal.copied().collect();
        let mark = Mark { size: first.size, log_root: first.log_root };
        (votes.len() >= roster.needed()).then_some(FinalWindow { mark, votes })
    })
}

impl FinalWindow {
    /// A quorum of the roster signed the same: what somebody checks who was only sent this.
    #[must_use]
    pub fn verify(&self, roster: &Roster) -> bool {
        let about = |vote: &Vote| {
            vote.ledger == roster.ledger && (vote.size, vote.log_root) == (self.mark.size, self.mark.log_root)
        };
        let signed = self.votes.iter().filter(|vote| about(vote) && vote.verify().is_ok());
        let by_signer: BTreeMap<PublicKey, Vote> = signed.map(|vote| (vote.signer, *vote)).collect();
        quorum(&by_signer, roster).is_some_and(|window| window.mark == self.mark)
    }

    /// The votes as a proof that outlives them, with the last receipt of the window. `None`: without those that attest
    /// something else, another epoch for instance, they are no quorum.
    #[must_use]
    pub fn proof(&self, last: &Receipt, roster: &Roster) -> Option<FinalMark> {
        let unsigned = FinalMark::unsigned(last.clone(), self.mark.log_root);
        let body = unsigned.body();
        let attested = self.votes.iter().filter(|vote| vote.attestation().body == body);
        let mark = attested.fold(unsigned, |mark, vote| {
            let Vote { signer, attested, time_s, cosigned, .. } = *vote;
            mark.with(FinalVote { signer, attested, time_s, cosigned })
        });
        (mark.votes.len() >= roster.needed()).then_some(mark)
    }
}

#[cfg(test)]
mod tests;
