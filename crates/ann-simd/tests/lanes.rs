//! Estimates of lanes against the plain loop: every level of this machine, all numbers of planes, lanes and half bytes.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_simd::lanes::{GROUP, LANES, LaneKernel, TableQuery, block_len, place};
use ann_simd::{Arch, f16};
use proptest::prelude::*;

/// A query, the half bytes of every lane and plane, and factors.
#[derive(Debug, Clone)]
struct Case {
    tables: Vec<u8>,
    planes: usize,
    lanes: usize,
    /// `[lane][plane][half byte]`.
    codes: Vec<Vec<Vec<u8>>>,
    factors: Vec<f32>,
    base: f32,
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..=40, 1usize..=8, 1usize..=4).prop_flat_map(|(half_bytes, planes, blocks)| {
        let lanes = blocks * LANES;
        let code = prop::collection::vec(prop::collection::vec(0u8..16, half_bytes), planes);
        (
            prop::collection::vec(any::<u8>(), half_bytes.next_multiple_of(GROUP) * 16),
            prop::collection::vec(code, lanes),
            prop::collection::vec(-2.0f32..2.0, 2 * lanes),
            -10.0f32..10.0,
        )
            .prop_map(move |(tables, codes, factors, base)| Case {
                tables,
                planes,
                lanes,
                codes,
                factors,
                base,
            })
    })
}

impl Case {
    fn query(&self) -> TableQuery<'_> {
        TableQuery { tables: &self.tables, planes: self.planes, step: 0.01, offset: -3.0, add_scale: 0.5 }
    }

    fn packed(&self) -> Vec<u8> {
        let half_bytes = self.codes[0][0].len();
        let block = block_len(half_bytes, self.planes);
        let mut packed = vec![0; self.lanes / LANES * block];
        for (lane, code) in self.codes.iter().enumerate() {
            for (plane, values) in code.iter().enumerate() {
                for (at, &value) in values.iter().enumerate() {
                    let (byte, shift) = place(half_bytes, plane, lane, at);
                    packed[lane / LANES * block + byte] |= value << shift;
                }
            }
        }
        packed
    }

    /// The sum of one lane over one plane, from the definition.
    fn sum(&self, values: &[u8]) -> u64 {
        let padding = values.len().next_multiple_of(GROUP) - values.len();
        let values = values.iter().copied().chain(std::iter::repeat_n(0, padding));
        values.enumerate().map(|(at, v)| u64::from(self.tables[16 * at + usize::from(v)])).sum()
    }

    /// In f64, from the definition.
    fn expected(&self, lane: usize) -> f64 {
        let sum = self.codes[lane].iter().fold(0, |sum, plane| 2 * sum + self.sum(plane));
        let factor = |i: usize| f16::from_f32(self.factors[i]).to_f64();
        let query = self.query();
        f64::from(self.base)
            + f64::from(query.add_scale) * factor(lane)
            + factor(self.lanes + lane) * (f64::from(query.step) * sum as f64 + f64::from(query.offset))
    }
}

