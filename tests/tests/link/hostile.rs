//! Whoever sends what may not be sent is cut, and the others go on.

use crate::{
    raw::{Raw, closed_with},
    support::{echo, link, link_with, loopback, pair, public, report, run},
};
use quinn::{
    AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use reprise::link::{ALPN, Code, FRAME_BYTES_MAX, Link};
use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A peer that has nothing to do with any of this still gets its answers.
async fn others_go_on(callee: &Link, host: u8) {
    let mut config = crate::support::config(3, &[2]);
    config.limits.times.handshake = Duration::from_secs(30);
    let other = Link::bind(loopback(host, 0), config).unwrap();
    let (mut called, mut accepted) = pair(&other, callee).await;
    echo(&mut called, &mut accepted, b"others go on").await;
}

/// Bytes from a seed: a test that fails fails again (splitmix64).
fn noise(seed: &mut u64, length: usize) -> Vec<u8> {
    let mut next = || {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *seed;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    (0..length).map(|_| next() as u8).collect()
}

#[test]
fn garbage_datagrams_are_nothing_to_the_link() {
    run(async {
        let callee = link(2, &[3]);
        let address = callee.address().unwrap();
        let socket = UdpSocket::bind(loopback(1, 0)).unwrap();
        let mut seed = 1;
        for no in 0..5_000_usize {
            let mut datagram = noise(&mut seed, no % 1_472 + 1);
            // Every fourth looks like the beginning of a handshake of version 1.
            if no % 4 == 0 && datagram.len() > 6 {
                datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
            }
            let _ = socket.send_to(&datagram, address);
            if no % 500 == 0 {
                others_go_on(&callee, 1).await;
            }
        }
        others_go_on(&callee, 1).await;
        assert_eq!(callee.door().unknown_keys, 0);
    });
}

#[test]
fn garbage_on_the_control_stream_ends_the_connection() {
    run(async {
        let callee = link(2, &[1, 3]);
        let address = callee.address().unwrap();
        let raw = Raw::new(1, 1, ALPN);
        let mut seed = 2;
        for no in 0..30_usize {
            let connection = raw.connect(address).await;
            let (mut out, _incoming) = connection.open_bi().await.unwrap();
            // A proper length, and then no hello.
            let mut hello = noise(&mut seed, no + 4);
            hello[0] = hello[0].max(2);
            let _ = out.write_all(&[&(hello.len() as u32).to_le_bytes(), hello.as_slice()].concat()).await;
            assert_eq!(closed_with(&connection).await, Code::Malformed as u64);
        }
        assert_eq!(callee.door().failed, 30);
        others_go_on(&callee, 1).await;
    });
}

#[test]
fn an_oversize_frame_ends_the_connection_before_anything_is_allocated_for_it() {
    run(async {
        let callee = link(2, &[1, 3]);
        let address = callee.address().unwrap();
        for length in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
            let raw = Raw::new(1, 1, ALPN);
            let (connection, mut out, _incoming) = raw.greet(address).await;
            out.write_all(&length.to_le_bytes()).await.unwrap();
            assert_eq!(closed_with(&connection).await, Code::TooLong as u64);
        }
        assert_eq!(report(&callee, 1).counts.refused, 2);
        others_go_on(&callee, 1).await;
    });
}

#[test]
fn a_second_control_stream_is_not_to_be_had() {
    run(async {
        let callee = link(2, &[1, 3]);
        let raw = Raw::new(1, 1, ALPN);
        let (connection, _out, _incoming) = raw.greet(callee.address().unwrap()).await;
        let second = tokio::time::timeout(Duration::from_millis(200), connection.open_bi()).await;
        assert!(second.is_err(), "one stream both ways is all there is");
        others_go_on(&callee, 1).await;
    });
}

#[test]
fn a_thousand_idle_connections_of_one_peer_are_two() {
    run(async {
        let callee = link(2, &[1, 3]);
        let address = callee.address().unwrap();
        let raw = Raw::new(1, 1, ALPN);
        let before = resident_bytes();
        let mut open = Vec::new();
        for no in 0..1_000_usize {
            open.push(raw.greet(address).await);
            drop(callee.accept().await.unwrap().1);
            assert!(report(&callee, 1).connections.len() <= 2);
            if no % 250 == 0 {
                others_go_on(&callee, 1).await;
            }
        }
        let idle = open.iter().filter(|(connection, ..)| connection.close_reason().is_none()).count();
        assert!(idle <= 3, "{idle} of them are open");
        assert_eq!(report(&callee, 1).counts.connections, 1_000);
        others_go_on(&callee, 1).await;
        drop(open);
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 128 * 1024 * 1024, "{grown} bytes more, both sides together");
    });
}

