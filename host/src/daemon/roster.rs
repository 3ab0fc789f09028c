//! Who shares what: the lists of members that follow from the configuration, the keys, and a ledger's genesis record.

use super::config::{LedgerConfig, NodeConfig};
use reprise_federation::{Durability, List, Member, NodeKey, Quorum, Roster, WindowRule};
use reprise_receipts::{Genesis, LedgerId, PublicKey, SigningKey};
use std::collections::BTreeMap;

/// The keys of this node.
pub(super) struct OwnKeys {
    pub(super) node: SigningKey,
    pub(super) receipts: SigningKey,
}

/// A shared ledger as the configuration has it, with the keys of its members.
#[derive(Clone, Debug)]
pub(super) struct SharedLedger {
    /// What the configuration says.
    pub(super) config: LedgerConfig,
    /// The owner first, then those who vote, then those who observe.
    pub(super) members: Vec<Member>,
    own: NodeKey,
    own_name: String,
}

impl SharedLedger {
    pub(super) fn new(ledger: &LedgerConfig, config: &NodeConfig, own: &OwnKeys) -> Self {
        let keys: BTreeMap<&str, (PublicKey, PublicKey)> = config
            .peers
            .iter()
            .map(|peer| (peer.name.as_str(), (peer.key, peer.receipts)))
            .chain([(config.name.as_str(), (own.node.public(), own.receipts.public()))])
            .collect();
        let member = |name: &str, observer| {
            let (node, receipts) = keys[name];
            Member { node: NodeKey(node), receipts, observer }
        };
        let voting = std::iter::once(&ledger.owner).chain(&ledger.replicas).map(|name| member(name, false));
        let observers = ledger.observers.iter().map(|name| member(name, true));
        Self {
            config: ledger.clone(),
            members: voting.chain(observers).collect(),
            own: NodeKey(own.node.public()),
            own_name: config.name.clone(),
        }
    }

    /// The key that attests the ledger's first epoch.
    pub(super) fn first_attester(&self) -> PublicKey {
        self.members[0].receipts
    }

    /// The other members, the first owner first.
    pub(super) fn others(&self) -> impl Iterator<Item = NodeKey> {
        self.members.iter().map(|member| member.node).filter(|node| *node != self.own)
    }

    /// The list of members, if the ledger with this genesis record can be shared so. `Err`: why not, for people.
    pub(super) fn roster(&self, genesis: &Genesis) -> Result<Roster, String> {
        let (ledger, owner) = (&self.config, self.members[0]);
        if owner.receipts != genesis.attester {
            return Err(format!(
                "`{}` cannot have owned it first: its first epoch is attested by {}, and that node attests with {}",
                ledger.owner, genesis.attester, owner.receipts
            ));
        }
        if !self.members.iter().any(|member| member.node == self.own) {
            return Err(format!("this node, `{}`, is not among its members", self.own_name));
        }
        let mut members = self.members.clone();
        members.sort_by_key(|member| member.node);
        let roster = of_genesis(genesis, owner.node, members, ledger.roster);
        Ok(Roster { quorum: ledger.quorum, durability: ledger.durability, window: ledger.window, ..roster })
    }

    /// Which ledger, if the configuration says it.
    pub(super) fn id(&self) -> Option<LedgerId> {
        self.config.id
    }
}

/// A ledger that this node shares with nobody.
pub(super) fn alone(genesis: &Genesis, own: &OwnKeys) -> Roster {
    let node = NodeKey(own.node.public());
    of_genesis(genesis, node, vec![Member { node, receipts: own.receipts.public(), observer: false }], 1)
}

fn of_genesis(genesis: &Genesis, owner: NodeKey, members: Vec<Member>, number: u64) -> Roster {
    let mut operators = genesis.operators.clone();
    operators.sort_unstable();
    Roster {
        ledger: genesis.ledger_id(),
        number,
        first_epoch: genesis.epoch,
        first_owner: owner,
        members: List::first(members),
        quorum: Quorum::Majority,
        durability: Durability::Local,
        window: WindowRule { receipts: 1_024, every_ms: 1_000 },
        operators: List::first(operators),
        operator_threshold: genesis.operator_threshold,
    }
}
