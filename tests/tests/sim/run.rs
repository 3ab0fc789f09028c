//! One run: the machines, the faults while they last, and the peace after them.

mod faults;
mod operators;
mod rest;

use crate::{
    invariants::{Invariants, Violation},
    liar::{inner, mouth},
    node::{Machine, Packages, Shared, Skew, name},
    office::Office,
    plan::{EVENTS, FAULTS_MS, Fault, HEALING_MS, Plan},
    watch::Watch,
    workload::Workload,
};
use reprise_tests::SplitMix;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};
use turmoil::{Builder, Sim};

/// How often the invariants are checked, in milliseconds of simulated time.
const CHECK_MS: u64 = 20;
const LATENCY_MS: (u64, u64) = (1, 8);
const SLOW_MS: u64 = 300;
/// Operators grant the ledger to another member after so long, at least and at most.
const TAKE_MS: (u64, u64) = (1_500, 5_000);
/// Those who submit hear of it so much later, at most.
const TELL_MS: u64 = 2_000;
/// An owner that does not order for so long is replaced.
const UNSERVED_MS: u64 = 4_000;
/// In the digest: not a node's doing.
const NOBODY: usize = 255;

/// What a run came to.
pub struct Outcome {
    pub digest: [u8; 32],
    pub acknowledged: usize,
    pub final_windows: usize,
    pub replayed: u64,
    pub healed_ms: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

/// Something that happens later.
#[derive(Clone, Copy, Debug)]
enum Later {
    Fault,
    Cut(usize, usize, u64),
    Repair(usize, usize),
    RepairOneWay(usize, usize),
    Quick(usize, usize),
    Calm(usize),
    Room(usize),
    Restart(usize),
    CutPower(usize),
    Take,
    Tell,
}

struct Run {
    plan: Plan,
    sim: Sim<'static>,
    machines: Vec<Rc<Machine>>,
    /// A node that is down and comes back at a time of its own.
    is_down: Vec<bool>,
    /// How long the owner has not ordered anything, as far as its operator has seen.
    unserved_ms: u64,
    watch: Arc<Mutex<Watch>>,
    work: Rc<RefCell<Workload>>,
    office: Rc<RefCell<Office>>,
    random: SplitMix,
    later: BTreeMap<(u64, u64), Later>,
    drawn: u64,
    now_ms: u64,
    /// Faults are over.
    is_peace: Rc<Cell<bool>>,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan) -> Result<Outcome, Violation> {
    let mut run = Run::new(plan.clone());
    if plan.faults {
        run.at(300, Later::Fault);
    }
    if plan.takes {
        run.at(TAKE_MS.0, Later::Take);
    }
    while run.now_ms < FAULTS_MS {
        run.step()?;
    }
    run.make_peace();
    while run.now_ms < FAULTS_MS + HEALING_MS && !run.is_at_rest() {
        run.step()?;
    }
    run.converged()?;
    let mut watch = run.watch.lock().unwrap();
    watch.invariants.check_end(&run.machines, &run.work.borrow())?;
    for machine in &run.machines {
        let (lost, doubled) = machine.switch.counts();
        watch.add("datagrams lost", lost);
        watch.add("datagrams doubled", doubled);
        watch.add("writes lost at a crash", machine.disk.lost().writes);
        watch.add("writes torn at a crash", machine.disk.lost().torn);
        watch.add("checkpoints", machine.checkpoints());
    }
    watch.add("observers", plan.observers as u64);
    watch.add("runs with ledgers of the nodes' own", u64::from(plan.decides));
    let decided = watch.invariants.decisions.replayed;
    watch.add("decisions done again", decided);
    let orders = watch.invariants.decisions.orders.clone();
    orders.into_iter().for_each(|(order, count)| watch.add(order, count));
    let refusals = run.work.borrow().refusals;
    watch.add("submissions refused", refusals);
    Ok(Outcome {
        digest: watch.digest(),
        acknowledged: watch.invariants.acknowledged.count(),
        final_windows: watch.invariants.final_windows.count(),
        replayed: watch.invariants.replay.replayed,
        healed_ms: run.now_ms - FAULTS_MS,
        counts: watch.counts.clone(),
    })
}

impl Run {
    fn new(plan: Plan) -> Self {
        let sim = Builder::new()
            .rng_seed(plan.seed)
            .simulation_duration(Duration::from_millis(FAULTS_MS + HEALING_MS + 1_000))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_millis(LATENCY_MS.0))
            .max_message_latency(Duration::from_millis(LATENCY_MS.1))
            .udp_capacity(4_096)
            .build();
        let packages = Rc::new(Packages::read());
        let invariants = Invariants::new(&plan, &packages);
        let watch = Arc::new(Mutex::new(Watch::new(invariants)));
        let work = Workload::new(EVENTS, plan.flaw);
        let office = Rc::new(RefCell::new(Office::new(Shared::genesis(&packages))));
        let shared =
            Shared { plan: plan.clone(), watch: watch.clone(), work: work.clone(), office: office.clone(), packages };
        let machines: Vec<_> = (0..plan.nodes).map(|number| Machine::new(number, shared.clone())).collect();
        let mut run = Self {
            sim,
            is_down: vec![false; plan.nodes],
            unserved_ms: 0,
            watch,
            work,
            office,
            random: SplitMix(plan.seed ^ 0xfa17),
            later: BTreeMap::new(),
            drawn: 0,
            now_ms: 0,
            is_peace: Rc::new(Cell::new(false)),
            machines,
            plan,
        };
        run.register();
        run
    }

