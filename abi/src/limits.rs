//! Every bound of the contract, by name. Changing one changes what a step may do, hence the protocol epoch.

/// Longest key that a policy may use, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value that a policy may store under one key, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most keys that one step may change.
pub const DIFF_CHANGES_MAX: usize = 16_384;
/// Most bytes (keys and new values) that one step may change.
pub const DIFF_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes (keys and old values) that one step may replace or remove: a diff keeps them, so that it can be undone.
pub const DIFF_REPLACED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most entries in one page of a scan; a larger `limit` is cut to this.
pub const SCAN_ENTRIES_MAX: u32 = 1_024;
/// Most bytes (keys and values) in one page of a scan; the page ends before the entry that would pass it.
pub const SCAN_BYTES_MAX: usize = 256 * 1024;
/// Most effects of one step.
pub const EFFECTS_MAX: usize = 1_024;
/// Longest payload of an effect, a compensator or a timer, in bytes.
pub const EFFECT_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of names and payloads in the effects and timers of one step together.
pub const EFFECTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest answer of the world to an effect, in bytes.
pub const EFFECT_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Most attempts at one effect, and at its compensator (H6).
pub const EFFECT_ATTEMPTS_MAX: u32 = 5;
/// Wait before the second attempt, in milliseconds; it doubles from attempt to attempt.
pub const EFFECT_BACKOFF_FIRST_MS: u64 = 1_000;
/// Longest wait between two attempts, in milliseconds: 15 minutes (H6).
pub const EFFECT_BACKOFF_MAX_MS: u64 = 15 * 60 * 1_000;
/// How long nothing is asked of a driver that used up its attempts, in milliseconds: 30 minutes (H6).
pub const BREAKER_OPEN_MS: u64 = 30 * 60 * 1_000;
/// Most timer changes (set or cancel) of one step.
pub const TIMER_CHANGES_MAX: usize = 1_024;
/// Longest name: idempotency key, source, kind, driver, timer id, invariant, view; in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest payload of an input, in bytes.
pub const INPUT_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest answer of a step or view, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Longest sentence of a rejection or violation, in bytes of UTF-8; a longer one is cut at a character.
pub const DETAIL_BYTES_MAX: usize = 1_024;
/// Longest log message, in bytes of UTF-8.
pub const LOG_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Most log messages of one step.
pub const LOG_MESSAGES_MAX: usize = 1_024;
/// Longest list in a description.
pub const DESCRIPTION_ITEMS_MAX: usize = 256;
/// Linear memory of a guest, in bytes. Growing past it answers -1 to the guest.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Elements of one guest table. Growing past it answers -1 to the guest.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Fuel of one step, its `check` included. Also the bound on guest stack depth: see `docs/architecture.md`.
pub const STEP_FUEL_MAX: u64 = 20_000_000;
/// Fuel of one view.
pub const VIEW_FUEL_MAX: u64 = 20_000_000;
/// Fuel of a migration.
pub const MIGRATE_FUEL_MAX: u64 = 20_000_000;
/// Fuel that every host call costs, before the bytes it moves.
pub const HOST_CALL_FUEL: u64 = 500;
/// Bytes that one unit of fuel moves across a host call.
pub const HOST_CALL_BYTES_PER_FUEL: u64 = 4;
/// Largest encoded receipt body, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 1_024;
/// Largest encoded input, in bytes: payload, three names and fixed fields.
pub const INPUT_BYTES_MAX: usize = INPUT_PAYLOAD_BYTES_MAX + 3 * NAME_BYTES_MAX + 64;
/// Largest encoded step record (diff with both values of each change, effects, timers, answer), in bytes.
pub const STEP_RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest component that is admitted, in bytes.
pub const COMPONENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// State of a ledger, in bytes of keys and values, policy and system together.
pub const STATE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How long the first answer to an idempotency key is kept, in milliseconds of logical time: 24 hours.
pub const IDEMPOTENCY_RETENTION_MS: u64 = 24 * 60 * 60 * 1_000;
/// Consecutive guest faults that suspend a ledger.
pub const GUEST_FAULTS_MAX: u64 = 3;
