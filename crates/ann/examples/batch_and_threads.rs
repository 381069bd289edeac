//! Many queries at once, on as many threads as you like: `cargo run --example batch_and_threads`.
#![allow(clippy::print_stdout)]

use ann::Monitor;
use ann::core::{split_mix, unit};
use ann::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn main() -> Result<(), ann::Error> {
    let random = |n: u64, seed| Matrix::new((0..n * 24).map(|i| unit(split_mix(seed, i)) as f32).collect(), 24);
    let (vectors, queries) = (random(4_000, 1)?, random(1_000, 2)?);

    // A build tells how far it is, and can be cancelled (`Monitor::cancel_with`). The index does not depend on threads.
    let reports = AtomicU64::new(0);
    let progress = |_done: u64, _total: u64| _ = reports.fetch_add(1, Ordering::Relaxed);
    let options = BuildOptions {
        par: Par::Threads(2),
        monitor: Monitor::new().on_progress(&progress),
        ..BuildOptions::default()
    };
    let index = "HNSW16".parse::<Spec>()?.build(&vectors, &options)?;
    println!("built in {} steps", reports.into_inner());

    // One call for all queries. `Par` says where it runs; the answers are the same everywhere.
    let params = SearchParams::effort(50);
    let mut all = Vec::new();
    for par in [Par::Serial, Par::Threads(2), Par::Ambient] {
        let start = Instant::now();
        let answers = index.search_batch(&queries, 10, &params, par)?;
        println!("{par:?}: {} queries in {:.1?}", answers.len(), start.elapsed());
        all.push(answers);
    }
    assert!(all[0] == all[1] && all[1] == all[2]);

    // Threads of your own share the index by reference; a searcher each spares them all allocation.
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (index, queries, all) = (&index, &queries, &all);
            scope.spawn(move || -> Result<(), ann::Error> {
                let mut searcher = index.searcher();
                for (row, answer) in all[0].iter().enumerate().skip(500 * part).take(500) {
                    assert_eq!(searcher.search(queries.row(row), 10, &params)?, *answer);
                }
                println!("thread {part}: the last query took {} distances", searcher.stats().evaluations);
                Ok(())
            });
        }
    });
    Ok(())
}
