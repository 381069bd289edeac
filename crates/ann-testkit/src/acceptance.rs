//! What other implementations reach on the portable data: the acceptance tables of this project.
//!
//! Source: hnswlib 0.8.0 and faiss-cpu 1.15.1 (`IndexHNSWFlat`), measured on the full sets of
//! [`portable`](crate::portable) with one build each; the algorithm is Malkov and Yashunin, *Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs*, TPAMI 2018, arXiv:1603.09320.
//! Recall is recall@10 over 1,000 queries.

use std::ops::RangeInclusive;

use crate::expect::Expected;

/// The values of `ef` of [`Hnsw::recall`] and [`Hnsw::evaluations`].
pub const HNSW_EF: [usize; 6] = [10, 20, 40, 80, 160, 320];

/// `ef_construction` of every row of [`HNSW`].
pub const HNSW_EF_CONSTRUCTION: usize = 200;

/// One implementation's HNSW curve on one portable set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hnsw {
    /// Name of the portable set.
    pub data: &'static str,
    /// Who built the graph.
    pub implementation: &'static str,
    /// Links per new point and layer; lists hold `m`, on layer 0 `2 m`.
    pub m: usize,
    /// Recall@10 at [`HNSW_EF`].
    pub recall: [f64; 6],
    /// Mean distance evaluations per query at [`HNSW_EF`], where counted.
    pub evaluations: Option<[f64; 6]>,
    /// Mean out-degree on layer 0, where counted.
    pub mean_degree: Option<f64>,
}

/// HNSW curves, `ef_construction` 200, the sets at full size.
pub const HNSW: [Hnsw; 9] = [
    hnswlib("mix128", 16, [0.919, 0.977, 0.997, 0.9997, 1.0, 1.0]).degree(18.66),
    faiss("mix128", [0.915, 0.980, 0.996, 0.9995, 1.0, 1.0], [271.0, 385.0, 587.0, 936.0, 1576.0, 2882.0], 19.05),
    hnswlib("mix128", 32, [0.939, 0.987, 0.999, 0.9999, 1.0, 1.0]),
    hnswlib("iso64", 16, [0.365, 0.515, 0.693, 0.847, 0.947, 0.987]).degree(21.10),
    faiss("iso64", [0.376, 0.536, 0.713, 0.860, 0.950, 0.986], [412.0, 661.0, 1089.0, 1868.0, 3214.0, 5307.0], 22.60),
    hnswlib("iso64", 32, [0.488, 0.666, 0.834, 0.946, 0.990, 0.998]),
    hnswlib("spec256", 16, [0.496, 0.671, 0.828, 0.933, 0.982, 0.997]).degree(23.68),
    faiss("spec256", [0.526, 0.691, 0.842, 0.941, 0.985, 0.997], [424.0, 655.0, 1073.0, 1846.0, 3211.0, 5473.0], 26.49),
    hnswlib("spec256", 32, [0.641, 0.797, 0.918, 0.979, 0.996, 1.0]),
];

const fn hnswlib(data: &'static str, m: usize, recall: [f64; 6]) -> Hnsw {
    Hnsw { data, implementation: "hnswlib", m, recall, evaluations: None, mean_degree: None }
}

impl Hnsw {
    const fn degree(self, mean_degree: f64) -> Self {
        Self { mean_degree: Some(mean_degree), ..self }
    }
}

const fn faiss(data: &'static str, recall: [f64; 6], evaluations: [f64; 6], mean_degree: f64) -> Hnsw {
    Hnsw {
        data,
        implementation: "faiss",
        m: 16,
        recall,
        evaluations: Some(evaluations),
        mean_degree: Some(mean_degree),
    }
}

/// What a correct HNSW reaches: for each `ef`, recall from the lowest reference less a tolerance to the highest plus it
/// (0.015 up to `ef` 20, 0.005 from 80, 0.010 between), and evaluations from 10 % below to 8 % above the reference
/// where counted.
/// The spec of the rows is `HNSW{m}`. Empty if there is no reference.
///
/// ```
/// let rows = ann_testkit::acceptance::hnsw_expected("iso64", 16);
/// assert_eq!((rows.len(), rows[0].spec.as_str(), rows[0].effort), (6, "HNSW16", 10));
/// assert!(rows[0].recall.contains(&0.37) && !rows[0].recall.contains(&0.34));
/// assert!(rows[4].evaluations.contains(&3400.0));
/// ```
pub fn hnsw_expected(data: &str, m: usize) -> Vec<Expected> {
    let references = || HNSW.iter().filter(|row| row.data == data && row.m == m);
    if references().next().is_none() {
        return Vec::new();
    }
    let row = |(i, &ef): (usize, &usize)| {
        let recall = widen(references().map(|row| row.recall[i]), tolerance(ef));
        let expected = Expected::within(data, &format!("HNSW{m}"), ef, recall);
        match references().find_map(|row| row.evaluations) {
            Some(evaluations) => expected.evaluations(0.90 * evaluations[i]..=1.08 * evaluations[i]),
            None => expected,
        }
    };
    HNSW_EF.iter().enumerate().map(row).collect()
}

/// Mean out-degree on layer 0 of a correct HNSW: within 1 of hnswlib 0.8.0, counted in the file it saves. faiss chooses up
/// to 2M links for a new row on layer 0, the paper and hnswlib M, so its lists are longer. `None` where it was not counted.
///
/// ```
/// assert!(ann_testkit::acceptance::hnsw_mean_degree("mix128", 16).is_some_and(|range| range.contains(&19.5)));
/// ```
pub fn hnsw_mean_degree(data: &str, m: usize) -> Option<RangeInclusive<f64>> {
    let counted = HNSW.iter().filter(|row| row.data == data && row.m == m && row.implementation == "hnswlib");
    let degree = counted.filter_map(|row| row.mean_degree).next()?;
    Some(degree - 1.0..=degree + 1.0)
}

/// Builds with other levels and insertion orders scatter this much around the same curve.
fn tolerance(ef: usize) -> f64 {
    match ef {
        0..=20 => 0.015,
        21..80 => 0.010,
        _ => 0.005,
    }
}

fn widen(values: impl Iterator<Item = f64>, tolerance: f64) -> RangeInclusive<f64> {
    let (low, high) = values.fold((f64::INFINITY, 0.0), |(low, high), v| (v.min(low), v.max(high)));
    low - tolerance..=(high + tolerance).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_meets_its_own_expectation() {
        for row in HNSW {
            let expected = hnsw_expected(row.data, row.m);
            assert_eq!(expected.len(), HNSW_EF.len());
            for (i, expected) in expected.iter().enumerate() {
                assert!(expected.recall.contains(&row.recall[i]), "{row:?} {expected:?}");
                assert!(row.evaluations.is_none_or(|all| expected.evaluations.contains(&all[i])), "{row:?}");
            }
        }
    }

    #[test]
    fn curves_rise_with_ef() {
        for row in HNSW {
            assert!(row.recall.is_sorted() && row.evaluations.is_none_or(|all| all.is_sorted()), "{row:?}");
        }
    }

    #[test]
    fn unknown_data_has_no_expectation() {
        assert_eq!((hnsw_expected("mix128", 24).len(), hnsw_mean_degree("mix128", 32)), (0, None));
    }
}
