//! The sync-majority log (H2, H11): records, their acknowledgements, and peers that are too slow.
//!
//! A record goes to ⌈(N/2) + 1⌉ peers, N being the replication set, in the order of the ring. It is durable when as
//! many have acknowledged it after an fsync. A peer that has not within 2 x P95 of the cluster's fsyncs leaves the
//! replication set by joint consensus (R4 1), the next one on the ring is asked, and the majority is of those who are
//! left, counted among them; never fewer than a majority of all members are in the set. It comes back when it has the
//! whole log.

use crate::{
    digest::crc32,
    error::{No, Refusal},
    fields::Fields,
    ids::{NodeId, Nodes, RunId},
    judge, nodes,
    params::{LAGGING_PER_STEP, Wait},
    ring,
    state::{Entry, FSYNCS, LAGGING, Order, RECORDS, RINGS, Record, majority, sync_majority},
    turn::{EVENT, RAFT, Turn, WAL, verb, verb_run},
};
use reprise_guest::{
    json::Json,
    text::{decimal, join},
};

/// From one look at an undecided record to the next, after the first write timeout, in milliseconds.
const LOOK_AGAIN_MS: u64 = 1_000;

/// What a record says, in the words that its CRC-32 is of.
#[must_use]
pub fn text(what: Entry, run: RunId, token: u64, index: u64) -> String {
    join(&[what.name(), " ", &run.trace(), " ", &decimal(token), " ", &decimal(index)])
}

/// Writes a record and sends it to its peers. Answers its index.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn append(turn: &mut Turn<'_>, what: Entry, run: RunId, token: u64) -> Result<u64, Refusal> {
    turn.whole.last.record += 1;
    let index = turn.whole.last.record;
    let crc = crc32(text(what, run, token, index).as_bytes());
    let count = sync_majority(turn.whole.census.replicas());
    let (peers, _) = ring::peers(turn.host, ring::stream(run), count)?;
    let record = Record { what, run, crc, token, peers, acks: Nodes::default(), slowest_us: 0, durable: false };
    send(turn, index, &record, record.peers.from, record.peers.count);
    RECORDS.put(turn.host, &index, &record);
    let p95_us = FSYNCS.or_default(turn.host)?.fsync_p95_us();
    turn.numbered_timer("write.", index, turn.now_ms + (2 * p95_us).div_ceil(1_000).max(1));
    Ok(index)
}

/// Sends a record to so many peers from a position of its ring.
#[inline(never)]
fn send(turn: &mut Turn<'_>, index: u64, record: &Record, from: u32, peers: u32) {
    let mut order = verb_run("append", record.run);
    order
        .number("record", index)
        .text("data", &text(record.what, record.run, record.token, index))
        .number("crc", record.crc)
        .number("token", record.token)
        .number("stream", ring::stream(record.run))
        .number("ring", record.peers.ring)
        .number("from", from)
        .number("peers", peers);
    turn.say(WAL, &mut order);
}

/// A peer has the record on its disk.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRecord`], [`No::StaleToken`],
/// [`No::BadChecksum`], [`No::NotDurable`], [`No::NotAPeer`], [`No::AlreadyAcknowledged`], malformed.
pub fn acknowledge(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let id = nodes::writer(turn.host, fields)?;
    let index: u64 = fields.take("record")?;
    let (token, crc): (u64, u32) = (fields.take("token")?, fields.take("crc")?);
    let (durable, fsync_us): (bool, u64) = (fields.take("durable")?, fields.take("fsync_us")?);
    fields.end()?;
    let Some(mut record) = RECORDS.get(turn.host, &index)? else {
        return Err(No::UnknownRecord.number("record ", index));
    };
    if record.token != token {
        return Err(No::StaleToken.number("the record was written under ", record.token));
    }
    if record.crc != crc {
        return Err(No::BadChecksum.number("record ", index));
    }
    let allowed = |(until_ms, peer)| until_ms > turn.now_ms && peer == id.0;
    if !durable && !turn.whole.allowance.is_some_and(allowed) {
        return Err(No::NotDurable.node(id));
    }
    let ring = RINGS.or_default(turn.host, &record.peers.ring)?;
    let asked = ring.places(record.peers.from, id).is_some_and(|places| places < record.peers.count);
    let lagging = LAGGING.or_default(turn.host)?;
    if !asked || lagging.has(id) {
        return Err(No::NotAPeer.node(id));
    }
    if !record.acks.add(id) {
        return Err(No::AlreadyAcknowledged.node(id));
    }
    record.slowest_us = record.slowest_us.max(fsync_us);
    let enough = record.acks.outside(&lagging) >= sync_majority(turn.whole.census.replicas());
    RECORDS.put(turn.host, &index, &record);
    if enough && !record.durable {
        turn.touch(record.run);
    }
    Ok(Json::object())
}

