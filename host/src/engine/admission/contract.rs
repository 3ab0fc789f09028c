//! Imports and exports, held against the policy world.
//!
//! Types are compared as the text that WIT would write with every name of a type replaced by what it stands for. A test
//! holds the two tables to the WIT text of the contract.

use super::AdmissionError;
use std::fmt::Write;
use wasmparser::{
    PrimitiveValType,
    component_types::{
        ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType,
    },
    types::TypesRef,
};

/// Interfaces that the host supplies, with their functions.
pub(super) const IMPORTS: [(&str, &[(&str, &str)]); 5] = [
    ("reprise:policy/types@1.0.0", &[]),
    (
        "reprise:policy/state@1.0.0",
        &[
            ("get", "func(key: list<u8>) -> option<list<u8>>"),
            ("put", "func(key: list<u8>, value: list<u8>)"),
            ("delete", "func(key: list<u8>)"),
            (
                "scan",
                "func(prefix: list<u8>, after: option<list<u8>>, limit: u32) -> record { entries: list<record { key: \
                 list<u8>, value: list<u8> }>, more: bool }",
            ),
        ],
    ),
    (
        "reprise:policy/effects@1.0.0",
        &[(
            "emit",
            "func(effect: record { idempotency-key: string, driver: string, deadline-ms: u64, payload: list<u8>, \
             compensator: option<record { driver: string, payload: list<u8> }> })",
        )],
    ),
    (
        "reprise:policy/timers@1.0.0",
        &[("set", "func(id: string, due-ms: u64, payload: list<u8>)"), ("cancel", "func(id: string)")],
    ),
    ("reprise:policy/log@1.0.0", &[("write", "func(level: enum { debug, info, warn, error }, message: string)")]),
];

/// Functions that every policy exports.
pub(super) const EXPORTS: [(&str, &str); 5] = [
    (
        "describe",
        "func() -> record { name: string, version: string, input-kinds: list<string>, views: list<string>, rejections: \
         list<record { code: u32, name: string }>, governed: list<record { name: string, digest: list<u8> }> }",
    ),
    (
        "step",
        "func(input: record { seq: u64, epoch: u64, logical-time-ms: u64, id: string, source: string, kind: string, \
         payload: list<u8>, seed: tuple<u64, u64, u64, u64> }) -> result<list<u8>, record { code: u32, detail: string \
         }>",
    ),
    ("check", "func() -> result<_, record { invariant: string, detail: string }>"),
    ("view", "func(name: string, args: list<u8>) -> result<list<u8>, record { code: u32, detail: string }>"),
    ("migrate", "func(from: string) -> result<list<u8>, record { code: u32, detail: string }>"),
];

/// Longest type in a message.
const SHOWN_BYTES_MAX: usize = 400;

/// Holds what a component imports and exports against the tables.
pub(super) fn check(types: TypesRef<'_>, imports: &[String]) -> Result<(), AdmissionError> {
    for name in imports {
        let item = types.component_item_for_import(name).expect("the validator has seen this import");
        check_import(types, name, &item.ty)?;
    }
    for (name, expected) in EXPORTS {
        match types.component_item_for_export(name).map(|item| &item.ty) {
            Some(ComponentEntityType::Func(func)) => {
                let found = func_text(types, *func);
                if found != expected {
                    return Err(AdmissionError::ExportType { name, expected, found: shown(found) });
                }
            }
            _ => return Err(AdmissionError::MissingExport { name, expected }),
        }
    }
    Ok(())
}

fn check_import(types: TypesRef<'_>, name: &str, ty: &ComponentEntityType) -> Result<(), AdmissionError> {
    let unknown = |name: String| Err(AdmissionError::UnknownImport { name });
    let instance = match ty {
        ComponentEntityType::Instance(instance) => &types[*instance],
        // The world's own names for types of the interfaces.
        ComponentEntityType::Type { created, .. } if !is_resource(created) => return Ok(()),
        _ => return unknown(name.to_owned()),
    };
    let Some((_, supplied)) = IMPORTS.iter().find(|(interface, _)| *interface == name) else {
        return unknown(name.to_owned());
    };
    for (item, entity) in &instance.exports {
        let qualified = format!("{name}#{item}");
        match (&entity.ty, supplied.iter().find(|(function, _)| function == item)) {
            (ComponentEntityType::Type { created, .. }, None) if !is_resource(created) => {}
            (ComponentEntityType::Func(func), Some((_, expected))) => {
                let found = func_text(types, *func);
                if found != *expected {
                    return Err(AdmissionError::ImportType { name: qualified, expected, found: shown(found) });
                }
            }
            _ => return unknown(qualified),
        }
    }
    Ok(())
}

