use super::*;
use ann_core::Matrix;
use ann_testkit::portable;

/// The mean error of estimates over the spread of distances.
fn error(metric: Metric, params: &LanePqParams) -> f64 {
    let set = portable::spec256(1_200, 10);
    let dim = set.base.dim();
    let owner = vec![0.01; dim];
    let residuals: Vec<f32> = set.base.rows().flat_map(|row| row.iter().map(|x| x - 0.01)).collect();
    let residuals = Matrix::new(residuals, dim).unwrap();
    let mean = vec![0.02; dim];
    let codec = LanePq::train(residuals.view(), &mean, 3.0, metric, params, Par::Serial).unwrap();
    let mut transformed = vec![0.0; 33 * dim];
    codec.transform_prepared(&owner, &mut transformed[..dim]);
    for (row, out) in set.base.rows().zip(transformed[dim..].chunks_exact_mut(dim)) {
        codec.transform(row, out);
    }
    let near: Vec<&[f32]> = transformed[dim..].chunks_exact(dim).collect();
    let mut blocks = vec![7; codec.codes_len(3 * LANES)];
    codec.encode(&transformed[..dim], &near, 3 * LANES, &mut blocks);
    let (mut prepared, mut off, mut spread) = (LanePqQuery::default(), 0.0, 0.0);
    for query in set.queries.rows() {
        codec.prepare(query, &mut prepared);
        let exact = |row: &[f32]| match metric {
            Metric::L2 => ann_testkit::distance(metric, query, row),
            _ => -query.iter().zip(row).map(|(a, b)| f64::from(a * b)).sum::<f64>(),
        };
        let (mut out, mut masks) = ([[f32::NAN; LANES]; 3], [0; 3]);
        codec.score_blocks(&prepared, exact(&owner) as f32, &blocks, f32::MAX, &mut out, &mut masks);
        let mut again = vec![f32::NAN; 3 * LANES];
        let mask = codec.score(&prepared, exact(&owner) as f32, &blocks, f32::MAX, &mut again);
        assert_eq!(out.as_flattened(), again, "both doors give the same");
        assert_eq!(masks, [mask as u16, (mask >> 16) as u16, (mask >> 32) as u16]);
        assert_eq!((masks[0], masks[2]), (u16::MAX, 0), "lanes without a row are farthest");
        let exact: Vec<f64> = set.base.rows().take(32).map(exact).collect();
        let middle = exact.iter().sum::<f64>() / 32.0;
        for (estimate, exact) in out.as_flattened().iter().zip(exact) {
            off += (f64::from(*estimate) - exact).abs();
            spread += (exact - middle).abs();
        }
    }
    off / spread
}

#[test]
fn estimates_are_near_and_nearer_with_more_bits() {
    for metric in [Metric::L2, Metric::InnerProduct] {
        let params =
            |m, nbits, rotate| LanePqParams { pq: PqParams { m, nbits, ..PqParams::default() }, rotate, eta: 1.0 };
        let coarse = error(metric, &params(32, 4, None));
        let fine = error(metric, &params(128, 4, None));
        let bytes = error(metric, &params(128, 8, None));
        let turned = error(metric, &params(32, 4, Some(2)));
        // Half a bit per column says little; what it does say is less wrong with more bits.
        assert!(fine < 0.5 && fine < 0.7 * coarse && bytes < 0.5 * fine, "{metric}: {coarse} {fine} {bytes}");
        assert!(turned < 1.1 * coarse, "{metric}: {turned}, without turning {coarse}");
    }
}

#[test]
fn what_cannot_be_trained_is_said() {
    let rows = Matrix::new((0..400).map(|i| i as f32).collect(), 4).unwrap();
    let train = |params: LanePqParams, mean: &[f32], metric| {
        LanePq::train(rows.view(), mean, 1.0, metric, &params, Par::Serial).map(|_| ()).unwrap_err().to_string()
    };
    let params = |nbits, eta| LanePqParams { pq: PqParams { m: 2, nbits, ..PqParams::default() }, rotate: None, eta };
    assert!(train(params(5, 1.0), &[0.0; 4], Metric::L2).contains("nbits is 5"));
    assert!(train(params(4, 2.0), &[0.0; 4], Metric::L2).contains("eta"));
    assert!(train(params(4, 1.0), &[0.0; 3], Metric::L2).contains("mean"));
    assert!(train(params(4, 1.0), &[0.0; 4], Metric::L1).contains("l1"));
}
