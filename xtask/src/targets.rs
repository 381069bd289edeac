//! `cargo xtask targets`: whether searches reach the recall that is named, on queries that the calibration has not seen, and what that costs beside
//! the best `ef` that is the same for all queries.

use ann::core::split_mix;
use ann::{BuildOptions, Index, Matrix, Par, SearchParams, Searcher};

use crate::args::Targets;
use crate::bench::spinner;
use crate::data::files::{Dense, locate};
use crate::engine::{self, EngineError};
use crate::error::Error;

const K: usize = 10;
const TARGETS: [f64; 3] = [0.90, 0.95, 0.99];

/// What a search of all queries gave, query by query.
struct Pass {
    hits: Vec<usize>,
    evaluations: Vec<u64>,
}

impl Pass {
    fn of(data: &Dense, truth: &[Vec<u64>], index: &Index, params: &SearchParams) -> Result<Self, ann::Error> {
        let mut searcher: Searcher<'_> = index.searcher();
        let mut pass = Self { hits: Vec::new(), evaluations: Vec::new() };
        for (query, truth) in data.test.rows().zip(truth) {
            let found = searcher.search(query, K, params)?;
            pass.hits.push(found.iter().filter(|hit| truth.contains(&hit.label)).count());
            pass.evaluations.push(searcher.stats().evaluations);
        }
        Ok(pass)
    }

    /// Mean recall and mean distances over some of the queries.
    fn over(&self, queries: &[usize]) -> (f64, f64) {
        let hits: usize = queries.iter().map(|&query| self.hits[query]).sum();
        let evaluations: u64 = queries.iter().map(|&query| self.evaluations[query]).sum();
        (hits as f64 / (K * queries.len()) as f64, evaluations as f64 / queries.len() as f64)
    }
}

/// Splits the queries at random, calibrates on one half, and searches the other.
///
/// # Errors
/// If the data cannot be had or the index cannot be built or searched.
pub(crate) fn run(args: &Targets) -> Result<(), Error> {
    let path = locate(args.data.as_deref(), &args.source)?;
    let waiting = spinner(format!("reading {}", path.display()));
    let mut data = Dense::read(&path)?;
    if let Some(queries) = args.queries {
        data.truncate(queries)?;
    }
    let threads = engine::threads();
    waiting.set_message("computing exact neighbours");
    let truth = engine::exact(data.train.view(), data.test.view(), data.metric, K, threads)?;
    let truth: Vec<Vec<u64>> =
        (0..data.test.len()).map(|query| truth.ids(query).iter().map(|&id| u64::from(id)).collect()).collect();
    waiting.set_message(format!("building {}", args.index));
    let spec: ann::Spec = args.index.parse().map_err(EngineError::Spec)?;
    let options = BuildOptions { metric: data.metric, par: Par::Threads(threads), ..BuildOptions::default() };
    let refused = |source: ann::Error| EngineError::Index { spec: args.index.clone(), source: Box::new(source) };
    let mut index = spec.build(&data.train, &options).map_err(refused)?;

    waiting.set_message("searching with every ef");
    let mut fixed = Vec::new();
    let mut ef = 10.0f64;
    while ef < 3_000.0 {
        fixed.push(Pass::of(&data, &truth, &index, &SearchParams::effort(ef as usize)).map_err(refused)?);
        // Steps of 8 %: a straight line between two of them is as good as any ef between.
        ef = (ef * 1.08).max(ef + 1.0);
    }
    waiting.finish_and_clear();
    println!("{}: {} x {}, {}, {}", data.name, data.train.len(), data.train.dim(), data.metric, index.spec());
    println!(
        "{:>6} {:>7} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "target", "reached", "lowest", "mean", "highest", "evaluations", "of fixed ef"
    );

    let mut results = vec![Vec::new(); TARGETS.len()];
    for split in 0..args.splits {
        let mut order: Vec<usize> = (0..data.test.len()).collect();
        order.sort_unstable_by_key(|&query| split_mix(split as u64, query as u64));
        let (learn, test) = order.split_at(order.len() / 2);
        let rows: Vec<f32> = learn.iter().flat_map(|&query| data.test.row(query).iter().copied()).collect();
        let learnt = Matrix::new(rows, data.test.dim())?;
        index.calibrate(&learnt, Par::Threads(threads)).map_err(refused)?;
        for (target, results) in TARGETS.iter().zip(&mut results) {
            match Pass::of(&data, &truth, &index, &SearchParams::target_recall(*target)) {
                Ok(pass) => {
                    let (recall, evaluations) = pass.over(test);
                    results.push((recall, evaluations, evaluations / cost(&fixed, test, recall)));
                }
                Err(error) => println!("{target:>6} {error}"),
            }
        }
    }
    for (target, results) in TARGETS.iter().zip(&results) {
        let reached = results.iter().filter(|result| result.0 >= *target).count();
        let mean = |of: fn(&(f64, f64, f64)) -> f64| results.iter().map(of).sum::<f64>() / results.len().max(1) as f64;
        let recalls = || results.iter().map(|result| result.0);
        println!(
            "{target:>6} {reached:>3}/{:<3} {:>9.4} {:>9.4} {:>9.4} {:>12.0} {:>12.3}",
            args.splits,
            recalls().fold(f64::INFINITY, f64::min),
            mean(|result| result.0),
            recalls().fold(0.0, f64::max),
            mean(|result| result.1),
            mean(|result| result.2),
        );
    }
    Ok(())
}

/// Distances of the least fixed effort that has this recall on these queries, between the steps of the sweep on a straight line.
fn cost(fixed: &[Pass], queries: &[usize], recall: f64) -> f64 {
    let steps: Vec<(f64, f64)> = fixed.iter().map(|pass| pass.over(queries)).collect();
    let at = steps.partition_point(|step| step.0 < recall);
    match (at.checked_sub(1).map(|before| steps[before]), steps.get(at)) {
        (Some((less, cheap)), Some(&(more, dear))) if more > less => {
            cheap + (dear - cheap) * (recall - less) / (more - less)
        }
        (_, Some(step)) => step.1,
        (before, None) => before.map_or(f64::NAN, |step| step.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_recall_lies_between_two_steps() {
        let pass = |hits: usize, evaluations: u64| Pass { hits: vec![hits, hits], evaluations: vec![evaluations; 2] };
        let fixed = [pass(8, 100), pass(9, 200), pass(10, 600)];
        assert_eq!(cost(&fixed, &[0, 1], 0.9), 200.0);
        assert!((cost(&fixed, &[0, 1], 0.95) - 400.0).abs() < 1e-9);
        assert_eq!(cost(&fixed, &[1], 0.5), 100.0);
    }
}
