//! Every distance against its definition written as a plain `f64` loop, the laws of a metric, and the edge cases.

use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Relative error that rounding to `f32` and a reordered `f64` sum may leave.
const TOLERANCE: f64 = 1e-6;

fn close(got: f32, expected: f64) -> bool {
    (f64::from(got) - expected).abs() <= TOLERANCE * expected.abs().max(1e-3)
}

fn plain_sum(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f(x, y)).sum()
}

/// The definitions, straight from their formulas, for rows of one length.
mod plain {
    use super::plain_sum;

    pub(super) fn l1(a: &[f64], b: &[f64]) -> f64 {
        plain_sum(a, b, |x, y| (x - y).abs())
    }
    pub(super) fn squared_l2(a: &[f64], b: &[f64]) -> f64 {
        plain_sum(a, b, |x, y| (x - y) * (x - y))
    }
    pub(super) fn l2(a: &[f64], b: &[f64]) -> f64 {
        squared_l2(a, b).sqrt()
    }
    pub(super) fn linf(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }
    pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
        -plain_sum(a, b, |x, y| x * y)
    }
    pub(super) fn cosine(a: &[f64], b: &[f64]) -> f64 {
        let norm = |v| plain_sum(v, v, |x, y| x * y).sqrt();
        if norm(a) * norm(b) == 0.0 { 1.0 } else { 1.0 + dot(a, b) / (norm(a) * norm(b)) }
    }
    pub(super) fn tanimoto(a: &[f64], b: &[f64]) -> f64 {
        let inner = |v, w| -dot(v, w);
        let union = inner(a, a) + inner(b, b) - inner(a, b);
        if union == 0.0 { 0.0 } else { 1.0 - inner(a, b) / union }
    }
    pub(super) fn hamming(a: &[f64], b: &[f64]) -> f64 {
        if a.is_empty() { 0.0 } else { plain_sum(a, b, |x, y| f64::from(u8::from(x != y))) / a.len() as f64 }
    }
    pub(super) fn jaccard(a: &[f64], b: &[f64]) -> f64 {
        let all = plain_sum(a, b, f64::max);
        if all == 0.0 { 0.0 } else { 1.0 - plain_sum(a, b, f64::min) / all }
    }
    fn normalized(v: &[f64]) -> Vec<f64> {
        let total: f64 = v.iter().sum();
        v.iter().map(|x| x / total).collect()
    }
    pub(super) fn hellinger(a: &[f64], b: &[f64]) -> f64 {
        (plain_sum(&normalized(a), &normalized(b), |p, q| (p.sqrt() - q.sqrt()).powi(2)) / 2.0).sqrt()
    }
    pub(super) fn jeffreys(a: &[f64], b: &[f64]) -> f64 {
        let smooth = |p: f64| (p + 1e-10) / (1.0 + a.len() as f64 * 1e-10);
        plain_sum(&normalized(a), &normalized(b), |p, q| (smooth(p) - smooth(q)) * (smooth(p) / smooth(q)).ln())
    }
    pub(super) fn jensen_shannon(a: &[f64], b: &[f64]) -> f64 {
        let term = |p: f64, m: f64| if p == 0.0 { 0.0 } else { p * (p / m).ln() };
        let sum = |p: f64, q: f64| term(p, (p + q) / 2.0) + term(q, (p + q) / 2.0);
        (plain_sum(&normalized(a), &normalized(b), sum) / 2.0).max(0.0).sqrt()
    }
    pub(super) fn levenshtein(a: &[u8], b: &[u8]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let cell = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], cell);
            }
        }
        row[b.len()]
    }
}

fn to_f64<T: Number>(v: &[T]) -> Vec<f64> {
    v.iter().map(|x| x.to_f64()).collect()
}

