//! A node that lies: the honest state machine, with a mouth that says something else.

use crate::{
    node::Out,
    support::{keys, ledger::MemoryLedger, ledger_id, random::Random},
};
use reprise_federation::{
    Grant, List, Message,
    message::{Claim, Reply, Step, Steps},
};
use reprise_receipts::{LogRoot, StateRoot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Heads that are not its own.
    LyingHeads,
    /// Receipts of steps that give another state.
    ForgedReceipts,
    /// Two votes on one size, one to each half of the members.
    Equivocation,
    /// Old messages again.
    Replay,
    /// No answers, or none of the bytes.
    Withheld,
    /// Votes in the name of others, and grants that nobody signed.
    ForgedSignatures,
    /// Frames that are nothing.
    Garbage,
}

impl Lie {
    pub const ALL: [Self; 7] = [
        Self::LyingHeads,
        Self::ForgedReceipts,
        Self::Equivocation,
        Self::Replay,
        Self::Withheld,
        Self::ForgedSignatures,
        Self::Garbage,
    ];
}

pub struct Liar {
    random: Random,
    said: Vec<(reprise_federation::NodeKey, Vec<u8>)>,
}

impl Liar {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed ^ 0x11a5), said: Vec::new() }
    }

    pub fn lie(&mut self, lie: Lie, out: Vec<Out>, number: u8, ledger: &MemoryLedger) -> Vec<Out> {
        let mut told = Vec::new();
        for one in out {
            match one {
                Out::Frame { to, frame, first: false } => {
                    let message = Message::from_frame(&frame).expect("its own");
                    for frame in self.twist_message(lie, to, message, frame, number, ledger) {
                        told.push(Out::Frame { to, frame, first: false });
                    }
                }
                Out::Stream { to, transfer, bytes } => match lie {
                    Lie::Withheld if !self.random.one_in(4) => {}
                    Lie::ForgedReceipts if self.random.one_in(2) => {
                        told.push(Out::Stream { to, transfer, bytes: forge_stream(&bytes, &mut self.random) });
                    }
                    _ => told.push(Out::Stream { to, transfer, bytes }),
                },
                other => told.push(other),
            }
        }
        told
    }

    fn twist_message(
        &mut self,
        lie: Lie,
        to: reprise_federation::NodeKey,
        mut message: Message,
        frame: Vec<u8>,
        number: u8,
        ledger: &MemoryLedger,
    ) -> Vec<Vec<u8>> {
        match (lie, &mut message) {
            (Lie::LyingHeads, Message::Answer(answer)) => {
                if let Reply::Heads(page) = &mut answer.reply {
                    let mut heads = page.heads.to_vec();
                    for head in &mut heads {
                        head.size += self.random.below(20);
                        head.log_root = LogRoot::from_bytes([self.random.next() as u8; 32]);
                    }
                    page.heads = List::first(heads);
                } else if matches!(answer.reply, Reply::Continuity(_) | Reply::Subtrees(_)) && self.random.one_in(2) {
                    answer.reply = Reply::Subtrees(List::first((0..16).map(|_| [self.random.next() as u8; 32])));
                }
                vec![message.to_frame()]
            }
            (Lie::LyingHeads, Message::Ack(ack)) if self.random.one_in(3) => {
                ack.state_root = StateRoot::from_bytes([9; 32]);
                vec![message.to_frame()]
            }
            (Lie::ForgedReceipts, Message::Append(append)) if self.random.one_in(4) => {
                if let Some(forged) = forge(&append.steps, &mut self.random) {
                    // The lie holds together: the log that it claims to have ends with the forged receipt.
                    let mut claimed = ledger.clone();
                    claimed.truncate(append.before.size);
                    forged.iter().for_each(|step| claimed.append(step.clone()));
                    append.head = claimed.mark();
                    append.committed = append.committed.min(append.head.size);
                    append.steps = List::first(forged);
                }
                vec![message.to_frame()]
            }
            (Lie::Equivocation, Message::Vote(vote)) if vote.signer == keys(number).receipts.public() => {
                let half = to.0.as_bytes()[5].is_multiple_of(2);
                if half && self.random.one_in(2) {
                    let other = reprise_federation::message::Vote { log_root: LogRoot::from_bytes([6; 32]), ..*vote };
                    return vec![Message::Vote(other.sign(&keys(number).receipts)).to_frame(), frame];
                }
                vec![frame]
            }
            (Lie::Replay, _) => {
                if self.said.len() < 400 && self.random.one_in(3) {
                    self.said.push((to, frame.clone()));
                }
                let old: Vec<Vec<u8>> =
                    self.said.iter().filter(|(whom, _)| *whom == to).map(|(_, frame)| frame.clone()).collect();
                if !old.is_empty() && self.random.one_in(4) {
                    return vec![frame, self.random.pick(&old)];
                }
                vec![frame]
            }
            (Lie::Withheld, Message::Answer(_) | Message::Ack(_) | Message::Append(_)) if !self.random.one_in(3) => {
                vec![]
            }
            (Lie::ForgedSignatures, Message::Vote(vote)) => {
                let victim = keys((number + 1) % 3).receipts.public();
                let forged = reprise_federation::message::Vote {
                    signer: victim,
                    log_root: LogRoot::from_bytes([8; 32]),
                    ..*vote
                };
                vec![Message::Vote(forged).to_frame(), frame]
            }
            (Lie::ForgedSignatures, Message::Ack(_)) if self.random.one_in(20) => {
                let epoch = 1 + self.random.below(2_000);
                let grant = Grant {
                    ledger: ledger_id(),
                    epoch,
                    owner: keys(number).id(),
                    attester: keys(number).receipts.public(),
                    roster: 1,
                };
                let grant = grant.sign(&[&keys(number).receipts, &keys(number).node]);
                vec![Message::Claim(Claim { grant }).to_frame(), frame]
            }
            (Lie::Garbage, _) if self.random.one_in(60) => {
                let mut garbage = frame;
                let at = self.random.below(garbage.len() as u64) as usize;
                garbage[at] ^= 1 << self.random.below(8);
                vec![garbage]
            }
            _ => vec![frame],
        }
    }
}

/// Another state after the last of these steps, chained to the one before it.
fn forge(steps: &[Step], random: &mut Random) -> Option<Vec<Step>> {
    let mut forged = steps.to_vec();
    let last = forged.last_mut()?;
    let mut receipt: reprise_receipts::Receipt = reprise_abi::decode_canonical(&last.receipt).ok()?;
    receipt.next_state = StateRoot::from_bytes([random.next() as u8; 32]);
    last.receipt = reprise_abi::encode(&receipt);
    Some(forged)
}

fn forge_stream(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let steps: Steps = reprise_abi::decode_canonical(bytes).expect("its own");
    let forged = forge(&steps.steps, random).unwrap_or_default();
    reprise_abi::encode(&Steps { steps: List::first(forged) })
}
