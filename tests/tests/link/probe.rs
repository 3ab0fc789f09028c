//! `reprise peer` as a child process, against a link of this process.

use crate::{
    bench::Bench,
    support::{link, public, run},
};

#[test]
fn a_probe_from_the_command_line_says_what_a_node_answers() {
    let bench = Bench::with_node();
    let key = bench.json(&["peer", "key"])["node key"].as_str().unwrap().to_owned();
    assert_eq!(bench.json(&["peer", "key"])["node key"], key.as_str(), "it is made once");
    let attester = bench.json(&["key", "show"])["attester"].as_str().unwrap().to_owned();
    assert_ne!(key, attester, "receipts are signed with another key");
    run(async {
        let callee = link(2, &[]);
        let address = callee.address().unwrap().to_string();
        let probe = |args: Vec<String>| {
            let mut command = bench.command();
            command.args(["peer", "probe"]).args(args);
            tokio::task::spawn_blocking(move || crate::bench::Ended::from(command.output().unwrap()))
        };
        let refused = probe(vec![address.clone()]).await.unwrap();
        refused.says(1, &[&public(2).to_string(), "authorised  false", "does not allow the key of this node"]);
        callee.allow(reprise::keys::parse_public(&key).unwrap());
        let answer = probe(vec![address.clone(), "--json".to_owned()]).await.unwrap().says(0, &[]).json();
        assert_eq!(answer["node key"], public(2).to_string());
        assert_eq!((&answer["authorised"], &answer["link version"]), (&true.into(), &1.into()));
        assert_eq!(answer["protocol"], "reprise/1");
        let other = probe(vec![address.clone(), "--key".to_owned(), public(3).to_string()]).await.unwrap();
        other.says(1, &[&public(2).to_string(), &format!("not {}", public(3))]);
        probe(vec![address, "--key".to_owned(), "12".to_owned()]).await.unwrap().says(64, &["64 hexadecimal digits"]);
        assert!(callee.peers()[0].connections.is_empty());
    });
}
