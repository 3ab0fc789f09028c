//! Nodes as processes.

use crate::bench::{Bench, Ended, package, publisher, ringing};
use std::{
    io::{BufRead, BufReader},
    net::UdpSocket,
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Questions after which a test that waits gives up.
const QUESTIONS_MAX: usize = 10_000;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Nodes with the ledger `incident`; the first one owns it.
pub struct Cluster {
    nodes: Vec<(Bench, Option<Child>)>,
    /// Node key and receipt-signing key of each.
    keys: Vec<[String; 2]>,
}

impl Cluster {
    /// One node that shares nothing.
    pub fn alone() -> Self {
        let bench = Bench::with_ledger();
        std::fs::write(bench.node().join("node.toml"), "name = \"a\"\n").unwrap();
        Self { keys: vec![keys_of(&bench)], nodes: vec![(bench, None)] }
    }

    /// One node whose ledger is under the policy `ringing`, with this in its configuration.
    pub fn ringing(config: &str) -> Self {
        let bench = Bench::with_node();
        ringing::add(&bench, "1.0.0");
        bench.run(&["ledger", "create", "incident", "--package", "ringing"]).says(0, &[]);
        std::fs::write(bench.node().join("node.toml"), format!("name = \"a\"\n{config}")).unwrap();
        Self { keys: vec![keys_of(&bench)], nodes: vec![(bench, None)] }
    }

    /// Three nodes at durability `majority`. All have the receipts of these events.
    pub fn of_three(first_events: &str) -> Self {
        Self::with(3, first_events, false)
    }

    /// The same, under the policy `ringing`.
    pub fn three_ringing(first_events: &str) -> Self {
        Self::under("ringing", |node| ringing::add(node, "1.0.0"), (3, first_events, false))
    }

    /// The same three, of which the first `members` have these receipts. The others have their keys and their configuration,
    /// which says the id of the ledger. With a checkpoint: the owner has one.
    pub fn with(members: usize, first_events: &str, checkpoint: bool) -> Self {
        let add =
            |node: &Bench| drop(node.run(&["package", "add", &package(), "--publisher", &publisher()]).says(0, &[]));
        Self::under("lease", add, (members, first_events, checkpoint))
    }

    fn under(policy: &str, add: impl Fn(&Bench), (members, first_events, checkpoint): (usize, &str, bool)) -> Self {
        let nodes: Vec<Bench> = NAMES.iter().map(|_| Bench::with_node()).collect();
        nodes[..members].iter().for_each(add);
        nodes[0].run(&["ledger", "create", "incident", "--package", policy]).says(0, &[]);
        nodes[0].submit(first_events).says(0, &[]);
        let bundle = nodes[0].file("first.bundle", "");
        std::fs::remove_file(&bundle).unwrap();
        nodes[0].run(&["bundle", "export", "incident", "--kind", "replay", "--out", &bundle]).says(0, &[]);
        let attester = nodes[0].json(&["key", "show"])["attester"].as_str().unwrap().to_owned();
        for node in &nodes[1..members] {
            node.file("first.bundle", std::fs::read(&bundle).unwrap());
            node.file("owner", &attester);
            node.run(&["bundle", "import", &bundle, "--key", &attester]).says(0, &[]);
        }
        if checkpoint {
            nodes[0].run(&["checkpoint", "create", "incident"]).says(0, &[]);
        }
        configure(&nodes);
        let id = nodes[0].json(&["ledger", "show", "incident"])["id"].as_str().unwrap().to_owned();
        for node in &nodes[members..] {
            let path = node.node().join("node.toml");
            let config = std::fs::read_to_string(&path).unwrap();
            let with_id = format!("name = \"incident\"\nid = \"{id}\"\n");
            std::fs::write(path, config.replace("name = \"incident\"\n", &with_id)).unwrap();
        }
        Self {
            keys: nodes.iter().map(keys_of).collect(),
            nodes: nodes.into_iter().map(|bench| (bench, None)).collect(),
        }
    }

    pub fn bench(&self, node: usize) -> &Bench {
        &self.nodes[node].0
    }

    /// Starts a node and waits until it listens.
    pub fn start(&mut self, node: usize) {
        self.start_with(node, &[]);
    }

    /// [`Self::start`], with more arguments.
    pub fn start_with(&mut self, node: usize, more: &[&str]) {
        let (bench, child) = &mut self.nodes[node];
        let mut command = bench.command();
        let mut started = command.args(["node", "run"]).args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(started.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens at"), "it did not start: {line}");
        *child = Some(started);
    }

    /// Starts all nodes and waits until the first one goes on.
    pub fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.start(node));
        self.until(0, |status| status["ledgers"][0]["can go on"] == true && status["connected peers"] == 2);
    }

    /// As a loss of power would: nothing is told to anybody.
    pub fn kill(&mut self, node: usize) {
        let mut child = self.nodes[node].1.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Tells a node to stop, and waits until it has.
    pub fn stop(&mut self, node: usize) {
        self.bench(node).run(&["node", "stop"]).says(0, &[]);
        let mut child = self.nodes[node].1.take().unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub fn stop_all(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].1.is_some() {
                self.stop(node);
            }
        }
    }

    /// The node key of a node.
    pub fn node_key(&self, node: usize) -> &str {
        &self.keys[node][0]
    }

    /// The key that attests what this node orders.
    pub fn attester(&self, node: usize) -> &str {
        &self.keys[node][1]
    }

    /// Grants the ledger to a node, signed with the operator key of the first one, and hands it to that node.
    pub fn grant(&self, to: usize, epoch: u64) -> String {
        let path = self.bench(to).node().join(format!("grant-{epoch}"));
        let path = path.to_str().unwrap().to_owned();
        let status = self.until(to, |status| status["ledgers"][0]["id"].is_string());
        let ledger = status["ledgers"][0]["id"].as_str().unwrap().to_owned();
        let [owner, attester] = &self.keys[to];
        let epoch = epoch.to_string();
        let signed = ["--to-owner", owner, "--attester", attester, "--epoch", &epoch, "--out", &path];
        self.bench(0).run(&[&["ledger", "grant", &ledger], signed.as_slice()].concat()).says(0, &["signatures"]);
        self.bench(to).run(&["federation", "take", "incident", "--grant", &path]).says(0, &["epoch", "entered"]);
        path
    }

    /// Asks a node how it is until it is so.
    pub fn until(&self, node: usize, mut holds: impl FnMut(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        for _ in 0..QUESTIONS_MAX {
            let ended = Ended::from(self.bench(node).command().args(["status", "--json"]).output().unwrap());
            last = serde_json::from_str(&ended.stdout).unwrap_or_default();
            if holds(&last) {
                return last;
            }
            // The nodes need the processors more than the questions do.
            sleep(PAUSE);
        }
        panic!("node {node} did not get there: {last:#}");
    }

    /// Looks again and again until something is so.
    pub fn until_anything(&self, mut holds: impl FnMut() -> bool) {
        for _ in 0..QUESTIONS_MAX {
            if holds() {
                return;
            }
            sleep(PAUSE);
        }
        panic!("it did not get there");
    }

    /// Waits until all running nodes have the log of the first one; its number of receipts.
    pub fn agreed_size(&self) -> u64 {
        self.agreed_with(0)
    }

    /// Waits until all other nodes have the log of this one; its number of receipts.
    pub fn agreed_with(&self, owner: usize) -> u64 {
        let others = (0..self.nodes.len()).filter(|node| *node != owner);
        let owner = self.until(owner, |status| status["ledgers"][0]["can go on"] == true);
        let ledger = |status: &serde_json::Value, what: &str| status["ledgers"][0][what].clone();
        for node in others {
            self.until(node, |status| {
                ["receipts", "attested up to", "log root", "state root"]
                    .iter()
                    .all(|what| ledger(status, what) == ledger(&owner, what))
            });
        }
        ledger(&owner, "receipts").as_u64().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|(_, child)| child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn keys_of(bench: &Bench) -> [String; 2] {
    let text = |args: &[&str], what: &str| bench.json(args)[what].as_str().unwrap().to_owned();
    [text(&["peer", "key"], "node key"), text(&["key", "show"], "attester")]
}

fn configure(nodes: &[Bench]) {
    // Ports that were free a moment ago.
    let sockets: Vec<UdpSocket> = nodes.iter().map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let known: Vec<_> = NAMES
        .iter()
        .zip(nodes)
        .zip(&sockets)
        .map(|((name, bench), socket)| {
            let [key, receipts] = keys_of(bench);
            (*name, socket.local_addr().unwrap(), key, receipts)
        })
        .collect();
    for ((name, address, ..), bench) in known.iter().zip(nodes) {
        let mut config = format!("name = \"{name}\"\nlisten = \"{address}\"\n");
        for (peer, address, key, receipts) in known.iter().filter(|(peer, ..)| peer != name) {
            config.push_str(&format!(
                "\n[[peer]]\nname = \"{peer}\"\naddress = \"{address}\"\nkey = \"{key}\"\nreceipts = \"{receipts}\"\n"
            ));
        }
        config.push_str(
            "\n[[ledger]]\nname = \"incident\"\nowner = \"a\"\nreplicas = [\"b\", \"c\"]\ndurability = \"majority\"\n\
             window = { receipts = 64, every_ms = 500 }\n",
        );
        std::fs::write(bench.node().join("node.toml"), config).unwrap();
    }
}
