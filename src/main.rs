//! The `lyceum` command: everything is in the library, so that whole servers can run inside tests.

fn main() -> std::process::ExitCode {
    lyceum_heap::settle();
    lyceum::cli::main()
}
