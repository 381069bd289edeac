//! Small honest indexes, and the questions that are put to them.

use ann::core::split_mix;
use ann::prelude::*;
use ann::{ElementKind, Error};

pub(crate) const ROWS: usize = 40;
pub(crate) const DIM: usize = 6;

/// An index as saved, and what it answers.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) answers: Vec<Vec<Hit>>,
}

/// Every element type that a mapped index may hold, padding behind rows, labels, inverse norms, several layers.
pub(crate) fn graphs() -> Vec<Sample> {
    vec![
        sample("u8, l2, labels", ElementKind::U8, Metric::L2, true),
        sample("bf16, cosine", ElementKind::Bf16, Metric::Cosine, false),
        sample("f32, ip, labels", ElementKind::F32, Metric::InnerProduct, true),
    ]
}

/// Lists of RaBitQ codes without rows, and the same with every row in two.
#[cfg(feature = "ivf_pq")]
pub(crate) fn lists() -> Vec<Sample> {
    vec![
        sample_of("IVF4,RaBitQ1", "RaBitQ codes alone", ElementKind::U8, Metric::L2, false),
        sample_of("IVF4,RaBitQ1,SOAR", "rows in two lists", ElementKind::U8, Metric::L2, false),
    ]
}

/// Graphs, trees, and partitions: lists alone, with codes before rows, and of codes alone.
pub(crate) fn all() -> Vec<Sample> {
    let mut all = graphs();
    #[cfg(feature = "tree")]
    all.extend([
        sample_of("KDTree", "u8, l2, KD-tree", ElementKind::U8, Metric::L2, false),
        sample_of("BallTree", "bf16, cosine, ball tree", ElementKind::Bf16, Metric::Cosine, true),
        sample_of("KDForest2", "f32, l1, KD-forest", ElementKind::F32, Metric::L1, false),
    ]);
    #[cfg(feature = "ivf_pq")]
    all.extend([
        sample_of("IVF4,Flat", "lists, u8", ElementKind::U8, Metric::L2, false),
        sample_of("IVF4,RaBitQ1,RFlat", "lists, codes, bf16", ElementKind::Bf16, Metric::L2, true),
        sample_of("IVF4,PQ3x4fs", "lists of codes alone", ElementKind::U8, Metric::InnerProduct, false),
    ]);
    #[cfg(feature = "ivf_pq")]
    all.extend(lists());
    all
}

fn sample(name: &'static str, element: ElementKind, metric: Metric, labelled: bool) -> Sample {
    sample_of("HNSW4", name, element, metric, labelled)
}

fn sample_of(spec: &str, name: &'static str, element: ElementKind, metric: Metric, labelled: bool) -> Sample {
    let labels: Vec<u64> = (0..ROWS as u64).map(|row| split_mix(9, row)).collect();
    let options = BuildOptions { metric, labels: labelled.then_some(&labels[..]), ..BuildOptions::default() };
    let index = spec.parse::<Spec>().unwrap().build(&rows(element, 0, ROWS), &options).unwrap();
    assert_eq!(index.element(), element);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    index.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() <= 8 << 10, "{} bytes: too long to be cut everywhere", bytes.len());
    Sample { name, bytes, answers: answers(&index).unwrap() }
}

/// Rows `first..first + count` of an endless matrix whose values need just this element type.
pub(crate) fn rows(element: ElementKind, first: usize, count: usize) -> Matrix<f32> {
    let range = first * DIM..(first + count) * DIM;
    let value = |i: usize| {
        let random = split_mix(7, i as u64);
        match element {
            ElementKind::U8 => (random % 256) as f32,
            ElementKind::Bf16 => (random % 200) as f32 * 0.5 - 50.0,
            _ => ann::core::unit(random) as f32 - 0.5,
        }
    };
    Matrix::new(range.map(value).collect(), DIM).unwrap()
}

/// What an index of the sample's dimension answers to 20 questions, some of them with a filter.
pub(crate) fn answers(index: &Index) -> Result<Vec<Vec<Hit>>, Error> {
    let queries = rows(index.element(), 1000, 20);
    let params = SearchParams::effort(12);
    let ask = |(i, query): (usize, &[f32])| match i % 4 {
        3 => index.search_filtered(query, 5, &params, &|label| label % 2 == 0),
        _ => index.search_with(query, 5, &params),
    };
    queries.rows().enumerate().map(ask).collect()
}