    /// Names first, because every node looks up all of them.
    fn register(&mut self) {
        for host in (0..self.plan.nodes).flat_map(|node| self.hosts(node)) {
            self.sim.lookup(host);
        }
        for machine in &self.machines {
            machine.skew.set(skew(&mut self.random));
            if let Some(flaw) = self.plan.flaw {
                flaw.plant(machine);
            }
            let (machine, number) = (machine.clone(), machine.number);
            if !self.plan.has_mouth(number) {
                self.sim.host(name(number), move || machine.clone().live());
                continue;
            }
            let (plan, watch) = (self.plan.clone(), self.watch.clone());
            self.sim.host(name(number), move || mouth(number, plan.clone(), watch.clone()));
            self.sim.host(inner(number), move || machine.clone().live());
        }
    }

    /// What a machine consists of in the network.
    fn hosts(&self, node: usize) -> Vec<&'static str> {
        if self.plan.has_mouth(node) { vec![name(node), inner(node)] } else { vec![name(node)] }
    }

    fn at(&mut self, after_ms: u64, what: Later) {
        self.drawn += 1;
        self.later.insert((self.now_ms + after_ms, self.drawn), what);
    }

    /// A millisecond.
    fn step(&mut self) -> Result<(), Violation> {
        self.sim.step().expect("no node ends by itself");
        self.now_ms += 1;
        self.watch.lock().unwrap().now_ms = self.now_ms;
        for node in 0..self.machines.len() {
            if self.machines[node].disk.is_off() && !self.is_down[node] {
                self.crash(node, 0);
            }
        }
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > self.now_ms {
                break;
            }
            let what = entry.remove();
            self.happens(what);
        }
        self.look_after_nodes();
        self.look_after_owner();
        if self.now_ms.is_multiple_of(CHECK_MS) {
            let mut watch = self.watch.lock().unwrap();
            let now_ms = self.now_ms;
            watch.invariants.check(now_ms, &self.machines, &mut self.work.borrow_mut())?;
        }
        Ok(())
    }

    fn happens(&mut self, what: Later) {
        match what {
            Later::Fault if self.is_peace.get() => {}
            Later::Fault => {
                let owner = self.owner();
                let fault = Fault::draw(&mut self.random, self.plan.nodes, owner);
                if self.may_be(&fault) {
                    self.inject(fault);
                }
                let wait_ms = 100 + self.random.below(500);
                self.at(wait_ms, Later::Fault);
            }
            Later::Cut(a, b, for_ms) => {
                self.sim.partition(name(a), name(b));
                self.at(for_ms, Later::Repair(a, b));
            }
            Later::Repair(a, b) => self.sim.repair(name(a), name(b)),
            Later::RepairOneWay(from, to) => self.sim.repair_oneway(name(from), name(to)),
            Later::Quick(a, b) => {
                self.sim.set_link_max_message_latency(name(a), name(b), Duration::from_millis(LATENCY_MS.1));
            }
            Later::Calm(node) => self.machines[node].switch.set(0, 0),
            Later::Room(node) => self.machines[node].disk.set_full(false),
            Later::CutPower(node) => self.machines[node].disk.cut_power(),
            Later::Restart(node) => self.restart(node),
            Later::Tell => self.office.borrow_mut().tell(),
            Later::Take if self.is_peace.get() => {}
            Later::Take => {
                self.grant();
                let wait_ms = TAKE_MS.0 + self.random.below(TAKE_MS.1 - TAKE_MS.0);
                self.at(wait_ms, Later::Take);
            }
        }
    }

    /// The power goes, and is back after this time; after one that is drawn when it is 0.
    fn crash(&mut self, node: usize, for_ms: u64) {
        if self.is_down[node] {
            return;
        }
        self.is_down[node] = true;
        self.watch.lock().unwrap().tell(|| format!("{node} goes down"));
        // First the disk: what a process does while it goes does not happen.
        self.machines[node].disk.cut_power();
        self.hosts(node).into_iter().for_each(|host| self.sim.crash(host));
        if node == self.office.borrow().told() {
            self.work.borrow_mut().interrupted();
        }
        let drawn_ms = 50 + self.random.below(1_500);
        self.at(if for_ms == 0 { drawn_ms } else { for_ms }, Later::Restart(node));
    }

    fn restart(&mut self, node: usize) {
        if !std::mem::take(&mut self.is_down[node]) {
            return;
        }
        self.machines[node].disk.power_on();
        self.machines[node].skew.set(skew(&mut self.random));
        self.watch.lock().unwrap().tell(|| format!("{node} comes back"));
        self.watch.lock().unwrap().invariants.restarts(node);
        self.hosts(node).into_iter().for_each(|host| self.sim.bounce(host));
    }

    fn owner(&self) -> usize {
        self.office.borrow().owner()
    }

    /// A disk is replaced, and the ledger put on the new one.
    fn wipe(&mut self, node: usize) {
        let machine = &self.machines[node];
        machine.loses();
        machine.has_a_new_disk();
        machine.disk.wipe();
        self.watch.lock().unwrap().invariants.loses_everything(node);
        machine.disk.power_on();
        machine.prepare();
        machine.disk.cut_power();
    }
}

fn skew(random: &mut SplitMix) -> Skew {
    Skew { ahead_ms: random.below(60_000), ms_per_s: 950 + random.below(100) }
}
