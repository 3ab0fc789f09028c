//! Control records (H3): an optimistic version counter and a checksum of the content on every one.
//!
//! A mismatch of either is a partial write: the write is aborted and the writer told to redo it on the version that
//! holds. A run in RECONCILE that the write belongs to goes back instead.

use crate::{
    digest::sha256,
    error::Refusal,
    fields::{Fields, bounded},
    ids::RunId,
    machine::State,
    nodes,
    state::{CONTROLS, RUNS},
    turn::{EVENT, Turn, verb},
};
use reprise_guest::{compact::stored, json::Json, text::hex};

/// A control record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Its version counter v.
    pub version: u64,
    /// SHA-256 of its content.
    pub checksum: [u8; 32],
}
stored!(Control { version, checksum });

/// Writes a control record over the version that the writer read (0: there was none).
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::BadText`], [`No::UnknownRun`], malformed.
pub fn write(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let node_id = nodes::writer(turn.host, fields)?;
    let name: String = fields.take("name")?;
    let version: u64 = fields.take("version")?;
    let (content, checksum): (String, String) = (fields.take("content")?, fields.take("checksum")?);
    let trace: Option<String> = fields.maybe("trace")?;
    fields.end()?;
    bounded("name", &name)?;
    let mut control = CONTROLS.or_default(turn.host, &name)?;
    let digest = sha256(content.as_bytes());
    let why = if hex(&digest) != checksum {
        "checksum"
    } else if control.version != version {
        "version"
    } else {
        control = Control { version: version + 1, checksum: digest };
        CONTROLS.put(turn.host, &name, &control);
        let mut answer = Json::object();
        answer.text("result", "COMMIT").number("version", control.version);
        return Ok(answer);
    };
    let mut said = verb("REDO");
    turn.say(EVENT, said.number("node", node_id).text("name", &name).number("version", control.version));
    if let Some(trace) = trace {
        let id = RunId::traced(&trace)?;
        let mut run = turn.run(id)?;
        if run.state == State::Reconcile {
            run.merge.invalid = true;
            RUNS.put(turn.host, &id, &run);
            turn.touch(id);
        }
    }
    let mut answer = Json::object();
    answer.text("result", "ABORT").text("mismatch", why).number("version", control.version);
    Ok(answer)
}
