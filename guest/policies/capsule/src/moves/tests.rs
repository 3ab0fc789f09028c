use super::*;

fn config(nodes: u32) -> Config {
    Config { tick_ms: 1, dimension: 1, nodes, assess_ticks: 1, stable_ms: 0, entropy_spike_ppm: 1, canary: false }
}

#[test]
fn a_quorum_is_two_thirds_rounded_up() {
    let quorums: Vec<u32> = (1..=7).map(|nodes| config(nodes).quorum()).collect();
    assert_eq!(quorums, [1, 2, 2, 3, 4, 4, 5]);
    assert_eq!(config(64).quorum(), 43);
}

/// Every count of votes in clusters of up to seven nodes.
#[test]
fn a_vote_wins_exactly_with_a_quorum() {
    for nodes in 1..=7_u32 {
        for isolate in 0..=nodes {
            for quarantine in 0..=nodes - isolate {
                let release = nodes - isolate - quarantine;
                let votes = [release, quarantine, isolate].map(|count| (1_u64 << count) - 1);
                let assessment = Assessment { round: 1, until_tick: 1, votes };
                let quorum = (2 * nodes).div_ceil(3);
                let won = [(Vote::Release, release), (Vote::Quarantine, quarantine), (Vote::IsolateLineage, isolate)];
                let won: Vec<Vote> =
                    won.into_iter().filter(|(_, count)| *count >= quorum).map(|(vote, _)| vote).collect();
                assert!(won.len() <= 1);
                assert_eq!(decided(&assessment, &config(nodes)), won.first().copied());
                assert_eq!(voters(&assessment), nodes);
            }
        }
    }
}

#[test]
fn the_failure_that_weighs_most_names_the_cause() {
    let failed = |velocity, agreement, proof| Failed { velocity, agreement, proof }.cause();
    assert_eq!(failed(true, false, false), Cause::Requarantine);
    assert_eq!(failed(true, true, false), Cause::ManualIntervention);
    assert_eq!(failed(true, true, true), Cause::InvestigateTampering);
}
