//! `cargo xtask filters`: searches with filters that accept a half, a tenth, a hundredth, a thousandth of the rows, drawn at random, or nearest to
//! the query, or farthest from it. For each the least effort of a sweep that reaches recall 0.95, and what it costs.

use std::path::PathBuf;
use std::time::Instant;

use ann::core::Filter as _;
use ann::core::{Exact, FlatStore, RowSet};
use ann::{BuildOptions, Index, Par, SearchParams, Selection};
use serde::{Deserialize, Serialize};

use crate::args::Filters;
use crate::bench::report::{append, round};
use crate::bench::spinner;
use crate::bench::sweep::EFFORTS;
use crate::data::files::{Dense, locate, root};
use crate::engine::{self, EngineError};
use crate::error::Error;

const K: usize = 10;
const SHARES: [f64; 4] = [0.5, 0.1, 0.01, 0.001];
const WANTED: f64 = 0.95;

/// Which rows are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The same for all queries.
    Random,
    /// Those nearest to the query.
    Near,
    /// Those farthest from the query.
    Far,
}

/// One filter on one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Base name of the data file.
    pub data: String,
    /// Rows.
    pub n: usize,
    /// Library and index.
    pub peer: String,
    /// Which rows are accepted.
    pub filter: Kind,
    /// Their share.
    pub share: f64,
    /// The effort that reached the recall wanted, or the largest tried.
    pub setting: usize,
    /// Results per query.
    pub k: usize,
    /// Share of the nearest accepted rows that were found.
    pub recall: f64,
    /// Queries per second.
    pub qps: f64,
    /// Queries that got fewer than `min(k, matches)` results.
    pub short: usize,
}

impl Line {
    fn row(&self) -> String {
        let Self { peer, filter, share, setting, recall, qps, short, .. } = self;
        let filter = format!("{filter:?}").to_lowercase();
        format!("{peer:<24} {filter:<7} {:>6.1} % {setting:>6} {recall:>8.4} {qps:>10.0} {short:>6}", 100.0 * share)
    }
}

/// The filter of every query, and the nearest of what it accepts.
struct Cell {
    kind: Kind,
    share: f64,
    /// One for all queries, or one each.
    sets: Vec<RowSet>,
    selections: Vec<Selection>,
    truth: Vec<Vec<u32>>,
}

/// Measures all filters.
///
/// # Errors
/// If the data cannot be had, the index cannot be built, or lines cannot be written.
pub(crate) fn run(args: &Filters) -> Result<(), Error> {
    let path = locate(args.data.as_deref(), &args.source)?;
    let waiting = spinner(format!("reading {}", path.display()));
    let mut data = Dense::read(&path)?;
    data.truncate(args.queries.min(data.test.len()))?;
    waiting.set_message(format!("building {}", args.index));
    let spec: ann::Spec = args.index.parse().map_err(EngineError::Spec)?;
    let threads = engine::threads();
    let options = BuildOptions { metric: data.metric, par: Par::Threads(threads), ..BuildOptions::default() };
    let refused = |source: ann::Error| EngineError::Index { spec: args.index.clone(), source: Box::new(source) };
    let index = spec.build(&data.train, &options).map_err(refused)?;
    waiting.set_message("comparing every row");
    let cells = cells(&data, &index)?;
    waiting.finish_and_clear();

    println!(
        "{}: {} x {}, {}, {} queries",
        data.name,
        data.train.len(),
        data.train.dim(),
        data.metric,
        data.test.len()
    );
    println!("{:<24} {:<7} {:>8} {:>6} {:>8} {:>10} {:>6}", "index", "filter", "share", "ef", "recall", "qps", "short");
    let out = args.out.clone().unwrap_or_else(|| default_out(&data.name));

    for cell in &cells {
        for selected in [false, true] {
            let line = measure(&data, &index, cell, selected).map_err(refused)?;
            println!("{}", line.row());
            append(&line, &out)?;
        }
    }
    Ok(())
}

fn default_out(data: &str) -> PathBuf {
    root().join("results").join(data).with_extension("filters.jsonl")
}

