//! The invariants of docs/ARCHITECTURE.md that a plain reading of the text can check, and the marks of a tidy tree.
//!
//! Nearly all of them are absences: what a crate must not name, see or do. Comments and string literals are blanked
//! before code is searched, and what follows `#[cfg(test)] mod` is left out where a rule concerns the library alone.
//! The same check is a unit test below, so `cargo test` holds no fewer rules than continuous integration.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longer files are named in a warning.
const LONG_FILE: usize = 600;

/// What each crate of the workspace may depend on, tests apart. A crate that is missing here may see everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("ann-simd", &[]),
    ("ann-core", &["ann-simd"]),
    ("ann-io", &["ann-simd", "ann-core"]),
    ("ann-quant", &["ann-simd", "ann-core", "ann-io"]),
    ("ann-graph", &["ann-simd", "ann-core", "ann-io"]),
    ("ann-partition", &["ann-simd", "ann-core", "ann-io", "ann-quant"]),
    ("ann-tree", &["ann-simd", "ann-core", "ann-io"]),
    ("ann-cluster", &["ann-core", "ann-graph", "ann-quant"]),
    ("ann-testkit", &["ann-simd", "ann-core"]),
    ("ann", &["ann-simd", "ann-core", "ann-io", "ann-quant", "ann-graph", "ann-partition", "ann-tree", "ann-cluster"]),
];

/// A word that only some paths may name in code.
struct Confined {
    word: &'static str,
    /// Where the rule holds: a prefix of the path.
    within: &'static str,
    /// Paths under `within` that are free of it, as prefixes.
    except: &'static [&'static str],
    /// Whether tests must keep it too.
    tests_too: bool,
    reason: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        word: "unsafe",
        within: "",
        except: &["crates/ann-simd/"],
        tests_too: true,
        reason: "unsafe code lives in ann-simd only",
    },
    Confined {
        word: "rayon",
        within: "crates/",
        except: &["crates/ann-core/src/par.rs"],
        tests_too: true,
        reason: "threads are the business of ann-core/src/par.rs",
    },
    Confined {
        word: "bincode",
        within: "",
        except: &["crates/ann-io/src/container/manifest.rs"],
        tests_too: true,
        reason: "the codec is named in ann-io/src/container/manifest.rs only",
    },
    Confined {
        word: "hdf5_pure",
        within: "crates/",
        except: &["crates/ann-io/"],
        tests_too: true,
        reason: "file formats are the business of ann-io",
    },
    Confined { word: "println!", within: "crates/", except: &[], tests_too: false, reason: "libraries do not print" },
    Confined { word: "eprintln!", within: "crates/", except: &[], tests_too: false, reason: "libraries do not print" },
    Confined { word: "print!", within: "crates/", except: &[], tests_too: false, reason: "libraries do not print" },
    Confined { word: "eprint!", within: "crates/", except: &[], tests_too: false, reason: "libraries do not print" },
    Confined {
        word: "thread_local!",
        within: "crates/",
        // An allocator has nowhere else to keep its counts, and acts only in a program that installs it.
        except: &["crates/ann-simd/src/memory/counting.rs"],
        tests_too: false,
        reason: "no hidden state",
    },
    Confined { word: "static mut", within: "crates/", except: &[], tests_too: true, reason: "no hidden state" },
    Confined { word: "LazyLock", within: "crates/", except: &[], tests_too: false, reason: "no hidden state" },
    Confined { word: "OnceLock", within: "crates/", except: &[], tests_too: false, reason: "no hidden state" },
    Confined { word: "thread_rng", within: "", except: &[], tests_too: true, reason: "seeds are parameters" },
];

/// One thing that is out of place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root of the repository, with `/`.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub what: String,
    /// Named, but no reason to fail.
    pub warning: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        write!(f, "{}:{}: {kind}{}", self.path, self.line, self.what)
    }
}

/// The root of this repository, as it was when xtask was compiled.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Everything that is out of place in the tree under `root`, in the order of the paths.
pub(crate) fn check(root: &Path) -> io::Result<Vec<Finding>> {
    let mut files = Vec::new();
    for top in ["crates", "xtask", "benches", "docs", "datasets"] {
        collect(&root.join(top), &mut files)?;
    }
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_file() && is_text(&path) {
            files.push(path);
        }
    }
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let path = relative(root, &file);
        let text = fs::read_to_string(&file).map_err(|e| io::Error::new(e.kind(), format!("{path}: {e}")))?;
        findings.extend(check_file(&path, &text));
    }
    Ok(findings)
}

