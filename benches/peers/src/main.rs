//! Recall and speed of the Rust libraries a user would pick instead, on one ann-benchmarks HDF5 file.
//!
//! One line of JSON per (peer, ef): recall@k by distance threshold, as ann-benchmarks counts it and with the distances
//! recomputed here in f64; queries per second on one thread, the best of three passes over all queries; build seconds on
//! `--threads` threads; growth of the resident set during the build. The keys are those that `cargo xtask bench` writes,
//! so that the lines of both can be put on one page.
//!
//! Both peers get M = 16, 2M links on the ground layer and ef_construction = 200, and rows normalised beforehand when the
//! metric is angular, so that neither pays for norms during search.

mod data;
mod peer;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use data::Data;
use peer::{HnswRs, NO_ROW, Peer, Vicinity};
use serde::Serialize;

const USAGE: &str = "usage: peers FILE.hdf5 [--peers hnsw_rs,vicinity] [--k 10] [--threads N] [--queries N] \
[--effort 10,20,...] [--repeats 3] [--stop 0.999] [--out FILE.jsonl]";
const EFFORTS: [usize; 13] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768];
/// A pass is not repeated when the repeats would take longer than this.
const PATIENCE_SECONDS: f64 = 60.0;

struct Args {
    file: PathBuf,
    peers: Vec<String>,
    k: usize,
    threads: usize,
    queries: Option<usize>,
    effort: Vec<usize>,
    repeats: usize,
    stop: f64,
    out: Option<PathBuf>,
}

/// What both this program and `cargo xtask bench` write, in this order.
#[derive(Serialize)]
struct Line<'a> {
    data: &'a str,
    n: usize,
    peer: &'a str,
    setting: usize,
    k: usize,
    recall: f64,
    qps: f64,
    build_s: f64,
    build_threads: usize,
    rss_mb: f64,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("peers: {e}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, Box<dyn Error>> {
    let mut args = Args {
        file: PathBuf::new(),
        peers: vec!["hnsw_rs".into(), "vicinity".into()],
        k: 10,
        threads: std::thread::available_parallelism()?.get(),
        queries: None,
        effort: EFFORTS.to_vec(),
        repeats: 3,
        stop: 0.999,
        out: None,
    };
    while let Some(word) = words.next() {
        if word == "-h" || word == "--help" {
            return Err(USAGE.into());
        }
        if !word.starts_with("--") {
            args.file = word.into();
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--peers" => args.peers = value.split(',').map(str::to_owned).collect(),
            "--k" => args.k = value.parse()?,
            "--threads" => args.threads = value.parse()?,
            "--queries" => args.queries = Some(value.parse()?).filter(|&n| n > 0),
            "--effort" => args.effort = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--repeats" => args.repeats = value.parse()?,
            "--stop" => args.stop = value.parse()?,
            "--out" => args.out = Some(value.into()),
            _ => return Err(format!("unknown option {word}\n{USAGE}").into()),
        }
    }
    if args.file.as_os_str().is_empty() || args.k == 0 || args.threads == 0 || args.repeats == 0 {
        return Err(USAGE.into());
    }
    Ok(args)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // Both libraries build on rayon's global pool; the searches below stay on this thread.
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    let data = Data::read(&args.file, args.queries)?;
    if data.truth_k < args.k {
        return Err(format!("ground truth holds {} neighbours per query, --k asks for {}", data.truth_k, args.k).into());
    }
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        None => Box::new(std::io::stdout()),
    };
    for name in &args.peers {
        match name.as_str() {
            "hnsw_rs" if data.angular => measure::<HnswRs<anndists::dist::DistDot>>(name, args, &data, &mut out)?,
            "hnsw_rs" => measure::<HnswRs<anndists::dist::DistL2>>(name, args, &data, &mut out)?,
            "vicinity" => measure::<Vicinity>(name, args, &data, &mut out)?,
            _ => return Err(format!("unknown peer {name}: expected hnsw_rs or vicinity").into()),
        }
    }
    Ok(())
}

fn measure<P: Peer>(name: &str, args: &Args, data: &Data, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let before = resident_bytes()?;
    let start = Instant::now();
    let index = P::build(data, args.threads)?;
    let build_s = start.elapsed().as_secs_f64();
    let rss_mb = (resident_bytes()? - before) / f64::from(1 << 20);

    let mut found = vec![NO_ROW; data.queries() * args.k];
    for &ef in &args.effort {
        let mut best = f64::INFINITY;
        for _ in 0..args.repeats {
            let start = Instant::now();
            for (query, ids) in data.test.chunks_exact(data.dim).zip(found.chunks_exact_mut(args.k)) {
                index.search(query, ef.max(args.k), ids)?;
            }
            best = best.min(start.elapsed().as_secs_f64());
            if best * (args.repeats - 1) as f64 > PATIENCE_SECONDS {
                break;
            }
        }
        let recall = data.recall(&found, args.k);
        let line = Line {
            data: args.file.file_name().and_then(|n| n.to_str()).unwrap_or("?"),
            n: data.rows(),
            peer: name,
            setting: ef,
            k: args.k,
            recall: rounded(recall, 5),
            qps: rounded(data.queries() as f64 / best, 1),
            build_s: rounded(build_s, 2),
            build_threads: args.threads,
            rss_mb: rounded(rss_mb, 1),
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
        out.flush()?;
        if recall >= args.stop {
            break;
        }
    }
    Ok(())
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// Resident set of this process in bytes; zero where there is no /proc.
fn resident_bytes() -> Result<f64, Box<dyn Error>> {
    let status = Path::new("/proc/self/status");
    if !status.exists() {
        return Ok(0.0);
    }
    let text = std::fs::read_to_string(status)?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0)
}
