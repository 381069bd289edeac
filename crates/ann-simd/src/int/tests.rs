//! Every kernel against the loop one would write without thinking, on every level of the machine.

use crate::{Arch, Element, Kernel, Op, Rows, reference};

/// Bytes from a seed (SplitMix64), with many extreme values among them.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let extremes = [0, 255, 127, 128];
    (0..count)
        .map(|_| next())
        .map(|z| if z % 4 == 0 { extremes[(z >> 8) as usize % 4] } else { (z >> 16) as u8 })
        .collect()
}

fn words_of(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect()
}

fn plain<E: Into<i64> + Copy>(op: Op, q: &[E], x: &[E]) -> f32 {
    let pairs = q.iter().zip(x).map(|(&a, &b)| (a.into(), b.into()));
    let sum: i64 = match op {
        Op::SquaredL2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
        Op::Dot => pairs.map(|(a, b)| a * b).sum(),
        Op::L1 => pairs.map(|(a, b)| (a - b).abs()).sum(),
        Op::Hamming => unreachable!("not an operation on bytes"),
    };
    sum as f32
}

fn kernels<E: Element>(op: Op) -> impl Iterator<Item = Kernel<E, E>> {
    Arch::available().into_iter().map(move |arch| Kernel::new(arch, op).unwrap())
}

/// Compares all four doors with `want`, for `dim` elements of rows that begin `shift` elements into their memory. `pool`
/// has seven times `dim + 3` elements and `shift` to spare.
fn check_doors<E: Element>(op: Op, dim: usize, shift: usize, pool: &[E], want: impl Fn(&[E], &[E]) -> f32) {
    const ROWS: usize = 7;
    let stride = dim + 3;
    let table = &pool[shift..shift + ROWS * stride];
    let rows = Rows::new(table, dim, stride);
    let q = &pool[pool.len() - dim..];
    let all: Vec<f32> = (0..ROWS).map(|i| want(q, rows.row(i))).collect();
    for kernel in kernels::<E>(op) {
        let says = |door| format!("{kernel:?} {door}, dimension {dim}, shifted by {shift}");
        for (i, want) in all.iter().enumerate() {
            assert_eq!(kernel.pair(q, rows.row(i)), *want, "{}, row {i}", says("pair"));
        }
        let ids = [6, 0, 3, 3, 1, 5, 2, 4, 6, 6, 0];
        let mut out = [f32::NAN; 11];
        kernel.gather(q, rows, &ids, &mut out);
        assert_eq!(out, ids.map(|id| all[id as usize]), "{}", says("gather"));
        let mut out = [f32::NAN; ROWS];
        kernel.scan(q, rows, &mut out);
        assert_eq!(out[..], all, "{}", says("scan"));
        let mut out = [f32::NAN; ROWS * 3];
        kernel.tile(rows.slice(0..3), rows, &mut out);
        for (at, value) in out.into_iter().enumerate() {
            let (i, j) = (at / ROWS, at % ROWS);
            assert_eq!(value, want(rows.row(i), rows.row(j)), "{}, query {i}, row {j}", says("tile"));
        }
    }
}

#[test]
fn bytes_are_exact_at_every_length_on_every_level() {
    for dim in 0..=257 {
        let unsigned = bytes(dim as u64, 8 * (dim + 3) + 64);
        let signed: &[i8] = bytemuck::cast_slice(&unsigned);
        for op in [Op::SquaredL2, Op::Dot, Op::L1] {
            let shift = dim * 7 % 64;
            check_doors(op, dim, shift, &unsigned, |q, x| plain(op, q, x));
            check_doors(op, dim, shift, signed, |q, x| plain(op, q, x));
        }
    }
}

#[test]
fn bytes_are_exact_wherever_rows_begin() {
    let unsigned = bytes(1, 8 * 150 + 64);
    let signed: &[i8] = bytemuck::cast_slice(&unsigned);
    for shift in 0..64 {
        for op in [Op::SquaredL2, Op::Dot, Op::L1] {
            check_doors(op, 101, shift, &unsigned, |q, x| plain(op, q, x));
            check_doors(op, 101, shift, signed, |q, x| plain(op, q, x));
        }
    }
}