/// At the end of a tick: whether a record is durable by now.
///
/// # Errors
/// Corrupt state.
pub fn is_durable(turn: &mut Turn<'_>, index: u64) -> Result<bool, Refusal> {
    let Some(mut record) = RECORDS.get(turn.host, &index)? else { return Ok(false) };
    // What a peer said that has left the replication set since does not count (R4 1).
    let acks = record.acks.outside(&LAGGING.or_default(turn.host)?);
    let census = &turn.whole.census;
    if record.durable || census.partitioned() || acks < sync_majority(census.replicas()) {
        return Ok(record.durable);
    }
    record.durable = true;
    turn.whole.last.durable = turn.whole.last.durable.max(index);
    RECORDS.put(turn.host, &index, &record);
    let mut fsyncs = FSYNCS.or_default(turn.host)?;
    fsyncs.add(record.slowest_us);
    FSYNCS.put(turn.host, &fsyncs);
    let mut said = verb_run("durable", record.run);
    turn.say(EVENT, said.number("record", index).text("entry", record.what.name()).number("acks", acks));
    Ok(true)
}

/// A write timeout is over: slow peers are LAGGING, the next ones are asked.
///
/// # Errors
/// Corrupt state.
pub fn late(turn: &mut Turn<'_>, index: u64) -> Result<(), Refusal> {
    let Some(mut record) = RECORDS.get(turn.host, &index)? else { return Ok(()) };
    if record.durable || !judge::waits_for(turn, record.run, record.what)? {
        return Ok(());
    }
    let mut ring = RINGS.or_default(turn.host, &record.peers.ring)?;
    if ring.is_empty() {
        // All streams have left that ring: the record goes to the peers that its stream has now.
        let count = sync_majority(turn.whole.census.replicas());
        (record.peers, ring) = ring::peers(turn.host, ring::stream(record.run), count)?;
        send(turn, index, &record, record.peers.from, record.peers.count);
        RECORDS.put(turn.host, &index, &record);
    }
    let lagging = LAGGING.or_default(turn.host)?;
    let need = sync_majority(turn.whole.census.replicas());
    let (mut slow, mut able, mut places) = (Vec::new(), 0, 0);
    while places < ring.len() && (able < need || places < record.peers.count) {
        let peer = ring.at(record.peers.from, places);
        if !lagging.has(peer) {
            able += 1;
            if places < record.peers.count && !record.acks.has(peer) {
                slow.push(u64::from(peer));
            }
        }
        places += 1;
    }
    if places > record.peers.count {
        let from = (record.peers.from + record.peers.count) % ring.len();
        send(turn, index, &record, from, places - record.peers.count);
        record.peers.count = places;
        RECORDS.put(turn.host, &index, &record);
    }
    eject(turn, slow)?;
    turn.numbered_timer("write.", index, turn.now_ms + LOOK_AGAIN_MS);
    Ok(())
}

/// Has slow peers leave the replication set: as many as leave a majority of the members in it.
fn eject(turn: &mut Turn<'_>, mut slow: Vec<u64>) -> Result<(), Refusal> {
    let census = &turn.whole.census;
    let spare = census.replicas().saturating_sub(majority(census.members)) as usize;
    slow.truncate(spare.min(LAGGING_PER_STEP));
    if slow.is_empty() || turn.whole.last.reconfigure != 0 || census.partitioned() {
        return Ok(());
    }
    if turn.whole.leader.is_some_and(|leader| slow.contains(&leader.into())) {
        turn.say(RAFT, &mut verb("transfer_leadership"));
    }
    reconfigure(turn, slow, false);
    Ok(())
}

/// Changes the replication set by joint consensus: a majority of the old set and of the new one agrees.
fn reconfigure(turn: &mut Turn<'_>, peers: Vec<u64>, enter: bool) {
    let old = turn.whole.census.replicas();
    let count = peers.len() as u32;
    let new = if enter { old + count } else { old - count };
    let mut json = verb(if enter { "enter" } else { "leave" });
    json.numbers("nodes", &peers).number("old", old).number("new", new);
    turn.whole.last.reconfigure = turn.order_step(RAFT, &mut json, &Order::Reconfigure(peers, enter));
}

