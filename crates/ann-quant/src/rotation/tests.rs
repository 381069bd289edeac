//! Laws of rotations, for every dimension that is special to them.

use super::*;

const DIMS: [usize; 14] = [1, 2, 3, 25, 63, 64, 65, 100, 128, 200, 256, 384, 768, 960];

fn vector(dim: usize, seed: u64) -> Vec<f32> {
    (0..dim as u64).map(|i| gauss(seed, i) as f32).collect()
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn both(dim: usize, seed: u64) -> Vec<Rotation> {
    let mut both = vec![Rotation::hadamard(dim, seed)];
    if dim < 300 {
        both.push(Rotation::dense(dim, seed));
    }
    both
}

#[test]
fn norms_and_products_stay() {
    for rotation in DIMS.iter().flat_map(|&dim| both(dim, 3)) {
        let (x, y) = (vector(rotation.dim(), 1), vector(rotation.dim(), 2));
        let (mut rx, mut ry) = (Vec::new(), vec![f32::NAN; 7]);
        rotation.apply(&x, &mut rx);
        rotation.apply(&y, &mut ry);
        assert_eq!(rx.len(), rotation.padded_dim());
        let size = (product(&x, &x) * product(&y, &y)).sqrt();
        assert!((product(&rx, &rx) / product(&x, &x) - 1.0).abs() < 2e-6, "{}", rotation.dim());
        assert!((product(&rx, &ry) - product(&x, &y)).abs() < 2e-6 * size, "{}", rotation.dim());
    }
}

#[test]
fn inverting_gives_the_vector_back() {
    for rotation in DIMS.iter().flat_map(|&dim| both(dim, 4)) {
        let x = vector(rotation.dim(), 1);
        let (mut rotated, mut back) = (Vec::new(), vec![f32::NAN; x.len()]);
        rotation.apply(&x, &mut rotated);
        rotation.invert(&mut rotated, &mut back);
        assert!(x.iter().zip(&back).all(|(x, y)| (x - y).abs() < 1e-5), "{}", rotation.dim());
    }
}

#[test]
fn one_coordinate_is_spread_over_all() {
    for rotation in [64, 100, 128, 200, 256, 384, 960].iter().flat_map(|&dim| both(dim, 5)) {
        for hot in [0, rotation.dim() / 2, rotation.dim() - 1] {
            let mut x = vec![0.0; rotation.dim()];
            x[hot] = 1.0;
            let mut rotated = Vec::new();
            rotation.apply(&x, &mut rotated);
            let d = rotated.len() as f64;
            // The fourth moment of a Gaussian is 3; of a single coordinate, d.
            let kurtosis = rotated.iter().map(|&x| f64::from(x).powi(4)).sum::<f64>() * d;
            assert!(kurtosis < 5.0, "{} at {hot}: {kurtosis}", rotation.dim());
        }
    }
}

#[test]
fn seeds_differ_and_decide() {
    for dim in [64, 100, 384] {
        let x = vector(dim, 1);
        let rotated = |seed| {
            let mut out = Vec::new();
            Rotation::new(dim, seed).apply(&x, &mut out);
            out
        };
        assert_eq!(rotated(1), rotated(1));
        assert_ne!(rotated(1), rotated(2));
    }
}

#[test]
fn transform_is_that_of_the_plain_loop() {
    for len in [64_usize, 128, 256, 1024] {
        let x = vector(len, 9);
        let mut fast = x.clone();
        transform(&mut fast);
        for (row, &found) in fast.iter().enumerate() {
            let sign = |column: usize| if (row & column).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            let expected: f64 = x.iter().enumerate().map(|(column, &x)| sign(column) * f64::from(x)).sum();
            assert!((f64::from(found) - expected).abs() < 1e-3, "{len}, {row}: {found}, {expected}");
        }
    }
}

/// Values written down once: every platform must give them, bit for bit.
#[test]
fn values_are_those_of_every_platform() {
    let sum = |rotation: &Rotation| {
        let mut out = Vec::new();
        rotation.apply(&vector(rotation.dim(), 1), &mut out);
        out.iter().fold(0_u64, |sum, x| sum.rotate_left(5) ^ u64::from(x.to_bits()))
    };
    let sums = [200, 256].map(|dim| sum(&Rotation::hadamard(dim, 42)));
    assert_eq!(
        (sums, sum(&Rotation::dense(33, 42))),
        ([15_110_110_076_496_577_535, 5_067_371_780_855_411_453], 10_342_910_916_015_007_516)
    );
}

#[test]
#[ignore = "slow: a clock, for optimised builds"]
fn speed_acceptance() {
    for dim in [100, 128, 384, 768, 960] {
        let (rotation, x, mut out) = (Rotation::new(dim, 1), vector(dim, 1), Vec::new());
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            for _ in 0..1000 {
                rotation.apply(std::hint::black_box(&x), &mut out);
                std::hint::black_box(&out);
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        #[allow(clippy::print_stderr)]
        {
            eprintln!("rotation of {dim}: {:.0} ns", best * 1e6);
        }
    }
}
