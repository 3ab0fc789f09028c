//! The same link over a simulated network, in simulated time: what would take minutes takes none, and a seed says it all.

use crate::{
    raw::{Raw, closed_with},
    sim_socket::SimSocket,
    support::{config, frame, public},
};
use reprise::link::{ALPN, Code, ConnectError, Ended, Event, Limits, Link, Session, TransferError};
use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use turmoil::{Builder, Sim};

const PORT: u16 = 7_400;

/// What happened and when, in milliseconds of simulated time.
type Trace = Rc<RefCell<Vec<String>>>;

fn sim<'a>(seed: u64) -> Sim<'a> {
    Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(600))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(2))
        .max_message_latency(Duration::from_millis(30))
        .udp_capacity(4_096)
        .build()
}

fn say(trace: &Trace, start: Instant, what: impl std::fmt::Display) {
    trace.borrow_mut().push(format!("{:>6} ms {what}", start.elapsed().as_millis()));
}

async fn link(no: u8, allowed: &[u8], set: impl FnOnce(&mut Limits)) -> Link {
    let mut config = config(no, allowed);
    config.seed = Some([no; 32]);
    set(&mut config.limits);
    Link::with_socket(SimSocket::bind(PORT).await, config).unwrap()
}

fn address(host: &str) -> SocketAddr {
    SocketAddr::new(turmoil::lookup(host), PORT)
}

/// A node that answers every frame with the same frame, for ever.
async fn echo_node(no: u8, allowed: &'static [u8]) -> turmoil::Result {
    let link = link(no, allowed, |_| {}).await;
    while let Some((session, mut inbox)) = link.accept().await {
        tokio::spawn(async move {
            while let Event::Frame(frame) = inbox.next().await {
                let _ = session.send(frame).await;
            }
        });
    }
    Ok(())
}

