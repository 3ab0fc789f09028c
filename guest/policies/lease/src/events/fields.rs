//! The JSON of payloads, taken apart by name: a reader of its own for each of fifteen records would be a fifth of the
//! component. What nobody took is refused.

use super::{
    ActionResult, CheckpointReference, Event, Heartbeat, Init, KINDS, LeaseClaim, LeaseRenew, LeaseSnapshot,
    Observation, Observe, RankSnapshot, Restore,
};
use crate::{
    config::{Assignment, BackendProfile, Config},
    digest::{Digest, from_hex},
    state::{Figures, Health, Partition, Rank, Standing},
    table::Table,
};
use reprise_guest::{
    StepInput,
    abi::Rejection,
    rejection::{Code, SdkCode},
    text::join,
    typed::{
        self,
        json::{Object, Value, Wrong},
    },
};

const U8: u64 = u8::MAX as u64;
const U32: u64 = u32::MAX as u64;
const U64: u64 = u64::MAX;

impl Event {
    /// Reads an input.
    ///
    /// # Errors
    /// [`SdkCode::UnknownKind`], [`SdkCode::MalformedPayload`].
    pub fn of(input: &StepInput) -> Result<Self, Rejection> {
        let kind = input.kind.as_str();
        if KINDS.binary_search(&kind).is_err() {
            return Err(SdkCode::UnknownKind.because(join(&["`", kind, "`"])));
        }
        let wrong = |wrong: Wrong| {
            let (what, which) = wrong.parts();
            SdkCode::MalformedPayload.because(join(&["`", kind, "`: ", what, " `", which, "`"]))
        };
        Self::taken(kind, typed::object(input)?).map_err(wrong)
    }

    fn taken(kind: &str, mut it: Object<'_>) -> Result<Self, Wrong> {
        let event = match kind {
            "heartbeat" => {
                Self::Heartbeat(Heartbeat { rank: rank(&mut it)?, incarnation: number(&mut it, "incarnation")? })
            }
            "lease_renew" => Self::LeaseRenew(LeaseRenew {
                partition: partition(&mut it)?,
                rank: rank(&mut it)?,
                token: number(&mut it, "token")?,
            }),
            "lease_claim" => Self::LeaseClaim(LeaseClaim {
                partition: partition(&mut it)?,
                rank: rank(&mut it)?,
                epoch: number(&mut it, "epoch")?,
            }),
            "observe" => Self::Observe(Observe { events: each(&mut it, "events", observation)? }),
            "action_result" => Self::ActionResult(ActionResult {
                plan: digest(&mut it, "plan")?,
                index: it.number("index", U32)? as u32,
                ok: it.truth("ok")?,
                reason: it.maybe_text("reason")?.unwrap_or_default().into_owned(),
            }),
            "restore" => Self::Restore(Restore {
                checkpoint: digest(&mut it, "checkpoint")?,
                record: it.maybe_text("record")?.map(String::from),
            }),
            "checkpoint" => Self::Checkpoint,
            "init" => Self::Init(Box::new(init(&mut it)?)),
            _ => Self::Tick,
        };
        it.end()?;
        Ok(event)
    }
}

#[inline(never)]
fn number(it: &mut Object<'_>, name: &'static str) -> Result<u64, Wrong> {
    it.number(name, U64)
}

#[inline(never)]
fn number_or_zero(it: &mut Object<'_>, name: &'static str) -> Result<u64, Wrong> {
    Ok(it.maybe_number(name, U64)?.unwrap_or_default())
}

#[inline(never)]
fn rank(it: &mut Object<'_>) -> Result<Rank, Wrong> {
    it.number("rank", U32).map(|id| Rank(id as u32))
}

#[inline(never)]
fn partition(it: &mut Object<'_>) -> Result<Partition, Wrong> {
    it.number("partition", U32).map(|id| Partition(id as u32))
}

#[inline(never)]
fn maybe_rank(it: &mut Object<'_>, name: &'static str) -> Result<Option<Rank>, Wrong> {
    Ok(it.maybe_number(name, U32)?.map(|id| Rank(id as u32)))
}