type Plain = fn(&[f64], &[f64]) -> f64;
type Table<T> = Vec<(&'static str, Box<dyn Distance<[T]>>, Plain)>;

fn on_numbers<T: Number>() -> Table<T> {
    vec![
        ("L1", Box::new(L1), plain::l1),
        ("L2", Box::new(L2), plain::l2),
        ("SquaredL2", Box::new(SquaredL2), plain::squared_l2),
        ("LInf", Box::new(LInf), plain::linf),
        ("Dot", Box::new(Dot), plain::dot),
        ("Cosine", Box::new(Cosine), plain::cosine),
        ("Tanimoto", Box::new(Tanimoto), plain::tanimoto),
        ("Hamming", Box::new(Hamming), plain::hamming),
    ]
}

fn on_weights<T: Number>() -> Table<T> {
    vec![
        ("Jaccard", Box::new(Jaccard), plain::jaccard),
        ("Hellinger", Box::new(Hellinger), plain::hellinger),
        ("Jeffreys", Box::new(Jeffreys), plain::jeffreys),
        ("JensenShannon", Box::new(JensenShannon), plain::jensen_shannon),
    ]
}

/// Rows of small integers, so that every element type holds them; every tail length of the eight lanes.
fn agree<T: Number>(element: &str, make: impl Fn(i32) -> T, signed: bool) {
    for dim in 0..=35 {
        let row = |seed: i32| -> Vec<T> {
            let low = if signed { 60 } else { 0 };
            (0..dim).map(|i| make((i * 37 + seed * 53 + i * i * seed) % 120 - low)).collect()
        };
        let (a, b) = (row(1), row(2));
        let mut table = on_numbers::<T>();
        if !signed && dim > 0 {
            table.extend(on_weights());
        }
        for (name, distance, plain) in table {
            let (got, expected) = (distance.eval(&a, &b), plain(&to_f64(&a), &to_f64(&b)));
            assert!(close(got, expected), "{name} on {element}, dim {dim}: {got} instead of {expected}");
            assert_eq!(got, distance.eval(&b, &a), "{name} on {element} is not symmetric");
            if name != "Dot" && !(name == "Cosine" && dim == 0) {
                assert_eq!(distance.eval(&a, &a), 0.0, "{name} on {element}, dim {dim}: a row differs from itself");
            }
            assert_eq!(distance.check(&a), Ok(()), "{name} on {element}");
        }
    }
}

#[test]
fn every_element_type_agrees_with_the_definitions() {
    agree::<f32>("f32", |x| x as f32, true);
    agree::<f64>("f64", f64::from, true);
    agree::<f16>("f16", |x| f16::from_f64(f64::from(x)), true);
    agree::<bf16>("bf16", |x| bf16::from_f64(f64::from(x)), true);
    agree::<i64>("i64", i64::from, true);
    agree::<i32>("i32", |x| x, true);
    agree::<i16>("i16", |x| x as i16, true);
    agree::<i8>("i8", |x| x as i8, true);
    agree::<u64>("u64", |x| x as u64, false);
    agree::<u32>("u32", |x| x as u32, false);
    agree::<u16>("u16", |x| x as u16, false);
    agree::<u8>("u8", |x| x as u8, false);
    agree::<f32>("f32", |x| x as f32, false);
    agree::<f64>("f64", f64::from, false);
}

fn numbers() -> impl Strategy<Value = [Vec<f32>; 3]> {
    (0usize..40).prop_flat_map(|dim| [vec(-10f32..10.0, dim), vec(-10f32..10.0, dim), vec(-10f32..10.0, dim)])
}

/// Weights of which a third is zero, in rows of which some are all zero.
fn weights() -> impl Strategy<Value = [Vec<f64>; 3]> {
    let row = |dim| {
        let weight = prop_oneof![1 => Just(0.0), 2 => 0f64..1.0];
        prop_oneof![9 => vec(weight, dim), 1 => vec(Just(0.0), dim)]
    };
    (1usize..24).prop_flat_map(move |dim| [row(dim), row(dim), row(dim)])
}

fn obeys_metric_laws<V: ?Sized>(d: &dyn Distance<V>, [a, b, c]: [&V; 3]) -> Result<(), TestCaseError> {
    let (ab, bc, ac) = (d.eval(a, b), d.eval(b, c), d.eval(a, c));
    prop_assert!(ab >= 0.0);
    prop_assert_eq!(ab, d.eval(b, a));
    prop_assert_eq!(d.eval(a, a), 0.0);
    prop_assert!(ac <= (ab + bc) * (1.0 + 1e-6) + 1e-7, "{} > {} + {}", ac, ab, bc);
    Ok(())
}

proptest! {
    #[test]
    fn numeric_metrics_obey_the_metric_laws([a, b, c] in numbers()) {
        let table: [&dyn Distance<[f32]>; 3] = [&L1, &L2, &LInf];
        for d in table {
            obeys_metric_laws(d, [a.as_slice(), &b, &c])?;
        }
    }

    #[test]
    fn weight_metrics_obey_the_metric_laws([a, b, c] in weights()) {
        let table: [&dyn Distance<[f64]>; 3] = [&Hellinger, &JensenShannon, &Jaccard];
        for d in table {
            obeys_metric_laws(d, [a.as_slice(), &b, &c])?;
        }
    }

    #[test]
    fn weight_distances_agree_with_the_definitions([a, b, _] in weights()) {
        for (name, d, plain) in on_weights::<f64>() {
            // The definitions divide by the sums.
            if name == "Jaccard" || a.iter().sum::<f64>() * b.iter().sum::<f64>() > 0.0 {
                let (got, expected) = (d.eval(&a, &b), plain(&a, &b));
                prop_assert!(close(got, expected), "{}: {} instead of {}", name, got, expected);
            }
        }
    }

    #[test]
    fn weights_are_compared_up_to_scale([a, b, _] in weights(), scale in 0.01f64..100.0) {
        let scaled: Vec<f64> = a.iter().map(|x| x * scale).collect();
        for (name, d, _) in on_weights::<f64>().into_iter().filter(|(name, ..)| *name != "Jaccard") {
            prop_assert!((d.eval(&a, &b) - d.eval(&scaled, &b)).abs() < 1e-5, "{}", name);
        }
    }

    #[test]
    fn counting_metrics_obey_the_metric_laws(
        [a, b, c] in (0usize..20).prop_flat_map(|n| [vec(0u8..4, n), vec(0u8..4, n), vec(0u8..4, n)])
    ) {
        let table: [&dyn Distance<[u8]>; 5] =
            [&Hamming, &BitHamming, &BitJaccard, &Levenshtein, &NormalizedLevenshtein];
        for d in table {
            obeys_metric_laws(d, [a.as_slice(), &b, &c])?;
        }
    }

    #[test]
    fn sequences_of_unequal_length_obey_the_metric_laws(
        [a, b, c] in [vec(0u8..4, 0..20), vec(0u8..4, 0..20), vec(0u8..4, 0..20)]
    ) {
        let table: [&dyn Distance<[u8]>; 6] =
            [&L1, &BitHamming, &BitJaccard, &Jaccard, &Levenshtein, &NormalizedLevenshtein];
        for d in table {
            obeys_metric_laws(d, [a.as_slice(), &b, &c])?;
        }
    }

    #[test]
    fn sets_and_bitsets_agree_with_the_definition(words in vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..4)) {
        let bits = |f: fn(&(u64, u64, u64)) -> u64| words.iter().map(f).collect::<Vec<_>>();
        let ids = |bits: &[u64]| -> Vec<u32> {
            (0..64 * bits.len() as u32).filter(|i| bits[*i as usize / 64] >> (i % 64) & 1 == 1).collect()
        };
        // Sparse, sparser and dense sets.
        let sets = [bits(|w| w.0 & w.1), bits(|w| w.0 & w.1 & w.2), bits(|w| w.1 | w.2)];
        let lists = sets.each_ref().map(|s| ids(s));
        obeys_metric_laws::<[u32]>(&SetJaccard, lists.each_ref().map(|l| l.as_slice()))?;
        let shared = lists[0].iter().filter(|x| lists[2].contains(x)).count() as f64;
        let all = (lists[0].len() + lists[2].len()) as f64 - shared;
        let expected = if all == 0.0 { 0.0 } else { 1.0 - shared / all };
        prop_assert!(close(SetJaccard.eval(&lists[0], &lists[2]), expected));
        prop_assert_eq!(SetJaccard.eval(&lists[0], &lists[2]), BitJaccard.eval(&sets[0], &sets[2]));
        prop_assert_eq!(BitHamming.eval(&sets[0], &sets[2]) as f64, all - shared);
        prop_assert_eq!(SetJaccard.check(&lists[0]), Ok(()));
    }

    #[test]
    fn levenshtein_agrees_with_the_table(a in vec(0u8..3, 0..300), b in vec(0u8..3, 0..300)) {
        let expected = plain::levenshtein(&a, &b);
        prop_assert_eq!(Levenshtein.eval(&a[..], &b[..]), expected as f32);
        let wide: [Vec<u32>; 2] = [&a, &b].map(|v| v.iter().map(|&x| u32::from(x) * 0x1_0001).collect());
        prop_assert_eq!(Levenshtein.eval(&wide[0][..], &wide[1][..]), expected as f32);
        let text = [&a, &b].map(|v| v.iter().map(|&x| ['a', 'ß', '漢'][usize::from(x)]).collect::<String>());
        prop_assert_eq!(Levenshtein.eval(text[0].as_str(), text[1].as_str()), expected as f32);
    }

    #[test]
    fn levenshtein_of_a_few_edits_agrees_with_the_table(
        a in vec(any::<u8>(), 0..200), edits in vec((any::<usize>(), any::<u8>(), 0..3), 0..6)
    ) {
        let mut b = a.clone();
        for (at, symbol, kind) in &edits {
            let at = at % (b.len() + 1);
            match kind {
                0 => b.insert(at, *symbol),
                1 if at < b.len() => b[at] = *symbol,
                _ if at < b.len() => drop(b.remove(at)),
                _ => {}
            }
        }
        prop_assert_eq!(Levenshtein.eval(&a[..], &b[..]), plain::levenshtein(&a, &b) as f32);
    }
}

