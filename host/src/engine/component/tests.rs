use super::*;
use wat::parse_str;

/// A policy in text: the defaults of the hostile guests, without a hostile field.
pub(in crate::engine) fn harmless() -> Vec<u8> {
    parse_str(concat!(
        "(module ",
        include_str!("../../../../fixtures/hostile/defaults/imports.wat"),
        include_str!("../../../../fixtures/hostile/defaults/memory.wat"),
        include_str!("../../../../fixtures/hostile/defaults/cabi_realloc.wat"),
        include_str!("../../../../fixtures/hostile/defaults/describe.wat"),
        include_str!("../../../../fixtures/hostile/defaults/step.wat"),
        include_str!("../../../../fixtures/hostile/defaults/check.wat"),
        include_str!("../../../../fixtures/hostile/defaults/view.wat"),
        include_str!("../../../../fixtures/hostile/defaults/migrate.wat"),
        ")"
    ))
    .unwrap()
}

fn custom_sections(component: &[u8]) -> usize {
    let payloads = Parser::new(0).parse_all(component);
    payloads.filter(|payload| matches!(payload.as_ref().unwrap(), Payload::CustomSection(_))).count()
}

#[test]
fn the_same_module_gives_the_same_component() {
    let module = harmless();
    let component = componentize(&module).unwrap();
    assert_eq!(componentize(&module).unwrap(), component);
    assert!(Parser::is_component(&component));
    assert_eq!(custom_sections(&component), 0);
}

#[test]
fn names_and_debug_sections_make_no_difference() {
    let mut noisy = harmless();
    push_section(&mut noisy, 0, b"\x0b.debug_info/home/somebody/src/lib.rs");
    assert_eq!(componentize(&noisy).unwrap(), componentize(&harmless()).unwrap());
}

#[test]
fn a_module_that_says_which_world_it_implements_is_believed() {
    let mut module = harmless();
    embed_policy_world(&mut module).unwrap();
    assert!(has_metadata(&module).unwrap());
    assert_eq!(componentize(&module).unwrap(), componentize(&harmless()).unwrap());
}

#[test]
fn lengths_of_sections_are_written_as_short_as_they_go() {
    for (len, expected) in [(0, &[9, 0][..]), (127, &[9, 127]), (128, &[9, 0x80, 1]), (300, &[9, 0xac, 2])] {
        let mut out = Vec::new();
        push_section(&mut out, 9, &vec![7; len]);
        assert_eq!(out[..expected.len()], *expected);
        assert_eq!(out.len(), expected.len() + len);
    }
}

#[test]
fn what_is_not_a_policy_is_refused_with_a_reason() {
    let component = componentize(&harmless()).unwrap();
    assert!(matches!(componentize(&component), Err(ComponentizeError::AlreadyComponent)));
    assert!(matches!(componentize(b"#!/bin/sh"), Err(ComponentizeError::Malformed(_))));
    let harmless = harmless();
    assert!(matches!(componentize(&harmless[..harmless.len() - 1]), Err(ComponentizeError::Malformed(_))));
    let missing = componentize(&parse_str("(module)").unwrap()).unwrap_err();
    assert!(matches!(&missing, ComponentizeError::World(reason) if reason.contains("describe")), "{missing}");
    let unknown = r#"(module (import "env" "clock" (func (result i64))))"#;
    let unknown = componentize(&parse_str(unknown).unwrap()).unwrap_err();
    assert!(matches!(&unknown, ComponentizeError::World(reason) if reason.contains("env")), "{unknown}");
}
