//! Printing: one value, shown as a table to people and as JSON to programs.

use super::text;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value};
use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints reports in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
}

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
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One thing with its fields.
    pub(crate) fn record(self, record: Record) {
        if self.json {
            say(record.into_json());
            return;
        }
        let width = record.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in record.fields {
            print_field(name, &value, width);
        }
    }

    /// Things of one kind, one line each.
    pub(crate) fn rows(self, rows: Vec<Record>) {
        if self.json {
            say(Value::Array(rows.into_iter().map(Record::into_json).collect()));
            return;
        }
        let Some(first) = rows.first() else {
            say("(none)");
            return;
        };
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(first.fields.iter().map(|(name, _)| *name));
        for row in rows {
            table.add_row(row.fields.iter().map(|(_, value)| text::short(&plain(value))));
        }
        say(table);
    }

    /// One line of a stream: a JSON line, or what `line` says.
    pub(crate) fn line(self, record: Record, line: impl FnOnce() -> String) {
        if self.json { say(record.into_json()) } else { say(line()) }
    }
}

/// One line on standard output. A reader that went away, as `head` does, is no reason to fail.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn print_field(name: &str, value: &Value, width: usize) {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            say(format_args!("{name}:"));
            for item in items {
                say(format_args!("  - {}", inline(item)));
            }
        }
        Value::Object(_) => say(format_args!("{name:width$}  {}", inline(value))),
        _ => say(format_args!("{name:width$}  {}", plain(value))),
    }
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
