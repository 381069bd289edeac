//! Every kernel against the plain loop: every level of this machine, every length up to 257, misaligned rows; and the four
//! doors of a kernel against one another, to the bit.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_simd::{
    Arch, ArchError, Element, Kernel, Level, Number, Op, PackedDot, Rows, bf16, f16, norm_squared, reference,
};

const OPS: [Op; 3] = [Op::SquaredL2, Op::Dot, Op::L1];
const LENGTHS: std::ops::RangeInclusive<usize> = 0..=257;

/// A generator of well-mixed numbers from a seed (Steele, Lea, Flood, *SplitMix*, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn many<T>(&mut self, n: usize, one: impl Fn(&mut Random) -> T) -> Vec<T> {
        (0..n).map(|_| one(self)).collect()
    }
}

/// Calls `check` for every level, length and misalignment with a query and eleven rows that begin `shift` elements into
/// their memory, with padding that would show in any sum.
fn for_all<Q: Element, T: Element>(
    query: impl Fn(&mut Random) -> Q,
    element: impl Fn(&mut Random) -> T,
    padding: T,
    check: impl Fn(Arch, &[Q], Rows<'_, T>),
) {
    let mut random = Random(7);
    for dim in LENGTHS {
        for shift in 0..4 {
            let stride = dim + 1 + shift;
            let q = random.many(dim + shift, &query);
            let mut table = random.many(shift + 11 * stride, &element);
            for row in table[shift..].chunks_exact_mut(stride) {
                row[dim..].fill(padding);
            }
            for arch in Arch::available() {
                check(arch, &q[shift..], Rows::new(&table[shift..], dim, stride));
            }
        }
    }
}

/// Checks that all doors give the values of `pair`, and hands those back.
fn agreeing_doors<Q: Element, T: Element>(kernel: Kernel<Q, T>, q: &[Q], rows: Rows<'_, T>) -> Vec<f32> {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let pairs: Vec<f32> = (0..rows.len()).map(|i| kernel.pair(q, rows.row(i))).collect();

    let mut scanned = vec![f32::NAN; rows.len()];
    kernel.scan(q, rows, &mut scanned);
    assert_eq!(bits(&scanned), bits(&pairs), "{kernel:?} scan, dim {}", rows.dim());

    let ids = [10, 3, 3, 0, 7, 9, 1, 10, 2];
    for count in [0, 1, 4, ids.len()] {
        let mut gathered = vec![f32::NAN; count];
        kernel.gather(q, rows, &ids[..count], &mut gathered);
        let expected: Vec<f32> = ids[..count].iter().map(|&id| pairs[id as usize]).collect();
        assert_eq!(bits(&gathered), bits(&expected), "{kernel:?} gather, dim {}", rows.dim());
    }

    // A view of rows has no rows of no elements.
    if rows.dim() > 0 {
        let queries = Rows::new(q, rows.dim(), rows.dim());
        let mut tiled = vec![f32::NAN; rows.len()];
        kernel.tile(queries, rows, &mut tiled);
        assert_eq!(bits(&tiled), bits(&pairs), "{kernel:?} tile, dim {}", rows.dim());
    }
    pairs
}

/// Float kernels: within the rounding of a sum of `dim` terms of the sizes at hand.
fn check_float<T: Number>(element: impl Fn(&mut Random) -> T, padding: T) {
    for_all(Random::float, element, padding, |arch, q, rows| {
        for op in OPS {
            let kernel = Kernel::<f32, T>::new(arch, op).unwrap();
            for (i, got) in agreeing_doors(kernel, q, rows).into_iter().enumerate() {
                let want = reference::value(op, q, rows.row(i)).unwrap();
                let sizes = q.iter().zip(rows.row(i)).map(|(&a, &b)| match op {
                    Op::Dot => f64::from((a * b.float()).abs()),
                    Op::L1 => f64::from(a.abs() + b.float().abs()),
                    _ => f64::from(a.abs() + b.float().abs()).powi(2),
                });
                // Each of at most 8 + dim / 16 roundings of a partial sum is within half an ulp; two more per term.
                let tolerance = (12.0 + rows.dim() as f64 / 8.0) * f64::from(f32::EPSILON) / 2.0 * sizes.sum::<f64>();
                assert!((f64::from(got) - want).abs() <= tolerance, "{kernel:?} dim {}: {got}, {want}", rows.dim());
            }
        }
    });
}

/// Integer kernels: exactly.
fn check_integer<T: Number>(element: impl Fn(&mut Random) -> T, padding: T) {
    for_all(&element, &element, padding, |arch, q, rows| {
        for op in OPS {
            let kernel = Kernel::<T, T>::new(arch, op).unwrap();
            for (i, got) in agreeing_doors(kernel, q, rows).into_iter().enumerate() {
                let want = reference::value(op, q, rows.row(i)).unwrap() as f32;
                assert_eq!(got, want, "{kernel:?} dim {}", rows.dim());
            }
        }
    });
}

#[test]
fn f32_kernels_equal_the_plain_loop() {
    check_float(Random::float, f32::NAN);
}

#[test]
fn f16_kernels_equal_the_plain_loop() {
    check_float(|r| f16::from_f32(r.float()), f16::NAN);
}

#[test]
fn bf16_kernels_equal_the_plain_loop() {
    check_float(|r| bf16::from_f32(r.float()), bf16::NAN);
}

#[test]
fn u8_rows_against_f32_queries_equal_the_plain_loop() {
    check_float(|r| r.next() as u8, 255);
}

#[test]
fn i8_rows_against_f32_queries_equal_the_plain_loop() {
    check_float(|r| r.next() as i8, -128);
}

#[test]
fn u8_kernels_are_exact() {
    // Half of the elements at the ends of the range, where narrow products and differences would wrap.
    check_integer(|r| if r.next() % 2 == 0 { (r.next() % 2) as u8 * 255 } else { r.next() as u8 }, 255);
}

/// Rows that begin anywhere, followed by ones; numbers and queries often at the ends of their range.
#[test]
fn packed_kernels_are_exact() {
    let mut random = Random(9);
    for (bits, len) in [1, 2, 4].into_iter().flat_map(|bits| LENGTHS.step_by(3).map(move |len| (bits, len))) {
        let (shift, parts) = (len % 5, 8 / bits as usize);
        let q = random.many(parts * len, |r| if r.next() % 2 == 0 { -128 } else { r.next() as i8 });
        let table = random.many(shift + 7 * (len + 1), |r| if r.next() % 2 == 0 { 255 } else { r.next() as u8 });
        let rows = Rows::new(&table[shift..], len, len + 1);
        let number = |row: &[u8], i: usize| i32::from(row[i % len] >> (i / len * bits as usize)) & ((1 << bits) - 1);
        let want =
            |row: usize| (0..parts * len).map(|i| number(rows.row(row), i) * i32::from(q[i])).sum::<i32>() as f32;
        for arch in Arch::available() {
            let kernel = PackedDot::new(arch, bits).unwrap();
            let (mut scanned, mut gathered) = ([f32::NAN; 7], [f32::NAN; 6]);
            kernel.scan(&q, rows, &mut scanned);
            kernel.gather(&q, rows, &[6, 0, 3, 3, 1, 5], &mut gathered);
            for (row, &scanned) in scanned.iter().enumerate() {
                assert_eq!((scanned, kernel.pair(&q, rows.row(row))), (want(row), want(row)), "{kernel:?} {len}");
            }
            assert_eq!(gathered, [6, 0, 3, 3, 1, 5].map(|row| scanned[row]), "{kernel:?} {len}");
        }
    }
}

#[test]
fn i8_kernels_are_exact() {
    check_integer(|r| if r.next() % 2 == 0 { [-128, 127][(r.next() % 2) as usize] } else { r.next() as i8 }, -128);
}

#[test]
fn hamming_is_exact() {
    for_all(Random::next, Random::next, u64::MAX, |arch, q, rows| {
        let kernel = Kernel::<u64, u64>::new(arch, Op::Hamming).unwrap();
        for (i, got) in agreeing_doors(kernel, q, rows).into_iter().enumerate() {
            assert_eq!(got, reference::hamming(q, rows.row(i)) as f32, "{kernel:?} words {}", rows.dim());
        }
    });
}

#[test]
fn tile_fills_every_cell_of_a_large_block() {
    // Enough rows for several cache blocks, and counts that are no multiple of four.
    let (dim, n, nq) = (100, 131, 5);
    let mut random = Random(3);
    let (table, queries) = (random.many(n * dim, Random::float), random.many(nq * dim, Random::float));
    let (rows, queries) = (Rows::new(&table, dim, dim), Rows::new(&queries, dim, dim));
    for arch in Arch::available() {
        let kernel = Kernel::<f32, f32>::new(arch, Op::SquaredL2).unwrap();
        let mut out = vec![f32::NAN; n * nq];
        kernel.tile(queries, rows, &mut out);
        for (cell, &got) in out.iter().enumerate() {
            assert_eq!(got.to_bits(), kernel.pair(queries.row(cell / n), rows.row(cell % n)).to_bits());
        }
    }
}

#[test]
fn norm_is_the_inner_product_with_itself() {
    let x = Random(5).many(131, Random::float);
    for arch in Arch::available() {
        let dot = Kernel::<f32, f32>::new(arch, Op::Dot).unwrap();
        assert_eq!(norm_squared(arch, &x), dot.pair(&x, &x));
    }
}

#[test]
fn long_gather_equals_pairs() {
    // More ids than are prefetched ahead, in rows of several cache lines.
    let (dim, n) = (200, 97);
    let table = Random(9).many(n * dim, Random::float);
    let rows = Rows::new(&table, dim, dim);
    let ids: Vec<u32> = (0..501).map(|i| i * 31 % n as u32).collect();
    for arch in Arch::available() {
        let kernel = Kernel::<f32, f32>::new(arch, Op::L1).unwrap();
        let mut out = vec![f32::NAN; ids.len()];
        kernel.gather(rows.row(5), rows, &ids, &mut out);
        for (&id, got) in ids.iter().zip(out) {
            assert_eq!(got, kernel.pair(rows.row(5), rows.row(id as usize)));
        }
    }
}

#[test]
fn unoffered_pairs_have_no_kernel() {
    let arch = Arch::detect().unwrap();
    assert!(Kernel::<f32, u64>::new(arch, Op::Dot).is_none());
    assert!(Kernel::<f32, f32>::new(arch, Op::Hamming).is_none());
    assert!(Kernel::<u8, i8>::new(arch, Op::Dot).is_none());
    assert!(Kernel::<u64, u64>::new(arch, Op::L1).is_none());
}

fn squared_l2() -> Kernel<f32, f32> {
    Kernel::new(Arch::detect().unwrap(), Op::SquaredL2).unwrap()
}

#[test]
#[should_panic(expected = "id 2 of 2 rows")]
fn gather_of_an_id_out_of_range_panics() {
    squared_l2().gather(&[0.0; 3], Rows::new(&[0.0; 6], 3, 3), &[0, 2, 1, 1, 0], &mut [0.0; 5]);
}

#[test]
#[should_panic(expected = "3 ids, room for 2")]
fn gather_into_too_little_room_panics() {
    squared_l2().gather(&[0.0; 3], Rows::new(&[0.0; 6], 3, 3), &[0, 0, 1], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "query of dimension 2, rows of dimension 3")]
fn scan_of_another_dimension_panics() {
    squared_l2().scan(&[0.0; 2], Rows::new(&[0.0; 6], 3, 3), &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "query of dimension 4, row of dimension 3")]
fn pair_of_two_dimensions_panics() {
    let _ = squared_l2().pair(&[0.0; 4], &[0.0; 3]);
}

#[test]
#[should_panic(expected = "room for 3")]
fn tile_into_too_little_room_panics() {
    let rows = Rows::new(&[0.0; 6], 3, 3);
    squared_l2().tile(rows, rows, &mut [0.0; 3]);
}

/// The environment belongs to the process, so each case runs this test binary again with the variable set.
#[test]
fn environment_variable_forces_a_level_or_fails() {
    let child = |value: &str| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "detected_level_is_printed", "--nocapture"]).env("ANN_ARCH", value);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let foreign = if cfg!(target_arch = "x86_64") { Level::Neon } else { Level::V3 };
    assert!(child("scalar").contains("detected: Ok(Arch(Scalar))"));
    assert!(
        child("avx9").contains(&format!("detected: {:?}", Err::<Arch, _>(ArchError::Unknown { name: "avx9".into() })))
    );
    let absent = Err::<Arch, _>(ArchError::Absent { level: foreign });
    assert!(child(&foreign.to_string()).contains(&format!("detected: {absent:?}")));
    assert!(child("").contains(&format!("detected: Ok({:?})", Arch::available().last().unwrap())));
}

#[test]
fn detected_level_is_printed() {
    println!("detected: {:?}", Arch::detect());
}
