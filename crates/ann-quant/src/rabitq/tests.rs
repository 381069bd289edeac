//! RaBitQ against the laws of codes, its own bounds, and the numbers of an independent implementation.

use super::*;
use crate::tests::{Measured, check_laws, measure, report, speeds};
use crate::{CodeStore, Rotation};
use ann_core::VectorStore;
use ann_testkit::portable::{Portable, iso64, mix128, mrl256, spec256};

fn params(bits: u32) -> RabitqParams {
    RabitqParams { bits, seed: 5, ..RabitqParams::default() }
}

fn train(params: RabitqParams) -> impl Fn(MatrixView<'_, f32>, Metric, Par) -> Result<Rabitq, TrainError> {
    move |rows, metric, par| Rabitq::train(rows, metric, &params, par)
}

fn store(params: RabitqParams, set: &Portable) -> CodeStore<Rabitq> {
    let rabitq = train(params)(set.base.view(), Metric::L2, Par::Ambient).unwrap();
    CodeStore::from_rows(rabitq, set.base.view(), Par::Ambient).unwrap()
}

/// Mean of `1 - cos²` between rotated rows and their codes.
fn sine(rabitq: &Rabitq, rows: MatrixView<'_, f32>) -> f64 {
    let (mut scratch, mut code) = (Vec::new(), vec![0; rabitq.code_len()]);
    let sines = rows.rows().map(|row| {
        rabitq.encode(row, &mut scratch, &mut code);
        let (values, _) = rabitq.rotated.values(&code);
        let (r, _) = rabitq.rotated.residual(row, &mut scratch);
        1.0 - product(r, &values).powi(2) / (product(r, r) * product(&values, &values))
    });
    sines.sum::<f64>() / rows.len() as f64
}

/// Share of distances outside of their bounds on either side.
fn violations(store: &CodeStore<Rabitq>, set: &Portable) -> f64 {
    let (rabitq, ids) = (store.quantizer(), (0..store.len() as u32).collect::<Vec<_>>());
    let (mut query, mut out, mut lower) = (Default::default(), vec![0.0; ids.len()], vec![0.0; ids.len()]);
    let mut outside = 0;
    for q in set.queries.rows() {
        rabitq.prepare(q, &mut query);
        rabitq.gather_bounds(&query, store.rows(), &ids, &mut out, &mut lower);
        for ((row, &out), &lower) in set.base.rows().zip(&out).zip(&lower) {
            let exact: f64 = row.iter().zip(q).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            outside += usize::from((f64::from(out) - exact).abs() > f64::from(out - lower));
        }
    }
    outside as f64 / (ids.len() * set.queries.len()) as f64
}

#[test]
fn laws_hold() {
    for bits in [1, 2, 3, 8] {
        check_laws(train(params(bits)));
    }
    check_laws(train(RabitqParams { fast: true, ..params(5) }));
    check_laws(train(RabitqParams { staged: true, ..params(4) }));
}

#[test]
fn parameters_out_of_range_are_refused() {
    let rows = crate::tests::rows(4, Metric::L2);
    let refused = |params| matches!(train(params)(rows.view(), Metric::L2, Par::Serial), Err(TrainError::Param { .. }));
    assert!(refused(params(0)) && refused(params(9)));
    assert!(refused(RabitqParams { epsilon0: f32::NAN, ..params(1) }));
    assert!(refused(RabitqParams { epsilon0: -1.0, ..params(1) }));
}

#[test]
fn errors_halve_with_every_bit_and_bounds_hold_as_often_as_they_say() {
    let set = spec256(1000, 40);
    for (bits, expected) in [(1, 0.038), (2, 0.0184), (3, 0.0097), (4, 0.0053)] {
        let store = store(params(bits), &set);
        let (measured, outside) = (measure(&store, &set), violations(&store, &set));
        assert!((measured.relative / expected - 1.0).abs() < 0.07, "{bits} bits: {measured:?}");
        assert!(measured.bias.abs() < 2e-3, "{bits} bits: {measured:?}");
        assert!((0.045..0.065).contains(&outside), "{bits} bits: {outside}");
    }
}

