//! Nanoseconds per distance: rows in the first-level cache through each door, codes of half bytes in blocks, then rows of a
//! large table in random order.
//!
//!     cargo run --release -p ann-simd --example measure [hot|lanes|cold]
//!
//! Each number is the least of several repetitions; `ANN_ARCH` chooses the instruction set.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use ann_simd::lanes::{LaneKernel, TableQuery};
use ann_simd::{Arch, Buffer, Element, Kernel, Op, Rows, bf16, f16};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arch = Arch::detect()?;
    let part = std::env::args().nth(1);
    println!("{:?}, ns per distance", arch.level());
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("hot") {
        println!("hot rows        dim    pair  gather    scan    tile");
        for op in [Op::SquaredL2, Op::Dot, Op::L1] {
            hot(arch, op, |i| (i % 83) as f32, |i| (i % 97) as f32);
        }
        hot(arch, Op::SquaredL2, |i| (i % 83) as f32, |i| bf16::from_f32((i % 97) as f32));
        hot(arch, Op::SquaredL2, |i| (i % 83) as f32, |i| f16::from_f32((i % 97) as f32));
        hot(arch, Op::SquaredL2, |i| (i % 83) as f32, |i| (i % 97) as u8);
        hot(arch, Op::SquaredL2, |i| (i % 83) as u8, |i| (i % 97) as u8);
        hot(arch, Op::Dot, |i| (i % 83) as u8, |i| (i % 97) as u8);
        hot(arch, Op::Hamming, |i| i as u64 * 0x9e37_79b9, |i| i as u64 * 0x85eb_ca6b);
    }
    if wanted("lanes") {
        println!("blocks    half bytes  planes    sums  estimates");
        for (half_bytes, planes) in [(16, 1), (32, 1), (96, 1), (32, 4), (32, 3)] {
            lanes(LaneKernel::new(arch), half_bytes, planes);
        }
    }
    if wanted("cold") {
        println!("random rows     dim       n   5 ids  10 ids  32 ids  32 ids, two lines prefetched by the caller");
        cold(arch, 112_657, 384, |i| (i % 97) as f32);
        cold(arch, 112_657, 384, |i| bf16::from_f32((i % 97) as f32));
        cold(arch, 112_657, 384, |i| (i % 97) as u8);
        cold(arch, 1_000_000, 25, |i| (i % 97) as f32);
        cold(arch, 400_000, 128, |i| (i % 97) as f32);
        cold(arch, 60_000, 1536, |i| (i % 97) as f32);
        cold(arch, 60_000, 1536, |i| bf16::from_f32((i % 97) as f32));
    }
    Ok(())
}

/// The least time of one of `n` items, over repetitions of `work` on all of them.
fn least(repetitions: usize, n: usize, mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9 / n as f64
    };
    (0..repetitions).map(time).fold(f64::INFINITY, f64::min)
}

/// The length of a row in elements that makes it a whole number of cache lines.
fn stride<T>(dim: usize) -> usize {
    (dim * size_of::<T>()).next_multiple_of(64) / size_of::<T>()
}

