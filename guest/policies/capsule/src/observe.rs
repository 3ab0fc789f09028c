//! `observe`: what was measured. It is kept, the worst of a tick; what follows from it is decided at the end of the
//! tick.

use crate::{
    config::{BATCH_MAX, check_count},
    events::{Measured, Observe},
    phi::{self, Phi},
    rejection::No,
    severity::{PPM, Reading, Severity},
    state::{Capsule, Status},
    turn::Turn,
};
use reprise_guest::{abi::Rejection, json::Json, rejection::Code};

/// Keeps readings. The answer says for each of them what it makes of the capsule's tick so far.
///
/// # Errors
/// [`No::BadCount`], [`No::UnknownCapsule`], [`No::BadReading`], [`No::BadPhi`].
pub fn observe(turn: &mut Turn, observe: Observe) -> Result<(), Rejection> {
    check_count("readings", observe.readings.len(), BATCH_MAX)?;
    let mut answer = Json::object();
    answer.list("readings");
    for measured in observe.readings {
        keep(turn, measured, &mut answer)?;
    }
    answer.close();
    turn.answer = answer.done();
    Ok(())
}

fn keep(turn: &mut Turn, measured: Measured, answer: &mut Json) -> Result<(), Rejection> {
    let phi = measured.phi.clone().map(Phi);
    let mut held = turn.named(&measured.capsule)?;
    if measured.stability_ppm > PPM {
        return Err(No::BadReading.because([&held.id, ": stability_ppm is at most 1000000"].concat()));
    }
    if phi.as_ref().is_some_and(|phi| !phi::is_normal(phi, turn.config.dimension)) {
        return Err(No::BadPhi.because([&held.id, ": as many components as `dimension`, length 1"].concat()));
    }
    let capsule = &mut held.capsule;
    let reading = merged(capsule.reading, &measured, turn.tick);
    if let Some(phi) = phi {
        hear_phi(capsule, phi, turn.tick);
    }
    capsule.reading = Some(reading);
    capsule.agenda.planned |= concerns(capsule, &reading);
    answer.item().text("capsule", &held.id).text("status", capsule.status.name());
    if reading.drifts() {
        answer.text("severity", reading.severity().name());
    } else {
        answer.null("severity");
    }
    answer.close();
    turn.save(held);
    Ok(())
}

/// This reading, merged with those of the same tick.
fn merged(before: Option<Reading>, measured: &Measured, tick: u64) -> Reading {
    let same_tick = before.filter(|reading| reading.tick == tick);
    let entropy_before_ppm = match same_tick {
        Some(reading) => reading.entropy_before_ppm,
        None => before.map(|reading| reading.entropy_ppm),
    };
    let reading = Reading {
        tick,
        drift_velocity_ppm: measured.drift_velocity_ppm,
        ttf_ticks: measured.ttf_ticks,
        stability_ppm: measured.stability_ppm,
        entropy_ppm: measured.entropy_ppm,
        entropy_before_ppm,
        phi_heard: measured.phi.is_some(),
    };
    same_tick.map_or(reading, |earlier| earlier.merged(reading))
}

/// The capsule's own word on its vector counts, and no correction is undone behind it. Of two in one tick the greater
/// one stays, so that their order does not matter.
fn hear_phi(capsule: &mut Capsule, phi: Phi, tick: u64) {
    let heard_before = capsule.reading.is_some_and(|reading| reading.tick == tick && reading.phi_heard);
    capsule.phi = if heard_before { phi.max(core::mem::take(&mut capsule.phi)) } else { phi };
    if let Some(correction) = capsule.case.as_mut().and_then(|case| case.correction.as_mut()) {
        correction.phi_before = None;
    }
}

/// Something may follow from the reading at the end of the tick.
fn concerns(capsule: &Capsule, reading: &Reading) -> bool {
    match capsule.status {
        Status::Normal => reading.drifts(),
        Status::Healing | Status::Recovering => reading.severity() > Severity::Mild,
        Status::Quarantined | Status::Escalated => true,
        Status::Isolated => capsule.case.is_some(),
    }
}
