//! Writes the recorded incident: `fixtures/incidents/rank-loss-and-split.jsonl`.
//!
//! A small world of ten ranks, a job manager, a fabric monitor and an orchestrator runs against the policy itself, so
//! that tokens, plan hashes and action numbers in the events are the real ones. Nothing in it is left to chance: the
//! same source gives the same bytes. `fixtures/incidents/README.md` tells the story.

use reprise_guest::{StepInput, abi::Outcome, testing::MemoryHost};
use reprise_lease::{
    Lease,
    state::{HEADER, LEASES, Rank, Standing},
};
use serde_json::{Map, Value, json};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    path::PathBuf,
};

/// 2026-03-14T02:10:00.000Z in milliseconds; everything happens within the hour.
const BEGIN_MS: u64 = 1_773_454_200_000;
const BEGIN_MINUTE: u64 = 10;
const END_MS: u64 = 10 * 60_000 + 30_000;
const RANKS: u32 = 10;

fn main() {
    let mut world = World::new();
    world.run();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/incidents/rank-loss-and-split.jsonl");
    std::fs::write(&path, world.lines.join("\n") + "\n").expect("the folder is there");
    let report = match world.host.view::<Lease>("report", b"") {
        Outcome::Accepted { answer } => String::from_utf8(answer).expect("a view is JSON"),
        other => panic!("no report: {other:?}"),
    };
    println!("{} events, {} rejected\n{report}", world.lines.len(), world.rejected);
}

/// What happens next, and to whom. In the order of time, then of planning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// A rank sends a heartbeat and plans the next one, while it is in this life.
    Beat { rank: u32, life: u64 },
    /// A rank renews what it owns.
    Renew { rank: u32, life: u64 },
    /// The clock ticks.
    Tick,
    /// The orchestrator reports.
    Report { plan: String, index: u64, ok: bool, reason: String },
    /// A line of the script.
    Script(usize),
}

/// One process as it really is.
#[derive(Clone, Copy)]
struct Process {
    life: u64,
    alive: bool,
    reachable: bool,
    pause_until_ms: u64,
}

struct World {
    host: MemoryHost,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Act)>>,
    planned: u64,
    processes: Vec<Process>,
    lines: Vec<String>,
    ids: BTreeMap<String, u32>,
    rejected: u32,
    random: u64,
}

