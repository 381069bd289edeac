//! Recall and speed of a partition over raw arrays: `measure_ivf BASE DIM METRIC NLIST CODE NPROBE,.. RERANK,.. [THREADS]`, where `BASE.train`,
//! `BASE.test` and `BASE.neighbors` hold `f32` rows, `f32` queries and the ten true neighbours of each as `i32`. `CODE` is `rows`, `rabitqB`,
//! `pqMx4`, `pqMx8`, `opqMx4` or `scannM`. A rerank of 0 is the default.

#![allow(clippy::print_stdout, reason = "an example that is about figures")]

use ann_core::{ElementKind, FlatStore, Index, MatrixView, Metric, Monitor, Par, Scalar, narrowest};
use ann_partition::{Ivf, IvfParams, IvfScratch, IvfSearch, ListCode, ListRows};
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, base, dim, metric, nlist, code, nprobes, reranks, rest @ ..] = &args[..] else {
        return Err("measure BASE DIM METRIC NLIST CODE NPROBE,.. RERANK,.. [THREADS]".into());
    };
    let (dim, metric): (usize, Metric) = (dim.parse()?, metric.parse()?);
    let floats = |name: &str| -> Result<Vec<f32>, Failure> {
        let bytes = std::fs::read(format!("{base}.{name}"))?;
        Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    };
    let (rows, queries) = (floats("train")?, floats("test")?);
    let truth: Vec<u32> = floats("neighbors")?.iter().map(|x| x.to_bits()).collect();
    let (rows, queries) = (MatrixView::new(&rows, dim)?, MatrixView::new(&queries, dim)?);
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (before, after) = code.split_once('x').unwrap_or((code, "4"));
    let code = match before.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "rows" => ListCode::Rows,
        "rabitq" => ListCode::Rabitq { bits: number(before).parse()? },
        name => ListCode::Pq {
            m: number(before).parse()?,
            nbits: after.parse()?,
            rotate: (name == "opq").then_some(8),
            eta: (name == "scann").then_some(if metric == Metric::InnerProduct { 1.2 } else { 1.0 }),
        },
    };
    let list = |text: &str| text.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
    let sweep = (list(nprobes)?, list(reranks)?);
    let threads = rest.first().map_or(Ok(2), |text| text.parse())?;
    let params = IvfParams { nlist: nlist.parse()?, code, ..IvfParams::default() };
    match narrowest(rows) {
        ElementKind::U8 => {
            run(FlatStore::<u8>::from_rows(rows, metric)?, (rows, queries, &truth), metric, &params, sweep, threads)
        }
        _ => run(FlatStore::<f32>::from_rows(rows, metric)?, (rows, queries, &truth), metric, &params, sweep, threads),
    }
}

/// Seconds that a processor has worked for this thread, which other programs do not add to; seconds of the clock where the system does not tell.
fn busy() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.get_or_init(Instant::now).elapsed().as_secs_f64(), |time| time * 1e-9)
}

fn run<T: Scalar>(
    store: FlatStore<T>,
    (rows, queries, truth): (MatrixView<'_, f32>, MatrixView<'_, f32>, &[u32]),
    metric: Metric,
    params: &IvfParams,
    (nprobes, reranks): (Vec<usize>, Vec<usize>),
    threads: usize,
) -> Result<(), Failure>
where
    FlatStore<T>: ListRows,
{
    let start = Instant::now();
    let index = Ivf::build(store, rows, metric, params, Par::Threads(threads), Monitor::new())?;
    let usage = index.memory_usage();
    println!(
        "built in {:.2} s, imbalance {:.2}, {} + {} bytes per row",
        start.elapsed().as_secs_f64(),
        index.imbalance(),
        usage.vectors / rows.len(),
        usage.structure / rows.len()
    );
    let (mut scratch, mut out) = (IvfScratch::default(), Vec::new());
    for &nprobe in &nprobes {
        for (rerank, adaptive) in reranks.iter().flat_map(|&rerank| [(rerank, false), (rerank, true)]) {
            let rerank = Some(rerank).filter(|&r| r > 0);
            let search = IvfSearch { nprobe, adaptive, rerank, ..IvfSearch::default() };
            let mut best = f64::INFINITY;
            let (mut hits, mut evaluations, mut refined) = (0, 0, 0);
            for pass in 0..3 {
                let start = busy();
                for (i, query) in queries.rows().enumerate() {
                    let stats = index.search_with(query, 10, &search, &ann_core::All, &mut scratch, &mut out)?;
                    if pass == 0 {
                        hits += out.iter().filter(|n| truth[i * 10..(i + 1) * 10].contains(&n.id)).count();
                        evaluations += stats.evaluations;
                        refined += stats.refined;
                    }
                }
                best = best.min(busy() - start);
            }
            let mut together = f64::INFINITY;
            for _ in 0..3 {
                let start = busy();
                ann_core::search_batch(&index, queries, 10, &search, &ann_core::All, Par::Serial)?;
                together = together.min(busy() - start);
            }
            let n = queries.len() as f64;
            println!(
                "nprobe {nprobe:4}{} rerank {:4}: recall {:.4}, {:8.0} queries/s, {:8.0} in a batch, {:.0} scored, {:.0} measured",
                if adaptive { ", adaptive," } else { "" },
                rerank.unwrap_or(0),
                hits as f64 / n / 10.0,
                n / best,
                n / together,
                evaluations as f64 / n,
                refined as f64 / n
            );
        }
    }
    Ok(())
}
