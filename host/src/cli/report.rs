//! Printing: one value, shown as a table to people and as JSON to programs; on standard output, or kept for a command that
//! another process prints.

use super::text;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value};
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Prints reports in the form that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    page: Option<Arc<Mutex<Page>>>,
}

/// What a command has said that another process prints.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// For standard output.
    pub(crate) out: String,
    /// For standard error.
    pub(crate) errors: String,
    /// There was more than there is room for.
    pub(crate) is_full: bool,
    /// What is said with every record: why it may be out of date.
    stale: Option<Value>,
}

/// Bytes of a page.
pub(crate) const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A list of named values, in the order they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn into_json(self) -> Value {
        Value::Object(self.fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    }
}

impl From<Record> for Value {
    fn from(record: Record) -> Self {
        record.into_json()
    }
}

impl Printer {
    /// On standard output.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, page: None }
    }

    /// On a page, for another process to print.
    pub(crate) fn on_page(json: bool) -> Self {
        Self { json, page: Some(Arc::default()) }
    }

    /// JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Somebody watches standard error of this process while the command runs.
    pub(crate) fn is_watched(&self) -> bool {
        self.page.is_none() && io::stderr().is_terminal()
    }

    /// More was said than the page has room for: nothing more is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.page().is_some_and(|page| page.is_full)
    }

    /// Takes the page with all that was said; an empty one for what went to standard output.
    pub(crate) fn take_page(&self) -> Page {
        self.page().map(|mut page| mem::take(&mut *page)).unwrap_or_default()
    }

    /// Says this with everything that comes: it may be out of date.
    pub(crate) fn mark_stale(&self, stale: Value) {
        if let Some(mut page) = self.page() {
            page.stale = Some(stale);
        }
    }

    /// One thing with its fields.
    pub(crate) fn record(&self, record: Record) {
        if self.json {
            self.say(self.marked(record));
            return;
        }
        let width = record.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in record.fields {
            self.field(name, &value, width);
        }
    }

    /// Things of one kind, one line each.
    pub(crate) fn rows(&self, rows: Vec<Record>) {
        if self.json {
            self.say(Value::Array(rows.into_iter().map(|row| self.marked(row)).collect()));
            return;
        }
        let Some(first) = rows.first() else {
            self.say("(none)");
            return;
        };
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(first.fields.iter().map(|(name, _)| *name));
        for row in rows {
            table.add_row(row.fields.iter().map(|(_, value)| text::short(&plain(value))));
        }
        self.say(table);
    }

    /// One line of a stream: a JSON line, or what `line` says.
    pub(crate) fn line(&self, record: Record, line: impl FnOnce() -> String) {
        if self.json { self.say(self.marked(record)) } else { self.say(line()) }
    }

    /// One line.
    pub(crate) fn say(&self, line: impl Display) {
        match self.page() {
            None => say(line),
            Some(mut page) => page.add(|page| &mut page.out, &line.to_string()),
        }
    }

    /// One line beside the report, on standard error.
    pub(crate) fn warn(&self, line: impl Display) {
        match self.page() {
            None => eprintln!("reprise: {line}"),
            Some(mut page) => page.add(|page| &mut page.errors, &format!("reprise: {line}")),
        }
    }

    fn marked(&self, record: Record) -> Value {
        let stale = self.page().and_then(|page| page.stale.clone());
        match stale {
            Some(stale) => record.with("stale", stale).into_json(),
            None => record.into_json(),
        }
    }

    fn field(&self, name: &str, value: &Value, width: usize) {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                self.say(format_args!("{name}:"));
                for item in items {
                    self.say(format_args!("  - {}", inline(item)));
                }
            }
            Value::Object(_) => self.say(format_args!("{name:width$}  {}", inline(value))),
            _ => self.say(format_args!("{name:width$}  {}", plain(value))),
        }
    }

    fn page(&self) -> Option<MutexGuard<'_, Page>> {
        // A command that panicked while it wrote leaves whole lines.
        self.page.as_ref().map(|page| page.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Page {
    fn add(&mut self, stream: impl FnOnce(&mut Self) -> &mut String, line: &str) {
        if self.is_full || self.out.len() + self.errors.len() + line.len() >= PAGE_BYTES_MAX {
            self.is_full = true;
            return;
        }
        let stream = stream(self);
        stream.push_str(line);
        stream.push('\n');
    }
}

/// One line on standard output. A reader that went away, as `head` does, is no reason to fail.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn inline(value: &Value) -> String {
    let Value::Object(fields) = value else { return plain(value) };
    let mut fields: Vec<_> = fields.iter().collect();
    // What a thing is called comes before what is said of it.
    fields.sort_by_key(|(name, _)| !matches!(name.as_str(), "key" | "name" | "rule" | "line" | "idempotency key"));
    fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(_) => format!("({})", inline(value)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