#[test]
fn search_finds_what_trying_every_scale_finds() {
    for (row, extra) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 3), (5, 7)] {
        let r: Vec<f32> = (0..64).map(|i| gauss(8, row * 64 + i) as f32).collect();
        let quality = |numbers: &[f32]| {
            let values: Vec<f32> = numbers.iter().zip(&r).map(|(n, r)| (n + 0.5).copysign(*r)).collect();
            product(&r, &values).powi(2) / product(&values, &values)
        };
        let (mut found, mut tried, mut best) = (vec![0.0; 64], vec![0.0; 64], 0.0_f64);
        search(&r, extra, &mut found);
        for scale in 1..20_000 {
            magnitudes(&r, f64::from(scale) * 0.005, extra, &mut tried);
            best = best.max(quality(&tried));
        }
        assert!(quality(&found) > best * (1.0 - 1e-6), "{extra} bits: {} of {best}", quality(&found));
    }
}

#[test]
fn a_common_scale_costs_little() {
    let set = spec256(300, 1);
    for bits in [2, 4, 6] {
        let sine = |fast| {
            let rabitq = train(RabitqParams { fast, ..params(bits) })(set.base.view(), Metric::L2, Par::Serial);
            sine(&rabitq.unwrap(), set.base.view())
        };
        let (fast, slow) = (sine(true), sine(false));
        assert!(slow <= fast && fast < 1.15 * slow, "{bits} bits: {fast}, {slow}");
    }
}

#[test]
fn sign_bits_spare_most_codes_and_lose_few_rows() {
    let set = mix128(2000, 20);
    let store = store(RabitqParams { staged: true, ..params(4) }, &set);
    let (rabitq, ids) = (store.quantizer(), (0..2000).collect::<Vec<u32>>());
    let (mut query, mut all, mut below) = (Default::default(), vec![0.0; 2000], vec![0.0; 2000]);
    let (mut whole, mut near, mut lost) = (0, 0, 0);
    for q in set.queries.rows() {
        rabitq.prepare(q, &mut query);
        rabitq.gather(&query, store.rows(), &ids, &mut all);
        let mut sorted = all.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        whole += rabitq.gather_below(&query, store.rows(), &ids, sorted[20], &mut below);
        for (all, below) in all.iter().zip(&below) {
            assert!(below == all || *below == f32::INFINITY);
            near += usize::from(*all < sorted[20]);
            lost += usize::from(*all < sorted[20] && *below == f32::INFINITY);
        }
    }
    assert!(whole < 20 * 2000 / 4, "{whole}");
    assert!(near >= 380 && lost <= 20, "{lost} of {near}");
    let plain = self::store(params(4), &set);
    plain.quantizer().prepare(set.queries.row(0), &mut query);
    assert_eq!(plain.quantizer().gather_below(&query, plain.rows(), &ids, 0.0, &mut below), 2000);
}

#[test]
fn bits_in_stages_and_in_one_piece_estimate_the_same() {
    let set = iso64(300, 3);
    for bits in 2..8 {
        let whole = store(params(bits), &set);
        let staged = store(RabitqParams { staged: true, ..params(bits) }, &set);
        let (mut a, mut b) = (vec![0.0; 300], vec![1.0; 300]);
        for q in set.queries.rows() {
            whole.scan(q, &mut Default::default(), &mut a);
            staged.scan(q, &mut Default::default(), &mut b);
            assert_eq!(a, b, "{bits} bits");
        }
    }
}

