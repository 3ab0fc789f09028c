//! Reading a policy file, line by line.

use super::{Rule, RuleKind, TrustPolicy};
use crate::{checkpoint::CosignerKey, note::NoteKey};
use std::collections::BTreeSet;

/// Longest policy file, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Most logs, and most witnesses and groups together: more than the 32 of each that C2SP asks for.
pub const POLICY_ITEMS_MAX: usize = 96;

/// Why a file is not a policy. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than any policy.
    #[error("a policy has at most {POLICY_BYTES_MAX} bytes, not {len}")]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// A line is not one of a policy.
    #[error("line {line}: {error}")]
    Line {
        /// Which.
        line: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// No line says what the quorum is.
    #[error("there is no `quorum` line; without witnesses it is `quorum none`")]
    NoQuorum,
}

/// Why a line is not one of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A control character other than tab and line feed.
    #[error("control characters other than tab are not allowed")]
    ControlCharacter,
    /// The last line of the file has no line feed.
    #[error("the line does not end in a line feed")]
    Unterminated,
    /// It begins with something else.
    #[error("expected `log`, `witness`, `group` or `quorum`")]
    Keyword,
    /// Too few or too many items.
    #[error("expected `{0}`")]
    Items(&'static str),
    /// The key of a log is not one.
    #[error("expected the note key of a log, name+keyid+base64, of type 01 (Ed25519)")]
    LogKey,
    /// The key of a witness is not one.
    #[error("expected the key of a witness, name+keyid+base64, of type 04 (Ed25519 cosignatures)")]
    WitnessKey,
    /// The same public key twice.
    #[error("this public key is in the policy already")]
    SameKey,
    /// The name has a meaning already.
    #[error("this name is defined already")]
    SameName,
    /// The name has no meaning on this line.
    #[error("a name is not defined on a line before")]
    UnknownName,
    /// The name is in a group already, hence would count twice.
    #[error("a name is a member of a group already")]
    SameMember,
    /// Not `all`, `any`, or a number from 1 to the number of members.
    #[error("expected `all`, `any`, or a number from 1 to the number of members")]
    Threshold,
    /// A second quorum.
    #[error("there is a `quorum` line already")]
    SameQuorum,
    /// More than an honest policy needs.
    #[error("there are more than {POLICY_ITEMS_MAX} logs, or more witnesses and groups than that")]
    TooMany,
}

impl TrustPolicy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`] with the line that is wrong, and why.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        if file.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { len: file.len() });
        }
        let mut parser = Parser::default();
        for (line, text) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
            parser.line(text).map_err(|error| PolicyError::Line { line, error })?;
        }
        let quorum = parser.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self { logs: parser.logs, rules: parser.rules, quorum })
    }
}

#[derive(Default)]
struct Parser {
    logs: Vec<NoteKey>,
    rules: Vec<Rule>,
    /// Rules that are in a group.
    members: BTreeSet<usize>,
    /// Inside, `None` is the quorum that needs no witness.
    quorum: Option<Option<usize>>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), LineError> {
        let line = line.strip_suffix(b"\n").ok_or(LineError::Unterminated)?;
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(LineError::ControlCharacter);
        }
        let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
        let items: Vec<&[u8]> = line.split(is_space).filter(|item| !item.is_empty()).collect();
        let Some((keyword, items)) = items.split_first() else { return Ok(()) };
        match *keyword {
            comment if comment.starts_with(b"#") => Ok(()),
            b"log" => self.log(items),
            b"witness" => self.witness(items),
            b"group" => self.group(items),
            b"quorum" => self.quorum(items),
            _ => Err(LineError::Keyword),
        }
    }

    fn log(&mut self, items: &[&[u8]]) -> Result<(), LineError> {
        let ([key] | [key, _]) = items else { return Err(LineError::Items("log <key> [<url>]")) };
        let key = text(key).and_then(|key| NoteKey::parse(key).ok()).ok_or(LineError::LogKey)?;
        if self.logs.iter().any(|log| log.key() == key.key()) {
            return Err(LineError::SameKey);
        }
        if self.logs.len() == POLICY_ITEMS_MAX {
            return Err(LineError::TooMany);
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, items: &[&[u8]]) -> Result<(), LineError> {
        let ([name, key] | [name, key, _]) = items else {
            return Err(LineError::Items("witness <name> <key> [<url>]"));
        };
        let key = text(key).and_then(|key| CosignerKey::parse(key).ok()).ok_or(LineError::WitnessKey)?;
        let same = |rule: &Rule| matches!(&rule.kind, RuleKind::Witness(other) if other.key() == key.key());
        if self.rules.iter().any(same) {
            return Err(LineError::SameKey);
        }
        self.define(name, RuleKind::Witness(key))
    }

    fn group(&mut self, items: &[&[u8]]) -> Result<(), LineError> {
        let [name, threshold, members @ ..] = items else {
            return Err(LineError::Items("group <name> <all | any | number> <name>..."));
        };
        if members.is_empty() {
            return Err(LineError::Items("group <name> <all | any | number> <name>..."));
        }
        let threshold = match *threshold {
            b"any" => 1,
            b"all" => members.len(),
            digits => number(digits).ok_or(LineError::Threshold)?,
        };
        if !(1..=members.len()).contains(&threshold) {
            return Err(LineError::Threshold);
        }
        let mut indices = Vec::with_capacity(members.len());
        for member in members {
            let index = self.find(member).ok_or(LineError::UnknownName)?;
            if !self.members.insert(index) {
                return Err(LineError::SameMember);
            }
            indices.push(index);
        }
        self.define(name, RuleKind::Group { threshold, members: indices })
    }

    fn quorum(&mut self, items: &[&[u8]]) -> Result<(), LineError> {
        let [name] = items else { return Err(LineError::Items("quorum <name | none>")) };
        if self.quorum.is_some() {
            return Err(LineError::SameQuorum);
        }
        self.quorum = Some(match *name {
            b"none" => None,
            name => Some(self.find(name).ok_or(LineError::UnknownName)?),
        });
        Ok(())
    }

    fn define(&mut self, name: &[u8], kind: RuleKind) -> Result<(), LineError> {
        if name == b"none" || self.find(name).is_some() {
            return Err(LineError::SameName);
        }
        if self.rules.len() == POLICY_ITEMS_MAX {
            return Err(LineError::TooMany);
        }
        self.rules.push(Rule { name: name.to_vec(), kind });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.rules.iter().position(|rule| rule.name == name)
    }
}

fn text(item: &[u8]) -> Option<&str> {
    std::str::from_utf8(item).ok()
}

/// A decimal number without leading zeros.
fn number(digits: &[u8]) -> Option<usize> {
    let digits = text(digits)?;
    let number: usize = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}
