//! The program: all of it is in the library, which cargo compiles while the crates
//! that it stands on are still being optimised. A program would wait for them.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::main()
}