/// Without a rotation the error of a row depends on where its coordinates lie, and the bounds with it.
#[test]
fn without_rotation_bounds_fail() {
    let set = mrl256(1000, 40);
    let store = |rotation: Rotation| {
        let rows = set.base.view();
        let centre = crate::training::mean(rows, Metric::L2, "test", Par::Serial).unwrap();
        let rotated = Rotated::new(Metric::L2, centre, rotation, params(1).layout()).unwrap();
        CodeStore::from_rows(Rabitq::with(params(1), rotated), rows, Par::Serial).unwrap()
    };
    let (rotated, plain) = (store(Rotation::new(256, 1)), store(Rotation::identity(256)));
    let (error, plain_error) = (measure(&rotated, &set).relative, measure(&plain, &set).relative);
    assert!(plain_error > 1.2 * error, "{plain_error}, {error}");
    let (outside, plain_outside) = (violations(&rotated, &set), violations(&plain, &set));
    assert!(outside < 0.065 && plain_outside > 0.1, "{outside}, {plain_outside}");
}

#[test]
#[ignore = "slow: the full sets"]
fn rabitq_errors_acceptance() {
    let set = spec256(4000, 200);
    let expected = [0.0380, 0.0184, 0.0097, 0.0053, 0.0027, 0.0014];
    for (bits, expected) in (1..).zip(expected) {
        for fast in [false, true] {
            let store = store(RabitqParams { fast, ..params(bits) }, &set);
            let (measured, outside) = (measure(&store, &set), violations(&store, &set));
            let sine = sine(store.quantizer(), set.base.view().slice(0..1000));
            report(format_args!(
                "rabitq {bits} bits, fast {fast}: {measured:?} (relative {expected}), outside {outside:.4}, 1 - cos² {sine:.3e}"
            ));
            if bits <= 4 && !fast {
                assert!((measured.relative / expected - 1.0).abs() < 0.05 && (0.045..0.065).contains(&outside));
                assert!(measured.bias.abs() < 5e-4);
            }
        }
    }
}

#[test]
#[ignore = "slow: the full sets"]
fn rabitq_recall_acceptance() {
    // 10@10 and 10@100 of faiss 1.15.1, `RR64,RaBitQ` and more bits.
    type Row = (fn(usize, usize) -> Portable, usize, u32, f64, Option<f64>);
    let table: [Row; 10] = [
        (spec256, 50_000, 1, 0.443, Some(0.93)),
        (spec256, 50_000, 2, 0.689, None),
        (spec256, 50_000, 4, 0.900, None),
        (mix128, 50_000, 1, 0.556, Some(0.99)),
        (mix128, 50_000, 2, 0.764, None),
        (mix128, 50_000, 4, 0.921, None),
        (mix128, 50_000, 8, 0.990, None),
        (iso64, 20_000, 1, 0.229, None),
        (iso64, 20_000, 4, 0.832, None),
        (iso64, 20_000, 8, 0.985, None),
    ];
    let mut failed = 0;
    for (set, n, bits, ten, hundred) in table {
        let set = set(n, 200);
        let Measured { found, .. } = measure(&store(params(bits), &set), &set);
        report(format_args!("rabitq {} {bits} bits: {found:?} (10@10 {ten}, 10@100 {hundred:?})", set.name));
        // Two standard deviations of 200 queries.
        failed += usize::from(found[0] < ten - 0.025 || hundred.is_some_and(|hundred| found[3] < hundred));
    }
    assert_eq!(failed, 0);
}

#[test]
#[ignore = "slow: a clock, for optimised builds"]
fn rabitq_speed_acceptance() {
    for (bits, fast, staged, dim) in [
        (1, false, false, 384),
        (1, false, false, 768),
        (2, true, false, 384),
        (4, false, false, 384),
        (4, true, false, 384),
        (4, true, true, 384),
        (8, true, false, 384),
    ] {
        let name = format!("rabitq, {bits} bits, fast {fast}, staged {staged}");
        speeds(&name, dim, train(RabitqParams { fast, staged, ..params(bits) }));
    }
}
