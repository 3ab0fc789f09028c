//! Who owns the ledger, as operators have granted it: their word, and when they give it.

use crate::node::key;
use reprise::succession::hex;
use reprise_abi::encode;
use reprise_receipts::{Genesis, SigningKey, command::Command};

/// The operators' key.
pub fn operator() -> SigningKey {
    key(20, 0)
}

pub struct Office {
    genesis: Genesis,
    owner: usize,
    /// The member that those who submit hold for the owner: they hear of another one later.
    told: usize,
    epoch: u64,
    /// The last grant, in digits, as long as nobody has taken it.
    grant: Option<String>,
}

impl Office {
    /// The first member owns the ledger from the beginning.
    pub fn new(genesis: Genesis) -> Self {
        Self { epoch: genesis.epoch, genesis, owner: 0, told: 0, grant: None }
    }

    pub fn owner(&self) -> usize {
        self.owner
    }

    /// Where events are submitted.
    pub fn told(&self) -> usize {
        self.told
    }

    /// Those who submit hear who the owner is.
    pub fn tell(&mut self) {
        self.told = self.owner;
    }

    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Signs the next epoch over to a member, which is to be handed that. The epoch.
    pub fn grant(&mut self, owner: usize) -> u64 {
        (self.owner, self.epoch) = (owner, self.epoch + 1);
        let (node, attester) = (key(owner, 0).public(), key(owner, 1).public());
        let command = Command::Epoch { to: self.epoch, owner: node, attester, roster: 1 };
        let signed = command.sign(self.genesis.ledger_id(), &operator());
        self.grant = Some(hex(&encode(&signed)));
        self.epoch
    }

    /// The grant that this member is to be handed.
    pub fn to_hand_in(&self, member: usize) -> Option<String> {
        self.grant.clone().filter(|_| self.owner == member)
    }

    /// A grant is in the member's hands.
    pub fn was_taken(&mut self, grant: &str) {
        self.grant.take_if(|last| last == grant);
    }
}