#[inline(never)]
fn maybe_digest(it: &mut Object<'_>, name: &'static str) -> Result<Option<Digest>, Wrong> {
    let Some(text) = it.maybe_text(name)? else { return Ok(None) };
    let bytes = from_hex(&text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(|bytes| Some(Digest(bytes))).ok_or(Wrong::Malformed(name))
}

#[inline(never)]
fn digest(it: &mut Object<'_>, name: &'static str) -> Result<Digest, Wrong> {
    maybe_digest(it, name)?.ok_or(Wrong::Missing(name))
}

/// Every object of a list.
fn each<T>(
    it: &mut Object<'_>,
    name: &'static str,
    read: impl Fn(&mut Object<'_>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let mut read_all = Vec::new();
    for item in it.list(name)? {
        let Value::Object(mut item) = item else { return Err(Wrong::Malformed(name)) };
        read_all.push(read(&mut item)?);
        item.end()?;
    }
    Ok(read_all)
}

/// An object with one member, whose name is a variant's: the name, and what the variant has.
fn variant<'i>(it: &mut Object<'i>, of: &'static str) -> Result<(String, Object<'i>), Wrong> {
    match core::mem::take(it).only() {
        Some((name, Value::Object(fields))) => Ok((name.into_owned(), fields)),
        _ => Err(Wrong::Malformed(of)),
    }
}

fn observation(it: &mut Object<'_>) -> Result<Observation, Wrong> {
    let (name, mut it) = variant(it, "events")?;
    let it = &mut it;
    let event_seq = number_or_zero(it, "event_seq")?;
    let observation = match name.as_str() {
        "rank_lost" => Observation::RankLost { rank: rank(it)?, incarnation: number(it, "incarnation")?, event_seq },
        "exit_code" => {
            let (rank, incarnation) = (rank(it)?, number(it, "incarnation")?);
            Observation::ExitCode { rank, incarnation, code: it.number("code", U8)? as u8, event_seq }
        }
        "partition" => Observation::Partition { sides: sides(it)?, event_seq },
        "lease_claim" => {
            let (partition, rank) = (partition(it)?, rank(it)?);
            Observation::LeaseClaim { partition, rank, epoch: number(it, "epoch")?, event_seq }
        }
        "rejoin_request" => {
            Observation::RejoinRequest { rank: rank(it)?, incarnation: number(it, "incarnation")?, event_seq }
        }
        _ => return Err(Wrong::Unknown(name)),
    };
    core::mem::take(it).end()?;
    Ok(observation)
}

fn sides(it: &mut Object<'_>) -> Result<Vec<Vec<Rank>>, Wrong> {
    let mut sides = Vec::new();
    for side in it.list("sides")? {
        let Value::List(ranks) = side else { return Err(Wrong::Malformed("sides")) };
        let mut side = Vec::with_capacity(ranks.len());
        for rank in ranks {
            match rank {
                Value::Number(id @ 0..=U32) => side.push(Rank(id as u32)),
                _ => return Err(Wrong::Malformed("sides")),
            }
        }
        sides.push(side);
    }
    Ok(sides)
}

fn init(it: &mut Object<'_>) -> Result<Init, Wrong> {
    let config = it.maybe_object("config")?.ok_or(Wrong::Missing("config"))?;
    Ok(Init {
        config: self::config(config)?,
        epoch: number(it, "epoch")?,
        ranks: each(it, "ranks", rank_snapshot)?,
        leases: each(it, "leases", lease_snapshot)?,
        checkpoint: it.maybe_object("checkpoint")?.map(checkpoint).transpose()?,
        event_seq: number_or_zero(it, "event_seq")?,
        figures: it.maybe_object("figures")?.map(figures).transpose()?.unwrap_or_default(),
    })
}

fn config(mut it: Object<'_>) -> Result<Config, Wrong> {
    let profile = it.maybe_object("profile")?.ok_or(Wrong::Missing("profile"))?;
    let assignment = match it.maybe_text("assignment")?.as_deref() {
        None | Some("automatic") => Assignment::Automatic,
        Some("by_claim") => Assignment::ByClaim,
        Some(_) => return Err(Wrong::Malformed("assignment")),
    };
    let config = Config {
        profile: self::profile(profile)?,
        lease_ttl_ms: number(&mut it, "lease_ttl_ms")?,
        heartbeat_timeout_ms: number(&mut it, "heartbeat_timeout_ms")?,
        suspect_threshold: number(&mut it, "suspect_threshold")?,
        restarts_max: number(&mut it, "restarts_max")?,
        action_attempts_max: number(&mut it, "action_attempts_max")?,
        action_timeout_ms: number(&mut it, "action_timeout_ms")?,
        assignment,
    };
    it.end()?;
    Ok(config)
}

fn profile(mut it: Object<'_>) -> Result<BackendProfile, Wrong> {
    let name = it.text("name")?.into_owned();
    let mut settings = Table::default();
    for (name, value) in it.maybe_object("settings")?.unwrap_or_default().rest() {
        let Value::Text(value) = value else { return Err(Wrong::Malformed("settings")) };
        settings.insert_new(name.into_owned(), value.into_owned());
    }
    it.end()?;
    Ok(BackendProfile { name, settings })
}

fn rank_snapshot(it: &mut Object<'_>) -> Result<RankSnapshot, Wrong> {
    let health = match it.maybe_text("health")?.as_deref() {
        None | Some("healthy") => Health::Healthy,
        Some("suspected") => Health::Suspected,
        Some("failed") => Health::Failed,
        Some("restarting") => Health::Restarting,
        Some("isolated") => Health::Isolated,
        Some("evicted") => Health::Evicted,
        Some("rejoining") => Health::Rejoining,
        Some(_) => return Err(Wrong::Malformed("health")),
    };
    let (rank, incarnation) = (rank(it)?, number(it, "incarnation")?);
    Ok(RankSnapshot { rank, incarnation, health, restarts: number_or_zero(it, "restarts")? })
}

fn lease_snapshot(it: &mut Object<'_>) -> Result<LeaseSnapshot, Wrong> {
    Ok(LeaseSnapshot {
        partition: partition(it)?,
        owner: maybe_rank(it, "owner")?,
        token: number_or_zero(it, "token")?,
        epoch: it.maybe_number("epoch", U64)?,
        expires_ms: it.maybe_number("expires_ms", U64)?,
        standing: it.maybe_object("standing")?.map(standing).transpose()?,
    })
}

fn standing(mut it: Object<'_>) -> Result<Standing, Wrong> {
    let (name, mut it) = variant(&mut it, "standing")?;
    let standing = match name.as_str() {
        "held" => {
            let owner = maybe_rank(&mut it, "owner")?.ok_or(Wrong::Missing("owner"))?;
            Standing::Held { owner, expires_ms: number(&mut it, "expires_ms")? }
        }
        "vacant" => {
            let last = maybe_rank(&mut it, "last")?;
            Standing::Vacant { last, free_from_ms: number(&mut it, "free_from_ms")? }
        }
        "fenced" => Standing::Fenced { free_from_ms: number(&mut it, "free_from_ms")? },
        _ => return Err(Wrong::Unknown(name)),
    };
    it.end()?;
    Ok(standing)
}

fn checkpoint(mut it: Object<'_>) -> Result<CheckpointReference, Wrong> {
    let reference = CheckpointReference {
        checkpoint: digest(&mut it, "checkpoint")?,
        pending_plan: maybe_digest(&mut it, "pending_plan")?,
        binding: digest(&mut it, "binding")?,
    };
    it.end()?;
    Ok(reference)
}

fn figures(mut it: Object<'_>) -> Result<Figures, Wrong> {
    let figures = Figures {
        failed_ranks: number(&mut it, "failed_ranks")?,
        recovery_attempts: number(&mut it, "recovery_attempts")?,
        recovery_success: number(&mut it, "recovery_success")?,
        split_brain_prevented: number(&mut it, "split_brain_prevented")?,
    };
    it.end()?;
    Ok(figures)
}
