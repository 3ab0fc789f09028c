//! JSON for people: what fits on a line stands on one, members are in the order of their names.

use serde_json::Value;

const WIDTH_CHARS: usize = 118;

/// A value as the text of a file.
pub fn pretty(value: &Value) -> String {
    written(value, 0, 0) + "\n"
}

/// `indent` is where the line begins, `used` how much of it is taken by the member's name.
fn written(value: &Value, indent: usize, used: usize) -> String {
    let line = on_one_line(value);
    let items: Vec<String> = match value {
        _ if indent + used + line.chars().count() <= WIDTH_CHARS => return line,
        Value::Object(members) => members.iter().map(|(name, value)| member(name, value, indent + 2)).collect(),
        Value::Array(items) => items.iter().map(|item| written(item, indent + 2, 0)).collect(),
        _ => return line,
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    let pad = " ".repeat(indent + 2);
    let lines: Vec<String> = items.iter().map(|item| format!("{pad}{item}")).collect();
    format!("{open}\n{}\n{}{close}", lines.join(",\n"), " ".repeat(indent))
}

fn member(name: &str, value: &Value, indent: usize) -> String {
    format!("{}: {}", Value::from(name), written(value, indent, name.chars().count() + 4))
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", Value::from(&**name), on_one_line(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(on_one_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