#[test]
fn bits_are_exact_at_every_length_on_every_level() {
    for words in 0..=70 {
        let pool = words_of(&bytes(words as u64, 8 * (8 * (words + 3) + 8)));
        check_doors(Op::Hamming, words, words % 8, &pool, |q, x| reference::hamming(q, x) as f32);
    }
}

/// Both sides extreme, where differences and products are largest, at lengths around what fits 32 bits.
#[test]
fn extreme_values_never_overflow() {
    for len in [64, 16_384, 32_767, 32_768, 32_769, 65_536, 65_600, 70_000, 140_003] {
        for (a, b) in [(0, 255), (255, 255), (255, 0), (128, 127), (128, 128), (127, 127), (128, 0)] {
            let (q, x) = (vec![a; len], vec![b; len]);
            let (sq, sx): (&[i8], &[i8]) = (bytemuck::cast_slice(&q), bytemuck::cast_slice(&x));
            for op in [Op::SquaredL2, Op::Dot, Op::L1] {
                for kernel in kernels::<u8>(op) {
                    let want = plain(op, &q, &x);
                    let mut out = [0.0; 5];
                    kernel.gather(&q, Rows::new(&x, len, len), &[0; 5], &mut out);
                    assert_eq!((kernel.pair(&q, &x), out), (want, [want; 5]), "{kernel:?}, {len} times {a} and {b}");
                }
                for kernel in kernels::<i8>(op) {
                    let want = plain(op, sq, sx);
                    let mut out = [0.0; 5];
                    kernel.gather(sq, Rows::new(sx, len, len), &[0; 5], &mut out);
                    assert_eq!((kernel.pair(sq, sx), out), (want, [want; 5]), "{kernel:?}, {len} times {a} and {b}");
                }
            }
        }
    }
}

#[test]
fn long_random_rows_are_exact() {
    let pool = bytes(3, 8 * 70_003 + 64);
    let words = words_of(&pool);
    for op in [Op::SquaredL2, Op::Dot, Op::L1] {
        check_doors(op, 70_000, 5, &pool, |q, x| plain(op, q, x));
        check_doors(op, 70_000, 5, bytemuck::cast_slice::<u8, i8>(&pool), |q, x| plain(op, q, x));
    }
    check_doors(Op::Hamming, 8_700, 5, &words, |q, x| reference::hamming(q, x) as f32);
}

#[test]
fn all_bits_different_is_the_number_of_bits() {
    for words in [1, 7, 8, 9, 4_096, 4_097, 10_000] {
        for kernel in kernels::<u64>(Op::Hamming) {
            assert_eq!(kernel.pair(&vec![0; words], &vec![u64::MAX; words]), (64 * words) as f32, "{kernel:?}");
        }
    }
}

/// Rows that end where memory ends: a read past one would be a read past the allocation (Miri and sanitizers see it).
#[test]
fn bytes_between_rows_are_not_counted() {
    for op in [Op::SquaredL2, Op::Dot, Op::L1] {
        for kernel in kernels::<u8>(op) {
            for dim in 1..100 {
                let mut table = vec![255_u8; 5 * 128];
                table.chunks_mut(128).for_each(|row| row[..dim].fill(1));
                let mut out = [f32::NAN; 5];
                kernel.scan(&vec![1; dim], Rows::new(&table, dim, 128), &mut out);
                let want = if op == Op::Dot { dim as f32 } else { 0.0 };
                assert_eq!(out, [want; 5], "{kernel:?}, dimension {dim}");
            }
        }
    }
}

#[test]
fn other_operations_are_not_offered() {
    for arch in Arch::available() {
        assert!(Kernel::<u8, u8>::new(arch, Op::Hamming).is_none());
        assert!(Kernel::<i8, i8>::new(arch, Op::Hamming).is_none());
        for op in [Op::SquaredL2, Op::Dot, Op::L1] {
            assert!(Kernel::<u64, u64>::new(arch, op).is_none());
        }
        assert!(Kernel::<u8, i8>::new(arch, Op::Dot).is_none());
    }
}
