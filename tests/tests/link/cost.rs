//! What finding a difference costs between two nodes, as the link counts it: round trips, and bytes of control frames with
//! their lengths, both ways. What QUIC and TLS add is left out: probes of the path and acknowledgements come when they like.

use crate::{
    leaves::Leaves,
    support::{frame, link, pair, report, run},
};
use reprise::link::{Event, Inbox, Session};
use reprise_federation::{
    Mark, Message,
    compare::{Relation, Search, heads_digest, respond},
    message::{Answer, Ask, Question, Reply},
};
use reprise_receipts::LedgerId;
use std::sync::Arc;

const MILLION: u64 = 1_000_000;
/// 3 and log16(1,000,000), rounded up.
const FORK_ROUND_TRIPS_MAX: u64 = 3 + 5;

fn ledger_id() -> LedgerId {
    LedgerId::from_bytes([0x1d; 32])
}

/// Answers questions about one log until the connection ends.
async fn answers(theirs: Arc<Leaves>, (session, mut inbox): (Session, Inbox)) {
    while let Event::Frame(frame) = inbox.next().await {
        let Ok(Message::Ask(ask)) = Message::from_frame(&frame) else { panic!("only questions are asked") };
        let response = respond(&ask.question, &[theirs.ledger_head(ledger_id())], &*theirs);
        let answer = Message::Answer(Answer { request: ask.request, reply: response.reply });
        session.send(answer.to_frame()).await.unwrap();
    }
}

struct Asker {
    session: Session,
    inbox: Inbox,
    request: u32,
}

impl Asker {
    async fn ask(&mut self, question: Question) -> Reply {
        self.request += 1;
        let ask = Message::Ask(Ask { request: self.request, question });
        self.session.send(ask.to_frame()).await.unwrap();
        match Message::from_frame(&frame(self.inbox.next().await)) {
            Ok(Message::Answer(answer)) if answer.request == self.request => answer.reply,
            other => panic!("{other:?}"),
        }
    }

    async fn compare(&mut self, ours: &Leaves) -> Relation {
        let head = ours.ledger_head(ledger_id());
        let page = match self.ask(Question::Digest(heads_digest(&[head]))).await {
            Reply::Same => return Relation::Same,
            Reply::Heads(page) => page,
            other => panic!("{other:?}"),
        };
        let theirs = Mark { size: page.heads[0].size, log_root: page.heads[0].log_root };
        let mut search = Search::new(ledger_id(), ours.head, theirs, ours);
        while let Some(question) = search.question() {
            let reply = self.ask(question).await;
            search.answer(&reply, ours).unwrap();
        }
        search.relation().unwrap()
    }
}

/// How the logs are to each other, and what that cost: round trips and bytes of frames.
fn cost(ours: &Leaves, theirs: Leaves) -> (Relation, u64, u64) {
    run(async {
        let (caller, callee) = (link(1, &[2]), link(2, &[1]));
        let ((session, inbox), accepted) = pair(&caller, &callee).await;
        let answering = tokio::spawn(answers(Arc::new(theirs), accepted));
        let relation = Asker { session, inbox, request: 0 }.compare(ours).await;
        let counts = report(&caller, 2).counts;
        answering.abort();
        let bytes = counts.sent.frame_bytes + counts.received.frame_bytes;
        println!("{relation:?}: {} round trips, {bytes} bytes", counts.round_trips);
        (relation, counts.round_trips, bytes)
    })
}

#[test]
fn with_a_million_receipts_agreement_a_missing_one_and_a_fork_cost_what_they_may() {
    let ours = Leaves::new(MILLION, u64::MAX, &[(1, 0)]);
    let (relation, round_trips, bytes) = cost(&ours, Leaves::new(MILLION, u64::MAX, &[(1, 0)]));
    assert_eq!((relation, round_trips), (Relation::Same, 1));
    assert!(bytes < 1_024, "{bytes} bytes");

    let (relation, round_trips, _) = cost(&ours, Leaves::new(MILLION + 1, u64::MAX, &[(1, 0)]));
    assert_eq!((relation, round_trips), (Relation::Behind, 2));

    for fork in [0, 500_000, 999_999] {
        let (relation, round_trips, bytes) = cost(&ours, Leaves::new(MILLION, fork, &[(1, 0)]));
        assert_eq!(relation, Relation::Forked { at: fork });
        assert!(round_trips <= FORK_ROUND_TRIPS_MAX, "{fork}: {round_trips} round trips");
        assert!(bytes <= 16 * 1_024, "{fork}: {bytes} bytes");
    }
}
