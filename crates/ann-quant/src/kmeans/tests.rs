use super::*;
use ann_core::RowError;
use ann_testkit::portable::{Portable, iso64, mix128, spec256};
use ann_testkit::shapes;

fn params(k: usize) -> KMeansParams {
    KMeansParams { k, sample_per_centroid: 2000, ..Default::default() }
}

/// Sum of squared distances to the mean.
fn variance(rows: MatrixView<'_, f32>) -> f64 {
    let mut mean = vec![0.0; rows.dim()];
    rows.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x)));
    mean.iter_mut().for_each(|mean| *mean /= rows.len() as f64);
    rows.rows().flat_map(|row| row.iter().zip(&mean)).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
}

fn objective(set: &Portable, params: &KMeansParams) -> f64 {
    let found = KMeans::train(set.base.view(), params, Par::Ambient).unwrap();
    found.inertia / variance(set.base.view())
}

#[test]
fn labels_are_the_nearest_and_inertia_is_their_sum() {
    let set = mix128(1500, 0);
    let found = KMeans::train(set.base.view(), &params(20), Par::Serial).unwrap();
    let mut inertia = 0.0;
    for (row, &label) in set.base.rows().zip(&found.labels) {
        let (nearest, distance) = ann_testkit::nearest(found.centroids.view(), row, Metric::L2, 1)[0];
        assert_eq!(nearest, label);
        inertia += distance;
    }
    assert!((found.inertia / inertia - 1.0).abs() < 1e-6);
    assert_eq!(found.sizes().iter().sum::<u32>(), 1500);
    assert!(found.sizes().iter().all(|&size| size > 0) && found.imbalance() >= 1.0);
}

#[test]
fn every_variant_is_the_same_on_any_number_of_threads() {
    let set = mix128(3000, 0);
    let rows = set.base.view();
    for init in [KMeansInit::Random, KMeansInit::PlusPlus] {
        let params = KMeansParams { init, iterations: 5, ..params(17) };
        let all = |par| {
            [
                KMeans::train(rows, &params, par).unwrap(),
                KMeans::mini_batch(rows, &params, 200, par).unwrap(),
                KMeans::two_level(rows, &params, par).unwrap(),
                KMeans::balanced(rows, &params, par).unwrap(),
            ]
        };
        let serial = all(Par::Serial);
        assert_eq!(serial, all(Par::Threads(2)));
        assert_eq!(serial, all(Par::Threads(8)));
    }
}

#[test]
fn more_iterations_never_cost_more() {
    let set = iso64(2000, 0);
    let costs: Vec<f64> =
        [0, 1, 2, 5, 20].map(|iterations| objective(&set, &KMeansParams { iterations, ..params(16) })).to_vec();
    assert!(costs.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-7)), "{costs:?}");
    assert!(costs[4] < 0.9 * costs[0]);
}

#[test]
fn hostile_rows_are_divided_without_panic() {
    for shape in shapes::hostile(300, 12, 7) {
        for init in [KMeansInit::Random, KMeansInit::PlusPlus] {
            let params = KMeansParams { init, ..params(16) };
            let rows = shape.base.view();
            for found in [
                KMeans::train(rows, &params, Par::Serial),
                KMeans::two_level(rows, &params, Par::Serial),
                KMeans::mini_batch(rows, &params, 50, Par::Serial),
                KMeans::balanced(rows, &params, Par::Serial),
            ] {
                let found = found.unwrap();
                assert_eq!((found.centroids.len(), found.labels.len()), (16, rows.len()), "{}", shape.name);
                assert!(found.centroids.as_slice().iter().all(|x| x.is_finite()), "{}", shape.name);
            }
        }
    }
}

#[test]
fn empty_clusters_take_half_of_the_largest() {
    let mut centroids = [8.0, 8.0, 1.0, 1.0, 5.0, 5.0];
    let mut sizes = [7, 2, 0];
    split_largest(&mut centroids, 2, &mut sizes);
    assert_eq!(sizes, [4, 2, 3]);
    assert!(centroids[4] > 8.0 && centroids[0] < 8.0 && centroids[5] < 8.0 && centroids[1] > 8.0);
}

#[test]
fn bad_input_is_an_error() {
    let rows = Matrix::new(vec![0.0, 1.0, f32::NAN, 3.0], 1).unwrap();
    let train = |rows, k| KMeans::train(rows, &params(k), Par::Serial).unwrap_err();
    assert!(matches!(train(rows.view(), 2), TrainError::Row(RowError { row: 2, .. })));
    let rows = Matrix::new(vec![0.0, 1.0, 2.0], 1).unwrap();
    assert_eq!(train(rows.view(), 4), TrainError::TooFew { found: 3, needed: 4 });
    assert!(matches!(train(rows.view(), 0), TrainError::Param { name: "k", .. }));
    assert!(KMeans::mini_batch(rows.view(), &params(1), 0, Par::Serial).is_err());
}

