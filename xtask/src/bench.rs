//! `cargo xtask bench`: from a data file to a curve of recall against queries per second.
//!
//! Every index is built once on `--threads`, then all queries are answered at growing effort on `--search-threads`.
//! Results are appended to a file of JSON lines as they come, and everything that file knows about the data set is
//! plotted beside it, results of other programs included.

mod html;
mod machine;
mod plot;
pub(crate) mod report;
pub(crate) mod sweep;

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::args::Bench;
use crate::data::files::{Dense, locate, root, style};
use crate::engine::{self, Engine, Plan};
use crate::error::Error;
use report::{Line, ReportError, Series, create_parent};
use sweep::{EFFORTS, ENOUGH, Measured, Yardstick, sweep};

/// What is measured if nothing is named: the common choice and the one for higher recall.
const DEFAULT_INDEXES: [&str; 2] = ["HNSW16", "HNSW32"];

/// Runs the benchmark.
///
/// # Errors
/// If the data cannot be had, an index cannot be built, or results cannot be written.
pub(crate) fn run(args: &Bench) -> Result<(), Error> {
    let plans = plans(args)?;
    let path = locate(args.data.as_deref(), &args.source)?;
    let spinner = spinner(format!("reading {}", path.display()));
    let mut data = Dense::read(&path)?;
    if let Some(queries) = args.queries {
        data.truncate(queries)?;
    }
    let threads = args.threads.unwrap_or_else(engine::threads);
    if data.truth.as_ref().is_none_or(|truth| truth.k < args.k) {
        spinner.set_message("computing exact neighbours");
        data.truth = Some(engine::exact(data.train.view(), data.test.view(), data.metric, args.k, threads)?);
    }
    spinner.finish_and_clear();
    let (n, dim, queries) = (data.train.len(), data.train.dim(), data.test.len());
    println!("{}: {n} x {dim}, {}, {queries} queries, k = {}", data.name, data.metric, args.k);

    let out = args.out.clone().unwrap_or_else(|| default_out(&data.name));
    println!("{}", Line::HEADING);
    for plan in &plans {
        let index = measure(plan, &data, args, threads, &out)?;
        if let Some(path) = &args.save {
            index.save(path)?;
            println!("saved to {}", path.display());
        }
    }
    let (svg, html) = plot(&out, &data.name, args)?;
    println!("{}\n{}\n{}", out.display(), svg.display(), html.display());
    Ok(())
}

/// All indexes to build; a slip in the last of them should show before hours of building.
fn plans(args: &Bench) -> Result<Vec<Plan>, Error> {
    if args.save.is_some() && args.indexes.len() != 1 {
        return Err(Error::Usage(format!("--save needs exactly one --index, got {}", args.indexes.len())));
    }
    let named: Vec<&str> = args.indexes.iter().map(String::as_str).collect();
    let specs = if named.is_empty() { &DEFAULT_INDEXES[..] } else { &named[..] };
    specs.iter().map(|spec| Ok(Plan::parse(spec)?)).collect()
}

fn default_out(name: &str) -> PathBuf {
    root().join("results").join(name).with_extension("jsonl")
}

/// Builds one index, sweeps it, and writes a line for every effort.
fn measure(plan: &Plan, data: &Dense, args: &Bench, threads: usize, out: &Path) -> Result<Engine, Error> {
    let peer = format!("ann:{}", plan.name());
    let bar = ProgressBar::new(data.train.len() as u64).with_message(peer.clone());
    bar.set_style(style("{msg} {bar:30} {human_pos}/{human_len} {elapsed}"));
    let before = machine::resident_bytes();
    let start = std::time::Instant::now();
    let index = plan.build(data.train.view(), data.metric, threads, &|done, _| bar.set_position(done))?;
    let build_s = start.elapsed().as_secs_f64();
    // Where the system does not tell, the index does.
    let grown = match (before, machine::resident_bytes()) {
        (Some(before), Some(after)) => after as f64 - before as f64,
        _ => index.bytes() as f64,
    };
    bar.finish_and_clear();
    if let Some(report) = index.report() {
        println!("{peer} is {}: {report}", index.name());
    }

    let truth = data.truth.as_ref().ok_or_else(|| Error::Usage("no ground truth".to_owned()))?;
    let (train, test) = (data.train.view(), data.test.view());
    let yardstick = Yardstick { train, test, metric: data.metric, truth, k: args.k };
    let spinner = spinner(peer.clone());
    let mut report = |measured: Measured| {
        let line = Line {
            data: data.name.clone(),
            n: data.train.len(),
            peer: peer.clone(),
            setting: measured.effort.into(),
            k: args.k,
            recall: measured.recall,
            qps: measured.qps,
            build_s,
            build_threads: threads,
            rss_mb: grown / f64::from(1 << 20),
        };
        let line = line.rounded();
        report::append(&line, out)?;
        spinner.suspend(|| println!("{}", line.row()));
        Ok(())
    };
    let (efforts, enough) = efforts(args, index.has_effort());
    let mut search = |effort| {
        spinner.set_message(format!("{peer}, effort {effort}"));
        Ok(index.search(test, args.k, effort, args.search_threads)?)
    };
    let mut pass = || sweep(&efforts, enough, &mut search, |found| yardstick.recall(found), &mut report);
    if args.turns {
        println!("ready");
        for line in std::io::stdin().lines() {
            line.map_err(|error| Error::Usage(format!("standard input: {error}")))?;
            pass()?;
            println!("done");
        }
    } else {
        pass()?;
    }
    spinner.finish_and_clear();
    Ok(index)
}

/// The efforts to try and the recall to end at. Efforts that were asked for are all tried; an index that knows no
/// effort is measured once.
fn efforts(args: &Bench, has_effort: bool) -> (Vec<usize>, f64) {
    match (has_effort, &args.effort[..]) {
        (false, _) => (vec![0], ENOUGH),
        (true, []) => (EFFORTS.to_vec(), ENOUGH),
        (true, given) => (given.to_vec(), f64::INFINITY),
    }
}

/// Draws what `out` knows about the data set into an SVG and a page beside it.
fn plot(out: &Path, data: &str, args: &Bench) -> Result<(PathBuf, PathBuf), Error> {
    let lines = Line::read(out)?;
    let series = Series::collect(&lines, data, args.k);
    let n = lines.iter().rev().find(|line| line.data == data).map_or(0, |line| line.n);
    let title = format!("{data}: recall@{} of {n} rows", args.k);
    let drawing = plot::draw(&title, &series)?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let facts = [
        ("machine", machine::description()),
        ("command", format!("cargo xtask {}", command.join(" "))),
        ("search threads", args.search_threads.to_string()),
    ];
    let page = html::page(&title, &facts, &series, &drawing)?;
    let (svg, html) = (out.with_extension("svg"), out.with_extension("html"));
    for (path, text) in [(&svg, &drawing.svg), (&html, &page)] {
        create_parent(path)?;
        fs::write(path, text).map_err(|source| ReportError::Io { path: path.clone(), source })?;
    }
    Ok((svg, html))
}

/// Something to look at while it takes.
pub(crate) fn spinner(message: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(std::time::Duration::from_millis(200));
    spinner
}

#[cfg(test)]
mod tests;
