//! Continuous integration: `cargo xtask ci` runs what `.ci/run` runs, in the same order, on any machine.
//!
//! Steps share one feature set and one profile wherever they can, and the runs at a forced SIMD level start the very
//! binaries that `cargo test --workspace` builds, so that the workspace is compiled for tests once. The first failure
//! ends the run. The tests come last: their result lines are the end of the output.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tidy;

/// The test command of README.md, word for word.
const TEST: &[&str] = &["test", "--workspace"];
/// Crates that are also built without their default features.
const LIBRARIES: &[&str] =
    &["ann-simd", "ann-core", "ann-io", "ann-quant", "ann-graph", "ann-partition", "ann-tree", "ann-cluster", "ann"];
/// Crates whose tests run again at every forced level.
const LEVELLED: &[&str] = &["ann-simd", "ann-core", "ann-quant", "ann-graph"];
/// What the smoke run of the benchmark must reach on the bundled data at the larger of its two efforts.
const SMOKE_EFFORTS: &str = "20,100";
const SMOKE_RECALL: f64 = 0.9;

/// What ended a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CiError {
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: std::process::ExitStatus },
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: std::io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{count} things are out of place, named above")]
    Untidy { count: usize },
    #[error("the benchmark wrote no line with a recall of {SMOKE_RECALL} or more; its last line: {last:?}")]
    Smoke { last: String },
    #[error("no temporary directory: {0}")]
    Temporary(std::io::Error),
}

type Step = (&'static str, fn() -> Result<(), CiError>);

/// Everything that a change has to pass.
pub(crate) fn ci() -> Result<(), CiError> {
    run_steps(&[
        ("formatting", formatting),
        ("tidy", check_tidy),
        // The features that are on by default are all there are, so this is the set of the other steps too.
        ("clippy, all features", || run(&mut clippy(&["--workspace", "--all-targets", "--all-features"]))),
        ("clippy, without default features", clippy_without_features),
        ("documentation", || run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))),
        ("licences and sources of dependencies", || deny(&["bans", "licenses", "sources"])),
        ("examples", run_examples),
        ("tests at forced SIMD levels", test_levels),
        ("benchmark on the bundled data", smoke_benchmark),
        ("tests", || run(&mut cargo(TEST))),
    ])
}

/// What takes long, or depends on more than the commit: tests at full size, benchmarks once each, new advisories.
pub(crate) fn nightly() -> Result<(), CiError> {
    run_steps(&[
        ("advisories against dependencies", || deny(&["advisories"])),
        ("benches, once each", || run(&mut cargo(&["bench", "--package", "benches", "--", "--test"]))),
        ("long tests", || run(&mut cargo(&["test", "--workspace", "--release", "--", "--ignored"]))),
    ])
}

/// A compiled test or example.
pub(crate) struct Binary {
    pub package: String,
    pub target: String,
    /// The directory of its package, where cargo would start it.
    pub dir: PathBuf,
    pub path: PathBuf,
}

/// The binaries that `cargo ARGS` builds for the workspace with the features of the test command.
pub(crate) fn binaries(args: &[&str]) -> Result<Vec<Binary>, CiError> {
    let mut command = cargo(args);
    command.args(["--workspace", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|source| CiError::Start { command: shown(&command), source })?;
    if !output.status.success() {
        return Err(CiError::Failed { command: shown(&command), status: output.status });
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(binary).collect())
}

/// `cargo ARGS` at the root of the repository.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(tidy::root());
    command
}

/// Runs a command to its end, its output on ours.
pub(crate) fn run(command: &mut Command) -> Result<(), CiError> {
    let status = command.status().map_err(|source| CiError::Start { command: shown(command), source })?;
    if status.success() { Ok(()) } else { Err(CiError::Failed { command: shown(command), status }) }
}

/// Whether a program is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|dir| dir.join(program).is_file() || dir.join(format!("{program}.exe")).is_file())
}

fn run_steps(steps: &[Step]) -> Result<(), CiError> {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for (i, (name, step)) in steps.iter().enumerate() {
        if i + 1 == steps.len() {
            println!("\nso far:");
            for (name, time) in &times {
                println!("{:8.1} s  {name}", time.as_secs_f64());
            }
        }
        println!("\n[{}/{}] {name}", i + 1, steps.len());
        let start = Instant::now();
        step()?;
        times.push((name, start.elapsed()));
    }
    Ok(())
}

fn formatting() -> Result<(), CiError> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["fmt", "--check", "--manifest-path", "benches/peers/Cargo.toml"]))
}

fn check_tidy() -> Result<(), CiError> {
    let root = tidy::root();
    let findings = tidy::check(&root).map_err(|source| CiError::Read { path: root, source })?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|f| !f.warning).count() {
        0 => Ok(()),
        count => Err(CiError::Untidy { count }),
    }
}

fn clippy(selection: &[&str]) -> Command {
    let mut command = cargo(&["clippy"]);
    command.args(selection).args(["--", "-D", "warnings"]);
    command
}

/// One crate at a time: selected together they would switch on each other's features.
fn clippy_without_features() -> Result<(), CiError> {
    LIBRARIES.iter().try_for_each(|name| run(&mut clippy(&["--package", name, "--no-default-features"])))
}