/// What is out of place in one file; `path` is relative to the root, with `/`.
fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |line: usize, what: String| {
        findings.push(Finding { path: path.to_owned(), line, what, warning: false });
    };
    for (i, line) in text.lines().enumerate() {
        if line != line.trim_end() {
            report(i + 1, "trailing whitespace".into());
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        report(text.lines().count(), "no newline at the end of the file".into());
    }
    if path.ends_with("Cargo.toml") {
        for (line, name) in foreign_arrows(path, text) {
            report(line, format!("this crate must not see {name} (docs/ARCHITECTURE.md)"));
        }
    }
    if !path.ends_with(".rs") {
        return findings;
    }

    // `foo/tests.rs` says by its place what it is.
    if !path.ends_with("/tests.rs") && !has_module_doc(text) {
        report(1, "no module documentation: the file must open with //!".into());
    }
    let is_root = path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    let code = code_only(text);
    if is_root && !path.starts_with("crates/ann-simd/") && !code.contains("#![forbid(unsafe_code)]") {
        report(1, "the crate does not say #![forbid(unsafe_code)]".into());
    }
    for (i, line) in text.lines().enumerate() {
        if is_banner(line) {
            report(i + 1, "banner comment".into());
        }
        if let Some(mark) = mark_without_reference(line) {
            report(i + 1, format!("{mark} without a reference: write {mark}(#123)"));
        }
    }
    let tests_start = tests_start(path, &code);
    for rule in CONFINED.iter().filter(|r| path.starts_with(r.within) && !r.except.iter().any(|e| path.starts_with(e)))
    {
        for (i, line) in code.lines().enumerate() {
            if (rule.tests_too || i < tests_start) && names(line, rule.word) {
                report(i + 1, format!("`{}`: {}", rule.word, rule.reason));
            }
        }
    }
    let lines = text.lines().count();
    if lines > LONG_FILE {
        let what = format!("{lines} lines; a file should read in one sitting (docs/STYLE.md)");
        findings.push(Finding { path: path.to_owned(), line: lines, what, warning: true });
    }
    findings
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if path.is_dir() && !matches!(name, "target" | "cache" | "results") {
            collect(&path, files)?;
        } else if path.is_file() && is_text(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "rs" | "toml" | "md"))
}

fn relative(root: &Path, file: &Path) -> String {
    let parts = file.strip_prefix(root).unwrap_or(file).components();
    parts.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}

/// Crates of ours among the dependencies of a manifest that docs/ARCHITECTURE.md draws no arrow to, with their lines.
fn foreign_arrows(path: &str, manifest: &str) -> Vec<(usize, String)> {
    let name = path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml")).unwrap_or("");
    let Some((_, allowed)) = ARROWS.iter().find(|(krate, _)| *krate == name) else { return Vec::new() };
    let mut foreign = Vec::new();
    let mut section = "";
    for (i, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim();
        }
        let dependencies = section.ends_with("dependencies]") && !section.ends_with("dev-dependencies]");
        let key = line.split(['.', '=', ' ']).next().unwrap_or("");
        let ours = key == "ann" || key.starts_with("ann-");
        if dependencies && ours && !allowed.contains(&key) {
            foreign.push((i + 1, key.to_owned()));
        }
    }
    foreign
}

/// Whether the first line that is neither blank nor an inner attribute is a module comment.
fn has_module_doc(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with("#!["));
    first.is_some_and(|l| l.starts_with("//!"))
}

fn is_banner(line: &str) -> bool {
    let rest = line.trim_start().trim_start_matches('/');
    line.trim_start().starts_with("//")
        && ["----", "====", "****", "####", "~~~~"].iter().any(|b| rest.trim_start().starts_with(b))
}

/// A mark of unfinished work in a comment that names no issue.
fn mark_without_reference(line: &str) -> Option<&'static str> {
    let (_, comment) = line.split_once("//")?;
    const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    MARKS.into_iter().find(|mark| {
        let referenced = comment.contains(&format!("{mark}(#"));
        names(comment, mark) && !referenced
    })
}

/// The line, from 0, where the tests of a file begin: the whole of a file of tests, else `#[cfg(test)]` before a module.
fn tests_start(path: &str, code: &str) -> usize {
    if path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/examples/") {
        return 0;
    }
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let is_start = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(is_start).unwrap_or(lines.len())
}

/// Whether `line` holds `word` as a word of its own.
fn names(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}

