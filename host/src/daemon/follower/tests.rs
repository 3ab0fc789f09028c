use super::*;
use crate::{journal::LedgerEntry, keys::KeyError, node::EngineChoice};
use reprise_receipts::{PackageDigest, SigningKey};

/// A world whose clock panics: a rollback asks for the time.
struct NoClock;

impl World for NoClock {
    fn node_key(&self) -> Result<SigningKey, KeyError> {
        Err(KeyError::Random)
    }

    fn receipts_key(&self) -> Result<SigningKey, KeyError> {
        Err(KeyError::Random)
    }

    fn now_ms(&self) -> u64 {
        panic!("there is no clock")
    }

    fn random(&self) -> Result<u64, KeyError> {
        Err(KeyError::Random)
    }

    fn read(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn replace(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn engine(&self) -> EngineChoice {
        EngineChoice::Native
    }
}

#[test]
fn work_that_panics_comes_to_its_end_and_the_next_is_done() {
    let room = tempfile::tempdir().unwrap();
    let node = Arc::new(Node::init(&room.path().join("node")).unwrap());
    let entry: LedgerEntry = node.create_ledger("l", PackageDigest::from_bytes([1; 32])).unwrap();
    let (happenings, mut happened) = mpsc::channel(4);
    let world: Arc<dyn World> = Arc::new(NoClock);
    let follower = Follower::start(node, entry, &world, happenings).unwrap();
    for number in [7, 8] {
        assert!(follower.give(Work::RollBack { size: 0, number }));
        match happened.blocking_recv().unwrap() {
            Happening::CannotFollow { fault, number: ended, .. } => {
                assert_eq!(ended, Some(number));
                assert!(fault.contains("there is no clock"), "{fault}");
            }
            other => panic!("{other:?}"),
        }
    }
}
