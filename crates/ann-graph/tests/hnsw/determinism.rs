//! The same rows, parameters and seed give the same file, byte for byte, on any threads and any instruction set that
//! computes the same distances.

use crate::support::{bytes, store};
use ann_core::simd::{Arch, bf16};
use ann_core::{FlatStore, Matrix, MatrixView, Metric, Monitor, Par, PushVector, Scalar};
use ann_graph::{Hnsw, HnswBuilder};
use ann_io::container::Stored;
use ann_testkit::{portable, shapes};

const THREADS: [Par; 3] = [Par::Serial, Par::Threads(2), Par::Threads(8)];

fn builder<'a>() -> HnswBuilder<'a> {
    Hnsw::builder().m(8).ef_construction(48).seed(5)
}

/// Whole numbers, which every element type here holds.
fn whole() -> Matrix<f32> {
    shapes::integral(1_500, 16, 11).base
}

fn same_on_any_threads<T: Scalar + Stored>(rows: MatrixView<'_, f32>, metric: Metric) {
    let [serial, two, eight] = THREADS.map(|par| bytes(&builder().par(par).build(store::<T>(rows, metric)).unwrap()));
    assert!(serial == two && serial == eight, "{} {metric}", T::NAME);
}

#[test]
fn builds_are_the_same_on_any_threads() {
    same_on_any_threads::<f32>(portable::iso64(1_500, 1).base.view(), Metric::L2);
    same_on_any_threads::<f32>(portable::spec256(1_000, 1).base.view(), Metric::Cosine);
    same_on_any_threads::<u8>(whole().view(), Metric::L2);
    same_on_any_threads::<bf16>(whole().view(), Metric::InnerProduct);
}

#[test]
fn ties_do_not_depend_on_threads() {
    same_on_any_threads::<f32>(shapes::duplicates(1_500, 4, 2).base.view(), Metric::L2);
    same_on_any_threads::<u8>(Matrix::new(vec![9.0; 1_200], 1).unwrap().view(), Metric::L2);
}

#[test]
fn growth_is_the_same_on_any_threads() {
    let rows = whole();
    let grown = THREADS.map(|par| {
        let mut hnsw = builder().par(par).build(store::<u8>(rows.view().slice(0..500), Metric::L2)).unwrap();
        hnsw.extend(rows.view().slice(500..1_500).rows(), par, Monitor::new()).unwrap();
        bytes(&hnsw)
    });
    assert!(grown[0] == grown[1] && grown[0] == grown[2]);
}

/// The file of a graph over `rows`, compared on one instruction set.
fn on<T: Scalar + Stored>(arch: Arch, rows: &Matrix<f32>, metric: Metric) -> Vec<u8> {
    let mut store = FlatStore::<T>::with_arch(rows.dim(), metric, arch).unwrap();
    for row in rows.rows() {
        store.push(row).unwrap();
    }
    bytes(&builder().build(store).unwrap())
}

#[test]
fn whole_numbers_give_the_same_file_on_every_instruction_set() {
    let rows = whole();
    for metric in [Metric::L2, Metric::L1, Metric::InnerProduct] {
        let scalar = on::<u8>(Arch::available()[0], &rows, metric);
        for arch in Arch::available() {
            assert!(on::<u8>(arch, &rows, metric) == scalar, "u8 {metric} on {}", arch.level());
        }
    }
    // Sums of squares of 16 bytes stay below 2^24, so floats are exact as well.
    let scalar = on::<f32>(Arch::available()[0], &rows, Metric::L2);
    for arch in Arch::available() {
        assert!(on::<f32>(arch, &rows, Metric::L2) == scalar, "f32 on {}", arch.level());
    }
}

#[test]
fn seeds_give_different_graphs() {
    let rows = whole();
    let [a, b] = [1, 2].map(|seed| bytes(&builder().seed(seed).build(store::<u8>(rows.view(), Metric::L2)).unwrap()));
    assert!(a != b);
}
