use super::*;
use wasmtime::Engine;

#[test]
fn the_engine_has_the_proposals_of_the_profile_and_no_other() {
    for back_end in BackEnd::ALL {
        let engine = Engine::new(&back_end.config().unwrap()).unwrap();
        let on = engine.get_wasm_features();
        for (name, flag) in wasmtime::WasmFeatures::all().iter_names() {
            assert_eq!(on.contains(flag), PROPOSALS_ON.contains(flag), "{name} on {}", back_end.name());
        }
    }
}

#[test]
fn the_engine_has_the_settings_that_results_depend_on() {
    for back_end in BackEnd::ALL {
        let engine = Engine::new(&back_end.config().unwrap()).unwrap();
        assert_eq!(engine.get_cranelift_nan_canonicalization(), Some(true));
        assert!(engine.get_consume_fuel() && engine.get_memory_init_cow());
        assert!(!engine.get_memory_may_move() && !engine.get_epoch_interruption());
        assert!(engine.get_memory_reservation() >= MEMORY_BYTES_MAX as u64);
        assert_eq!(engine.get_max_wasm_stack(), WASM_STACK_BYTES);
        assert_eq!(engine.is_pulley(), back_end == BackEnd::Pulley);
    }
}

#[test]
fn back_ends_have_names_of_their_own() {
    let mut names = BackEnd::ALL.map(BackEnd::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BackEnd::ALL.len());
}
