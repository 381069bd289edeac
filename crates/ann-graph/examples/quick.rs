//! scratch
#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use ann_core::*;
use ann_graph::*;
use std::time::Instant;
fn cpu() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
        / 1e9
}
fn pcpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.split(' ').collect();
    f[13].parse::<f64>().unwrap() / 100.0
}
fn load(p: &str, d: usize) -> Matrix<f32> {
    let b = std::fs::read(p).unwrap();
    let v: Vec<f32> = b.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    Matrix::new(v, d).unwrap()
}
fn run<S: VectorStore<Vector=[f32]>>(store: S, name: &str, train: &Matrix<f32>, test: &Matrix<f32>, gt: &Matrix<f32>, metric: Metric) {
    let _ = train;
    let t = Instant::now();
    let c = pcpu();
    let h = Hnsw::builder().par(Par::Threads(2)).build(store).unwrap();
    let b = t.elapsed().as_secs_f64();
    let mu = h.memory_usage();
    let deg = h.base().as_slots().iter().filter(|&&x| x != u32::MAX).count() as f64 / h.len() as f64;
    println!(
        "{name} {} build {b:.2}s cpu {:.2}s deg {deg:.2} structure/row {:.1} levels {:?}",
        0,
        pcpu() - c,
        mu.structure as f64 / h.len() as f64,
        (0..h.layers()).map(|l| h.layer_len(l)).collect::<Vec<_>>()
    );
    let mut s = Searcher::new(&h, HnswSearch { ef: 10 });
    for ef in std::env::var("EF")
        .unwrap_or("10,16,24,32,48,64,96,128,192,256".into())
        .split(',')
        .map(|x| x.parse::<usize>().unwrap())
    {
        s.params_mut().ef = ef;
        let mut best = f64::MAX;
        let mut hit = 0;
        let mut ev = 0;
        let mut hops = 0;
        for _ in 0..5 {
            hit = 0;
            ev = 0;
            hops = 0;
            let t = cpu();
            for (i, q) in test.rows().enumerate() {
                let thr = gt.row(i)[9] + if metric == Metric::Cosine { 1e-5 } else { 1e-3 };
                for n in s.search(q, 10).unwrap() {
                    if metric.reported(n.distance) <= thr {
                        hit += 1;
                    }
                }
                ev += s.stats().evaluations;
                hops += s.stats().hops;
            }
            best = best.min(cpu() - t);
        }
        let q = test.len() as f64;
        println!(
            "  ef {ef:4} recall {:.4} qps {:7.0} evals {:.0} hops {:.0} ns/eval {:.1}",
            hit as f64 / q / 10.0,
            q / best,
            ev as f64 / q,
            hops as f64 / q,
            best * 1e9 / ev as f64
        );
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (n, d, m) = match a[1].as_str() {
        "sift" => ("sift", 128, Metric::L2),
        "wordnet" => ("wordnet", 384, Metric::Cosine),
        _ => ("words", 25, Metric::Cosine),
    };
    let train = load(&format!("/tmp/w/{n}.train.f32"), d);
    let test = load(&format!("/tmp/w/{n}.test.f32"), d);
    let gt = load(&format!("/tmp/w/{n}.distances.f32"), 100);
    let v = train.view();
    match a[2].as_str() {
        "u8" => run(FlatStore::<u8>::from_rows(v, m).unwrap(), n, &train, &test, &gt, m),
        _ => run(FlatStore::<f32>::from_rows(v, m).unwrap(), n, &train, &test, &gt, m),
    }
}
