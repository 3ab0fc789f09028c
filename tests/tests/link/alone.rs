//! Nodes that trust each other, with nobody else around.

use crate::support::{echo, frame, link, link_with, pair, public, report, run};
use reprise::link::{Code, Ended, Event, FRAME_BYTES_MAX, SendError, TransferError};

#[test]
fn both_sides_know_each_other_and_frames_arrive_in_order() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (called, mut accepted) = pair(&caller, &callee).await;
        assert_eq!((called.0.key(), accepted.0.key()), (public(2), public(1)));
        assert_eq!((called.0.greeting(), accepted.0.greeting()), ([2; 3].as_slice(), [1; 3].as_slice()));
        assert!(called.0.is_caller() && !accepted.0.is_caller());
        let frames: Vec<Vec<u8>> = (0..200_usize).map(|no| vec![no as u8; no * 37]).collect();
        let sending = async {
            for frame in &frames {
                called.0.send(frame.clone()).await.unwrap();
            }
        };
        let taking = async {
            for expected in &frames {
                assert_eq!(frame(accepted.1.next().await), *expected);
            }
        };
        tokio::join!(sending, taking);
    });
}

#[test]
fn the_longest_frame_arrives_and_a_longer_one_is_not_sent() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (mut called, mut accepted) = pair(&caller, &callee).await;
        let too_long = vec![0; FRAME_BYTES_MAX + 1];
        assert_eq!(called.0.try_send(too_long), Err(SendError::TooLong(FRAME_BYTES_MAX + 1)));
        echo(&mut called, &mut accepted, &vec![7; FRAME_BYTES_MAX]).await;
        echo(&mut called, &mut accepted, b"").await;
    });
}

#[test]
fn what_is_counted_is_what_was_sent() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (mut called, mut accepted) = pair(&caller, &callee).await;
        for _ in 0..3 {
            echo(&mut called, &mut accepted, b"12345678").await;
        }
        let mut sending = called.0.begin_transfer(9, 100).await.unwrap();
        sending.write(&[1; 100]).await.unwrap();
        sending.finish().await.unwrap();
        let Event::Transfer(transfer) = accepted.1.next().await else { panic!("a transfer was sent") };
        assert_eq!((transfer.id(), transfer.bytes()), (9, 100));
        assert_eq!(transfer.read_all(100).await.unwrap(), [1; 100]);
        let (asked, answered) = (report(&caller, 2).counts, report(&callee, 1).counts);
        assert_eq!((asked.sent.frames, asked.sent.frame_bytes), (3, 36));
        assert_eq!((answered.received.frames, answered.received.frame_bytes), (3, 36));
        assert_eq!((asked.sent.transfers, asked.sent.transfer_bytes), (1, 116));
        assert_eq!((answered.received.transfers, answered.received.transfer_bytes), (1, 116));
        // Three answers, and a transfer that came after the last of ours.
        assert_eq!((asked.round_trips, answered.round_trips), (3, 3));
        assert!(asked.sent.wire_bytes > 152 && answered.received.wire_bytes > 152);
        assert_eq!((asked.refused, answered.refused), (0, 0));
    });
}

#[test]
fn a_peer_that_takes_nothing_fills_a_bounded_queue_and_holds_nobody_else() {
    run(async {
        let small = |limits: &mut reprise::link::Limits| {
            limits.peer.queue_frames_max = 4;
            limits.peer.in_flight_bytes_max = 256 * 1024;
        };
        let (caller, lazy, busy) = (link_with(1, &[2, 3], small), link_with(2, &[1], small), link(3, &[1]));
        let (called, mut accepted) = pair(&caller, &lazy).await;
        let mut queued = 0_u8;
        // Full for a while is not full for good: the task that sends takes from the queue until the windows are full.
        while tokio::time::timeout(std::time::Duration::from_millis(300), called.0.send(vec![queued; FRAME_BYTES_MAX]))
            .await
            .is_ok()
        {
            queued += 1;
            assert!(queued < 40, "windows and queues hold less than that");
        }
        assert_eq!(called.0.try_send(vec![0; FRAME_BYTES_MAX]), Err(SendError::Full));
        let (mut called_other, mut other) = pair(&caller, &busy).await;
        echo(&mut called_other, &mut other, b"still here").await;
        for no in 0..queued {
            assert_eq!(frame(accepted.1.next().await), vec![no; FRAME_BYTES_MAX]);
        }
    });
}

