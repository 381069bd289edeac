//! One JSON line and one row of a table for every scheme.

use serde::{Deserialize, Serialize};

use super::Table;
use super::measure::Measured;
use crate::bench::report::round;
use crate::data::files::Dense;

/// A scheme on a data set. The order of the fields is the order of the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Base name of the data file.
    pub data: String,
    /// Rows.
    pub n: usize,
    /// Queries.
    pub queries: usize,
    /// Library.
    pub peer: String,
    /// Scheme: `PQ48x8`.
    pub scheme: String,
    /// Bytes of a code.
    pub bytes: usize,
    /// Threads of training and encoding.
    pub threads: usize,
    /// Seconds of training.
    pub train_s: f64,
    /// Rows encoded in a second.
    pub encode_rows_per_s: f64,
    /// Mean relative error of the squared distance.
    pub relative_error: f64,
    /// Recall at 10 of a scan over codes.
    pub recall: f64,
    /// Best rows by estimate that hold 95 % of the true neighbours.
    pub rank_95: usize,
    /// Best rows by estimate that hold 99 % of the true neighbours.
    pub rank_99: usize,
}

impl Line {
    /// Puts the line of one scheme of this library together.
    pub(crate) fn new(data: &Dense, scheme: &str, threads: usize, measured: &Measured) -> Self {
        let [rank_95, rank_99] = measured.ranks;
        Self {
            data: data.name.clone(),
            n: data.train.len(),
            queries: data.test.len(),
            peer: "ann".to_owned(),
            scheme: scheme.to_owned(),
            bytes: measured.bytes,
            threads,
            train_s: measured.train_s,
            encode_rows_per_s: measured.encode_rows_per_s,
            relative_error: measured.relative_error,
            recall: measured.recall,
            rank_95,
            rank_99,
        }
    }

    /// Digits that mean something.
    pub(crate) fn rounded(mut self) -> Self {
        self.train_s = round(self.train_s, 3);
        self.encode_rows_per_s = round(self.encode_rows_per_s, 0);
        self.relative_error = round(self.relative_error, 6);
        self.recall = round(self.recall, 5);
        self
    }

    /// Heading of [`Self::row`].
    pub(crate) fn heading(table: Table) -> &'static str {
        match table {
            Table::Codes => "scheme              bytes    train s    encode rows/s    relative error    recall@10",
            Table::Ranks => "scheme              bytes    recall@10    rank at 95 %    rank at 99 %",
        }
    }

    /// One row of the table on the screen.
    pub(crate) fn row(&self, table: Table) -> String {
        let Self { scheme, bytes, train_s, encode_rows_per_s, relative_error, recall, rank_95, rank_99, .. } = self;
        match table {
            Table::Codes => {
                format!(
                    "{scheme:<18} {bytes:>6} {train_s:>10.2} {encode_rows_per_s:>16.0} {relative_error:>17.5} {recall:>12.4}"
                )
            }
            Table::Ranks => format!("{scheme:<18} {bytes:>6} {recall:>12.4} {rank_95:>15} {rank_99:>15}"),
        }
    }
}