/// The rows of every filter, ranked by exact search.
fn cells(data: &Dense, index: &Index) -> Result<Vec<Cell>, Error> {
    let n = data.train.len();
    let exact = Exact::new(FlatStore::<f32>::from_rows(data.train.view(), data.metric).map_err(EngineError::from)?);
    let mut cells = Vec::new();
    for kind in [Kind::Random, Kind::Near, Kind::Far] {
        for share in SHARES {
            cells.push(Cell { kind, share, sets: vec![], selections: vec![], truth: vec![] });
        }
    }
    for query in data.test.rows() {
        let order = ranked(&exact, query)?;
        for cell in &mut cells {
            let most = ((cell.share * n as f64) as usize).max(1);
            let set: RowSet = match cell.kind {
                Kind::Random if !cell.sets.is_empty() => cell.sets[0].clone(),
                Kind::Random => (0..n as u32).filter(|&row| is_drawn(row, cell.share)).collect(),
                Kind::Near => order[..most].iter().copied().collect(),
                Kind::Far => order[n - most..].iter().copied().collect(),
            };
            cell.truth.push(order.iter().copied().filter(|&row| set.accepts(row)).take(K).collect());
            if cell.kind != Kind::Random || cell.sets.is_empty() {
                let labels: Vec<u64> = set.among(0..n as u32).map(u64::from).collect();
                cell.selections.push(index.select_labels(&labels));
                cell.sets.push(set);
            }
        }
    }
    Ok(cells)
}

/// Knuth's multiplicative hash, which other languages compute as well.
fn is_drawn(row: u32, share: f64) -> bool {
    f64::from(row.wrapping_mul(2_654_435_761)) < share * 2f64.powi(32)
}

/// All rows from the nearest to the farthest.
fn ranked(exact: &Exact<FlatStore<f32>>, query: &[f32]) -> Result<Vec<u32>, Error> {
    let mut searcher = ann::core::Searcher::new(exact, ());
    let found = searcher.search(query, ann::core::Index::len(exact));
    let found = found.map_err(|source| EngineError::Queries(ann::RowError { row: 0, source }))?;
    Ok(found.iter().map(|neighbor| neighbor.id).collect())
}

/// The first effort that reaches the recall wanted, timed on one thread.
fn measure(data: &Dense, index: &Index, cell: &Cell, selected: bool) -> Result<Line, ann::Error> {
    let mut line = Line {
        data: data.name.clone(),
        n: data.train.len(),
        peer: format!("ann-{}{}", index.spec(), if selected { "-selected" } else { "" }),
        filter: cell.kind,
        share: cell.share,
        setting: 0,
        k: K,
        recall: 0.0,
        qps: 0.0,
        short: 0,
    };
    for effort in EFFORTS {
        let params = SearchParams::effort(effort);
        let (start, mut passes, mut found) = (Instant::now(), 0, Vec::new());
        // Filters that leave little to do are over in no time.
        while passes == 0 || start.elapsed().as_secs_f64() < 0.3 {
            found.clear();
            for (i, query) in data.test.rows().enumerate() {
                let which = i.min(cell.sets.len() - 1);
                found.push(if selected {
                    index.search_selected(query, K, &params, &cell.selections[which])?
                } else {
                    let set = &cell.sets[which];
                    let accepts = |label: u64| u32::try_from(label).is_ok_and(|row| set.accepts(row));
                    index.search_filtered(query, K, &params, &accepts)?
                });
            }
            passes += 1;
        }
        line.qps = round((passes * data.test.len()) as f64 / start.elapsed().as_secs_f64(), 1);
        line.short = 0;
        let mut hits = 0;
        for (found, truth) in found.iter().zip(&cell.truth) {
            hits += found.iter().filter(|hit| truth.iter().any(|&row| u64::from(row) == hit.label)).count();
            line.short += usize::from(found.len() < truth.len());
        }
        let wanted: usize = cell.truth.iter().map(Vec::len).sum();
        line.recall = round(hits as f64 / wanted.max(1) as f64, 4);
        line.setting = effort;
        if line.recall >= WANTED {
            break;
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_rows_is_drawn() {
        for share in SHARES {
            let drawn = (0..100_000).filter(|&row| is_drawn(row, share)).count() as f64;
            assert!((drawn / 100_000.0 - share).abs() < 0.02 * share + 1e-4, "{share}: {drawn}");
        }
    }
}