#[test]
fn levenshtein_agrees_with_the_table_around_word_boundaries() {
    let symbol = |i: usize| (i * i % 7) as u8;
    for m in [1, 2, 63, 64, 65, 127, 128, 129, 192] {
        for n in [1, 63, 64, 65, 128, 130, 256] {
            let a: Vec<u8> = (0..m).map(symbol).collect();
            let b: Vec<u8> = (0..n).map(|i| symbol(i + 3)).collect();
            assert_eq!(Levenshtein.eval(&a[..], &b[..]), plain::levenshtein(&a, &b) as f32, "lengths {m} and {n}");
        }
    }
}

#[test]
fn levenshtein_of_more_distinct_symbols_than_a_byte_holds() {
    let a: Vec<u64> = (0..64).map(|i| i << 40).collect();
    let b: Vec<u64> = (0..64).map(|i| (63 - i) << 40).collect();
    // A reversal keeps one symbol in place; no two neighbours can be kept together.
    assert_eq!(Levenshtein.eval(&a[..], &b[..]), 64.0);
    assert_eq!(Levenshtein.eval(&a[..40], &a[..]), 24.0);
    assert_eq!(Levenshtein.eval([-1i8].as_slice(), [127].as_slice()), 1.0);
}

#[test]
fn l2_of_close_rows_keeps_its_digits() {
    let (a, b) = ([1e6f64; 8], [1e6 + 1e-6; 8]);
    assert!(close(L2.eval(&a, &b), 8f64.sqrt() * (1e6 + 1e-6 - 1e6)));
}

