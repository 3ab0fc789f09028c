//! Three nodes as processes of this program, below one directory: one owns the ledger, two follow and cosign it.

mod wire;

use super::{
    child::{Reprise, packaged_node, text_of},
    demo,
    error::CliError,
};
use crate::{
    daemon::{client::Client, control::Wanted},
    journal::{Journal, tamper::Record},
    node::{self, Access},
};
use serde_json::Value;
use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use wire::Wires;

pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];
/// The node that orders and attests.
pub(crate) const OWNER: usize = 0;
/// The node between which and the others the wires lie.
pub(crate) const FAR: usize = 2;
pub(crate) const LEDGER: &str = "incident";
/// What does not happen within this time does not happen.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// The nodes. Those that still run when it goes are ended with it.
pub(crate) struct Trio {
    nodes: Vec<Node>,
    pub(crate) wires: Wires,
}

struct Node {
    dir: PathBuf,
    reprise: Reprise,
    child: Option<Child>,
}

impl Trio {
    /// Three nodes below `dir` that know each other; none of them runs. The replicas have what the owner has made of the
    /// events in this file. Events are answered as `durability` says: `local` or `majority`.
    pub(crate) fn new(dir: &Path, durability: &str, first_events: &str) -> Result<Self, CliError> {
        let mut nodes = Vec::new();
        for name in NAMES {
            let dir = dir.join(name);
            packaged_node(&dir, demo::PACKAGE)?;
            nodes.push(Node { reprise: Reprise::at(&dir)?, dir, child: None });
        }
        nodes[OWNER].reprise.run(0, &["ledger", "create", LEDGER, "--package", "lease"])?;
        nodes[OWNER].reprise.run(0, &["submit", LEDGER, first_events])?;
        let bundle = dir.join("first.bundle").display().to_string();
        nodes[OWNER].reprise.run(0, &["bundle", "export", LEDGER, "--kind", "replay", "--out", &bundle])?;
        let attester = text_of(&nodes[OWNER].reprise.run(0, &["key", "show"])?, "attester");
        for node in &nodes[1..] {
            node.reprise.run(0, &["bundle", "import", &bundle, "--key", &attester])?;
        }
        let wires = Wires::new().map_err(|error| CliError::Fault(format!("no wires: {error}")))?;
        let trio = Self { nodes, wires };
        trio.configure(durability)?;
        Ok(trio)
    }

    fn configure(&self, durability: &str) -> Result<(), CliError> {
        let network = |error: std::io::Error| CliError::Fault(format!("loopback: {error}"));
        // Ports that are free while these sockets are there, and a moment later.
        let sockets: Vec<UdpSocket> = NAMES
            .iter()
            .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<Result<_, _>>()
            .map_err(network)?;
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>().map_err(network)?;
        let mut keys = Vec::new();
        for node in &self.nodes {
            let (key, attester) = (node.reprise.run(0, &["peer", "key"])?, node.reprise.run(0, &["key", "show"])?);
            keys.push((text_of(&key, "node key"), text_of(&attester, "attester")));
        }
        for (this, node) in self.nodes.iter().enumerate() {
            let mut config = format!("name = \"{}\"\nlisten = \"{}\"\n", NAMES[this], addresses[this]);
            for peer in (0..NAMES.len()).filter(|peer| *peer != this) {
                let between = this == FAR || peer == FAR;
                let address = if between { self.wires.lay(addresses[peer]).map_err(network)? } else { addresses[peer] };
                let (name, (key, receipts)) = (NAMES[peer], &keys[peer]);
                let _ = write!(
                    config,
                    "\n[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\nkey = \"{key}\"\nreceipts = \"{receipts}\"\n"
                );
            }
            config.push_str("\n[[ledger]]\nname = \"incident\"\nowner = \"a\"\nreplicas = [\"b\", \"c\"]\n");
            let _ = writeln!(config, "durability = \"{durability}\"\nwindow = {{ receipts = 256, every_ms = 250 }}");
            let path = node.dir.join("node.toml");
            fs::write(&path, config).map_err(|error| CliError::File { path, error })?;
        }
        Ok(())
    }

    pub(crate) fn dir(&self, node: usize) -> &Path {
        &self.nodes[node].dir
    }

    /// A command on a node, which has to end well. What it prints last.
    pub(crate) fn command(&self, node: usize, arguments: &[&str]) -> Result<Value, CliError> {
        self.nodes[node].reprise.run(0, arguments)
    }

