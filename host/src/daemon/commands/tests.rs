use super::*;
use crate::journal::Journal;
use crossbeam_channel::{Receiver, Sender, bounded};
use redb::backends::InMemoryBackend;
use std::path::Path;

/// Commands that say when they have begun, and end when they are told to.
struct Held {
    begun: Sender<()>,
    end: Receiver<()>,
}

impl Commands for Held {
    fn run(&self, asked: Asked, node: &Arc<Node>, currency: &Currency) -> Told {
        assert!(asked.arguments.is_empty(), "a command that panics");
        assert!(node.journal().is_writable() && currency.of(LedgerId::from_bytes([0; 32])).is_some());
        let _ = self.begun.send(());
        let _ = self.end.recv();
        Told { out: "done".to_owned(), errors: String::new(), exit: 3 }
    }
}

/// A desk, and whoever answers what it asks.
fn desk(held: Held) -> (JournalDesk, mpsc::Sender<Happening>) {
    let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
    let node = Arc::new(Node::with_journal(Path::new("node"), journal));
    let (happenings, mut asked) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(happening) = asked.recv().await {
            let Happening::Currency { reply } = happening else { panic!("{happening:?}") };
            reply.send(Currency::default()).unwrap();
        }
    });
    (JournalDesk::new(node, Arc::new(held)), happenings)
}

fn asked(arguments: &[&str]) -> Asked {
    Asked { arguments: arguments.iter().map(|&text| text.to_owned()).collect(), directory: PathBuf::from("/") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_commands_run_at_a_time_some_wait_and_others_are_refused() {
    let ((begun, has_begun), (end, may_end)) = (bounded(TAKEN_MAX), bounded(TAKEN_MAX));
    let (desk, happenings) = desk(Held { begun, end: may_end });
    let tasks: Vec<_> = (0..TAKEN_MAX)
        .map(|_| {
            let (desk, happenings) = (desk.clone(), happenings.clone());
            tokio::spawn(async move { desk.run(asked(&[]), &happenings).await })
        })
        .collect();
    for _ in 0..RUNNING_MAX {
        has_begun.recv().unwrap();
    }
    while desk.taken.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(has_begun.try_recv().is_err(), "the others wait");
    let refused = desk.run(asked(&[]), &happenings).await;
    assert!(refused["error"].as_str().unwrap().contains("too many"), "{refused}");
    for _ in 0..TAKEN_MAX {
        end.send(()).unwrap();
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), json!({ "out": "done", "errors": "", "exit": 3 }));
    }
    desk.close().await;
    assert_eq!(desk.run(asked(&[]), &happenings).await, json!({ "error": "the node stops" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_panics_is_a_fault_and_takes_no_place() {
    let (begun, end) = (bounded(1).0, bounded(1).1);
    let (desk, happenings) = desk(Held { begun, end });
    for _ in 0..2 * RUNNING_MAX {
        let told = desk.run(asked(&["panic"]), &happenings).await;
        assert!(told["fault"].as_str().unwrap().contains("failed inside the node"), "{told}");
    }
    assert_eq!(desk.running.available_permits(), RUNNING_MAX as usize);
}