#[test]
fn squared_l2_beyond_f32_is_infinite_not_nan() {
    assert_eq!(SquaredL2.eval([1e30f32].as_slice(), [-1e30].as_slice()), f32::INFINITY);
    assert_eq!(L2.eval([1e30f32].as_slice(), [-1e30].as_slice()), 2e30);
}

#[test]
fn dot_may_be_negative_and_self_need_not_be_nearest() {
    let (short, long) = ([1.0f32, 0.0], [5.0, 0.0]);
    assert!(Dot.eval(&short, &long) < Dot.eval(&short, &short));
    assert_eq!(Dot.eval(&short, [-1.0, 0.0].as_slice()), 1.0);
}

#[test]
fn cosine_of_a_zero_vector_is_one() {
    let zero = [0.0f32; 9];
    assert_eq!(Cosine.eval(&zero, &[1.0; 9]), 1.0);
    assert_eq!(Cosine.eval(&zero, &zero), 1.0);
    assert_eq!(Cosine.eval([0u16; 0].as_slice(), &[]), 1.0);
}

#[test]
fn cosine_stays_in_range_for_extreme_elements() {
    for scale in [1e-300, 1e-160, 1e-20, 1.0, 1e100, 1e200, 1e308] {
        let a = [0.3 * scale, -0.7 * scale, 0.1 * scale];
        let opposite = a.map(|x| -x);
        assert!(Cosine.eval(&a, &a).abs() < 1e-15, "scale {scale}");
        assert!((Cosine.eval(&a, &opposite) - 2.0).abs() < 1e-6, "scale {scale}");
        assert!(close(Cosine.eval(&a, [scale, 0.0, 0.0].as_slice()), 1.0 - 0.3 / 0.59f64.sqrt()), "scale {scale}");
    }
}

