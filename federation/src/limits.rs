//! Every bound of the protocol, by name. What a peer may make this node hold is the product of a few of them.

/// Longest control frame, in bytes: what the link carries at once.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of steps in one [`Append`](crate::message::Append); a longer step is fetched over a stream.
pub const APPEND_BYTES_MAX: usize = 48 * 1024;
/// Most steps in one [`Append`](crate::message::Append).
pub const APPEND_STEPS_MAX: usize = 1_024;
/// Most heads in one page of the head vector.
pub const HEADS_MAX: usize = 256;
/// Most entries of an epoch table: the last ones are sent.
pub const EPOCHS_MAX: usize = 256;
/// Branches of the descent to a fork: each answer is so many subtree roots.
pub const SUBTREE_FANOUT: u64 = 16;
/// Most hashes of a proof: one for each level of the largest log, and one more, as in `reprise_receipts::log`.
pub const PATH_HASHES_MAX: usize = reprise_receipts::log::LOG_SIZE_MAX.ilog2() as usize + 2;
/// Most chunks asked for at once.
pub const CHUNK_IDS_MAX: usize = 1_024;
/// Most bytes of one transfer over a stream.
pub const TRANSFER_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most steps in one transfer.
pub const TRANSFER_STEPS_MAX: u64 = 8 * 1024;
/// Longest bundle that is sent or taken, in bytes.
pub const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Most steps of a bundle that is not a checkpoint: what comes after them is fetched as steps, or as another bundle.
pub const BUNDLE_STEPS_MAX: u64 = 16 * 1024;
/// Most bundles and roots that are made or sent at the same time, for all peers; for each peer one.
pub const SERVED_MAX: usize = 2;
/// How long the answer to a question for a bundle or for roots is waited for, in milliseconds: it has to be made first.
pub const SERVED_ANSWER_MS: u64 = 120_000;
/// Longest arguments of a view that a peer is asked for, in bytes.
pub const VIEW_ARGS_MAX: usize = 4 * 1024;
/// Longest evidence that is passed on, in bytes: it has to fit into a frame.
pub const EVIDENCE_FRAME_BYTES_MAX: usize = 60 * 1024;
/// Most members of a ledger.
pub const MEMBERS_MAX: usize = 32;
/// Most peers that a node keeps state about.
pub const PEERS_MAX: usize = 64;
/// Most ledgers that a node shares.
pub const SEATS_MAX: usize = 4_096;
/// Most questions to one peer that wait for an answer.
pub const QUESTIONS_MAX: usize = 16;
/// Most bytes of steps that are fetched but not yet applied, of one ledger.
pub const HELD_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most votes on windows that are not final yet, of one member and ledger.
pub const OPEN_WINDOWS_MAX: usize = 8;
/// Most records in quarantine.
pub const QUARANTINE_RECORDS_MAX: usize = 1_024;
/// Most bytes in quarantine, all records together.
pub const QUARANTINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of one rejected object that are kept; of a longer one the beginning.
pub const QUARANTINE_OBJECT_BYTES_MAX: usize = 256 * 1024;