#[test]
fn a_thousand_strangers_with_keys_leave_nothing_behind() {
    run(async {
        let callee = link(2, &[3]);
        let address = callee.address().unwrap();
        for _ in 0..40 {
            let raw = Raw::new(9, 1, ALPN);
            for _ in 0..25 {
                let connection = raw.dial(address).await;
                if let Ok(connection) = connection {
                    connection.closed().await;
                }
            }
        }
        assert_eq!(callee.door().unknown_keys, 1_000);
        assert_eq!(callee.peers().len(), 1, "only the friend");
        others_go_on(&callee, 1).await;
    });
}

#[test]
fn a_thousand_handshakes_that_are_not_finished_hold_some_places_for_a_while() {
    run(async {
        let callee = link_with(2, &[3], |limits| limits.times.handshake = Duration::from_secs(60));
        let address = callee.address().unwrap();
        // They hear nothing, and so never show that they receive.
        let deaf = Raw::over(Deaf::bind(|_| false), 9, ALPN);
        let mut dialled: Vec<_> = (0..1_000).map(|_| tokio::spawn(deaf.dial(address))).collect();
        until(|| callee.door().retried >= 500).await;
        assert_eq!(callee.door().handshakes, 8, "from the ninth on, callers must show that they receive");
        others_go_on(&callee, 1).await;
        // They hear only that they must call again, and then nothing.
        let half_deaf = Raw::over(Deaf::bind(is_retry), 9, ALPN);
        dialled.extend((0..1_000).map(|_| tokio::spawn(half_deaf.dial(address))));
        until(|| callee.door().busy >= 100).await;
        others_go_on(&callee, 2).await;
        let held = callee.door().handshakes - callee.door().failed;
        // One is the friend of each round.
        assert!(held <= 16 + 2, "one host holds at most 16 places: {held}");
        dialled.iter().for_each(tokio::task::JoinHandle::abort);
        assert_eq!(report(&callee, 3).counts.connections, 2);
        assert_eq!(report(&callee, 3).key, public(3));
    });
}

/// Waits for what other tasks bring about. The test's own bound ends it when they do not.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// What the process has in memory, of this test and of those that run beside it.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// A retry packet of version 1 (RFC 9000, 17.2.5).
fn is_retry(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xf0 == 0xf0)
}

/// A socket that hears only what it wants to hear.
#[derive(Debug)]
struct Deaf {
    socket: Arc<dyn AsyncUdpSocket>,
    hears: fn(&[u8]) -> bool,
}

impl Deaf {
    fn bind(hears: fn(&[u8]) -> bool) -> Arc<Self> {
        let socket = UdpSocket::bind(loopback(1, 0)).unwrap();
        Arc::new(Self { socket: TokioRuntime.wrap_udp_socket(socket).unwrap(), hears })
    }
}

impl AsyncUdpSocket for Deaf {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.socket.poll_recv(context, buffers, meta);
        if let Poll::Ready(Ok(count)) = received {
            for (buffer, meta) in buffers.iter().zip(meta).take(count) {
                if !(self.hears)(&buffer[..meta.len]) {
                    meta.len = 0;
                }
            }
        }
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