fn deny(checks: &[&str]) -> Result<(), CiError> {
    if !on_path("cargo-deny") {
        println!("skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    run(cargo(&["deny", "--all-features", "check"]).args(checks))
}

/// Examples take no arguments and end within seconds, but for those that measure something.
fn run_examples() -> Result<(), CiError> {
    for example in binaries(&["build", "--examples"])?.iter().filter(|b| !b.target.starts_with("measure")) {
        println!("example {} of {}", example.target, example.package);
        run(&mut start(example))?;
    }
    Ok(())
}

/// The tests of the crates that compute, once per level below the best of this machine, which the last step uses.
fn test_levels() -> Result<(), CiError> {
    let built = binaries(&["test", "--no-run", "--lib", "--tests"])?;
    for level in forced_levels() {
        for test in built.iter().filter(|b| LEVELLED.contains(&b.package.as_str())) {
            println!("ANN_ARCH={level} {} {}", test.package, test.target);
            run(start(test).arg("--quiet").env("ANN_ARCH", level))?;
        }
    }
    Ok(())
}

/// Levels worth a run of their own: the plain loop everywhere, and AVX2 where it is there.
fn forced_levels() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
        return vec!["scalar", "v3"];
    }
    vec!["scalar"]
}

fn smoke_benchmark() -> Result<(), CiError> {
    let dir = tempfile::tempdir().map_err(CiError::Temporary)?;
    let lines = dir.path().join("smoke.jsonl");
    let this = env::current_exe().map_err(|source| CiError::Start { command: "xtask".into(), source })?;
    let mut command = Command::new(this);
    command.args(["bench", "--index", "HNSW16", "--queries", "100", "--effort", SMOKE_EFFORTS, "--out"]).arg(&lines);
    run(command.current_dir(tidy::root()))?;
    let text = fs::read_to_string(&lines).map_err(|source| CiError::Read { path: lines, source })?;
    let recalls = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()?.get("recall")?.as_f64());
    if recalls.fold(0.0, f64::max) >= SMOKE_RECALL {
        return Ok(());
    }
    Err(CiError::Smoke { last: text.lines().next_back().unwrap_or("").to_owned() })
}

fn start(binary: &Binary) -> Command {
    let mut command = Command::new(&binary.path);
    command.current_dir(&binary.dir).env("CARGO_MANIFEST_DIR", &binary.dir);
    command
}

/// The binary that one line of cargo's JSON output announces, if it does.
fn binary(line: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message.get("executable")?.as_str()?;
    let dir = Path::new(message.get("manifest_path")?.as_str()?).parent()?;
    let target = message.get("target")?;
    let kinds = target.get("kind")?.as_array()?;
    let is_test = message.get("profile")?.get("test")?.as_bool()?;
    if !is_test && !kinds.iter().any(|k| k.as_str() == Some("example")) {
        return None;
    }
    Some(Binary {
        package: dir.file_name()?.to_str()?.to_owned(),
        target: target.get("name")?.as_str()?.to_owned(),
        dir: dir.to_owned(),
        path: path.into(),
    })
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        fs::read_to_string(tidy::root().join(path)).unwrap()
    }

    #[test]
    fn the_readme_names_the_test_command_that_runs_here() {
        let command = format!("cargo {}\n", TEST.join(" "));
        assert!(read("README.md").contains(&command), "README.md should name `{}`", command.trim());
    }

    #[test]
    fn the_readme_and_the_documentation_begin_with_the_same_example() {
        let example = |text: &str, fence: &str| {
            let body = text.split_once(fence).unwrap().1;
            body.split_once("```").unwrap().0.trim().to_owned()
        };
        let library: String = read("crates/ann/src/lib.rs")
            .lines()
            .map_while(|l| l.strip_prefix("//!"))
            .map(|l| format!("{}\n", l.strip_prefix(' ').unwrap_or(l)))
            .collect();
        assert_eq!(example(&read("README.md"), "```rust\n"), example(&library, "```\n"));
    }

    #[test]
    fn every_library_crate_is_checked_without_its_default_features() {
        let mut crates: Vec<String> = fs::read_dir(tidy::root().join("crates"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| !read(&format!("crates/{name}/Cargo.toml")).contains("publish = false"))
            .collect();
        let mut listed: Vec<&str> = LIBRARIES.to_vec();
        crates.sort();
        listed.sort_unstable();
        assert_eq!(crates, listed);
    }

    #[test]
    fn test_binaries_are_told_from_other_messages() {
        let message = |kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/r/crates/ann-core/Cargo.toml","target":{{"kind":["{kind}"],"name":"t"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let found = binary(&message("lib", true, r#""/r/target/t-1""#)).unwrap();
        assert_eq!((found.package.as_str(), found.target.as_str()), ("ann-core", "t"));
        assert_eq!(found.path, Path::new("/r/target/t-1"));
        assert!(binary(&message("example", false, r#""/r/target/e""#)).is_some());
        assert!(binary(&message("bin", false, r#""/r/target/b""#)).is_none());
        assert!(binary(&message("lib", true, "null")).is_none());
        assert!(binary("not JSON").is_none());
    }
}
