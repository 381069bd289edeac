//! One ann-benchmarks file in memory, and recall as ann-benchmarks counts it.

use std::error::Error;
use std::path::Path;

use hdf5_pure::{AttrValue, File};

use crate::peer::NO_ROW;

/// Slack on the distance of the k-th true neighbour, so that ties and rounding count as hits: 1e-3 for Euclidean
/// distances (the value of ann-benchmarks), a hundredth of it for cosine distances, which are at most 2.
const SLACK_EUCLIDEAN: f64 = 1e-3;
const SLACK_ANGULAR: f64 = 1e-5;

pub struct Data {
    pub dim: usize,
    pub angular: bool,
    /// (rows, dim), row-major; unit length when `angular`.
    pub train: Vec<f32>,
    /// (queries, dim), row-major; unit length when `angular`.
    pub test: Vec<f32>,
    /// (queries, truth_k), row-major: true distances, nearest first; Euclidean or `1 - cos`.
    truth: Vec<f64>,
    pub truth_k: usize,
}

impl Data {
    pub fn read(path: &Path, queries: Option<usize>) -> Result<Data, Box<dyn Error>> {
        let file = File::open(path)?;
        let angular = match file.root().attrs()?.get("distance").and_then(text) {
            Some("angular") => true,
            Some("euclidean") => false,
            other => return Err(format!("attribute `distance`: expected angular or euclidean, got {other:?}").into()),
        };
        let (mut train, dim) = matrix(&file, "train")?;
        let (mut test, test_dim) = matrix(&file, "test")?;
        let (truth, truth_k) = matrix(&file, "distances")?;
        if test_dim != dim || test.len() / dim != truth.len() / truth_k {
            return Err("`train`, `test` and `distances` disagree on their shapes".into());
        }
        if let Some(limit) = queries {
            test.truncate(limit * dim);
        }
        if angular {
            normalize(&mut train, dim);
            normalize(&mut test, dim);
        }
        Ok(Data { dim, angular, train, test, truth: truth.into_iter().map(f64::from).collect(), truth_k })
    }

    pub fn rows(&self) -> usize {
        self.train.len() / self.dim
    }

    pub fn queries(&self) -> usize {
        self.test.len() / self.dim
    }

    /// Share of the returned rows that are no farther than the true k-th neighbour. `found`: (queries, k) row ids, each
    /// counted once per query, `NO_ROW` where fewer came back.
    pub fn recall(&self, found: &[u32], k: usize) -> f64 {
        let mut hits = 0;
        for (i, (query, ids)) in self.test.chunks_exact(self.dim).zip(found.chunks_exact(k)).enumerate() {
            let bound =
                self.truth[i * self.truth_k + k - 1] + if self.angular { SLACK_ANGULAR } else { SLACK_EUCLIDEAN };
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids.dedup();
            hits += ids.iter().filter(|&&id| id != NO_ROW && self.distance(query, id) <= bound).count();
        }
        hits as f64 / (self.queries() * k) as f64
    }

    fn distance(&self, query: &[f32], id: u32) -> f64 {
        let start = id as usize * self.dim;
        let pairs = query.iter().zip(&self.train[start..start + self.dim]).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        if self.angular {
            1.0 - pairs.map(|(a, b)| a * b).sum::<f64>()
        } else {
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        }
    }
}

fn matrix(file: &File, name: &str) -> Result<(Vec<f32>, usize), Box<dyn Error>> {
    let dataset = file.dataset(name)?;
    match dataset.shape()?.as_slice() {
        &[rows, columns] if rows > 0 && columns > 0 => Ok((dataset.read_f32()?, columns as usize)),
        shape => Err(format!("`{name}`: expected a matrix with rows and columns, got shape {shape:?}").into()),
    }
}

fn text(value: &AttrValue) -> Option<&str> {
    match value {
        AttrValue::String(s)
        | AttrValue::AsciiString(s)
        | AttrValue::VarLenString(s)
        | AttrValue::VarLenAsciiString(s) => Some(s),
        AttrValue::StringSized { value, .. } | AttrValue::AsciiStringSized { value, .. } => Some(value),
        _ => None,
    }
}

fn normalize(rows: &mut [f32], dim: usize) {
    for row in rows.chunks_exact_mut(dim) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-30);
        for x in row {
            *x /= norm;
        }
    }
}
