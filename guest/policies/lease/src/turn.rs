//! One turn of a step that may change anything: the whole cluster in memory, read once, written back where it changed.
//!
//! Heartbeats and renewals do not come here: see [`crate::signals`].

use crate::{
    config::Config,
    error::No,
    execute::Execution,
    plan::RecoveryPlan,
    report::judge,
    resolve::Rules,
    state::{
        CONFIG, EXECUTION, HEADER, Header, Health, LEASES, Lease, PLAN, Partition, RANKS, Rank, RankRecord, TOUCHED,
        Touched, increment,
    },
    table::Table,
    trace::{Happening, TraceEntry},
};
use reprise_guest::{
    Host,
    abi::{Compensator, Effect, Rejection},
    json,
    text::{decimal, join},
};
use serde::Serialize;

/// The driver of every effect of this policy.
pub const ORCHESTRATOR: &str = "orchestrator";

/// The cluster as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The pinned configuration.
    pub config: Config,
    /// Epoch, figures, chains.
    pub header: Header,
    /// Rank health.
    pub ranks: Table<Rank, RankRecord>,
    /// The lease table.
    pub leases: Table<Partition, Lease>,
    /// The pending plan.
    pub plan: Option<RecoveryPlan>,
    /// How far it is.
    pub execution: Option<Execution>,
}

impl Cluster {
    /// Reads all of it.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn load(host: &mut dyn Host) -> Result<Self, Rejection> {
        let header = HEADER.get(host)?.ok_or(No::NotInitialised)?;
        let config = CONFIG.get(host)?.ok_or(No::NotInitialised)?;
        let ranks = RANKS.scan(host).collect::<Result<_, _>>()?;
        let leases = LEASES.scan(host).collect::<Result<_, _>>()?;
        Ok(Self { config, header, ranks, leases, plan: PLAN.get(host)?, execution: EXECUTION.get(host)? })
    }

    /// What leases are judged by.
    #[must_use]
    pub fn rules(&self, now_ms: u64) -> Rules<'_> {
        Rules { ranks: &self.ranks, config: &self.config, epoch: self.header.epoch, now_ms }
    }
}

/// A turn: the cluster, the time, and the way out for trace entries and effects.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Milliseconds of logical time.
    pub now_ms: u64,
    /// The cluster, to be changed.
    pub cluster: Cluster,
    before: Option<Cluster>,
    happened: Vec<Happening>,
}

impl<'h> Turn<'h> {
    /// Reads the cluster.
    ///
    /// # Errors
    /// [`No::NotInitialised`], [`No::RestorePending`], or corrupt state.
    pub fn open(host: &'h mut dyn Host, now_ms: u64) -> Result<Self, Rejection> {
        let turn = Self::open_to_restore(host, now_ms)?;
        if turn.cluster.header.awaits.is_some() { Err(No::RestorePending.into()) } else { Ok(turn) }
    }

    /// Reads the cluster, even if it waits for its plan.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn open_to_restore(host: &'h mut dyn Host, now_ms: u64) -> Result<Self, Rejection> {
        let cluster = Cluster::load(host)?;
        Ok(Self { host, now_ms, before: Some(cluster.clone()), cluster, happened: Vec::new() })
    }

    /// Begins with a cluster that is not in state yet.
    pub fn begin(host: &'h mut dyn Host, now_ms: u64, cluster: Cluster) -> Self {
        Self { host, now_ms, before: None, cluster, happened: Vec::new() }
    }

    /// Judges the cluster and writes back what changed.
    ///
    /// # Errors
    /// [`No::CounterOverflow`].
    pub fn close(mut self) -> Result<Cluster, No> {
        judge(&mut self)?;
        let Self { host, now_ms, mut cluster, before, happened } = self;
        let entry = TraceEntry { at_ms: now_ms, epoch: cluster.header.epoch, what: happened };
        entry.record(host, &mut cluster.header)?;
        let epoch_before = before.as_ref().map_or(0, |before| before.header.epoch);
        let ranks = before.as_ref().map(|before| &before.ranks);
        for (rank, record) in cluster.ranks.iter() {
            if ranks.is_none_or(|ranks| ranks.get(rank) != Some(record)) {
                RANKS.put(host, rank, record);
            }
        }
        let leases = before.as_ref().map(|before| &before.leases);
        for (partition, lease) in cluster.leases.iter() {
            if leases.is_none_or(|leases| leases.get(partition) != Some(lease)) {
                LEASES.put(host, partition, lease);
            }
        }
        if before.as_ref().is_none_or(|before| before.plan != cluster.plan) {
            match &cluster.plan {
                Some(plan) => PLAN.put(host, plan),
                None => PLAN.delete(host),
            }
        }
        match &cluster.execution {
            Some(execution) => EXECUTION.put(host, execution),
            None => EXECUTION.delete(host),
        }
        if before.is_none() {
            CONFIG.put(host, &cluster.config);
        }
        HEADER.put(host, &cluster.header);
        TOUCHED.put(host, &Touched { epoch_before, partition: None });
        Ok(cluster)
    }

    /// Adds to the trace entry of this step.
    pub fn trace(&mut self, what: Happening) {
        self.happened.push(what);
    }

    /// Changes a rank's health, and traces it.
    pub fn set_health(&mut self, rank: Rank, to: Health) {
        let Some(record) = self.cluster.ranks.get_mut(&rank) else { return };
        let from = record.health;
        record.health = to;
        if from != to {
            self.trace(Happening::Rank { rank, from, to });
        }
    }

    /// Emits an effect. Its idempotency key names what it is, its epoch and its number.
    ///
    /// # Errors
    /// [`No::CounterOverflow`].
    pub fn effect<T: Serialize>(
        &mut self,
        name: &str,
        deadline_ms: u64,
        order: &T,
        undo: Option<&T>,
    ) -> Result<(), No> {
        let header = &mut self.cluster.header;
        let idempotency_key = join(&[name, ".", &decimal(header.epoch), ".", &decimal(header.effect_seq)]);
        increment(&mut header.effect_seq, No::CounterOverflow)?;
        let compensator = undo.map(|undo| Compensator { driver: ORCHESTRATOR.into(), payload: json::of(undo) });
        let driver = ORCHESTRATOR.into();
        self.host.emit(Effect { idempotency_key, driver, deadline_ms, payload: json::of(order), compensator });
        Ok(())
    }
}