fn is_resource(ty: &ComponentAnyTypeId) -> bool {
    matches!(ty, ComponentAnyTypeId::Resource(_))
}

fn shown(mut text: String) -> String {
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push('…');
    }
    text
}

fn func_text(types: TypesRef<'_>, id: ComponentFuncTypeId) -> String {
    let func = &types[id];
    let mut text = "func(".to_owned();
    fields(&mut text, types, func.params.iter().map(|(name, ty)| (name.as_str(), ty)));
    text.push(')');
    if let Some(result) = &func.result {
        text.push_str(" -> ");
        value(&mut text, types, result);
    }
    text
}

fn value(text: &mut String, types: TypesRef<'_>, ty: &ComponentValType) {
    match ty {
        ComponentValType::Primitive(primitive) => text.push_str(primitive_text(*primitive)),
        ComponentValType::Type(id) => defined(text, types, &types[*id]),
    }
}

/// The shapes that the contract has; another one has a text that equals none of the contract's.
fn defined(text: &mut String, types: TypesRef<'_>, ty: &ComponentDefinedType) {
    match ty {
        ComponentDefinedType::Primitive(primitive) => text.push_str(primitive_text(*primitive)),
        ComponentDefinedType::Record(record) => {
            text.push_str("record { ");
            fields(text, types, record.fields.iter().map(|(name, ty)| (name.as_str(), ty)));
            text.push_str(" }");
        }
        ComponentDefinedType::Enum(cases) => {
            let cases: Vec<&str> = cases.iter().map(|case| case.as_str()).collect();
            write!(text, "enum {{ {} }}", cases.join(", ")).expect("writing into a string cannot fail");
        }
        ComponentDefinedType::Tuple(tuple) => generic(text, types, "tuple", tuple.types.iter().map(Some)),
        ComponentDefinedType::List { element, .. } => generic(text, types, "list", [Some(element)]),
        ComponentDefinedType::Option { ty, .. } => generic(text, types, "option", [Some(ty)]),
        ComponentDefinedType::Result { ok, err, .. } => generic(text, types, "result", [ok.as_ref(), err.as_ref()]),
        ComponentDefinedType::Variant(_) => text.push_str("variant"),
        ComponentDefinedType::Flags(_) => text.push_str("flags"),
        _ => text.push_str("a type that policies have no use for"),
    }
}

fn fields<'a>(text: &mut String, types: TypesRef<'_>, fields: impl Iterator<Item = (&'a str, &'a ComponentValType)>) {
    for (position, (name, ty)) in fields.enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(text, "{separator}{name}: ").expect("writing into a string cannot fail");
        value(text, types, ty);
    }
}

fn generic<'a>(
    text: &mut String,
    types: TypesRef<'_>,
    name: &str,
    arguments: impl IntoIterator<Item = Option<&'a ComponentValType>>,
) {
    text.push_str(name);
    for (position, argument) in arguments.into_iter().enumerate() {
        text.push_str(if position == 0 { "<" } else { ", " });
        match argument {
            Some(ty) => value(text, types, ty),
            None => text.push('_'),
        }
    }
    text.push('>');
}

fn primitive_text(ty: PrimitiveValType) -> &'static str {
    match ty {
        PrimitiveValType::Bool => "bool",
        PrimitiveValType::S8 => "s8",
        PrimitiveValType::U8 => "u8",
        PrimitiveValType::S16 => "s16",
        PrimitiveValType::U16 => "u16",
        PrimitiveValType::S32 => "s32",
        PrimitiveValType::U32 => "u32",
        PrimitiveValType::S64 => "s64",
        PrimitiveValType::U64 => "u64",
        PrimitiveValType::F32 => "f32",
        PrimitiveValType::F64 => "f64",
        PrimitiveValType::Char => "char",
        PrimitiveValType::String => "string",
        PrimitiveValType::ErrorContext => "error-context",
    }
}
