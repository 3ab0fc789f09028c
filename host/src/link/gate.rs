//! The gate before the door: how many handshakes may be under way, in all and from one host.

use super::limits::DoorLimits;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bits of an IPv6 address that whoever owns a host can choose.
const INTERFACE_BITS: u32 = 64;

/// Counts handshakes under way.
#[derive(Debug)]
pub(super) struct Gate {
    limits: DoorLimits,
    hosts: Mutex<BTreeMap<IpAddr, usize>>,
}

/// What to do with a caller.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Let it begin. The place is free again when the pass is dropped.
    Enter(Pass),
    /// Let it show first that it receives at its address.
    Retry,
    /// Turn it away.
    Busy,
}

/// A place among the handshakes under way.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    host: IpAddr,
}

impl Gate {
    pub(super) fn new(limits: DoorLimits) -> Arc<Self> {
        Arc::new(Self { limits, hosts: Mutex::default() })
    }

    /// Judges a caller by what is under way. `validated`: it has shown that it receives at its address.
    pub(super) fn judge(self: &Arc<Self>, caller: SocketAddr, validated: bool) -> Judgement {
        let host = host(caller);
        let mut hosts = self.hosts();
        let under_way: usize = hosts.values().sum();
        // An address that anybody could have written is not held against the host that has it.
        if !validated && under_way >= self.limits.retry_from {
            return Judgement::Retry;
        }
        let of_host = hosts.get(&host).copied().unwrap_or(0);
        if under_way >= self.limits.handshakes_max || of_host >= self.limits.handshakes_per_host_max {
            return Judgement::Busy;
        }
        *hosts.entry(host).or_default() += 1;
        Judgement::Enter(Pass { gate: self.clone(), host })
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut hosts = self.gate.hosts();
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

fn host(caller: SocketAddr) -> IpAddr {
    match caller.ip().to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> INTERFACE_BITS << INTERFACE_BITS)),
    }
}

#[cfg(test)]
mod tests;