/// The replication set has changed, or could not be.
///
/// # Errors
/// Corrupt state.
pub fn reconfigured(turn: &mut Turn<'_>, peers: &[u64], enter: bool, done: bool) -> Result<(), Refusal> {
    turn.whole.last.reconfigure = 0;
    if !done {
        return Ok(());
    }
    for peer in peers {
        let id = NodeId(*peer as u32);
        // Members may have come and gone since it was ordered.
        let spare = enter || turn.whole.census.replicas() > majority(turn.whole.census.members);
        if spare && nodes::member(turn.host, id).is_ok() {
            set_lagging(turn, id, !enter)?;
            turn.say(EVENT, verb(if enter { "IN_SYNC" } else { "LAGGING" }).number("node", *peer));
        }
    }
    judge::touch_open(turn)
}

/// Puts a node into the replication set or out of it.
///
/// # Errors
/// Corrupt state.
fn set_lagging(turn: &mut Turn<'_>, id: NodeId, out: bool) -> Result<(), Refusal> {
    let mut lagging = LAGGING.or_default(turn.host)?;
    let was = lagging.has(id);
    if out {
        lagging.add(id);
    } else {
        lagging.remove(id);
    }
    let count = &mut turn.whole.census.lagging;
    *count = *count + u32::from(out) - u32::from(was);
    LAGGING.put(turn.host, &lagging);
    Ok(())
}

/// A new member is out of the replication set at first.
///
/// # Errors
/// Corrupt state.
pub fn arrive(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Refusal> {
    let mut lagging = LAGGING.or_default(turn.host)?;
    lagging.add(id);
    turn.whole.census.lagging += 1;
    LAGGING.put(turn.host, &lagging);
    Ok(())
}

/// A member leaves: old rings still have it, but nothing is asked of it any more.
///
/// # Errors
/// Corrupt state.
pub fn depart(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Refusal> {
    let mut lagging = LAGGING.or_default(turn.host)?;
    if !lagging.add(id) {
        turn.whole.census.lagging -= 1;
    }
    LAGGING.put(turn.host, &lagging);
    Ok(())
}

/// A lagging peer has the whole log.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::NotLagging`], [`No::BehindLog`],
/// [`No::Reconfiguring`], malformed.
pub fn caught_up(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let id = nodes::writer(turn.host, fields)?;
    let record: u64 = fields.take("record")?;
    fields.end()?;
    if !LAGGING.or_default(turn.host)?.has(id) {
        return Err(No::NotLagging.node(id));
    }
    if record < turn.whole.last.durable {
        return Err(No::BehindLog.number("the log is durable up to ", turn.whole.last.durable));
    }
    if turn.whole.last.reconfigure != 0 {
        return Err(No::Reconfiguring.says(&["wait for its end"]));
    }
    reconfigure(turn, vec![id.into()], true);
    Ok(Json::object())
}

/// A supervisor allows one peer to acknowledge without an fsync, for 30 minutes (R4 1).
///
/// # Errors
/// [`No::UnknownSupervisor`], [`No::OverrideOnMinority`], [`No::UnknownNode`], [`No::NodeLeft`],
/// [`No::AllowanceActive`], malformed.
pub fn permit_async(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (id, _) = nodes::taken(turn.host, fields)?;
    turn.supervisor(fields)?;
    fields.end()?;
    if turn.whole.allowance.is_some() {
        return Err(No::AllowanceActive.says(&["one peer at a time"]));
    }
    let until_ms = turn.after(Wait::Async);
    turn.whole.allowance = Some((until_ms, id.0));
    turn.timer("async", until_ms, 0);
    let mut answer = Json::object();
    answer.number("until_ms", until_ms);
    Ok(answer)
}

/// A node tells the tail of its log after a crash: it is good up to the first checksum that fails, the rest is fetched
/// again from the leader (section 2).
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::BadList`], malformed.
pub fn tail(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let id = nodes::writer(turn.host, fields)?;
    let records = fields.objects("records", false)?;
    fields.end()?;
    if records.is_empty() {
        return Err(No::BadList.says(&["1 to 64 records"]));
    }
    let (mut last, mut keep, mut damaged) = (0_u64, 0_u64, None);
    for mut row in records {
        let (index, crc): (u64, u32) = (row.take("record")?, row.take("crc")?);
        let data: String = row.take("data")?;
        row.end()?;
        if index <= last {
            return Err(No::BadList.says(&["records are ascending"]));
        }
        last = index;
        let known = RECORDS.get(turn.host, &index)?.is_none_or(|record| record.crc == crc);
        if damaged.is_none() {
            match crc32(data.as_bytes()) == crc && known {
                true => keep = index,
                false => damaged = Some(index),
            }
        }
    }
    if let Some(first) = damaged {
        let mut order = verb("repair");
        order.number("node", id).number("keep", keep).number("first", first).number("last", turn.whole.last.record);
        turn.say(WAL, order.maybe("source", turn.whole.leader.map(u64::from)));
    }
    let mut answer = Json::object();
    answer.number("keep", keep).maybe("damaged", damaged);
    Ok(answer)
}
