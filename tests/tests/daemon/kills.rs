//! Members of a shared ledger are killed again and again under load: what a majority has acknowledged stays, on all of
//! them.
//!
//! A few kills by default. `REPRISE_KILL_SECONDS=300 cargo test --workspace --test daemon killed_again -- --nocapture` goes
//! on for that long, and says how many there were.

use crate::{bench::events, cluster::Cluster};
use reprise::{
    daemon::client::Client,
    node::{Access, Node},
};
use reprise_receipts::LeafHash;
use reprise_tests::SplitMix;
use std::{
    collections::BTreeMap,
    io::Cursor,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const KILLS_DEFAULT: usize = 6;
const SEED: u64 = 0x7265_7072_6973_650b;
/// Events that one submission brings.
const BATCH: u64 = 200;
const RANKS: u64 = 8;
/// Answers between two kills, at least.
const PROGRESS: u64 = 50;

/// Sequence number to leaf hash.
type Acknowledged = BTreeMap<u64, String>;

/// Who submits to the owner while it runs, until told to stop.
struct Load {
    /// The owner's directory.
    owner: PathBuf,
    answers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// A batch whose submission ends early is submitted again: nothing of it is done twice.
    fn run(self) -> Acknowledged {
        let mut acknowledged = Acknowledged::new();
        let mut batch = 0;
        while !self.stop.load(Ordering::Relaxed) {
            // None: the owner was killed and does not run yet.
            let Ok(Some(owner)) = Client::connect(&self.owner) else { continue };
            let lines: String = (batch * BATCH..(batch + 1) * BATCH).map(heartbeat).collect();
            let mut receipts = 0;
            let ended = owner.submit("incident", Cursor::new(lines), |answer| {
                let (Some(seq), Some(leaf)) = (answer["seq"].as_u64(), answer["leaf"].as_str()) else { return };
                let before = acknowledged.insert(seq, leaf.to_owned());
                assert!(
                    before.is_none_or(|before| before == leaf),
                    "receipt {seq} was acknowledged twice, differently"
                );
                self.answers.fetch_add(1, Ordering::Relaxed);
                receipts += 1;
            });
            batch += u64::from(ended.is_ok() && receipts == BATCH);
        }
        acknowledged
    }
}

/// After the 20 events that all nodes begin with: one every 100 milliseconds from the second minute on.
pub fn heartbeat(number: u64) -> String {
    let (rank, at_ms) = (number % RANKS, 8_000_000 + number * 100);
    let (seconds, ms) = (at_ms / 1_000, at_ms % 1_000);
    let time = format!("2026-03-14T{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!(
        "{{\"id\":\"load-{number}\",\"source\":\"rank-{rank}\",\"type\":\"heartbeat\",\"time\":\"{time}\",\
         \"data\":{{\"incarnation\":1,\"rank\":{rank}}}}}\n"
    )
}

#[test]
fn members_are_killed_again_and_again_and_nothing_acknowledged_is_lost() {
    let seconds = std::env::var("REPRISE_KILL_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    let (answers, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let load = Load { owner: cluster.bench(0).node(), answers: answers.clone(), stop: stop.clone() };
    let load = std::thread::spawn(move || load.run());

    let (mut random, began, mut kills) = (SplitMix(SEED), Instant::now(), 0);
    while seconds.map_or(kills < KILLS_DEFAULT, |seconds| began.elapsed() < seconds) {
        let enough = answers.load(Ordering::Relaxed) + PROGRESS;
        cluster.until(0, |_| answers.load(Ordering::Relaxed) >= enough);
        let node = random.below(3) as usize;
        cluster.kill(node);
        cluster.start(node);
        kills += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = load.join().unwrap();
    let all = cluster.agreed_size();
    cluster.stop_all();
    println!("{kills} kills, {} events acknowledged, {all} receipts", acknowledged.len());

    assert!(acknowledged.len() as u64 > PROGRESS * kills as u64);
    for node in 0..3 {
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
        let node = Node::open(&cluster.bench(node).node(), Access::Read).unwrap();
        let reader = node.journal().read(node.find_ledger("incident").unwrap().no).unwrap();
        assert_eq!(reader.size().unwrap(), all);
        for (seq, leaf) in &acknowledged {
            let receipt = reader.receipt(*seq).unwrap().expect("what was acknowledged is there");
            assert_eq!(LeafHash::of(&receipt).to_string(), *leaf, "receipt {seq}");
        }
    }
}
