//! A graph on disk: built, written, searched, and what is in memory of it.
//!
//! `cargo run --release -p ann-graph --example disk -- ROWS FOLDER MEGABYTES`: 4,000 rows, a temporary folder and no limit unless
//! told otherwise. The index in FOLDER is used again if it is there; with MEGABYTES the build takes no more memory than that for
//! what grows with the rows, in shards. At most 15 % of the bytes of the rows stay in memory.

#![allow(clippy::print_stdout, reason = "an example that is about figures")]

use ann_core::{Exact, FlatStore, Index, Par, Searcher};
use ann_graph::{DiskBuilder, DiskGraph, DiskSearch, HnswParams};
use ann_io::container::{self, OpenMode};
use ann_quant::{CodeStore, Pq, PqParams};
use ann_testkit::portable;
use std::path::PathBuf;
use std::time::Instant;

/// Share of the bytes of the rows that may be in memory.
const RESIDENT: f64 = 0.15;
const QUERIES: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let rows: usize = args.next().map_or(Ok(4_000), |rows| rows.parse())?;
    let temporary = tempfile::tempdir()?;
    let folder = args.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let budget: Option<u64> = args.next().map(|megabytes| megabytes.parse()).transpose()?;
    let path = folder.join(format!("disk-{rows}-{}.ann", budget.unwrap_or(0)));

    let set = portable::mix128(rows, QUERIES);
    let store = FlatStore::<f32>::from_rows(set.base.view(), set.metric)?;
    if !path.exists() {
        let started = Instant::now();
        let params = PqParams { m: 32, sample: Some(65_536), ..PqParams::default() };
        let pq = Pq::train(set.base.view(), set.metric, &params, Par::Ambient)?;
        let codes = CodeStore::from_rows(pq, set.base.view(), Par::Ambient)?;
        println!("codes of {} bytes a row after {:.0} s", codes.code(0).len(), started.elapsed().as_secs_f64());
        let params = HnswParams { ef_construction: 75, ..HnswParams::vamana(32) };
        let budget = budget.map_or(u64::MAX, |megabytes| megabytes << 20);
        DiskBuilder::new(params).budget(budget).build(&path, &store, &codes)?;
        println!("written after {:.0} s", started.elapsed().as_secs_f64());
    }
    let truth = Exact::new(store).ground_truth(set.queries.view(), 10, Par::Ambient)?;
    let raw = size_of_val(set.base.as_slice());

    let started = Instant::now();
    let index: DiskGraph<CodeStore<Pq>> = container::load(&path, OpenMode::OnDemand)?;
    let opened = started.elapsed();
    let left = ((raw as f64 * RESIDENT) as usize).saturating_sub(index.memory_usage().total());
    let index = index.with_cache(left)?.with_threads(3)?;
    let (page, pages) = index.pages();
    println!("{rows} rows of {raw} bytes, {pages} pages of {page}; opened in {:.1} ms", opened.as_secs_f64() * 1e3);
    let memory = index.memory_usage();
    println!(
        "in memory: {} bytes of codes, {} of {} cached nodes and entries: {:.2} % of the rows",
        memory.vectors,
        memory.structure,
        index.cached(),
        100.0 * memory.total() as f64 / raw as f64
    );
    println!("  ef  beam  recall@10  reads   hops  estimates  ms per query");
    let mut searcher = Searcher::new(&index, DiskSearch::default());
    for (ef, beam) in [(10, 4), (20, 4), (40, 1), (40, 2), (40, 4), (40, 8), (80, 4), (160, 4)] {
        *searcher.params_mut() = DiskSearch { ef, beam };
        let (mut hits, mut stats, started) = (0, ann_core::SearchStats::default(), Instant::now());
        for (i, query) in set.queries.rows().enumerate() {
            hits += searcher.search(query, 10)?.iter().filter(|n| truth.ids(i).contains(&n.id)).count();
            stats += searcher.stats();
        }
        let (elapsed, each) = (started.elapsed().as_secs_f64() * 1e3, |count: u64| count as f64 / QUERIES as f64);
        println!(
            "{ef:>4}  {beam:>4}  {:>9.4}  {:>5.1}  {:>5.1}  {:>9.0}  {:>12.2}",
            hits as f64 / (10 * QUERIES) as f64,
            each(stats.reads),
            each(stats.hops),
            each(stats.evaluations),
            elapsed / QUERIES as f64
        );
    }
    Ok(())
}