#[test]
fn l1_of_large_integers_is_exact() {
    assert_eq!(L1.eval([i64::MAX, 1 << 60].as_slice(), [i64::MAX - 1, (1 << 60) + 2].as_slice()), 3.0);
    assert_eq!(L1.eval([i64::MAX].as_slice(), [i64::MIN].as_slice()), 2f32.powi(64));
    assert_eq!(L1.eval([i8::MAX].as_slice(), [i8::MIN].as_slice()), 255.0);
}

#[test]
fn linf_is_the_largest_difference() {
    let mut a = [0i32; 70];
    a[69] = -9;
    assert_eq!(LInf.eval(&a, &[0; 70]), 9.0);
}

#[test]
fn hamming_counts_elements_and_bit_hamming_bits() {
    assert_eq!(Hamming.eval([0u64, 255, 7, 7].as_slice(), [0, 0, 7, 7].as_slice()), 0.25);
    assert_eq!(BitHamming.eval([0u64, 255, 7, 7].as_slice(), [0, 0, 7, 7].as_slice()), 8.0);
    assert_eq!(Hamming.eval([0u8; 0].as_slice(), &[]), 0.0);
    assert_eq!(Hamming.eval([true, false].as_slice(), [true].as_slice()), 0.5);
}

#[test]
fn jaccard_of_two_empty_sets_is_zero_and_of_one_is_one() {
    assert_eq!(SetJaccard.eval([0u32; 0].as_slice(), &[]), 0.0);
    assert_eq!(SetJaccard.eval([4u32].as_slice(), &[]), 1.0);
    assert_eq!(BitJaccard.eval([0u64; 2].as_slice(), &[0; 2]), 0.0);
    assert_eq!(BitJaccard.eval([0u64; 2].as_slice(), &[0, 1]), 1.0);
    assert_eq!(Jaccard.eval([0.0f32; 3].as_slice(), &[0.0; 3]), 0.0);
    assert_eq!(Jaccard.eval([0.0f32; 3].as_slice(), &[0.0, 2.0, 0.0]), 1.0);
}

#[test]
fn weighted_jaccard_of_negative_weights_is_an_error_and_still_a_number() {
    let error = Jaccard.check([0.0f32, 2.0, -0.5].as_slice()).unwrap_err();
    assert_eq!(error, ElementError { position: 2, must: "finite and not negative", found: "-0.5".into() });
    assert_eq!(Jaccard.eval([-1.0f32, 1.0].as_slice(), &[0.0, 1.0]), 0.0);
}

#[test]
fn tanimoto_of_zeros_is_zero_and_of_opposites_four_thirds() {
    assert_eq!(Tanimoto.eval([0u8; 3].as_slice(), &[0; 3]), 0.0);
    assert_eq!(Tanimoto.eval([1.0f32, 2.0].as_slice(), &[-1.0, -2.0]), 4.0 / 3.0);
    let (a, b) = ([1u8, 1, 0, 1], [0u8, 1, 1, 1]);
    assert_eq!(Tanimoto.eval(&a, &b), Jaccard.eval(&a, &b));
}

#[test]
fn hellinger_is_l2_of_the_roots_over_root_two() {
    let (p, q) = ([0.1f64, 0.2, 0.7], [0.5f64, 0.5, 0.0]);
    let l2 = L2.eval(&p.map(f64::sqrt), &q.map(f64::sqrt));
    assert!(close(Hellinger.eval(&p, &q), f64::from(l2) / 2f64.sqrt()));
    let zero = [0.0f64; 3];
    assert_eq!((Hellinger.eval(&zero, &zero), Hellinger.eval(&zero, &q)), (0.0, 1.0));
    assert!(Hellinger.check([-0.1].as_slice()).is_err());
}

#[test]
fn jeffreys_of_a_weight_that_only_one_has_is_finite() {
    let far = Jeffreys.eval([0.5f32, 0.5, 0.0].as_slice(), &[0.5, 0.0, 0.5]);
    assert!(close(far, 2.0 * 0.5 * (0.5f64 / 1e-10).ln()));
    // No weight at all is the uniform distribution.
    assert_eq!(Jeffreys.eval([0.0f32; 4].as_slice(), &[1.0; 4]), 0.0);
    assert_eq!(Jeffreys.eval([0.0f32; 0].as_slice(), &[]), 0.0);
}

