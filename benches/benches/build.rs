//! Building HNSW over 20,000 rows: on one thread and on all, rows of `f32` and of `u8`.

use std::time::Duration;

use ann_core::{FlatStore, Par, Scalar};
use ann_graph::Hnsw;
use benches::{clusters, in_bytes, store};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 20_000;

fn hnsw(c: &mut Criterion) {
    let data = clusters(ROWS);
    build::<f32>(c, &store(&data), data.base.len());
    let data = in_bytes(data);
    build::<u8>(c, &store(&data), data.base.len());
}

fn build<T: Scalar>(c: &mut Criterion, store: &FlatStore<T>, rows: usize) {
    let mut group = c.benchmark_group(format!("hnsw16/{}", T::NAME));
    group.throughput(Throughput::Elements(rows as u64));
    for (name, par) in [("one thread", Par::Serial), ("all threads", Par::Ambient)] {
        group.bench_function(name, |b| {
            b.iter_batched(|| store.clone(), |store| Hnsw::builder().par(par).build(store), BatchSize::PerIteration);
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5)).without_plots();
    targets = hnsw
}
criterion_main!(benches);
