//! Results: one JSON line per setting, the table on the screen, and the series that the plots show.
//!
//! The lines carry the keys that other benchmark scripts of the field's libraries can write too, so that curves of
//! different programs come together in one file; a file therefore may hold peers that were never measured here, with
//! settings of any JSON type.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One measured setting. The order of the fields is the order of the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Base name of the data file.
    pub data: String,
    /// Base vectors.
    pub n: usize,
    /// Library and index: `ann:HNSW16`.
    pub peer: String,
    /// What was varied: `ef` for graphs.
    pub setting: Value,
    /// Results per query.
    pub k: usize,
    /// Recall at `k`, in `0..=1`.
    pub recall: f64,
    /// Queries per second, best pass.
    pub qps: f64,
    /// Seconds to build.
    pub build_s: f64,
    /// Threads of the build.
    pub build_threads: usize,
    /// Growth of the resident memory of the process over the build, MiB.
    pub rss_mb: f64,
}

/// Why results cannot be written or read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// File in question.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// A line that is no result.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// File in question.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The drawing failed.
    #[error("plot: {0}")]
    Plot(String),
}

impl Line {
    /// Rounded as the other scripts round, so that lines stay readable.
    pub(crate) fn rounded(mut self) -> Self {
        self.recall = round(self.recall, 5);
        self.qps = round(self.qps, 1);
        self.build_s = round(self.build_s, 2);
        self.rss_mb = round(self.rss_mb, 1);
        self
    }

    /// The setting as people write it: `64`, not `"64"`.
    pub(crate) fn setting(&self) -> String {
        self.setting.as_str().map_or_else(|| self.setting.to_string(), str::to_owned)
    }

    /// Heading of [`Self::row`].
    pub(crate) const HEADING: &str =
        "peer                      setting    recall         qps   build s  threads    rss MiB";

    /// One row of the table on the screen.
    pub(crate) fn row(&self) -> String {
        format!(
            "{:<25} {:>7} {:>9.5} {:>11.1} {:>9.2} {:>8} {:>10.1}",
            self.peer,
            self.setting(),
            self.recall,
            self.qps,
            self.build_s,
            self.build_threads,
            self.rss_mb
        )
    }

    /// All lines of `path`.
    ///
    /// # Errors
    /// If the file cannot be read or a line is no result.
    pub(crate) fn read(path: &Path) -> Result<Vec<Self>, ReportError> {
        let text = fs::read_to_string(path).map_err(|source| ReportError::Io { path: path.to_owned(), source })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                serde_json::from_str(line).map_err(|error| ReportError::Line {
                    path: path.to_owned(),
                    line: number + 1,
                    reason: error.to_string(),
                })
            })
            .collect()
    }
}

/// Adds a line of JSON to the end of `path`, which is created with its folders if need be.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn append(line: &impl Serialize, path: &Path) -> Result<(), ReportError> {
    let io = |source| ReportError::Io { path: path.to_owned(), source };
    create_parent(path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
    let text = serde_json::to_string(line).map_err(|error| io(error.into()))?;
    writeln!(file, "{text}").map_err(io)
}

/// `value` to so many digits behind the point.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    (value * 10f64.powi(digits)).round() / 10f64.powi(digits)
}

