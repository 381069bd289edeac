//! Building and testing for machines other than this one: `cargo xtask cross wasm|aarch64|old-cpu`.
//!
//! None of it is needed to work on x86-64, and nothing is installed here: each target says which tools it misses and how
//! to get them. Standard libraries come from rustup (`rustup target add ...`) or, where rustup cannot reach them, from
//! Debian's `rustc-web`, whose compiler is used with its own sources or its own cross library.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::{self, CiError};

const WASM: &str = "wasm32-unknown-unknown";
const AARCH64: &str = "aarch64-unknown-linux-gnu";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Tests that start a process of their own, which would run on this machine and not on the emulated one.
const ESCAPING: &str = "environment_variable_forces_a_level_or_fails";

/// A machine other than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// WebAssembly, with and without its vector instructions: the libraries build.
    Wasm,
    /// 64-bit Arm with NEON under qemu: the tests of the kernels and of what computes with them pass.
    Aarch64,
    /// An x86-64 of 2008 without AVX under qemu: every test passes.
    OldCpu,
}

/// Why a target was not checked, or did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrossError {
    #[error("{0}")]
    Missing(Missing),
    #[error(transparent)]
    Failed(#[from] CiError),
    #[error("the host is {host}: {target} runs on x86-64 only")]
    Host { host: &'static str, target: &'static str },
}

/// The tools that a target lacks on this machine, each with a way to get it.
#[derive(Debug)]
pub(crate) struct Missing {
    target: &'static str,
    tools: Vec<(&'static str, &'static str)>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be checked on this machine; missing:", self.target)?;
        self.tools.iter().try_for_each(|(tool, remedy)| write!(f, "\n  {tool}\n    {remedy}"))
    }
}

/// Builds or tests the workspace for `target`.
pub(crate) fn run(target: Target) -> Result<(), CrossError> {
    match target {
        Target::Wasm => wasm(),
        Target::Aarch64 => aarch64(),
        Target::OldCpu => old_cpu(),
    }
}

fn wasm() -> Result<(), CrossError> {
    let debian = !rustup_has(WASM);
    if debian {
        let library = debian_file("../src/rust/library/Cargo.lock") || debian_file("src/rust/library/Cargo.lock");
        let remedy = "rustup target add wasm32-unknown-unknown, or: apt install rustc-web rust-web-src";
        let linker = (ci::on_path("wasm-ld"), "the linker wasm-ld (with Debian's compiler)", "apt install lld");
        require("wasm", &[(library, "the standard library", remedy), linker])?;
    }
    for simd in ["", "-Ctarget-feature=+simd128"] {
        let selections: [&[&str]; 4] = [
            &["--package", "ann-simd"],
            &["--package", "ann-core", "--no-default-features"],
            &["--package", "ann", "--no-default-features"],
            &["--package", "ann", "--no-default-features", "--features", "graph"],
        ];
        for selection in selections {
            let mut command = ci::cargo(&["build", "--release", "--target", WASM]);
            command.args(selection);
            let mut flags = simd.to_owned();
            if debian {
                use_debian_rustc(&mut command);
                command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
                flags.push_str(" -Clinker=wasm-ld");
            }
            command.env("RUSTFLAGS", flags.trim()).env("CARGO_TARGET_DIR", target_dir());
            println!(
                "{WASM} {} {}",
                selection.join(" "),
                if simd.is_empty() { "without SIMD" } else { "with simd128" }
            );
            ci::run(&mut command)?;
        }
    }
    Ok(())
}

fn aarch64() -> Result<(), CrossError> {
    let debian = !rustup_has(AARCH64);
    let native = cfg!(target_arch = "aarch64");
    if !native {
        let library = !debian || debian_file(&format!("{AARCH64}/lib"));
        let remedy = "rustup target add aarch64-unknown-linux-gnu, or: dpkg --add-architecture arm64; apt install rustc-web; \
                      apt-get download libstd-rust-web-dev:arm64; unpack it with dpkg -x and copy its \
                      usr/lib/rustlib/aarch64-unknown-linux-gnu under /usr/lib/rustlib";
        let packages = "apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
        let linker = (ci::on_path("aarch64-linux-gnu-gcc"), "the linker aarch64-linux-gnu-gcc", packages);
        let emulator = (ci::on_path("qemu-aarch64"), "the emulator qemu-aarch64", "apt install qemu-user");
        require("aarch64", &[(library, "the standard library", remedy), linker, emulator])?;
    }
    let mut command =
        ci::cargo(&["test", "--no-fail-fast", "--package", "ann-simd", "--package", "ann-core", "--lib", "--tests"]);
    if !native {
        command
            .args(["--target", AARCH64])
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu")
            .env("CARGO_TARGET_DIR", target_dir());
        if debian {
            use_debian_rustc(&mut command);
        }
        command.args(["--", "--skip", ESCAPING]);
    }
    Ok(ci::run(&mut command)?)
}

fn old_cpu() -> Result<(), CrossError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(CrossError::Host { host: std::env::consts::ARCH, target: "old-cpu" });
    }
    let emulator = (ci::on_path("qemu-x86_64"), "the emulator qemu-x86_64", "apt install qemu-user");
    require("old-cpu", &[emulator])?;
    for test in ci::binaries(&["test", "--no-run", "--lib", "--bins", "--tests"])? {
        println!("Nehalem: {} {}", test.package, test.target);
        let mut command = Command::new("qemu-x86_64");
        command.args(["-cpu", "Nehalem"]).arg(&test.path).args(["--quiet", "--skip", ESCAPING]).current_dir(&test.dir);
        ci::run(command.env("CARGO_MANIFEST_DIR", &test.dir))?;
    }
    Ok(())
}

/// An error that names every tool that is not there.
fn require(target: &'static str, tools: &[(bool, &'static str, &'static str)]) -> Result<(), CrossError> {
    let missing = tools.iter().filter(|(there, ..)| !there);
    let tools: Vec<_> = missing.map(|&(_, tool, remedy)| (tool, remedy)).collect();
    if tools.is_empty() { Ok(()) } else { Err(CrossError::Missing(Missing { target, tools })) }
}

/// Whether the toolchain of this repository has the standard library of a target.
fn rustup_has(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(crate::tidy::root());
    let Ok(output) = rustc.output() else { return false };
    let dir = String::from_utf8_lossy(&output.stdout);
    output.status.success() && Path::new(dir.trim()).is_dir()
}

/// Whether Debian's compiler has a file or directory under its `lib/rustlib`.
fn debian_file(path: &str) -> bool {
    Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]).output().is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&sysroot).join("lib/rustlib").join(path).exists()
    })
}

fn use_debian_rustc(command: &mut Command) {
    command.env("RUSTC", DEBIAN_RUSTC);
}

/// Apart from the native builds, so that neither pushes the other out of its cache.
fn target_dir() -> PathBuf {
    let built = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::tidy::root().join("target"), PathBuf::from);
    built.join("cross")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_tool_is_named_with_a_remedy() {
        let tools = [(true, "present", "x"), (false, "linker", "install it"), (false, "emulator", "apt install e")];
        let message = require("wasm", &tools).unwrap_err().to_string();
        assert!(message.starts_with("wasm cannot be checked"), "{message}");
        for part in ["linker", "install it", "emulator", "apt install e"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("present"), "{message}");
        assert!(require("wasm", &tools[..1]).is_ok());
    }
}
