//! hostward's entry point.

fn main() -> std::process::ExitCode {
    hostward::cli::main().into()
}