#[test]
fn spherical_centroids_have_norm_one() {
    let set = spec256(1000, 0);
    let found = KMeans::train(set.base.view(), &KMeansParams { spherical: true, ..params(10) }, Par::Serial).unwrap();
    for centroid in found.centroids.rows() {
        assert!((centroid.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    for (row, &label) in set.base.rows().zip(&found.labels) {
        assert_eq!(ann_testkit::nearest(found.centroids.view(), row, Metric::InnerProduct, 1)[0].0, label);
    }
}

#[test]
fn balanced_clusters_are_nearly_of_one_size() {
    let set = mix128(4000, 0);
    let plain = KMeans::train(set.base.view(), &params(32), Par::Ambient).unwrap();
    let balanced = KMeans::balanced(set.base.view(), &params(32), Par::Ambient).unwrap();
    let largest = balanced.sizes().into_iter().max().unwrap();
    assert!(f64::from(largest) <= 1.2 * 125.0, "{largest} of 125, {:?}", plain.sizes().into_iter().max());
    assert!(balanced.inertia <= 1.15 * plain.inertia, "{} {}", balanced.inertia, plain.inertia);
    assert!(balanced.imbalance() < plain.imbalance());
}

#[test]
fn variants_come_near_to_lloyd() {
    let set = mix128(5000, 0);
    let rows = set.base.view();
    let lloyd = KMeans::train(rows, &params(64), Par::Ambient).unwrap().inertia;
    let two_level = KMeans::two_level(rows, &params(64), Par::Ambient).unwrap().inertia;
    let params = KMeansParams { iterations: 60, ..params(64) };
    let batches = KMeans::mini_batch(rows, &params, 1000, Par::Ambient).unwrap().inertia;
    assert!(two_level < 1.05 * lloyd && batches < 1.05 * lloyd, "{} {}", two_level / lloyd, batches / lloyd);
}

/// faiss 1.15.1, k = 64, 25 iterations, random rows and k-means++: squared distances over total variance.
#[test]
#[ignore = "slow: 120,000 rows"]
fn acceptance_objective_is_that_of_faiss() {
    let sets =
        [(mix128(50_000, 0), 0.506, 0.504), (iso64(20_000, 0), 0.8985, 0.8980), (spec256(50_000, 0), 0.798, 0.798)];
    for (set, random, plus_plus) in sets {
        for (init, expected) in [(KMeansInit::Random, random), (KMeansInit::PlusPlus, plus_plus)] {
            let found = objective(&set, &KMeansParams { init, ..params(64) });
            eprintln!("{} {init:?}: {found:.4}, faiss {expected}", set.name);
            assert!(found <= 1.005 * expected, "{} {init:?}: {found}, expected {expected}", set.name);
        }
    }
}

/// Lloyd's iteration as it is written down.
fn plain(rows: MatrixView<'_, f32>, centroids: &mut [f32], iterations: usize) -> Vec<u32> {
    let (dim, k) = (rows.dim(), centroids.len() / rows.dim());
    let nearest = |centroids: &[f32]| -> Vec<u32> {
        let label = |row: &[f32]| {
            let distance = |c: &usize| squared(row, &centroids[c * dim..][..dim]);
            (0..k).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap() as u32
        };
        rows.rows().map(label).collect()
    };
    for _ in 0..iterations {
        let labels = nearest(centroids);
        for (c, centroid) in centroids.chunks_mut(dim).enumerate() {
            let own: Vec<usize> = (0..rows.len()).filter(|&row| labels[row] as usize == c).collect();
            for (j, value) in centroid.iter_mut().enumerate() {
                *value = (own.iter().map(|&row| f64::from(rows.row(row)[j])).sum::<f64>() / own.len() as f64) as f32;
            }
        }
    }
    nearest(centroids)
}

#[test]
fn bounds_leave_out_nothing_that_is_nearer() {
    // More centroids than rows of a chunk need, groups that are not full, and rows that are far from the origin.
    for (set, k, shift) in [(mix128(1500, 0), 40, 0.0), (mix128(900, 0), 7, 1000.0), (spec256(700, 0), 100, 0.0)] {
        let dim = set.base.dim();
        let rows = Matrix::new(set.base.as_slice().iter().map(|x| x + shift).collect(), dim).unwrap();
        let arch = Arch::detect().unwrap();
        let mut centroids = start(rows.as_slice(), dim, &params(k), arch, Par::Serial);
        let mut expected = centroids.clone();
        let mut lloyd = Lloyd::new(rows.as_slice(), dim, k, false, arch);
        assert!(lloyd.bounds.is_some());
        lloyd.run(&mut centroids, 6, Par::Serial);
        lloyd.assign(&centroids, Par::Serial);
        let labels = plain(rows.view(), &mut expected, 6);
        let same = labels.iter().zip(&lloyd.labels).filter(|(a, b)| a == b).count();
        assert!(same * 1000 >= labels.len() * 999, "{} {same} of {}", set.name, labels.len());
        // Who is nearest to the centroids as they are is no matter of rounding.
        for (row, &label) in rows.rows().zip(&lloyd.labels) {
            let distance = |c: usize| squared(row, &centroids[c * dim..][..dim]);
            let least = (0..k).map(distance).fold(f64::INFINITY, f64::min);
            assert!(distance(label as usize) <= least * (1.0 + 1e-5), "{}", set.name);
        }
    }
}