/// The source with comments and the insides of literals blanked, line by line as it was.
fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            string_literal(rest)
        } else if let Some(len) = raw_string(rest, code.chars().next_back()) {
            len
        } else {
            char_literal(rest).unwrap_or(0)
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// Bytes of the block comment that `text` opens with; such comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Bytes of the string literal that `text` opens with, quotes included.
fn string_literal(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of the raw string literal that `text` opens with, if it does; `before` is the character in front of it.
fn raw_string(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') && before != Some('b') {
        return None;
    }
    let after_r = text.strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let body = after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| 1 + hashes + 1 + at + end.len()))
}

/// Bytes of the character literal that `text` opens with; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let end = body.char_indices().skip(2).find(|&(_, c)| c == '\'')?.0;
        return Some(1 + end + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(1 + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(path: &str, text: &str) -> Vec<String> {
        check_file(path, text).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn the_tree_is_tidy() {
        let errors: Vec<String> =
            check(&root()).unwrap().into_iter().filter(|f| !f.warning).map(|f| f.to_string()).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }

    #[test]
    fn confined_words_are_found_outside_their_home_only() {
        let code = "//! Doc.\nfn f() { unsafe { g() } }\n";
        assert_eq!(whats("crates/ann-core/src/a.rs", code).len(), 1);
        assert_eq!(whats("crates/ann-simd/src/a.rs", code).len(), 0);
        assert_eq!(whats("crates/ann-graph/src/a.rs", "//! Doc.\nuse rayon::prelude::*;\n").len(), 1);
        assert_eq!(whats("crates/ann-core/src/par.rs", "//! Doc.\nuse rayon::prelude::*;\n").len(), 0);
        assert_eq!(whats("crates/ann-io/src/vecs.rs", "//! Doc.\nbincode::encode();\n").len(), 1);
        assert_eq!(whats("crates/ann-io/src/container/manifest.rs", "//! Doc.\nbincode::encode();\n").len(), 0);
    }

    #[test]
    fn comments_strings_and_longer_words_are_no_code() {
        let text = "//! Doc.\n// unsafe\n/* unsafe /* unsafe */ unsafe */\nconst A: &str = \"a \\\" unsafe\";\n\
                    const B: &str = r#\"unsafe \" unsafe\"#;\nconst C: char = '\"';\nfn unsafe_code<'a>() {}\n";
        assert_eq!(whats("crates/ann-core/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn code_after_a_literal_is_still_code() {
        let text = "//! Doc.\nconst C: (char, char, &str) = ('\"', '\\'', \"\\\\\");\nfn f() { unsafe {} }\n";
        assert_eq!(check_file("crates/ann-core/src/a.rs", text)[0].line, 3);
    }

    #[test]
    fn printing_is_for_tests_and_tools() {
        let in_test = "//! Doc.\n#[cfg(test)]\nmod tests {\n    fn f() { println!(); }\n}\n";
        assert_eq!(whats("crates/ann-core/src/a.rs", in_test).len(), 0);
        assert_eq!(whats("crates/ann-core/src/a.rs", "//! Doc.\nfn f() { println!(); }\n").len(), 1);
        assert_eq!(whats("xtask/src/a.rs", "//! Doc.\nfn f() { println!(); }\n").len(), 0);
    }

    #[test]
    fn marks_of_an_untidy_file_are_named() {
        let mark = concat!("TO", "DO");
        assert_eq!(whats("xtask/src/a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(whats("xtask/src/a.rs", "//! Doc. \n").len(), 1);
        assert_eq!(whats("xtask/src/a.rs", "//! Doc.").len(), 1);
        assert_eq!(whats("xtask/src/a.rs", "//! Doc.\n// -----\n").len(), 1);
        assert_eq!(whats("xtask/src/a.rs", &format!("//! Doc.\n// {mark}: later\n")).len(), 1);
        assert_eq!(whats("xtask/src/a.rs", &format!("//! Doc.\n// {mark}(#12): later\n")).len(), 0);
        assert_eq!(whats("crates/ann-io/src/lib.rs", "//! Doc.\n").len(), 1);
    }

    #[test]
    fn arrows_between_crates_only_point_down() {
        let manifest = "[dependencies]\nann-graph.workspace = true\n[dev-dependencies]\nann-testkit.workspace = true\n";
        assert_eq!(foreign_arrows("crates/ann-core/Cargo.toml", manifest), [(2, "ann-graph".to_owned())]);
        assert_eq!(foreign_arrows("crates/ann/Cargo.toml", manifest), []);
    }

    #[test]
    fn long_files_warn_and_do_not_fail() {
        let text = format!("//! Doc.\n{}", "fn f() {}\n".repeat(LONG_FILE));
        assert!(check_file("xtask/src/a.rs", &text).iter().all(|f| f.warning));
        assert_eq!(check_file("xtask/src/a.rs", &text).len(), 1);
    }
}
