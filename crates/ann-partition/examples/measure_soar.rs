//! Rows scanned for a recall, with a second list for every row and without: `measure_soar mix128 ROWS NLIST LAMBDA,..`, or `spec256` in its place, or
//! `BASE:DIM:METRIC`, whose `BASE.train` and `BASE.test` hold `f32` rows and queries.

#![allow(clippy::print_stdout, reason = "an example that is about figures")]

use ann_core::{All, Exact, FlatStore, Index, Matrix, Metric, Monitor, Par};
use ann_partition::{Ivf, IvfParams, IvfScratch, IvfSearch, ListCode};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, set, rows, nlist, lambdas] = &args[..] else { return Err("soar SET ROWS NLIST LAMBDA,..".into()) };
    let (n, nlist): (usize, usize) = (rows.parse()?, nlist.parse()?);
    let (base, queries, metric) = match set.as_str() {
        "mix128" => {
            let set = ann_testkit::portable::mix128(n, 500);
            (set.base, set.queries, Metric::L2)
        }
        "spec256" => {
            let set = ann_testkit::portable::spec256(n, 500);
            (set.base, set.queries, Metric::InnerProduct)
        }
        other => {
            let [path, dim, metric] = other.split(':').collect::<Vec<_>>()[..] else {
                return Err("BASE:DIM:METRIC".into());
            };
            let dim: usize = dim.parse()?;
            let floats = |name: &str, most: usize| -> Result<Matrix<f32>, Failure> {
                let bytes = std::fs::read(format!("{path}.{name}"))?;
                let values: Vec<f32> =
                    bytes.as_chunks().0.iter().take(most * dim).map(|b| f32::from_le_bytes(*b)).collect();
                Ok(Matrix::new(values, dim)?)
            };
            (floats("train", n)?, floats("test", 500)?, metric.parse()?)
        }
    };
    let store = FlatStore::<f32>::from_rows(base.view(), metric)?;
    let truth = Exact::new(store.clone()).ground_truth(queries.view(), 10, Par::Ambient)?;
    let weights = lambdas.split(',').map(|text| text.parse().map(Some)).collect::<Result<Vec<Option<f32>>, _>>()?;
    for soar in std::iter::once(None).chain(weights) {
        let params = IvfParams { nlist, code: ListCode::Rows, soar, ..IvfParams::default() };
        let index = Ivf::build(store.clone(), base.view(), metric, &params, Par::Ambient, Monitor::new())?;
        let (mut scratch, mut out) = (IvfScratch::default(), Vec::new());
        let mut targets = [0.9, 0.95, 0.99].into_iter().peekable();
        for step in 0.. {
            // Steps of a twelfth of an octave, so that recalls come near their targets.
            let nprobe = (2f64.powf(f64::from(step) / 12.0) as usize).min(nlist);
            let (mut hits, mut scanned) = (0, 0);
            for (i, query) in queries.rows().enumerate() {
                let search = IvfSearch { nprobe, ..IvfSearch::default() };
                let stats = index.search_with(query, 10, &search, &All, &mut scratch, &mut out)?;
                hits += out.iter().filter(|n| truth.ids(i).contains(&n.id)).count();
                scanned += stats.evaluations;
            }
            let recall = hits as f64 / 10.0 / queries.len() as f64;
            while targets.next_if(|&target| recall >= target).is_some() {
                println!(
                    "{set} {} rows, {soar:?}: recall {recall:.4} with {nprobe} lists, {} rows",
                    base.len(),
                    scanned / queries.len() as u64
                );
            }
            if targets.peek().is_none() || nprobe == nlist {
                break;
            }
        }
    }
    Ok(())
}
