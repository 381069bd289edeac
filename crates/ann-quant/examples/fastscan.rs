//! Million rows scanned a second: product codes of 8 bits by tables in floating point, codes of 4 bits the same way, and the
//! latter in blocks by tables of bytes.
//!
//!     cargo run --release -p ann-quant --example fastscan
//!
//! 32 groups of 128 columns, one thread. The three take turns and each number is the least time of all turns; `ANN_ARCH`
//! chooses the instruction set.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use ann_core::simd::{Arch, Buffer};
use ann_core::{Par, VectorStore};
use ann_quant::{CodeStore, FastCodes, FastQuery, Pq, PqParams, PqQuery, Quantizer};
use ann_testkit::portable::{Portable, mix128};

/// Rows that are trained on and encoded, and then repeated.
const ROWS: usize = 10_000;
const TURNS: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = mix128(ROWS, 1);
    let (bytes, halves) = (train(&set, 8)?, train(&set, 4)?);
    println!("{:?}, million rows/s", Arch::detect()?.level());
    println!("   rows  8 bits  4 bits  blocks  blocks to 8 bits");
    // In the second-level cache, in the last-level cache, in neither.
    for n in [ROWS, 2 * ROWS, 40 * ROWS] {
        let (bytes, halves) = (repeated(&bytes, n)?, repeated(&halves, n)?);
        let codes = FastCodes::new(&halves).ok_or("codes of 4 bits have blocks")?;
        let (query_of_bytes, query_of_halves) = (query(&bytes, &set), query(&halves, &set));
        let mut query_of_blocks = FastQuery::default();
        query_of_blocks.prepare(&query_of_halves);
        let (mut distances, mut sums) = (vec![0.0; n], vec![0; codes.padded_len()]);
        let mut least = [f64::INFINITY; 3];
        for _ in 0..TURNS {
            let turn = [
                seconds(|| bytes.quantizer().scan(black_box(&query_of_bytes), bytes.rows(), &mut distances)),
                seconds(|| halves.quantizer().scan(black_box(&query_of_halves), halves.rows(), &mut distances)),
                seconds(|| codes.scan(black_box(&query_of_blocks), &mut sums)),
            ];
            least.iter_mut().zip(turn).for_each(|(least, seconds)| *least = least.min(seconds));
        }
        let [whole, half, blocks] = least.map(|seconds| n as f64 / seconds / 1e6);
        println!("{n:>7} {whole:>7.1} {half:>7.1} {blocks:>7.1} {:>17.1}", blocks / whole);
    }
    Ok(())
}

fn train(set: &Portable, nbits: usize) -> Result<CodeStore<Pq>, Box<dyn std::error::Error>> {
    let params = PqParams { m: 32, nbits, iterations: 3, ..Default::default() };
    let pq = Pq::train(set.base.view(), set.metric, &params, Par::Ambient)?;
    Ok(CodeStore::from_rows(pq, set.base.view(), Par::Ambient)?)
}

/// The codes again and again, up to `n`.
fn repeated(store: &CodeStore<Pq>, n: usize) -> Result<CodeStore<Pq>, Box<dyn std::error::Error>> {
    let codes = Buffer::from_slice(&store.padded_codes().repeat(n / store.len()));
    Ok(CodeStore::from_parts(store.quantizer().clone(), n, codes)?)
}

fn query(store: &CodeStore<Pq>, set: &Portable) -> PqQuery {
    let mut query = PqQuery::default();
    store.quantizer().prepare(set.queries.row(0), &mut query);
    query
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
