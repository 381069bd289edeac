//! G4 against the laws of codes and against what uniform grids can reach.

use super::*;
use crate::CodeStore;
use crate::tests::{check_laws, measure, report, speeds};
use ann_testkit::portable::{mix128, spec256};

fn train(bits: u32) -> impl Fn(MatrixView<'_, f32>, Metric, Par) -> Result<G4, TrainError> {
    move |rows, metric, par| G4::train(rows, metric, &G4Params { bits, seed: 5, rounds: 0 }, par)
}

fn train_caq(bits: u32) -> impl Fn(MatrixView<'_, f32>, Metric, Par) -> Result<G4, TrainError> {
    move |rows, metric, par| G4::train(rows, metric, &G4Params { bits, seed: 5, rounds: 6 }, par)
}

/// Mean of `1 - cos²` between rotated rows and their codes.
fn sine(g4: &G4, rows: MatrixView<'_, f32>) -> f64 {
    let (mut scratch, mut code) = (Vec::new(), vec![0; g4.code_len()]);
    let sines = rows.rows().map(|row| {
        g4.encode(row, &mut scratch, &mut code);
        let (values, _) = g4.rotated.values(&code);
        let (r, _) = g4.rotated.residual(row, &mut scratch);
        1.0 - product(r, &values).powi(2) / (product(r, r) * product(&values, &values))
    });
    sines.sum::<f64>() / rows.len() as f64
}

#[test]
fn laws_hold() {
    for bits in [1, 4, 7, 8] {
        check_laws(train(bits));
    }
    check_laws(train_caq(4));
}

#[test]
fn codes_are_as_near_as_a_grid_for_normal_variables_can_be() {
    let set = spec256(500, 20);
    for (bits, most) in [(2, 0.125), (4, 0.0122), (8, 7.5e-5)] {
        let g4 = train(bits)(set.base.view(), Metric::L2, Par::Serial).unwrap();
        let sine = sine(&g4, set.base.view());
        assert!(sine < most && sine > 0.6 * most, "{bits} bits: {sine}");
    }
}

#[test]
fn adjusted_codes_are_as_near_as_recorded() {
    let set = spec256(500, 20);
    for (bits, most) in [(2, 0.120), (3, 0.0380), (4, 0.0119), (6, 7.7e-4)] {
        let g4 = train_caq(bits)(set.base.view(), Metric::L2, Par::Serial).unwrap();
        let sine = sine(&g4, set.base.view());
        assert!(sine < most && sine > 0.8 * most, "{bits} bits: {sine}");
    }
}

#[test]
fn four_bits_rank_and_do_not_lean() {
    let set = mix128(2000, 50);
    let g4 = train(4)(set.base.view(), Metric::L2, Par::Serial).unwrap();
    let measured = measure(&CodeStore::from_rows(g4, set.base.view(), Par::Serial).unwrap(), &set);
    assert!(measured.found[0] > 0.9 && measured.found[1] > 0.995 && measured.bias.abs() < 1e-3, "{measured:?}");
}

#[test]
#[ignore = "slow: all of spec256"]
fn g4_acceptance() {
    let set = spec256(50_000, 200);
    for (bits, most) in [(4, 0.0119), (8, 6.7e-5)] {
        let g4 = train(bits)(set.base.view(), Metric::L2, Par::Serial).unwrap();
        let sine = sine(&g4, set.base.view().slice(0..4000));
        let measured = measure(&CodeStore::from_rows(g4, set.base.view(), Par::Serial).unwrap(), &set);
        report(format_args!("g4 {bits} bits: 1 - cos² {sine:.3e} (at most {most:.2e}), {measured:?}"));
        assert!(sine < most);
    }
    for (bits, recorded) in [(2, 0.117), (3, 0.0368), (4, 0.0111), (6, 7.4e-4), (8, 4.7e-5)] {
        let rows = set.base.view().slice(0..2000);
        let sine = sine(&train_caq(bits)(rows, Metric::L2, Par::Serial).unwrap(), rows);
        report(format_args!("caq {bits} bits: 1 - cos² {sine:.3e} ({recorded:.2e})"));
    }
}

#[test]
#[ignore = "slow: a clock, for optimised builds"]
fn g4_speed_acceptance() {
    speeds("caq, 4 bits", 384, train_caq(4));
    for (bits, dim) in [(4, 100), (4, 128), (4, 384), (8, 384), (4, 768)] {
        speeds(&format!("g4, {bits} bits"), dim, train(bits));
    }
}