/// Calls until somebody answers, and writes down every attempt.
async fn call(link: &Link, trace: &Trace, start: Instant) -> (Session, reprise::link::Inbox) {
    loop {
        match link.connect(address("callee"), public(2)).await {
            Ok(session) => {
                say(trace, start, "connected");
                return session;
            }
            Err(error) => say(trace, start, error),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

async fn ask(session: &mut (Session, reprise::link::Inbox), text: String, trace: &Trace, start: Instant) {
    session.0.send(text.clone().into_bytes()).await.unwrap();
    assert_eq!(frame(session.1.next().await), text.as_bytes());
    say(trace, start, text);
}

/// Works, is cut off, notices, is together again, works.
fn partition(seed: u64) -> Vec<String> {
    let trace = Trace::default();
    let seen = trace.clone();
    let mut sim = sim(seed);
    sim.host("callee", || echo_node(2, &[1]));
    sim.client("caller", async move {
        let start = Instant::now();
        let link = link(1, &[2], |_| {}).await;
        let mut session = call(&link, &seen, start).await;
        for no in 0..20 {
            ask(&mut session, format!("question {no}"), &seen, start).await;
        }
        turmoil::partition("caller", "callee");
        say(&seen, start, "partition");
        let Event::Ended(ended) = session.1.next().await else { panic!("nothing can arrive") };
        say(&seen, start, ended);
        assert_eq!(ended, Ended::TimedOut);
        let lost = link.connect(address("callee"), public(2)).await.map(|_| ());
        assert_eq!(lost, Err(ConnectError::NoAnswer(Duration::from_secs(5))));
        turmoil::repair("caller", "callee");
        say(&seen, start, "repair");
        let mut session = call(&link, &seen, start).await;
        ask(&mut session, "together again".to_owned(), &seen, start).await;
        Ok(())
    });
    sim.run().unwrap();
    trace.take()
}

#[test]
fn a_partition_is_noticed_and_after_it_work_goes_on() {
    let trace = partition(1);
    assert!(trace.last().unwrap().ends_with("together again"), "{trace:#?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = partition(7);
    for _ in 0..3 {
        assert_eq!(partition(7), first);
    }
    assert_ne!(partition(8), first);
}

#[test]
fn a_peer_that_crashed_and_came_back_says_so_before_the_connection_is_idle_for_too_long() {
    let mut sim = sim(3);
    sim.host("callee", || echo_node(2, &[1]));
    let crash = Arc::new(Mutex::new(false));
    let wanted = crash.clone();
    sim.client("caller", async move {
        let trace = Trace::default();
        let start = Instant::now();
        let link = link(1, &[2], |_| {}).await;
        let mut session = call(&link, &trace, start).await;
        ask(&mut session, "before".to_owned(), &trace, start).await;
        *wanted.lock().unwrap() = true;
        let crashed = Instant::now();
        assert!(matches!(session.1.next().await, Event::Ended(Ended::Restarted)));
        assert!(crashed.elapsed() < Limits::default().times.idle / 2, "{:?}", crashed.elapsed());
        let mut session = call(&link, &trace, start).await;
        ask(&mut session, "after".to_owned(), &trace, start).await;
        Ok(())
    });
    while !sim.step().unwrap() {
        if std::mem::take(&mut *crash.lock().unwrap()) {
            sim.crash("callee");
            sim.bounce("callee");
        }
    }
}

#[test]
fn frames_arrive_over_a_network_that_loses_packets() {
    let mut sim = sim(5);
    sim.set_fail_rate(0.0);
    sim.host("callee", || echo_node(2, &[1]));
    sim.client("caller", async move {
        let trace = Trace::default();
        let start = Instant::now();
        let link = link(1, &[2], |_| {}).await;
        let mut session = call(&link, &trace, start).await;
        for no in 0..60 {
            // One way is cut for a moment, again and again: what was on it is lost.
            if no % 10 == 0 {
                turmoil::partition_oneway("caller", "callee");
                tokio::spawn(async {
                    sleep(Duration::from_millis(400)).await;
                    turmoil::repair_oneway("caller", "callee");
                });
            }
            ask(&mut session, format!("question {no}"), &trace, start).await;
        }
        Ok(())
    });
    sim.run().unwrap();
}

/// A callee, and a client that keeps to no rules but those of QUIC, with an allowed key.
fn against<F, Fut>(callee: F, hostile: impl Future<Output = turmoil::Result> + 'static)
where
    F: Fn(Link) -> Fut + Copy + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut sim = sim(11);
    sim.host("callee", move || async move {
        callee(link(2, &[1], |_| {}).await).await;
        Ok(())
    });
    sim.client("hostile", hostile);
    sim.run().unwrap();
}

async fn hostile() -> Raw {
    Raw::over(SimSocket::bind(PORT).await, 1, ALPN)
}

#[test]
fn a_transfer_that_never_ends_or_comes_by_drops_is_cut() {
    let callee = |link: Link| async move {
        let (_session, mut inbox) = link.accept().await.unwrap();
        for (id, least, most) in [(1, 0, 0), (2, 1, 12)] {
            let Event::Transfer(mut transfer) = inbox.next().await else { panic!("a transfer was begun") };
            assert_eq!(transfer.id(), id);
            let began = Instant::now();
            let mut buffer = [0; 64];
            let cut = loop {
                match transfer.read(&mut buffer).await {
                    Ok(count) => assert!(count > 0, "it never ends"),
                    Err(cut) => break cut,
                }
            };
            let TransferError::TooSlow { bytes } = cut else { panic!("{cut}") };
            assert!((least..=most).contains(&bytes), "{bytes} bytes");
            assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
        }
        assert_eq!(link.peers()[0].counts.refused, 2);
        let Event::Frame(frame) = inbox.next().await else { panic!("the connection goes on") };
        assert_eq!(frame, b"ok");
        std::future::pending::<()>().await;
    };
    against(callee, async {
        let raw = hostile().await;
        let (connection, mut out, _incoming) = raw.greet(address("callee")).await;
        let mut silent = connection.open_uni().await?;
        silent.write_all(&header(1, 1_000_000)).await?;
        assert_eq!(silent.stopped().await?, Some((Code::TooSlow as u32).into()));
        let mut dripping = connection.open_uni().await?;
        dripping.write_all(&header(2, 1_000_000)).await?;
        while dripping.write_all(&[0]).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        out.write_all(&[2, 0, 0, 0, b'o', b'k']).await?;
        sleep(Duration::from_secs(1)).await;
        Ok(())
    });
}

fn header(id: u64, bytes: u64) -> Vec<u8> {
    [id.to_le_bytes(), bytes.to_le_bytes()].concat()
}

#[test]
fn whoever_says_no_hello_or_stops_in_the_middle_of_a_frame_is_cut() {
    let callee = |link: Link| async move {
        // Only the one with a hello comes through the door.
        let (session, mut inbox) = link.accept().await.unwrap();
        assert!(matches!(inbox.next().await, Event::Ended(Ended::Here(Code::TooSlow))));
        assert_eq!((session.key(), link.door().failed), (public(1), 2));
        assert!(link.peers()[0].connections.is_empty());
        std::future::pending::<()>().await;
    };
    against(callee, async {
        let raw = hostile().await;
        let start = Instant::now();
        let silent = raw.connect(address("callee")).await;
        silent.closed().await;
        assert!(start.elapsed() < Duration::from_secs(6), "no hello: {:?}", start.elapsed());
        let start = Instant::now();
        let half = raw.connect(address("callee")).await;
        let (mut out, _incoming) = half.open_bi().await?;
        out.write_all(&[3, 0, 0]).await?;
        half.closed().await;
        assert!(start.elapsed() < Duration::from_secs(6), "half a hello: {:?}", start.elapsed());
        let start = Instant::now();
        let (connection, mut out, _incoming) = raw.greet(address("callee")).await;
        out.write_all(&[100, 0, 0, 0, 1]).await?;
        assert_eq!(closed_with(&connection).await, Code::TooSlow as u64);
        assert!(start.elapsed() < Duration::from_secs(12), "half a frame: {:?}", start.elapsed());
        Ok(())
    });
}

#[test]
fn more_transfers_than_are_taken_at_once_wait_with_their_sender() {
    let callee = |link: Link| async move {
        let (_session, mut inbox) = link.accept().await.unwrap();
        for id in 0..20 {
            let Event::Transfer(transfer) = inbox.next().await else { panic!("a transfer was begun") };
            assert_eq!(transfer.id(), id);
            assert_eq!(transfer.read_all(10).await.unwrap(), [5; 10]);
        }
        std::future::pending::<()>().await;
    };
    against(callee, async {
        let raw = hostile().await;
        let (connection, _out, _incoming) = raw.greet(address("callee")).await;
        let mut open = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), connection.open_uni()).await {
            open.push(stream?);
        }
        assert_eq!(open.len(), 8, "the limit of streams at the same time");
        for id in 0..20_u64 {
            let mut stream = if open.is_empty() { connection.open_uni().await? } else { open.remove(0) };
            stream.write_all(&header(id, 10)).await?;
            stream.write_all(&[5; 10]).await?;
            stream.finish()?;
            stream.stopped().await?;
        }
        Ok(())
    });
}