/// Creates the folder that `path` is to lie in.
pub(crate) fn create_parent(path: &Path) -> Result<(), ReportError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            fs::create_dir_all(folder).map_err(|source| ReportError::Io { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// All settings of one peer on one data set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// Library and index.
    pub peer: String,
    /// Its lines, in order of recall.
    pub lines: Vec<Line>,
}

impl Series {
    /// Groups the lines of one data set and one `k` by peer, in order of first appearance. Where a setting was
    /// measured again, the last measurement counts.
    pub(crate) fn collect(lines: &[Line], data: &str, k: usize) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in lines.iter().filter(|line| line.data == data && line.k == k) {
            let at = all.iter().position(|series| series.peer == line.peer).unwrap_or_else(|| {
                all.push(Self { peer: line.peer.clone(), lines: Vec::new() });
                all.len() - 1
            });
            let series = &mut all[at];
            series.lines.retain(|old| old.setting != line.setting);
            series.lines.push(line.clone());
        }
        for series in &mut all {
            series.lines.sort_by(|a, b| a.recall.total_cmp(&b.recall).then(b.qps.total_cmp(&a.qps)));
        }
        all
    }

    /// The Pareto frontier: the lines that no other beats in both recall and speed, in order of recall.
    pub(crate) fn frontier(&self) -> Vec<&Line> {
        let (mut best, mut frontier) = (f64::NEG_INFINITY, Vec::new());
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|a, b| b.recall.total_cmp(&a.recall).then(b.qps.total_cmp(&a.qps)));
        for line in lines {
            if line.qps > best {
                best = line.qps;
                frontier.push(line);
            }
        }
        frontier.reverse();
        frontier
    }

    /// Queries per second at a recall: between two points of the frontier log(QPS) is linear in recall. `None` beyond
    /// the highest recall reached; nothing is extrapolated.
    pub(crate) fn qps_at(&self, recall: f64) -> Option<f64> {
        let frontier = self.frontier();
        let above = frontier.iter().position(|line| line.recall >= recall)?;
        let high = frontier[above];
        let Some(low) = above.checked_sub(1).map(|below| frontier[below]) else {
            return Some(high.qps);
        };
        let share = (recall - low.recall) / (high.recall - low.recall).max(1e-12);
        Some((low.qps.ln() + (high.qps.ln() - low.qps.ln()) * share).exp())
    }

    /// The last build: seconds, threads, MiB.
    pub(crate) fn build(&self) -> (f64, usize, f64) {
        self.lines.last().map_or((0.0, 0, 0.0), |line| (line.build_s, line.build_threads, line.rss_mb))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn line(peer: &str, setting: usize, recall: f64, qps: f64) -> Line {
        Line {
            data: "toy.hdf5".to_owned(),
            n: 1000,
            peer: peer.to_owned(),
            setting: setting.into(),
            k: 10,
            recall,
            qps,
            build_s: 1.5,
            build_threads: 2,
            rss_mb: 12.25,
        }
    }

    #[test]
    fn line_has_exactly_the_agreed_keys_in_order() {
        let text = serde_json::to_string(&line("ann:HNSW16", 64, 0.987_654_321, 1234.567).rounded()).unwrap();
        assert_eq!(
            text,
            r#"{"data":"toy.hdf5","n":1000,"peer":"ann:HNSW16","setting":64,"k":10,"recall":0.98765,"qps":1234.6,"build_s":1.5,"build_threads":2,"rss_mb":12.3}"#
        );
    }

    #[test]
    fn lines_of_other_programs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/peers.jsonl");
        append(&line("ann:Flat", 0, 1.0, 10.0), &path).unwrap();
        let foreign = r#"{"data": "toy.hdf5", "n": 5, "peer": "faiss", "setting": [4, 10], "k": 10, "recall": 0.5, "qps": 7.0, "build_s": 1, "build_threads": 2, "rss_mb": 3}"#;
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "{foreign}\n").unwrap();
        let lines = Line::read(&path).unwrap();
        assert_eq!(lines.iter().map(Line::setting).collect::<Vec<_>>(), ["0", "[4,10]"]);
        writeln!(file, "{{").unwrap();
        let error = Line::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 4"), "{error}");
    }

    #[test]
    fn series_group_by_peer_and_keep_the_last_measurement() {
        let mut other = line("ann:HNSW16", 10, 0.1, 1.0);
        other.data = "other.hdf5".to_owned();
        let lines = [
            line("b", 20, 0.9, 50.0),
            line("a", 10, 0.5, 100.0),
            line("b", 10, 0.8, 70.0),
            other,
            line("b", 20, 0.9, 55.0),
        ];
        let series = Series::collect(&lines, "toy.hdf5", 10);
        assert_eq!(series.iter().map(|s| s.peer.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(series[0].lines.iter().map(|l| l.qps).collect::<Vec<_>>(), [70.0, 55.0]);
        assert!(Series::collect(&lines, "toy.hdf5", 100).is_empty());
    }

    #[test]
    fn frontier_drops_what_is_beaten_in_both() {
        let lines =
            [line("a", 1, 0.5, 100.0), line("a", 2, 0.6, 40.0), line("a", 3, 0.7, 60.0), line("a", 4, 0.9, 20.0)];
        let series = &Series::collect(&lines, "toy.hdf5", 10)[0];
        assert_eq!(series.frontier().iter().map(|l| l.recall).collect::<Vec<_>>(), [0.5, 0.7, 0.9]);
        assert!((series.qps_at(0.8).unwrap() - (60f64 * 20.0).sqrt()).abs() < 1e-9, "geometric mean half way");
        assert_eq!((series.qps_at(0.2), series.qps_at(0.95)), (Some(100.0), None));
    }
}
