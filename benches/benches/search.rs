//! Searching HNSW on one thread: time per query as `ef` grows, over rows of `f32` and of `u8`, and exact search beside.
//!
//! Recall is not measured here; `cargo xtask bench` shows both on one curve.

use std::hint::black_box;
use std::time::Duration;

use ann_core::{Exact, FlatStore, Index, Matrix, Scalar, Searcher};
use ann_graph::{Hnsw, HnswSearch};
use benches::{clusters, in_bytes, store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 20_000;
const K: usize = 10;

fn hnsw(c: &mut Criterion) {
    let data = clusters(ROWS);
    sweep::<f32>(c, store(&data), &data.queries);
    let data = in_bytes(data);
    sweep::<u8>(c, store(&data), &data.queries);
}

fn sweep<T: Scalar>(c: &mut Criterion, store: FlatStore<T>, queries: &Matrix<f32>) {
    let index = match Hnsw::builder().build(store) {
        Ok(index) => index,
        Err(error) => panic!("{error}"),
    };
    let mut group = c.benchmark_group(format!("hnsw16/{}", T::NAME));
    group.throughput(Throughput::Elements(queries.len() as u64));
    for ef in [10, 40, 160] {
        let mut searcher = Searcher::new(&index, HnswSearch::ef(ef));
        group.bench_function(BenchmarkId::new("ef", ef), |b| all_queries(b, &mut searcher, queries));
    }
}

fn exact(c: &mut Criterion) {
    let data = clusters(ROWS);
    let index = Exact::new(store::<f32>(&data));
    let mut group = c.benchmark_group("exact/f32");
    group.throughput(Throughput::Elements(data.queries.len() as u64));
    group.bench_function("one by one", |b| all_queries(b, &mut Searcher::new(&index, ()), &data.queries));
}

fn all_queries<I: Index<Vector = [f32]>>(
    b: &mut criterion::Bencher<'_>,
    searcher: &mut Searcher<'_, I>,
    queries: &Matrix<f32>,
) {
    b.iter(|| {
        for query in queries.rows() {
            black_box(searcher.search(black_box(query), K)).ok();
        }
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).without_plots();
    targets = hnsw, exact
}
criterion_main!(benches);
