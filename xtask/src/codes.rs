//! `cargo xtask codes` and `cargo xtask ranks`: what every scheme of `ann-quant` makes of a data set.
//!
//! Each scheme is trained on all rows, encodes them, and estimates the distance from every query to every row. That gives
//! the size and the speed of the codes, how far estimates are from distances, what recall a scan over codes alone has,
//! and how many of its best rows have to be measured again to have the true neighbours among them.

mod measure;
mod report;
mod schemes;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use ann_core::{Matrix, Metric, Par};

use crate::args::Codes;
use crate::bench::report::{append, create_parent};
use crate::bench::spinner;
use crate::data::files::{Dense, locate, root};
use crate::engine;
use crate::error::Error;
use measure::{K, Scene};
use report::Line;
use schemes::Scheme;

/// Which columns of a line are for the screen; the file gets all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Size, speed, error and recall.
    Codes,
    /// How many rows must be measured again.
    Ranks,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Codes => "codes",
            Self::Ranks => "ranks",
        }
    }
}

/// Measures all schemes, or those that were asked for.
///
/// # Errors
/// If the data cannot be had or are not of a metric that codes have, no scheme has the name given, or lines cannot be
/// written.
pub(crate) fn run(args: &Codes, table: Table) -> Result<(), Error> {
    let path = locate(args.data.as_deref(), &args.source)?;
    let reading = spinner(format!("reading {}", path.display()));
    let mut data = Dense::read(&path)?;
    if let Some(queries) = args.queries {
        data.truncate(queries)?;
    }
    if let Some(rows) = args.rows.filter(|&rows| rows < data.train.len()) {
        let dim = data.train.dim();
        data.train = Matrix::new(data.train.as_slice()[..rows * dim].to_vec(), dim)?;
        // That of all rows.
        data.truth = None;
    }
    let (n, dim, queries) = (data.train.len(), data.train.dim(), data.test.len());
    if !matches!(data.metric, Metric::L2 | Metric::Cosine) {
        return Err(Error::Usage(format!(
            "{}: the metric is {}, codes are measured under l2 and cosine",
            data.name, data.metric
        )));
    }
    if n < K || queries == 0 {
        return Err(Error::Usage(format!("{}: {n} rows and {queries} queries are too few", data.name)));
    }
    let schemes = Scheme::select(dim, &args.only)?;
    let threads = args.threads.unwrap_or_else(engine::threads);
    if data.truth.as_ref().is_none_or(|truth| truth.k < K) {
        reading.set_message("computing exact neighbours");
        data.truth = Some(engine::exact(data.train.view(), data.test.view(), data.metric, K, threads)?);
    }
    let scene = Scene::new(&data, Par::Threads(threads))?;
    reading.finish_and_clear();

    println!("{}: {n} x {dim}, {}, {queries} queries, {threads} threads", data.name, data.metric);
    let out = args.out.clone().unwrap_or_else(|| default_out(&data.name, table));
    create_parent(&out)?;
    println!("{}", Line::heading(table));
    for scheme in schemes {
        let waiting = spinner(scheme.name());
        let measured = scene.measure(&scheme, Par::Threads(threads))?;
        waiting.finish_and_clear();
        let line = Line::new(&data, &scheme.name(), threads, &measured).rounded();
        append(&line, &out)?;
        println!("{}", line.row(table));
    }
    println!("{}", out.display());
    Ok(())
}

fn default_out(name: &str, table: Table) -> PathBuf {
    root().join("results").join(name).with_extension(format!("{}.jsonl", table.name()))
}
