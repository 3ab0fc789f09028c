//! `reprise peer`: this node as others see it, and other nodes as this one sees them.

use super::{
    args::PeerCommand,
    error::{CliError, Exit},
    node,
    report::{Printer, Record},
};
use crate::{
    daemon::control::Wanted,
    keys,
    link::{Answer, ConnectError, Link, LinkConfig},
};
use reprise_receipts::PublicKey;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

pub(crate) fn run(command: &PeerCommand, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    match command {
        PeerCommand::Key => {
            print.record(Record::new().with("node key", keys::node(dir)?.public().to_string()));
            Ok(Exit::Done)
        }
        PeerCommand::Revoke { peer } => admit(dir, peer, false, print),
        PeerCommand::Allow { peer } => admit(dir, peer, true, print),
        PeerCommand::Probe { address, key } => probe(*address, key.as_deref(), dir, print),
    }
}

fn admit(dir: &Path, peer: &str, admitted: bool, print: &Printer) -> Result<Exit, CliError> {
    let wanted = Wanted::Admit { peer: peer.to_owned(), admitted };
    let answer = node::running(dir)?.ask(&wanted).map_err(node::gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    print.record(Record::new().with("peer", peer).with("let in", admitted));
    Ok(Exit::Done)
}

fn probe(address: SocketAddr, key: Option<&str>, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let key = key.map(parse_key).transpose()?;
    let config = LinkConfig::new(keys::node(dir)?);
    let fault = |error: &dyn std::fmt::Display| CliError::Fault(format!("network: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| fault(&error))?;
    let answer = runtime.block_on(async {
        let link = Link::bind(any_port_towards(address), config).map_err(|error| fault(&error))?;
        let answer = link.probe(address, key).await;
        link.close().await;
        answer.map_err(|error| unanswered(address, &error))
    })?;
    let exit = if answer.version.is_ok() { Exit::Done } else { Exit::Refused };
    print.record(report(address, &answer));
    Ok(exit)
}

fn report(address: SocketAddr, answer: &Answer) -> Record {
    let record = Record::new()
        .with("address", address.to_string())
        .with("node key", answer.key.to_string())
        .with("protocol", answer.protocol.clone())
        .with("authorised", answer.version.is_ok());
    match &answer.version {
        Ok(version) => record
            .with("link version", *version)
            .with("round trip ms", format!("{:.3}", answer.round_trip.as_secs_f64() * 1_000.0)),
        Err(refusal) => record.with("why not", refusal.to_string()),
    }
}

fn unanswered(address: SocketAddr, error: &ConnectError) -> CliError {
    match error {
        ConnectError::NoAnswer(patience) => CliError::Refusal(format!(
            "{address}: no answer in {} s: is a node listening there, and is UDP let through?",
            patience.as_secs()
        )),
        error => CliError::Refusal(format!("{address}: {error}")),
    }
}

/// A socket of the peer's family that can reach it, on a port that the system chooses.
fn any_port_towards(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match (address.is_ipv4(), address.ip().is_loopback()) {
        (true, true) => Ipv4Addr::LOCALHOST.into(),
        (true, false) => Ipv4Addr::UNSPECIFIED.into(),
        (false, true) => Ipv6Addr::LOCALHOST.into(),
        (false, false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}

/// A node key as typed.
pub(crate) fn parse_key(text: &str) -> Result<PublicKey, CliError> {
    crate::keys::parse_public(text)
        .ok_or_else(|| CliError::Usage(format!("`{text}` is not a node key: expected 64 hexadecimal digits")))
}
