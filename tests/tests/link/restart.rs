//! A node that starts again with the same key at the same address.

use crate::support::{config, echo, link, pair, public, run};
use reprise::link::{Code, Ended, Event, Link};

#[test]
fn a_peer_that_stopped_is_noticed_and_met_again() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let address = callee.address().unwrap();
        let (mut called, mut accepted) = pair(&caller, &callee).await;
        echo(&mut called, &mut accepted, b"before").await;
        callee.close().await;
        drop(callee);
        assert!(matches!(called.1.next().await, Event::Ended(Ended::ByPeer(Code::Stopping))));
        assert!(caller.peers()[0].connections.is_empty());
        drop(accepted);
        // The socket is free when the last task that uses it has ended.
        let callee = loop {
            match Link::bind(address, config(2, &[1])) {
                Ok(callee) => break callee,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let (mut called, mut accepted) = pair(&caller, &callee).await;
        echo(&mut called, &mut accepted, b"after").await;
        assert_eq!(called.0.key(), public(2));
    });
}