    /// Starts a node and waits until it listens.
    pub(crate) fn start(&mut self, node: usize) -> Result<(), CliError> {
        let failed = |error: std::io::Error| CliError::Fault(format!("`reprise node run` of {}: {error}", NAMES[node]));
        let mut child =
            self.nodes[node].reprise.command(&["node", "run"]).stderr(Stdio::null()).spawn().map_err(failed)?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line).map_err(failed)?;
        self.nodes[node].child = Some(child);
        if line.contains("listens at") { Ok(()) } else { Err(failed(std::io::Error::other("it did not start"))) }
    }

    /// As a loss of power would: nothing is told to anybody.
    pub(crate) fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Tells a node to stop, and waits until it has.
    pub(crate) fn stop(&mut self, node: usize) -> Result<(), CliError> {
        self.command(node, &["node", "stop"])?;
        if let Some(mut child) = self.nodes[node].child.take() {
            child.wait().map_err(|error| CliError::Fault(format!("{} does not end: {error}", NAMES[node])))?;
        }
        Ok(())
    }

    /// A node that does not run loses its disk, all but its keys and its configuration, which says the ledger's id.
    pub(crate) fn lose_disk(&self, node: usize) -> Result<(), CliError> {
        let dir = self.dir(node);
        let id = text_of(&self.command(OWNER, &["ledger", "show", LEDGER])?, "id");
        let (config, journal, federation) = (dir.join("node.toml"), dir.join("journal.redb"), dir.join("federation"));
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| CliError::File { path, error }
        };
        fs::remove_file(&journal).map_err(at(&journal))?;
        fs::remove_dir_all(&federation).map_err(at(&federation))?;
        drop(Journal::create(&journal)?);
        let text = fs::read_to_string(&config).map_err(at(&config))?;
        let with_id = text.replace("name = \"incident\"\n", &format!("name = \"incident\"\nid = \"{id}\"\n"));
        fs::write(&config, with_id).map_err(at(&config))
    }

    /// In what a node that does not run has stored of the ledger's state, one byte becomes another. Which.
    pub(crate) fn damage_state(&self, node: usize) -> Result<String, CliError> {
        let node = node::Node::open(self.dir(node), Access::Write)?;
        let entry = node.find_ledger(LEDGER)?;
        // Values that later steps have changed lie in their diffs until then.
        node.journal().bring_state_forward(entry.no)?;
        let values = node.journal().records(entry.no)?;
        let is_value = |(record, length): &&(Record, usize)| matches!(record, Record::State(_)) && *length > 4;
        let Some((record, length)) = values.iter().rfind(is_value) else {
            return Err(CliError::Fault("the state has no value".to_owned()));
        };
        node.journal().tamper(entry.no, record, length / 2, 0x10)?;
        Ok(format!("bit 4 of byte {} of {length} in {record}", length / 2))
    }

    /// What a running node says of the ledger.
    pub(crate) fn ledger(&self, node: usize) -> Result<Value, CliError> {
        let fault = |error: std::io::Error| CliError::Fault(format!("the running node {}: {error}", NAMES[node]));
        let client = Client::connect(&self.nodes[node].dir).map_err(fault)?;
        let client = client.ok_or_else(|| CliError::Fault(format!("node {} does not run", NAMES[node])))?;
        let mut status = client.ask(&Wanted::Status).map_err(fault)?;
        Ok(status["ledgers"][0].take())
    }

    /// Waits until a node says that the ledger is so. What it says, and how long that took.
    pub(crate) fn until(
        &self,
        node: usize,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<(Value, Duration), CliError> {
        let began = Instant::now();
        loop {
            let ledger = self.ledger(node)?;
            if holds(&ledger) {
                return Ok((ledger, began.elapsed()));
            }
            if began.elapsed() > PATIENCE {
                let (name, seconds) = (NAMES[node], PATIENCE.as_secs());
                return Err(CliError::Fault(format!("{name}: {what} did not happen within {seconds} s: {ledger}")));
            }
            sleep(PAUSE);
        }
    }

    /// Waits until a node has what the owner has, and the owner's signature over all of it.
    pub(crate) fn until_equal(&self, node: usize) -> Result<(Value, Duration), CliError> {
        let owner = self.ledger(OWNER)?;
        let same = |ledger: &Value| {
            ["receipts", "log root", "state root", "attested up to"].iter().all(|what| ledger[what] == owner[what])
        };
        self.until(node, "catching up", same)
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
    }
}