impl World {
    fn new() -> Self {
        let process = Process { life: 1, alive: true, reachable: true, pause_until_ms: 0 };
        Self {
            host: MemoryHost::new(),
            now_ms: 0,
            queue: BinaryHeap::new(),
            planned: 0,
            processes: vec![process; RANKS as usize],
            lines: Vec::new(),
            ids: BTreeMap::new(),
            rejected: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn run(&mut self) {
        for (index, (at_ms, _)) in SCRIPT.iter().enumerate() {
            self.plan(*at_ms, Act::Script(index));
        }
        self.plan(5_000, Act::Tick);
        for rank in 0..RANKS {
            self.start(rank, 300 + 250 * u64::from(rank));
        }
        while let Some(Reverse((at_ms, _, act))) = self.queue.pop() {
            if at_ms > END_MS {
                break;
            }
            self.now_ms = at_ms;
            self.act(act);
        }
    }

    fn plan(&mut self, at_ms: u64, act: Act) {
        self.queue.push(Reverse((at_ms, self.planned, act)));
        self.planned += 1;
    }

    fn start(&mut self, rank: u32, at_ms: u64) {
        let life = self.processes[rank as usize].life;
        self.plan(at_ms, Act::Beat { rank, life });
        self.plan(at_ms + 9_000 + 700 * u64::from(rank), Act::Renew { rank, life });
    }

    /// 0 to `below - 1`, the same in every run (xorshift64).
    fn jitter(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Beat { rank, life } => self.beat(rank, life),
            Act::Renew { rank, life } => self.renew(rank, life),
            Act::Tick => {
                self.send("clock", "tick", json!({}));
                self.plan(self.now_ms + 5_000, Act::Tick);
            }
            Act::Report { plan, index, ok, reason } => {
                let mut data = json!({ "index": index, "ok": ok, "plan": plan });
                if !reason.is_empty() {
                    data["reason"] = reason.into();
                }
                self.send("orchestrator", "action_result", data);
            }
            Act::Script(index) => (SCRIPT[index].1)(self),
        }
    }

    fn beat(&mut self, rank: u32, life: u64) {
        let Process { life: now, alive, reachable, pause_until_ms } = self.processes[rank as usize];
        if now != life || !alive {
            return;
        }
        if reachable && self.now_ms >= pause_until_ms {
            self.send(&format!("rank-{rank}"), "heartbeat", json!({ "incarnation": life, "rank": rank }));
        }
        let next = self.now_ms + 2_850 + self.jitter(300);
        self.plan(next, Act::Beat { rank, life });
    }

    fn renew(&mut self, rank: u32, life: u64) {
        let process = self.processes[rank as usize];
        if process.life != life || !process.alive {
            return;
        }
        if process.reachable {
            let leases: Vec<_> = LEASES.scan(&mut self.host).map(|entry| entry.expect("readable")).collect();
            for (partition, lease) in leases {
                if matches!(lease.standing, Standing::Held { owner, .. } if owner == Rank(rank)) {
                    let data = json!({ "partition": partition, "rank": rank, "token": lease.token });
                    self.send(&format!("rank-{rank}"), "lease_renew", data);
                }
            }
        }
        let next = self.now_ms + 14_500 + self.jitter(1_000);
        self.plan(next, Act::Renew { rank, life });
    }

    /// Writes an event, runs it, and lets the orchestrator see the effects.
    fn send(&mut self, source: &str, kind: &str, data: Value) {
        let id = self.ids.entry(source.into()).or_insert(0);
        *id += 1;
        let (id, data) = (format!("{source}-{id:05}"), sorted(data));
        let (minute, ms) = (BEGIN_MINUTE + self.now_ms / 60_000, self.now_ms % 60_000);
        let time = format!("2026-03-14T02:{minute:02}:{:02}.{:03}Z", ms / 1_000, ms % 1_000);
        let payload = data.to_string();
        let event = format!(r#"{{"id":"{id}","source":"{source}","type":"{kind}","time":"{time}","data":{payload}}}"#);
        self.lines.push(event.clone());
        let outcome = self.host.step::<Lease>(&StepInput {
            seq: self.lines.len() as u64,
            logical_time_ms: BEGIN_MS + self.now_ms,
            kind: kind.into(),
            payload: payload.into_bytes(),
            ..StepInput::default()
        });
        match outcome {
            Outcome::Accepted { .. } => {}
            Outcome::Rejected(_) => self.rejected += 1,
            other => panic!("{event}: {other:?}"),
        }
        for effect in self.host.take_effects() {
            let order: Value = serde_json::from_slice(&effect.payload).expect("effects are JSON");
            if order["action"].is_string() {
                self.obey(&order);
            }
        }
    }

    /// What the orchestrator makes of an order: most work, some fail, one is never answered.
    fn obey(&mut self, order: &Value) {
        let (kind, rank) = (order["action"].as_str().expect("named"), order["rank"].as_u64().expect("numbered"));
        let attempt = order["attempt"].as_u64().expect("numbered");
        let (after_ms, failure) = match (kind, rank, attempt) {
            ("restart", 3, 0) => (16_240, "no free node in pool a100"),
            ("evict", 8, 0) => return,
            ("rejoin", 9, 0) => (7_310, "image pull failed"),
            ("restart", ..) => (11_870, ""),
            ("evict", ..) => (2_430, ""),
            _ => (5_160, ""),
        };
        let (plan, index) =
            (order["plan"].as_str().expect("a hash").into(), order["index"].as_u64().expect("numbered"));
        let ok = failure.is_empty();
        self.plan(self.now_ms + after_ms, Act::Report { plan, index, ok, reason: failure.into() });
        let rank = u32::try_from(rank).expect("a rank");
        if ok && kind != "evict" {
            let life = order["incarnation"].as_u64().expect("numbered");
            self.processes[rank as usize] = Process { life, alive: true, reachable: true, pause_until_ms: 0 };
            self.start(rank, self.now_ms + after_ms + 210);
        }
    }

    fn observe(&mut self, source: &str, events: Value) {
        self.send(source, "observe", json!({ "events": events }));
    }

    fn claim(&mut self, rank: u32, partition: u32, epoch: u64) {
        let data = json!({ "epoch": epoch, "partition": partition, "rank": rank });
        self.send(&format!("rank-{rank}"), "lease_claim", data);
    }

    fn epoch(&mut self) -> u64 {
        HEADER.get(&mut self.host).expect("readable").expect("initialised").epoch
    }
}

/// When, and what.
type Line = (u64, fn(&mut World));

/// The story.
const SCRIPT: [Line; 17] = [
    (0, begin),
    // 02:11:30: rank 7 is slow for nine seconds; suspected, and cleared again.
    (90_000, |world| world.processes[7].pause_until_ms = 99_000),
    // 02:12:07: the host of rank 3 is gone, and nobody says so.
    (127_000, |world| world.processes[3].alive = false),
    // 02:13:40: a heartbeat that is none.
    (220_140, |world| world.send("rank-6", "heartbeat", json!({ "incarnation": "one", "rank": 6 }))),
    // 02:13:52: a gateway sends its last line again.
    (232_000, |world| {
        let again = world.lines.last().expect("there is one").clone();
        world.lines.push(again);
    }),
    (240_500, |world| world.send("job-manager", "checkpoint", json!({}))),
    (270_000, out_of_memory),
    (319_300, cable_cut),
    (320_000, fabric_falls_apart),
    // 02:15:31: a rank of the minority finds another way to the collector, in vain.
    (331_450, |world| world.send("rank-8", "heartbeat", json!({ "incarnation": 1, "rank": 8 }))),
    (334_480, |world| world.send("rank-8", "heartbeat", json!({ "incarnation": 1, "rank": 8 }))),
    // 02:15:58 and after: both contenders want partition 2 back; the epoch, then the time, stands against it.
    (358_200, |world| world.claim(4, 2, 1)),
    (361_900, |world| {
        let epoch = world.epoch();
        world.claim(2, 2, epoch);
    }),
    (411_600, |world| {
        let epoch = world.epoch();
        world.claim(2, 2, epoch);
    }),
    (450_700, fabric_heals),
    (600_000, |world| world.send("job-manager", "checkpoint", json!({}))),
    (629_500, |world| world.send("clock", "tick", json!({}))),
];

fn begin(world: &mut World) {
    let config = json!({
        "action_attempts_max": 3, "action_timeout_ms": 30_000, "assignment": "automatic",
        "heartbeat_timeout_ms": 6_000, "lease_ttl_ms": 45_000,
        "profile": { "name": "nccl-ib", "settings": { "NCCL_IB_TIMEOUT": "22", "rendezvous": "etcd" } },
        "restarts_max": 2, "suspect_threshold": 3,
    });
    let ranks: Vec<_> = (0..RANKS).map(|rank| json!({ "incarnation": 1, "rank": rank })).collect();
    let leases: Vec<_> = (0..RANKS).map(|n| json!({ "owner": n, "partition": n, "token": 1 })).collect();
    world.send("job-manager", "init", json!({ "config": config, "epoch": 1, "leases": leases, "ranks": ranks }));
}

/// 02:14:30: rank 5 is killed for its memory.
fn out_of_memory(world: &mut World) {
    world.processes[5].alive = false;
    let seen = json!([{ "exit_code": { "code": 137, "event_seq": 41, "incarnation": 1, "rank": 5 } }]);
    world.observe("job-manager", seen);
}

/// 02:15:19: a leaf switch fails. Ranks 6 to 9 are behind it.
fn cable_cut(world: &mut World) {
    for rank in 6..10 {
        world.processes[rank].reachable = false;
    }
}

/// 02:15:20: the fabric monitor sees two sides. It also sees rank 4 writing to partition 2, which rank 2 owns in the same
/// epoch, and rank 8 reaching for partition 0.
fn fabric_falls_apart(world: &mut World) {
    let seen = json!([
        { "lease_claim": { "epoch": 1, "event_seq": 1_003, "partition": 2, "rank": 4 } },
        { "partition": { "event_seq": 1_001, "sides": [[6, 7, 8, 9], [0, 1, 2, 3, 4, 5]] } },
        { "lease_claim": { "epoch": 1, "event_seq": 1_002, "partition": 0, "rank": 8 } },
    ]);
    world.observe("fabric-monitor", seen);
}

/// 02:17:30: the switch is back; the evicted ranks were started anew and ask to come in.
fn fabric_heals(world: &mut World) {
    let request = |rank: u32, event_seq: u64| json!({ "rejoin_request": { "event_seq": event_seq, "incarnation": 2, "rank": rank } });
    world
        .observe("fabric-monitor", json!([request(9, 1_017), request(6, 1_014), request(8, 1_016), request(7, 1_015)]));
}

/// Object members in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().map(|(name, v)| (name, sorted(v))).collect();
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
