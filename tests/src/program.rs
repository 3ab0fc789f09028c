//! The command `reprise`, built for the tests that run it as a process.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The command, built once by each test program into the directory that the test was built into.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = env::current_exe().expect("a test knows where it is");
        let profile_dir = test.parent().and_then(Path::parent).expect("it is in deps").to_owned();
        let mut build = Command::new(env!("CARGO"));
        // With a test beside it, it is built with the features of the tests: nothing is compiled a second time.
        build.args(["build", "--locked", "--offline", "--workspace", "--bin", "reprise", "--test", "tidy"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        // Build scripts that read them would run again, and all that is built upon them would be built again.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        build.env("CARGO_TARGET_DIR", profile_dir.parent().expect("a profile has a directory of its own"));
        if profile_dir.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        let built = build.output().expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        profile_dir.join("reprise")
    })
}
