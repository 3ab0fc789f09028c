//! Files of expectations, and rewriting them.

use std::{env, fmt::Write, fs, path::Path};

/// The vector file of that name says `text`; with `REPRISE_BLESS=1` it is made to.
pub fn check(name: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors")).join(format!("{name}.txt"));
    if env::var_os("REPRISE_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, text).expect("the vector file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = (1..).zip(expected.lines().zip(text.lines())).find(|(_, (expected, found))| expected != found);
    if let Some((line, (expected, found))) = differs {
        panic!("{name}.txt, line {line}: the format has changed\nexpected {expected}\nfound    {found}");
    }
    assert_eq!(expected.lines().count(), text.lines().count(), "{name}.txt is missing or has another length");
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}