fn hot<Q: Element, T: Element>(arch: Arch, op: Op, query: impl Fn(usize) -> Q, element: impl Fn(usize) -> T) {
    let Some(kernel) = Kernel::<Q, T>::new(arch, op) else { return };
    for dim in [25, 128, 384, 768] {
        let n = 8;
        let stride = stride::<T>(dim);
        let table = Buffer::from_slice(&(0..n * stride).map(&element).collect::<Vec<_>>());
        let queries = Buffer::from_slice(&(0..n * stride).map(&query).collect::<Vec<_>>());
        let (rows, queries) = (Rows::new(&table, dim, stride), Rows::new(&queries, dim, stride));
        let ids = [3, 1, 4, 0, 5, 2, 6, 7];
        let (mut out, mut square) = ([0.0; 8], [0.0; 64]);
        let q = queries.row(0);
        let calls = 200;
        let pair = least(200, calls * n, || {
            for i in 0..calls * n {
                black_box(kernel.pair(black_box(q), rows.row(i % n)));
            }
        });
        let gather = least(200, calls * n, || {
            for _ in 0..calls {
                kernel.gather(black_box(q), rows, black_box(&ids), &mut out);
                black_box(&out);
            }
        });
        let scan = least(200, calls * n, || {
            for _ in 0..calls {
                kernel.scan(black_box(q), rows, &mut out);
                black_box(&out);
            }
        });
        let tile = least(200, calls / n * n * n, || {
            for _ in 0..calls / n {
                kernel.tile(black_box(queries), rows, &mut square);
                black_box(&square);
            }
        });
        let name = format!("{op:?} {} {}", Q::NAME, T::NAME);
        println!("{name:<20} {dim:>4} {pair:>7.2} {gather:>7.2} {scan:>7.2} {tile:>7.2}");
    }
}

fn lanes(kernel: LaneKernel, half_bytes: usize, planes: usize) {
    const LANES: usize = 64;
    let tables: Vec<u8> = (0..half_bytes * 16).map(|i| (i % 83) as u8).collect();
    let query = TableQuery { tables: &tables, planes, step: 0.5, offset: 1.0, add_scale: 2.0 };
    let codes: Vec<u8> = (0..LANES / 16 * query.block_len()).map(|i| (i * 37 % 251) as u8).collect();
    let factors = [f16::from_f32(0.25); 2 * LANES];
    let (mut out, mut numbers) = ([0.0; LANES], [0; LANES]);
    let calls = 400;
    let one_plane = &codes[..codes.len() / planes];
    let sums = least(200, calls * LANES, || {
        for _ in 0..calls {
            kernel.sums(black_box(&tables), black_box(one_plane), &mut numbers);
            black_box(&numbers);
        }
    });
    let estimates = least(200, calls * LANES, || {
        for _ in 0..calls {
            black_box(kernel.estimate(black_box(&query), black_box(&codes), &factors, 1.0, 50.0, &mut out));
            black_box(&out);
        }
    });
    println!("          {half_bytes:>10} {planes:>7} {sums:>7.2} {estimates:>10.2}");
}

fn cold<T: Element>(arch: Arch, n: usize, dim: usize, element: impl Fn(usize) -> T) {
    let Some(kernel) = Kernel::<f32, T>::new(arch, Op::SquaredL2) else { return };
    let stride = stride::<T>(dim);
    let mut table = Buffer::<T>::zeroed(n * stride);
    for (i, place) in table.as_mut_slice().iter_mut().enumerate() {
        *place = element(i);
    }
    let rows = Rows::new(&table, dim, stride);
    let q: Vec<f32> = (0..dim).map(|i| i as f32).collect();
    let mut state = 1_u32;
    // More bytes than the last-level cache keeps until the same ids come again.
    let ids: Vec<u32> = (0..(160 << 20) / (stride * size_of::<T>()))
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((u64::from(state) * n as u64) >> 32) as u32
        })
        .collect();
    let mut out = [0.0; 32];
    let mut measure = |count: usize, lines: usize| {
        // Every repetition takes another window of ids, so that no row is still near from the one before.
        let mut windows = ids.chunks_exact(ids.len() / 10).cycle();
        least(20, ids.len() / 10, || {
            for ids in windows.next().into_iter().flat_map(|window| window.chunks(count)) {
                for &id in ids {
                    rows.prefetch(id, lines);
                }
                kernel.gather(black_box(&q), rows, ids, &mut out[..ids.len()]);
                black_box(&out);
            }
        })
    };
    let numbers = [measure(5, 0), measure(10, 0), measure(32, 0), measure(32, 2)];
    print!("{:<15} {dim:>4} {n:>7}", T::NAME);
    println!(" {:>7.1} {:>7.1} {:>7.1} {:>7.1}", numbers[0], numbers[1], numbers[2], numbers[3]);
}