#[test]
fn jensen_shannon_is_bounded_and_resolves_near_neighbours() {
    let ln_2 = std::f64::consts::LN_2;
    assert!(close(JensenShannon.eval([1.0f64, 0.0].as_slice(), &[0.0, 1.0]), ln_2.sqrt()));
    let zero = [0.0f64; 2];
    assert_eq!(JensenShannon.eval(&zero, &zero), 0.0);
    assert_eq!(JensenShannon.eval(&zero, &[1.0, 0.0]), ln_2.sqrt() as f32);
    // JS ≈ ¼ Σ (p-q)²/(p+q) for a shift of ±s; a plain p·ln(p/m) has lost s = 1e-9 altogether.
    let shift = 2f64.powi(-30);
    let near = JensenShannon.eval([0.5 + shift, 0.5 - shift].as_slice(), &[0.5, 0.5]);
    assert!((f64::from(near) / (shift / 2f64.sqrt()) - 1.0).abs() < 1e-3, "{near}");
}

#[test]
fn levenshtein_counts_scalar_values_of_str_and_bytes_of_slices() {
    assert_eq!(Levenshtein.eval("", ""), 0.0);
    assert_eq!(Levenshtein.eval("", "日本"), 2.0);
    assert_eq!(Levenshtein.eval("日本".as_bytes(), "日".as_bytes()), 3.0);
    assert_eq!(NormalizedLevenshtein.eval("日本", "日"), 2.0 / 4.0);
    assert_eq!(NormalizedLevenshtein.eval("", ""), 0.0);
}

#[test]
fn padding_with_zeros_changes_nothing() {
    let (short, long) = (vec![3.0f32, 1.0, 2.0], (0..21).map(|i| i as f32).collect::<Vec<_>>());
    let mut padded = short.clone();
    padded.resize(long.len(), 0.0);
    for (name, d, _) in on_numbers::<f32>().into_iter().chain(on_weights()) {
        if name != "Hamming" {
            assert!(close(d.eval(&short, &long), f64::from(d.eval(&padded, &long))), "{name}");
            assert_eq!(d.eval(&short, &long), d.eval(&long, &short), "{name}");
        }
    }
}

#[test]
fn not_a_number_is_refused_and_comes_last() {
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (row, other) = ([1.0, 0.5, bad], [1.0, 0.5, 0.0]);
        for (name, d, _) in on_numbers::<f32>().into_iter().chain(on_weights()) {
            if name == "Hamming" {
                continue;
            }
            assert_eq!(d.check(&row).unwrap_err().position, 2, "{name}");
            assert!(!d.eval(&row, &other).is_nan(), "{name}");
            if bad.is_nan() {
                assert_eq!(d.eval(&row, &other), f32::INFINITY, "{name}");
                assert_eq!(d.eval(&other, &row), f32::INFINITY, "{name}");
            }
        }
    }
}

#[test]
fn set_jaccard_refuses_ids_out_of_order() {
    let error = SetJaccard.check([1u32, 2, 2].as_slice()).unwrap_err();
    assert_eq!(error.to_string(), "element 2 is 2, expected greater than the one before it");
    assert_eq!(
        SetJaccard.eval([2u32, 1].as_slice(), [1, 2].as_slice()),
        SetJaccard.eval([1u32, 2].as_slice(), &[2, 1])
    );
}

#[test]
fn functions_closures_and_trait_objects_are_distances() {
    fn parity(a: &u32, b: &u32) -> f32 {
        ((a ^ b) & 1) as f32
    }
    fn nearest<V>(d: impl Distance<V>, query: &V, rows: &[V]) -> usize {
        (0..rows.len()).min_by(|&i, &j| d.eval(query, &rows[i]).total_cmp(&d.eval(query, &rows[j]))).unwrap()
    }
    assert_eq!(nearest(parity, &7, &[2, 4, 5]), 2);
    assert_eq!(nearest(parity as fn(&u32, &u32) -> f32, &7, &[2, 4, 5]), 2);
    let modulus = 10;
    assert_eq!(nearest(move |a: &u32, b: &u32| (a.abs_diff(*b) % modulus) as f32, &7, &[2, 4, 17]), 2);
    type Boxed = Box<dyn Fn(&u32, &u32) -> f32 + Send + Sync>;
    assert_eq!(nearest(Box::new(parity) as Boxed, &7, &[2, 4, 5]), 2);
    assert_eq!(nearest(NoDistance, &7, &[2, 4, 5]), 0);
}
