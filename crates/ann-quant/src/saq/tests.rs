//! SAQ against the laws of codes, and against codes of one grid at the same number of bytes.

use super::*;
use crate::tests::{Measured, check_laws, measure, report, speeds};
use crate::{CodeStore, G4, G4Params, Rabitq, RabitqParams};
use ann_core::{Matrix, VectorStore};
use ann_testkit::portable::{Portable, iso64, mix128, mrl256, spec256};

fn train(bits: f32) -> impl Fn(MatrixView<'_, f32>, Metric, Par) -> Result<Saq, TrainError> {
    move |rows, metric, par| Saq::train(rows, metric, &SaqParams { bits, seed: 5, ..Default::default() }, par)
}

fn store(bits: f32, set: &Portable) -> CodeStore<Saq> {
    let saq = train(bits)(set.base.view(), Metric::L2, Par::Ambient).unwrap();
    CodeStore::from_rows(saq, set.base.view(), Par::Ambient).unwrap()
}

/// SAQ, adjusted G4 and RaBitQ of the same bits.
fn compare(bits: u32, set: &Portable) -> [Measured; 3] {
    let (rows, par) = (set.base.view(), Par::Ambient);
    let saq = store(bits as f32, set);
    let g4 = G4::train(rows, Metric::L2, &G4Params { bits, seed: 5, rounds: 6 }, par).unwrap();
    let g4 = CodeStore::from_rows(g4, rows, par).unwrap();
    let params = RabitqParams { bits, seed: 5, fast: bits > 4, ..Default::default() };
    let rabitq = CodeStore::from_rows(Rabitq::train(rows, Metric::L2, &params, par).unwrap(), rows, par).unwrap();
    assert!(saq.quantizer().code_len() <= g4.quantizer().code_len(), "{bits} bits");
    let measured = [measure(&saq, set), measure(&g4, set), measure(&rabitq, set)];
    let parts: Vec<_> = saq.quantizer().segments().map(|(columns, bits)| (columns.end, bits)).collect();
    let [s, g, r] = measured.map(|measured| measured.relative);
    report(format_args!(
        "{} {bits} bits: saq {s:.3e} (bias {:.1e}), g4 {g:.3e}, rabitq {r:.3e}: {:.0} % less than rabitq; ten in {:.3?}, {:.3?}, {:.3?}; {parts:?}",
        set.name,
        measured[0].bias,
        100.0 * (1.0 - s / r),
        measured[0].found,
        measured[1].found,
        measured[2].found,
    ));
    measured
}

#[test]
fn laws_hold() {
    for bits in [1.0, 2.5, 4.0, 8.0] {
        check_laws(train(bits));
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let rows = crate::tests::rows(100, Metric::L2);
    for bits in [0.0, -1.0, 0.2, 8.5, f32::NAN, f32::INFINITY] {
        let error = train(bits)(rows.view(), Metric::L2, Par::Serial).err();
        assert!(matches!(error, Some(TrainError::Value { name: "bits", .. })), "{bits}: {error:?}");
    }
    // A quarter of a bit for 100 columns is not one for 64.
    assert!(matches!(train(0.25)(rows.view(), Metric::L2, Par::Serial), Err(TrainError::Value { .. })));
}

#[test]
fn codes_take_no_more_bytes_than_their_bits() {
    for dim in [1, 64, 100, 200, 384] {
        let rows = crate::tests::rows(dim, Metric::L2);
        for bits in [1.0, 1.5, 2.0, 3.3, 4.0, 8.0] {
            let saq = train(bits)(rows.view(), Metric::L2, Par::Serial).unwrap();
            let most = (f64::from(bits) * dim as f64 / 8.0).ceil() as usize + 8;
            assert!(saq.code_len() <= most, "{dim} columns, {bits} bits: {}", saq.code_len());
            let (mut start, mut seen) = (0, 0);
            for (columns, bits) in saq.segments() {
                assert!(columns.start == start && (1..=8).contains(&bits));
                (start, seen) = (columns.end, seen + 1);
            }
            assert!(seen > 0 && start <= dim);
        }
    }
}

#[test]
fn more_bits_decode_to_nearer_rows() {
    let set = mrl256(1500, 0);
    let mut before = f64::INFINITY;
    for bits in [1.0, 2.0, 4.0, 6.0] {
        let store = store(bits, &set);
        let (mut lost, mut all, mut row) = (0.0, 0.0, vec![0.0; 256]);
        for (id, exact) in (0..).zip(set.base.rows()) {
            store.quantizer().decode(store.code(id), &mut row);
            let off = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            lost += off(&row, exact);
            all += off(&store.quantizer().mean, exact);
        }
        assert!(lost / all < 0.5 * before.min(1.0), "{bits} bits: {}", lost / all);
        before = lost / all;
    }
}

#[test]
fn estimates_are_those_of_decoded_rows_under_every_metric() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let rows = crate::tests::rows(200, metric);
        let saq = train(6.0)(rows.view(), metric, Par::Serial).unwrap();
        let store = CodeStore::from_rows(saq, rows.view(), Par::Serial).unwrap();
        let mut out = vec![0.0; rows.len()];
        store.scan(rows.row(40), &mut Default::default(), &mut out);
        for (row, &estimate) in rows.rows().zip(&out) {
            let exact = ann_testkit::distance(metric, rows.row(40), row);
            let size = match metric {
                Metric::Cosine => 1.0,
                // Rows have a squared norm of about 200.
                _ => 200.0,
            };
            assert!((f64::from(estimate) - exact as f64).abs() < 0.02 * size, "{metric}: {estimate}, {exact}");
        }
    }
}

