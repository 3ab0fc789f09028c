//! Who is let in, and what the others are told.

use crate::{
    raw::Raw,
    support::{config, echo, key, link, link_with, loopback, pair, public, report, run},
};
use reprise::link::{ALPN, Answer, Code, ConnectError, Ended, Event, Link, LinkConfig, Refusal};
use std::time::Duration;

#[test]
fn an_unknown_key_is_refused_after_it_seemed_to_be_connected() {
    run(async {
        let (stranger, callee) = (link(9, &[2]), link(2, &[1]));
        let refused = stranger.connect(callee.address().unwrap(), public(2)).await.map(|_| ());
        assert_eq!(refused, Err(ConnectError::Ended(Ended::NotAuthorised)));
        let raw = Raw::new(9, 1, ALPN);
        let connection = raw.connect(callee.address().unwrap()).await;
        assert!(matches!(connection.closed().await, quinn::ConnectionError::ConnectionClosed(_)), "refused by TLS");
        assert_eq!(callee.door().unknown_keys, 2);
        let friend = link(1, &[2]);
        let (mut called, mut accepted) = pair(&friend, &callee).await;
        echo(&mut called, &mut accepted, b"friends go on").await;
    });
}

#[test]
fn a_callee_with_another_key_is_not_spoken_to() {
    run(async {
        let (caller, callee) = (link(1, &[3]), link(2, &[1]));
        let wrong = caller.connect(callee.address().unwrap(), public(3)).await.map(|_| ());
        assert_eq!(wrong, Err(ConnectError::WrongKey { expected: public(3), found: public(2) }));
        let unlisted = caller.connect(callee.address().unwrap(), public(2)).await.map(|_| ());
        assert_eq!(unlisted, Err(ConnectError::NotAllowed(public(2))));
    });
}

#[test]
fn a_revoked_key_loses_its_connections_and_comes_back_only_when_allowed_again() {
    run(async {
        let (caller, callee, other) = (link(1, &[2]), link(2, &[1, 3]), link(3, &[2]));
        let (mut called, _accepted) = pair(&caller, &callee).await;
        let (mut beside, mut accepted_beside) = pair(&other, &callee).await;
        assert!(callee.revoke(&public(1)));
        assert!(!callee.revoke(&public(1)), "it is not there any more");
        assert!(matches!(called.1.next().await, Event::Ended(Ended::ByPeer(Code::Revoked))));
        let address = callee.address().unwrap();
        let refused = caller.connect(address, public(2)).await.map(|_| ());
        assert_eq!(refused, Err(ConnectError::Ended(Ended::NotAuthorised)));
        echo(&mut beside, &mut accepted_beside, b"the other peer goes on").await;
        callee.allow(public(1));
        let (mut called, mut accepted) = pair(&caller, &callee).await;
        echo(&mut called, &mut accepted, b"again").await;
    });
}

#[test]
fn another_protocol_is_refused() {
    run(async {
        let callee = link(2, &[1]);
        for alpn in [b"reprise/2".as_slice(), b"h3", b""] {
            let raw = Raw::new(1, 1, alpn);
            let refused = match raw.dial(callee.address().unwrap()).await {
                Err(error) => error,
                // Without a protocol to refuse, the handshake may seem to succeed here.
                Ok(connection) => connection.closed().await,
            };
            assert!(!matches!(refused, quinn::ConnectionError::TimedOut), "{alpn:?}: {refused}");
        }
        assert!(report(&callee, 1).connections.is_empty());
        let friend = link(1, &[2]);
        let (mut called, mut accepted) = pair(&friend, &callee).await;
        echo(&mut called, &mut accepted, b"friends go on").await;
    });
}

#[test]
fn a_probe_says_who_is_there_and_whether_it_would_work_with_us() {
    run(async {
        let (caller, callee) = (link(1, &[]), link(2, &[1]));
        let address = callee.address().unwrap();
        let answer = caller.probe(address, None).await.unwrap();
        assert!(answer.round_trip > Duration::ZERO);
        let expected = Answer {
            key: public(2),
            protocol: Some("reprise/1".to_owned()),
            version: Ok(1),
            greeting: vec![2; 3],
            round_trip: answer.round_trip,
        };
        assert_eq!(answer, expected);
        assert_eq!(caller.probe(address, Some(public(2))).await.unwrap().key, public(2));
        let wrong = caller.probe(address, Some(public(3))).await.unwrap();
        let found = ConnectError::WrongKey { expected: public(3), found: public(2) };
        assert_eq!((wrong.key, wrong.version), (public(2), Err(Refusal(found))));
        let stranger = link(9, &[]).probe(address, None).await.unwrap();
        let refused = Err(Refusal(ConnectError::Ended(Ended::NotAuthorised)));
        assert_eq!((stranger.key, stranger.version), (public(2), refused));
        assert!(report(&callee, 1).connections.is_empty(), "a probe is no connection");
    });
}

#[test]
fn nobody_there_is_said_in_bounded_time() {
    run(async {
        let caller = link_with(1, &[2], |limits| limits.times.handshake = Duration::from_millis(200));
        // A socket that nobody reads, so that the port is taken and silent.
        let silent = std::net::UdpSocket::bind(loopback(1, 0)).unwrap();
        let address = silent.local_addr().unwrap();
        let none = caller.connect(address, public(2)).await.map(|_| ());
        assert_eq!(none, Err(ConnectError::NoAnswer(Duration::from_millis(200))));
        assert_eq!(caller.probe(loopback(1, 0), None).await, Err(ConnectError::Address(loopback(1, 0))));
    });
}

#[test]
fn a_greeting_that_no_hello_could_carry_is_refused_before_there_is_a_link() {
    run(async {
        let mut long = LinkConfig::new(key(1));
        long.greeting = vec![0; 16 * 1024 + 1];
        let refused = Link::bind(loopback(1, 0), long).err().unwrap();
        assert_eq!(refused.to_string(), "a greeting has at most 16384 bytes, this one has 16385");
        let taken = link(1, &[]);
        assert!(Link::bind(taken.address().unwrap(), config(2, &[])).is_err(), "the port is taken");
    });
}
