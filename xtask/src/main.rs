//! Project automation, run as `cargo xtask`: benchmarks, data sets, continuous integration.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod args;
mod bench;
mod ci;
mod codes;
mod cross;
mod data;
mod engine;
mod error;
mod filters;
mod targets;
mod tidy;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use error::Error;

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Bench(args) => bench::run(args),
        Command::Codes(args) => codes::run(args, codes::Table::Codes),
        Command::Ranks(args) => codes::run(args, codes::Table::Ranks),
        Command::Filters(args) => filters::run(args),
        Command::Targets(args) => targets::run(args),
        Command::Data(command) => data::commands::run(command),
        Command::Ci => Ok(ci::ci()?),
        Command::Nightly => Ok(ci::nightly()?),
        Command::Cross { target } => Ok(cross::run(*target)?),
    }
}
