use super::*;
use crate::engine::component::{componentize, tests::harmless};

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_policy_that_imports_everything_there_is_passes() {
    let component = componentize(&harmless()).unwrap();
    assert_eq!(admit(&component), Ok(()));
}

/// Together with the test above: what passes has the types of the WIT text, because it was encoded from it.
#[test]
fn the_tables_have_every_function_of_the_contract() {
    let wit = reprise_abi::POLICY_WIT;
    let imported: usize = contract::IMPORTS.iter().map(|(_, functions)| functions.len()).sum();
    assert_eq!(wit.matches(": func(").count(), imported + contract::EXPORTS.len());
    assert_eq!(wit.matches("export ").count(), contract::EXPORTS.len());
    for (name, _) in contract::EXPORTS {
        assert!(wit.contains(&format!("export {name}: func(")), "{name}");
    }
    let (_, imports) = walk::walk(&componentize(&harmless()).unwrap()).unwrap();
    for (interface, functions) in contract::IMPORTS.iter().filter(|(_, functions)| !functions.is_empty()) {
        assert!(imports.iter().any(|import| import == interface), "{interface}");
        assert!(functions.iter().all(|(name, _)| wit.contains(&format!("{name}: func("))), "{interface}");
    }
}

#[test]
fn nothing_that_is_cut_short_passes_or_panics() {
    let whole = componentize(&harmless()).unwrap();
    for len in 0..whole.len() {
        assert!(admit(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
    }
}

#[test]
fn no_changed_byte_panics() {
    let whole = componentize(&harmless()).unwrap();
    for byte in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        if let Err(error) = admit(&flipped) {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn bytes_that_are_no_component() {
    assert_eq!(admit(b""), Err(AdmissionError::NotWebAssembly));
    assert_eq!(admit(b"PK\x03\x04 not this"), Err(AdmissionError::NotWebAssembly));
    assert_eq!(admit(&component("(module)")), Err(AdmissionError::CoreModule));
    let bytes = COMPONENT_BYTES_MAX + 1;
    assert_eq!(admit(&vec![0; bytes]), Err(AdmissionError::TooLarge { bytes }));
}

#[test]
fn a_place_reads_like_a_disassembly() {
    let place = Place { module: Some(1), function: Some(20), offset: 0x1c3 };
    assert_eq!(place.to_string(), "module 1, function 20, byte 0x1c3");
    assert_eq!(Place { function: None, ..place }.to_string(), "module 1, byte 0x1c3");
    assert_eq!(Place { module: None, function: None, ..place }.to_string(), "byte 0x1c3");
}

/// Where the parser does not say which proposal is missing, trying them finds it.
#[test]
fn a_proposal_is_found_by_trying() {
    for (module, proposal) in [
        ("(memory 1) (memory 1)", "multi-memory"),
        ("(func (atomic.fence))", "threads"),
        ("(func $f (return_call $f))", "tail-call"),
    ] {
        let component = component(&format!("(component (core module {module}))"));
        let found = admit(&component).unwrap_err();
        assert!(matches!(&found, AdmissionError::Proposal { proposal: named, .. } if named == proposal), "{found}");
    }
}

#[test]
fn types_are_compared_by_what_they_stand_for() {
    let wanted = |list: &str| {
        format!(
            r#"(component (import "reprise:policy/state@1.0.0" (instance
                (type $bytes {list})
                (export "bytes" (type $named (eq $bytes)))
                (export "delete" (func (param "key" $named))))))"#
        )
    };
    let missing = admit(&component(&wanted("(list u8)"))).unwrap_err();
    assert!(matches!(missing, AdmissionError::MissingExport { name: "describe", .. }), "{missing}");
    let other = admit(&component(&wanted("(list s8)"))).unwrap_err();
    assert!(matches!(&other, AdmissionError::ImportType { found, .. } if found == "func(key: list<s8>)"), "{other}");
}

#[test]
fn a_type_of_any_size_makes_a_short_message() {
    let doubled: String = (1..12).map(|n| format!("(type $t{n} (tuple $t{p} $t{p}))", p = n - 1)).collect();
    let text = format!(
        r#"(component (import "reprise:policy/state@1.0.0" (instance
            (type $t0 (tuple u8 u8)) {doubled} (export "t" (type $t (eq $t11)))
            (export "delete" (func (param "key" $t))))))"#
    );
    let error = admit(&component(&text)).unwrap_err();
    assert!(matches!(error, AdmissionError::ImportType { .. }) && error.to_string().len() < 1_000, "{error}");
}