#[test]
fn transfers_go_beside_each_other_and_are_as_long_as_they_say() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (called, mut accepted) = pair(&caller, &callee).await;
        let mut large = called.0.begin_transfer(1, 3_000_000).await.unwrap();
        let mut small = called.0.begin_transfer(2, 0).await.unwrap();
        assert_eq!(small.write(b"x").await, Err(TransferError::Excess { declared: 0 }));
        let Event::Transfer(first) = accepted.1.next().await else { panic!("a transfer was begun") };
        let Event::Transfer(second) = accepted.1.next().await else { panic!("a transfer was begun") };
        assert_eq!((first.id(), second.id()), (1, 2));
        let (finished, bytes) = tokio::join!(small.finish(), second.read_all(0));
        assert_eq!((finished, bytes), (Ok(()), Ok(Vec::new())));
        let content: Vec<u8> = (0..3_000_000_u32).map(|no| no as u8).collect();
        let sending = async {
            large.write(&content).await.unwrap();
            large.finish().await
        };
        let (finished, bytes) = tokio::join!(sending, first.read_all(3_000_000));
        assert_eq!(finished, Ok(()));
        assert!(bytes.unwrap() == content);
        let abandoned = called.0.begin_transfer(3, 10).await.unwrap();
        let Event::Transfer(third) = accepted.1.next().await else { panic!("a transfer was begun") };
        drop(abandoned);
        assert_eq!(third.read_all(10).await, Err(TransferError::Cut { bytes: 0 }));
        let sending = called.0.begin_transfer(4, 10).await.unwrap();
        let Event::Transfer(fourth) = accepted.1.next().await else { panic!("a transfer was begun") };
        assert_eq!(fourth.read_all(9).await, Err(TransferError::TooLong { declared: 10, max: 9 }));
        assert_eq!(sending.finish().await, Err(TransferError::Short { received: 0, declared: 10 }));
    });
}

#[test]
fn dropping_a_session_sends_what_is_queued_and_closing_it_says_why() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (called, mut accepted) = pair(&caller, &callee).await;
        for no in 0..50_u8 {
            called.0.send(vec![no; 1_000]).await.unwrap();
        }
        drop(called);
        for no in 0..50_u8 {
            assert_eq!(frame(accepted.1.next().await), vec![no; 1_000]);
        }
        assert!(matches!(accepted.1.next().await, Event::Ended(Ended::Here(Code::Done))));
        let (mut called, accepted) = pair(&caller, &callee).await;
        accepted.0.close(Code::Malformed);
        assert!(matches!(called.1.next().await, Event::Ended(Ended::ByPeer(Code::Malformed))));
        assert_eq!(called.0.send(vec![]).await, Err(SendError::Ended(Ended::ByPeer(Code::Malformed))));
        assert_eq!(accepted.0.ended().await, Ended::Here(Code::Malformed));
        assert!(report(&callee, 1).connections.is_empty());
    });
}

#[test]
fn a_third_connection_of_one_peer_takes_the_place_of_the_oldest() {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let (mut first, _first) = pair(&caller, &callee).await;
        let (_second, second) = pair(&callee, &caller).await;
        let (mut third, mut accepted) = pair(&caller, &callee).await;
        let ended = first.1.next().await;
        assert!(
            matches!(ended, Event::Ended(Ended::ByPeer(Code::Replaced) | Ended::Here(Code::Replaced))),
            "{ended:?}"
        );
        echo(&mut third, &mut accepted, b"the newest").await;
        second.0.send(b"the other way".to_vec()).await.unwrap();
        assert_eq!(report(&callee, 1).connections.len(), 2);
    });
}
