//! What several test programs need: ledgers in memory, keys, rosters, random numbers.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod ledger;
pub mod random;

use reprise_federation::{Durability, List, Member, NodeKey, Quorum, Roster, WindowRule, message::Enrolment};
use reprise_receipts::{LedgerId, SigningKey};

/// Keys of the node with this number.
pub struct Keys {
    pub node: SigningKey,
    pub receipts: SigningKey,
}

pub fn keys(number: u8) -> Keys {
    let secret = |kind: u8| SigningKey::from_secret(&[kind.wrapping_mul(16) ^ number.wrapping_add(1); 32]);
    Keys { node: secret(1), receipts: secret(2) }
}

pub fn operator(number: u8) -> SigningKey {
    SigningKey::from_secret(&[0xe0 ^ number; 32])
}

impl Keys {
    pub fn id(&self) -> NodeKey {
        NodeKey(self.node.public())
    }

    pub fn enrolment(&self) -> Enrolment {
        Enrolment::new(&self.node, &self.receipts)
    }
}

pub fn ledger_id() -> LedgerId {
    LedgerId::from_bytes([0x1d; 32])
}

/// A ledger of `nodes` voting members, of which number 0 is the first owner, and so many observers after them.
pub fn roster(nodes: u8, observers: u8, quorum: Quorum) -> Roster {
    let member = |number: u8| Member {
        node: keys(number).id(),
        receipts: keys(number).receipts.public(),
        observer: number >= nodes,
    };
    let mut members: Vec<Member> = (0..nodes + observers).map(member).collect();
    members.sort_by_key(|member| member.node);
    let mut operators: Vec<_> = (0..3).map(|number| operator(number).public()).collect();
    operators.sort();
    Roster {
        ledger: ledger_id(),
        number: 1,
        first_epoch: 1,
        first_owner: keys(0).id(),
        members: List::new(members).unwrap(),
        quorum,
        durability: Durability::Majority,
        window: WindowRule { receipts: 8, every_ms: 1_000 },
        operators: List::new(operators).unwrap(),
        operator_threshold: 2,
    }
}
