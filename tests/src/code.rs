//! Compiled guests, kept for all tests: otherwise every node of every test would compile its policy anew.

use std::{
    env,
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, symlink},
    path::Path,
};

/// Gives a new node the code that nodes of other tests have compiled, and them what it compiles. They have one key for it,
/// as copies of one node would.
///
/// # Panics
/// When the directory beside the test programs cannot be written to.
pub fn share_compiled_code(node: &Path) {
    let test = env::current_exe().expect("a test knows where it is");
    let shared = test.parent().and_then(Path::parent).expect("it is in deps").join("compiled-guests");
    let (code, key, own) = (shared.join("code"), shared.join("key"), node.join("keys/cache.key"));
    DirBuilder::new().recursive(true).mode(0o700).create(&code).expect("it can be written to");
    first_of(&key, &fs::read(&own).expect("a new node has its keys")).expect("it can be written to");
    fs::copy(&key, &own).expect("both are there");
    fs::remove_dir(node.join("cache")).expect("nothing is in it yet");
    symlink(&code, node.join("cache")).expect("nothing is there any more");
}

/// Writes a private file, unless somebody else was first.
fn first_of(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A temporary file is private.
    let mut unfinished = tempfile::NamedTempFile::new_in(path.parent().expect("it is in a directory"))?;
    unfinished.write_all(bytes)?;
    match unfinished.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
