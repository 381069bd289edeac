//! What the benchmarks share: data like that of SIFT, and stores of it.
//!
//! `cargo bench -p benches` measures; with `-- --test` every benchmark runs once, in seconds, to see that it still does.
//! Curves of recall against speed on real data are the business of `cargo xtask bench`.

#![forbid(unsafe_code)]

use ann_core::{FlatStore, Matrix, Scalar};
use ann_testkit::portable::{Portable, mix128};

/// Whether every benchmark runs only once: `cargo bench -- --test`, or `cargo test --benches`.
pub fn smoke() -> bool {
    let args: Vec<String> = std::env::args().collect();
    args.iter().any(|arg| arg == "--test") || !args.iter().any(|arg| arg == "--bench")
}

/// Clusters on a low-dimensional sheet, as SIFT is: 128 columns, squared L2. `rows` of it, or 500 in a smoke run.
pub fn clusters(rows: usize) -> Portable {
    mix128(if smoke() { 500 } else { rows }, 100)
}

/// The same with every value brought to the nearest whole number of 0 to 255, which rows of `u8` hold exactly.
pub fn in_bytes(data: Portable) -> Portable {
    let values = data.base.as_slice();
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    let byte = |&x: &f32| ((x - low) / (high - low) * 255.0).round().clamp(0.0, 255.0);
    let bytes = |matrix: &Matrix<f32>| {
        let values = matrix.as_slice().iter().map(byte).collect();
        Matrix::new(values, matrix.dim()).unwrap_or_else(|e| unreachable!("{e}"))
    };
    Portable { base: bytes(&data.base), queries: bytes(&data.queries), ..data }
}

/// The base rows as rows of `T`.
///
/// # Panics
/// If `T` cannot hold them.
pub fn store<T: Scalar>(data: &Portable) -> FlatStore<T> {
    match FlatStore::from_rows(data.base.view(), data.metric) {
        Ok(store) => store,
        Err(error) => panic!("rows of {} as {}: {error}", data.name, T::NAME),
    }
}
