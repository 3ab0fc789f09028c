use super::*;
use crate::{
    breaker::Breaker,
    drill::Fault,
    operations::State,
    orders::{Side, Status},
    services::Role,
};
use std::fmt::Debug;

/// `LoadState` as `load_state`.
fn snake(name: &impl Debug) -> String {
    let name = format!("{name:?}");
    let letters = name.char_indices().flat_map(|(at, letter)| {
        let begins = at > 0 && letter.is_uppercase();
        begins.then_some('_').into_iter().chain(letter.to_lowercase())
    });
    letters.collect()
}

#[test]
fn everything_is_called_what_it_is() {
    Kind::ALL.into_iter().for_each(|kind| assert_eq!(kind.name(), snake(&kind)));
    Stage::ALL.into_iter().for_each(|stage| assert_eq!(stage.name(), snake(&stage).to_uppercase()));
    Status::ALL.into_iter().for_each(|status| assert_eq!(status.name(), snake(&status).to_uppercase()));
    State::ALL.into_iter().for_each(|state| assert_eq!(state.name(), snake(&state).to_uppercase()));
    Breaker::ALL.into_iter().for_each(|breaker| assert_eq!(breaker.name(), snake(&breaker).to_uppercase()));
    Role::ALL.into_iter().for_each(|role| assert_eq!(role.name(), snake(&role)));
    Side::ALL.into_iter().for_each(|side| assert_eq!(side.name(), snake(&side)));
    Fault::ALL.into_iter().for_each(|fault| assert_eq!(fault.name(), snake(&fault)));
    let operations = Operation::ALL.map(|operation| operation.name());
    assert_eq!(operations, ["database", "rpc_internal", "rpc_external", "http"]);
}

/// The table of section 13, and 4.3.
#[test]
fn the_objectives_are_the_documents() {
    let objectives = [Kind::Service, Kind::Database, Kind::Zone, Kind::Region, Kind::Corruption, Kind::Engine];
    let seconds = objectives.map(|kind| kind.objective_ms().unwrap() / 1_000);
    assert_eq!(seconds, [30, 60, 2 * 60, 5 * 60, 30 * 60, 10]);
}

#[test]
fn a_recovery_goes_on_begins_anew_or_to_a_person_and_nowhere_else() {
    for kind in Kind::ALL {
        let stages = kind.stages();
        for from in Stage::ALL {
            let next: Vec<Stage> = Stage::ALL.into_iter().filter(|to| kind.may_become(from, *to)).collect();
            let Some(at) = stages.iter().position(|stage| *stage == from) else {
                assert_eq!(next, if from == Stage::Person { vec![stages[0]] } else { vec![] }, "{kind:?} {from:?}");
                continue;
            };
            assert!(next.contains(&stages[0]) && next.contains(&Stage::Person));
            assert!(next.contains(stages.get(at + 1).unwrap_or(&Stage::Done)));
            let early = kind == Kind::Database && from == Stage::Choose;
            assert_eq!(next.contains(&Stage::Done), early || at + 1 == stages.len());
            assert!(next.len() <= 4);
        }
        assert!(stages.iter().any(|stage| stage.ask().is_some()), "something is asked for");
    }
}
