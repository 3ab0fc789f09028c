//! The command `reprise`.

fn main() -> std::process::ExitCode {
    reprise::cli::main()
}