proptest! {
    #[test]
    fn estimates_equal_the_plain_loop(case in cases()) {
        let factors: Vec<f16> = case.factors.iter().map(|&x| f16::from_f32(x)).collect();
        let codes = case.packed();
        for arch in Arch::available() {
            let kernel = LaneKernel::new(arch);
            let mut out = vec![f32::NAN; case.lanes];
            kernel.estimate(&case.query(), &codes, &factors, case.base, f32::INFINITY, &mut out);
            for (lane, &got) in out.iter().enumerate() {
                let want = case.expected(lane);
                prop_assert!((f64::from(got) - want).abs() <= 1e-5 * (20.0 + want.abs()), "{kernel:?}: {got}, {want}");
            }
            // The bound is the median: every lane's bit is what its value says.
            let mut sorted = out.clone();
            sorted.sort_by(f32::total_cmp);
            let bound = sorted[case.lanes / 2];
            let near = kernel.estimate(&case.query(), &codes, &factors, case.base, bound, &mut out);
            for (lane, &value) in out.iter().enumerate() {
                prop_assert_eq!(near >> lane & 1 == 1, value <= bound, "{:?}, lane {}", kernel, lane);
            }
            prop_assert!(case.lanes == 64 || near >> case.lanes == 0);
        }
    }

    #[test]
    fn sums_are_those_of_the_plain_loop_to_the_bit(mut case in cases()) {
        case.planes = 1;
        case.codes.iter_mut().for_each(|planes| planes.truncate(1));
        let expected: Vec<u64> = case.codes.iter().map(|planes| case.sum(&planes[0])).collect();
        let codes = case.packed();
        for arch in Arch::available() {
            let (kernel, mut sums) = (LaneKernel::new(arch), vec![7; case.lanes]);
            kernel.sums(&case.tables, &codes, &mut sums);
            prop_assert!(sums.iter().zip(&expected).all(|(&sum, &want)| u64::from(sum) == want), "{kernel:?}: {sums:?}");
        }
    }
}

#[test]
fn sums_of_full_tables_do_not_overflow() {
    // 4096 half bytes, all of the largest entry: far beyond 16 bits; more blocks than one estimate takes.
    let (tables, codes) = (vec![255; 4096 * 16], vec![0x5a; 5 * block_len(4096, 1)]);
    for arch in Arch::available() {
        let mut sums = [0; 5 * LANES];
        LaneKernel::new(arch).sums(&tables, &codes, &mut sums);
        assert_eq!(sums, [4096 * 255; 5 * LANES], "{arch:?}");
    }
}

/// Sums may stay in 16 bits while all planes together fit: about that border, all entries are the largest.
#[test]
fn sums_over_planes_of_full_tables_do_not_overflow() {
    for (groups, planes) in
        [(64, 1), (65, 1), (21, 2), (22, 2), (9, 3), (10, 3), (4, 4), (2, 5), (1, 6), (1, 7), (1, 8)]
    {
        let tables = vec![255; groups * GROUP * 16];
        let query = TableQuery { tables: &tables, planes, step: 1.0, offset: 0.0, add_scale: 0.0 };
        let codes = vec![0x5a; query.block_len()];
        let factors = vec![f16::ONE; 2 * LANES];
        let expected = (255 * groups * GROUP * ((1 << planes) - 1)) as f32;
        for arch in Arch::available() {
            let mut out = [0.0; LANES];
            LaneKernel::new(arch).estimate(&query, &codes, &factors, 0.0, f32::INFINITY, &mut out);
            assert_eq!(out, [expected; LANES], "{arch:?}: {groups} groups, {planes} planes");
        }
    }
}

#[test]
#[should_panic(expected = "65 bytes of codes for 16 lanes, expected 64")]
fn codes_that_do_not_fit_the_sums_are_refused() {
    LaneKernel::new(Arch::detect().unwrap()).sums(&[0; 128], &[0; 65], &mut [0; 16]);
}

#[test]
#[should_panic(expected = "17 lanes")]
fn broken_blocks_are_refused() {
    let query = TableQuery { tables: &[0; 128], planes: 1, step: 1.0, offset: 0.0, add_scale: 1.0 };
    let kernel = LaneKernel::new(Arch::detect().unwrap());
    kernel.estimate(&query, &[0; 64], &[f16::ZERO; 34], 0.0, 0.0, &mut [0.0; 17]);
}

#[test]
#[should_panic(expected = "63 bytes of codes for 16 lanes, expected 64")]
fn short_codes_are_refused() {
    let query = TableQuery { tables: &[0; 128], planes: 1, step: 1.0, offset: 0.0, add_scale: 1.0 };
    let kernel = LaneKernel::new(Arch::detect().unwrap());
    kernel.estimate(&query, &[0; 63], &[f16::ZERO; 32], 0.0, 0.0, &mut [0.0; 16]);
}
