use super::*;
use crate::journal::{Group, LedgerEntry, LedgerReader, tests::genesis};
use redb::backends::InMemoryBackend;
use reprise_abi::{Change, Event, Input, Outcome};
use reprise_receipts::{
    Executed, Head, LeafHash, Sealed,
    log::{LogTail, TileSource, check_tiles},
    system::POLICY_NAMESPACE,
};

struct Book {
    journal: Journal,
    entry: LedgerEntry,
    head: Head,
    tail: LogTail,
    sealed: Vec<Sealed>,
}

impl Book {
    fn new() -> Self {
        let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
        let entry = journal.put_ledger(&genesis(1)).unwrap();
        let head = Head::genesis(entry.genesis.clone());
        Self { journal, entry, head, tail: LogTail::new(), sealed: Vec::new() }
    }

    /// Steps that count in one of three keys, and remove it at every tenth.
    fn commit(&mut self, count: usize) {
        let steps: Vec<Sealed> = (0..count).map(|_| self.seal()).collect();
        steps.iter().for_each(|step| self.tail.append(step.leaf));
        let tiles = self.tail.take_complete_tiles();
        self.journal.commit(self.entry.no, &Group { steps: &steps, tiles: &tiles, attestation: None }).unwrap();
        self.sealed.extend(steps);
    }

    fn seal(&mut self) -> Sealed {
        let seq = self.head.next_seq();
        let text = |text: &str| text.to_owned();
        let event = Event { id: seq.to_string(), source: text("test"), kind: text("count"), payload: Vec::new() };
        let input = Input { seq, epoch: self.head.epoch(), logical_time_ms: seq, event };
        let work = self.head.prepare(&input).unwrap();
        let mut executed = Executed::answered(Outcome::Accepted { answer: Vec::new() });
        let key = vec![POLICY_NAMESPACE, (seq % 3) as u8];
        let before = self.head.state().get(&key).map(<[u8]>::to_vec);
        let after = (seq % 10 != 9 || before.is_none()).then(|| seq.to_le_bytes().to_vec());
        executed.changes = vec![Change { key, before, after }];
        self.head.seal(&input, &work, executed)
    }

    fn reader(&self) -> LedgerReader {
        self.journal.read(self.entry.no).unwrap()
    }

    fn bring_forward(&self) {
        self.journal.bring_state_forward(self.entry.no).unwrap();
    }

    fn holds(&self, stored_at: u64) {
        let reader = self.reader();
        assert_eq!(reader.state_at().unwrap(), stored_at);
        let (mut state, lag) = reader.state_and_lag().unwrap();
        assert_eq!(state.root(), self.head.state_root());
        assert_eq!(lag.steps(), self.sealed.len() as u64 - stored_at);
        assert_eq!(reader.size().unwrap() as usize, self.sealed.len());
        for (seq, step) in (0..).zip(&self.sealed) {
            assert_eq!(reader.input(seq).unwrap().as_ref(), Some(&step.input_bytes));
            assert_eq!(reader.receipt(seq).unwrap().as_ref(), Some(&step.receipt_bytes));
            assert_eq!(reader.record(seq).unwrap().as_ref(), Some(&step.record_bytes));
        }
        let leaves: Vec<LeafHash> = self.sealed.iter().map(|step| step.leaf).collect();
        assert_eq!(check_tiles(leaves.len() as u64, leaves, &reader).unwrap(), self.tail.root());
        assert!(reader.beyond(reader.size().unwrap()).unwrap().is_none());
    }
}

#[test]
fn the_stored_state_may_be_behind() {
    let mut book = Book::new();
    book.holds(0);
    book.commit(30);
    book.holds(0);
    book.bring_forward();
    book.holds(30);
    book.commit(1);
    book.commit(7);
    book.holds(30);
    book.bring_forward();
    book.bring_forward();
    book.holds(38);
}

#[test]
fn a_cut_ledger_is_as_it_was_then() {
    let mut book = Book::new();
    book.commit(600);
    let mut shorter = Book::new();
    shorter.commit(300);
    let state = shorter.head.state();
    book.bring_forward();
    book.journal.cut(book.entry.no, 300, state).unwrap();
    shorter.journal = book.journal;
    shorter.holds(300);
    shorter.commit(5);
    shorter.holds(300);
    shorter.journal.cut(shorter.entry.no, 0, &StateTrie::new()).unwrap();
    assert_eq!(shorter.reader().size().unwrap(), 0);
    assert!(shorter.reader().tile(0, 0).is_none());
}

#[test]
fn a_diff_that_does_not_fit_is_damage_of_the_state() {
    let mut book = Book::new();
    book.commit(3);
    book.bring_forward();
    book.commit(3);
    let key = vec![POLICY_NAMESPACE, 0];
    assert!(book.journal.tamper(book.entry.no, &super::super::tamper::Record::State(key), 0, 1).unwrap());
    let error = book.reader().state().map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("state of the ledger is damaged: the diff of step 3"), "{error}");
}

#[test]
fn ranges_of_steps_begin_and_end_anywhere() {
    let mut book = Book::new();
    for count in [1, 40, 300, 2] {
        book.commit(count);
    }
    let reader = book.reader();
    for range in [0..343, 0..1, 1..41, 17..200, 41..341, 342..343, 343..343, 5..5] {
        let steps: Vec<u64> = reader.steps(range.clone()).unwrap().map(|step| step.unwrap().unwrap().seq()).collect();
        assert_eq!(steps, range.collect::<Vec<_>>());
    }
    let mut beyond = reader.steps(342..350).unwrap();
    assert!(beyond.next().unwrap().unwrap().is_ok());
    assert_eq!(beyond.next().unwrap().unwrap().unwrap_err().to_string(), "receipt of sequence number 343");
    assert!(beyond.next().is_none());
}
