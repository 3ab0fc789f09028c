//! Engine threads: threads whose stack is large enough for any guest.
//!
//! A guest may use [`WASM_STACK_BYTES`]. wasmtime counts from where the guest is entered and knows nothing of the end
//! of the thread's stack, so on an ordinary thread a deep guest would kill the process. Executors refuse to run there.

use super::back_end::WASM_STACK_BYTES;
use std::{
    cell::Cell,
    io,
    thread::{Builder, JoinHandle},
};

/// Stack of an engine thread, in bytes: a guest's, and room for the host's own calls below and above it. The system
/// takes memory for the part that is used.
pub const STACK_BYTES: usize = 1024 * 1024 * 1024;

const _: () = assert!(WASM_STACK_BYTES + 128 * 1024 * 1024 <= STACK_BYTES);

thread_local! {
    static IS_ENGINE_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread on which executors run.
///
/// # Errors
/// When the system has no room for the thread or its stack.
pub fn on_engine_thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
        IS_ENGINE_THREAD.set(true);
        run()
    })
}

/// The current thread was started by [`on_engine_thread`].
pub(super) fn is_engine_thread() -> bool {
    IS_ENGINE_THREAD.get()
}