#[test]
fn errors_are_below_those_of_one_grid_where_the_spectrum_decays() {
    for set in [spec256(1500, 30), mrl256(1500, 30)] {
        for (bits, most) in [(1, 0.6), (2, 0.6), (4, 0.6)] {
            let [saq, g4, rabitq] = compare(bits, &set);
            assert!(saq.relative < most * rabitq.relative.min(g4.relative), "{} {bits} bits: {saq:?}", set.name);
            assert!(saq.bias.abs() < 2e-3, "{} {bits} bits: {saq:?}", set.name);
        }
    }
}

#[test]
fn rows_of_even_spectrum_are_coded_as_by_one_grid() {
    let set = iso64(1500, 30);
    let [saq, g4, _] = compare(4, &set);
    assert!((saq.relative / g4.relative - 1.0).abs() < 0.1, "{saq:?} {g4:?}");
}

#[test]
fn hostile_rows_are_neither_refused_nor_numbers_lost() {
    let tiny = f32::MIN_POSITIVE;
    // Squared distances must fit f32: beyond, they are infinite or no numbers.
    for scale in [1e-30, 1e-12, 1e12, 1e16] {
        let rows = Matrix::new((0..300 * 130).map(|i| scale * (i as f32).sin()).collect(), 130).unwrap();
        for metric in [Metric::L2, Metric::InnerProduct] {
            let saq = train(2.0)(rows.view(), metric, Par::Serial).unwrap();
            let mut store = CodeStore::from_rows(saq, rows.view(), Par::Serial).unwrap();
            // Far from what was trained on, and none at all.
            for value in [0.0, tiny, 3.0 * scale, -50.0 * scale] {
                ann_core::PushVector::push(&mut store, &[value; 130]).unwrap();
            }
            let mut out = vec![f32::NAN; store.len()];
            for query in [rows.row(0), &[0.0; 130], &[-20.0 * scale; 130]] {
                store.scan(query, &mut Default::default(), &mut out);
                assert!(out.iter().all(|x| !x.is_nan()), "{metric} {scale}");
            }
        }
    }
    // Fewer rows than columns; all but one column constant.
    let few = Matrix::new((0..7 * 192).map(|i| ((i * i) as f32).cos()).collect(), 192).unwrap();
    let line = Matrix::new((0..90 * 192).map(|i| if i % 192 == 7 { i as f32 } else { 0.5 }).collect(), 192).unwrap();
    for rows in [few, line] {
        let saq = train(2.0)(rows.view(), Metric::L2, Par::Serial).unwrap();
        let store = CodeStore::from_rows(saq, rows.view(), Par::Serial).unwrap();
        let mut out = vec![f32::NAN; store.len()];
        store.scan(rows.row(1), &mut Default::default(), &mut out);
        let nearest = out.iter().zip(0..).min_by(|a, b| a.0.total_cmp(b.0)).unwrap();
        assert_eq!(nearest.1, 1, "{out:?}");
    }
}

#[test]
#[ignore = "slow: all of the sets"]
fn saq_acceptance() {
    // By how much less is known of spectra that decay; the two blocks of mix128 leave little to choose.
    for (set, less) in [(spec256(50_000, 100), 0.6), (mrl256(50_000, 100), 0.6), (mix128(50_000, 100), 1.0)] {
        // No column has more than 8 bits, so that an average of 8 is one grid: the paper's code goes to 13.
        for (bits, most) in [(1, less), (2, less), (4, less), (8, 1.02)] {
            let [saq, _, rabitq] = compare(bits, &set);
            assert!(saq.relative < most * rabitq.relative, "{} {bits} bits", set.name);
        }
    }
}

#[test]
#[ignore = "slow: a clock, for optimised builds"]
fn saq_speed_acceptance() {
    for (bits, dim) in [(1.0, 384), (2.0, 384), (4.0, 384), (4.0, 768)] {
        speeds(&format!("saq, {bits} bits"), dim, train(bits));
    }
}
