//! Distance kernels by themselves: each operation on each pair of element types, with rows in the first-level cache
//! (`hot`: a few rows, over and over) and by ids all over more memory than any cache holds (`cold`: what a graph does).
//!
//! Throughput counts rows. Set `ANN_ARCH` to measure another instruction set.

use std::hint::black_box;

use ann_simd::{Arch, Element, Kernel, Op, Rows, bf16, f16};
use ann_testkit::portable::bits;
use benches::smoke;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// As many rows as a hop of a walk asks for.
const BLOCK: usize = 32;
/// Bytes of the rows that are read cold.
const COLD_BYTES: usize = 256 << 20;

/// `len` values made of the stream of `seed`.
fn values<T>(seed: u64, len: usize, value: impl Fn(u64) -> T) -> Vec<T> {
    (0..len as u64).map(|i| value(bits(seed, i))).collect()
}

/// A few bits of a word as a float around zero.
fn float(word: u64) -> f32 {
    (word >> 48) as f32 / 32_768.0 - 1.0
}

/// Benchmarks every operation of a pair of types on rows of `dims` elements.
fn pair<Q: Element, T: Element>(
    c: &mut Criterion,
    arch: Arch,
    dims: &[usize],
    query: impl Fn(u64) -> Q,
    row: impl Fn(u64) -> T + Copy,
) {
    for op in [Op::SquaredL2, Op::Dot, Op::L1, Op::Hamming] {
        let Some(kernel) = Kernel::<Q, T>::new(arch, op) else { continue };
        let mut group = c.benchmark_group(format!("hot/{op:?}/{}x{}", Q::NAME, T::NAME));
        group.throughput(Throughput::Elements(BLOCK as u64));
        for &dim in dims {
            let query = values(1, dim, &query);
            let data = values(2, BLOCK * dim, row);
            let rows = Rows::new(&data, dim, dim);
            let ids: Vec<u32> = (0..BLOCK as u32).rev().collect();
            let mut out = [0.0; BLOCK];
            group.bench_function(BenchmarkId::from_parameter(dim), |b| {
                b.iter(|| kernel.gather(black_box(&query), rows, black_box(&ids), &mut out));
            });
        }
    }
}

fn hot(c: &mut Criterion) {
    let Ok(arch) = Arch::detect() else { return };
    let dims = [25, 96, 128, 384, 768];
    pair(c, arch, &dims, float, float);
    pair(c, arch, &dims, float, |word| f16::from_f32(float(word)));
    pair(c, arch, &dims, float, |word| bf16::from_f32(float(word)));
    pair(c, arch, &dims, float, |word| word as u8);
    pair(c, arch, &dims, float, |word| word as i8);
    pair(c, arch, &dims, |word| word as u8, |word| word as u8);
    pair(c, arch, &dims, |word| word as i8, |word| word as i8);
    // Words of 64 bits.
    pair(c, arch, &[2, 4, 12, 16], |word| word, |word| word);
}

fn cold(c: &mut Criterion) {
    let Ok(arch) = Arch::detect() else { return };
    cold_rows(c, arch, float);
    cold_rows(c, arch, |word| f16::from_f32(float(word)));
    cold_rows(c, arch, |word| word as u8);
}

fn cold_rows<T: Element>(c: &mut Criterion, arch: Arch, row: impl Fn(u64) -> T) {
    let Some(kernel) = Kernel::<f32, T>::new(arch, Op::SquaredL2) else { return };
    let mut group = c.benchmark_group(format!("cold/SquaredL2/f32x{}", T::NAME));
    group.throughput(Throughput::Elements(BLOCK as u64));
    for dim in [128, 768] {
        let count = if smoke() { BLOCK } else { COLD_BYTES / size_of::<T>() / dim };
        let query = values(1, dim, float);
        // The values do not matter here, only where they are.
        let data = values(2, dim, &row).repeat(count);
        let rows = Rows::new(&data, dim, dim);
        let ids = values(3, 1 << 16, |word| (word % count as u64) as u32);
        let mut blocks = ids.chunks_exact(BLOCK).cycle();
        let mut out = [0.0; BLOCK];
        group.bench_function(BenchmarkId::from_parameter(dim), |b| {
            b.iter(|| {
                if let Some(ids) = blocks.next() {
                    kernel.gather(black_box(&query), rows, ids, &mut out);
                }
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1)).without_plots();
    targets = hot, cold
}
criterion_main!(benches);
