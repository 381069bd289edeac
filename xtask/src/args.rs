//! The command line: what each subcommand takes, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Project automation: measure indexes, fetch data sets, run the checks of continuous integration.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build indexes over a data set, sweep their effort, and write recall against queries per second.
    Bench(Bench),
    /// Measure every quantizer on a data set: bytes, seconds, errors, recall of a scan over codes.
    Codes(Codes),
    /// How many of the best rows by code hold the true neighbours, for every quantizer.
    Ranks(Codes),
    /// Search with filters of every width, near the query and far from it.
    Filters(Filters),
    /// Whether searches reach the recall that is named, on queries not seen before.
    Targets(Targets),
    /// List, download, convert data sets and compute their ground truth.
    #[command(subcommand)]
    Data(Data),
    /// Run the checks that every change must pass.
    Ci,
    /// Run the longer checks of the night.
    Nightly,
    /// Build or test for a machine other than this one.
    Cross {
        /// Which machine.
        target: crate::cross::Target,
    },
}

/// `cargo xtask bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// A data set of the catalogue (`glove-25`) or an ann-benchmarks HDF5 file [default: the bundled data set].
    #[arg(value_name = "NAME|FILE")]
    pub data: Option<String>,
    /// An index to build, in the grammar of the factory; may be repeated [default: HNSW16 and HNSW32].
    #[arg(long = "index", value_name = "SPEC")]
    pub indexes: Vec<String>,
    /// Results per query.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = positive)]
    pub k: usize,
    /// Threads of the build [default: as many as the machine has].
    #[arg(long, value_name = "N", value_parser = positive)]
    pub threads: Option<usize>,
    /// Threads that share the queries of one pass.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub search_threads: usize,
    /// Sweep once for every line of standard input, for a script that measures in turns with something else.
    #[arg(long)]
    pub turns: bool,
    /// Use only the first N queries.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub queries: Option<usize>,
    /// The `ef` of each step, in order [default: 10 to 768, until recall 0.999].
    #[arg(long, value_name = "EF,...", value_delimiter = ',', value_parser = positive)]
    pub effort: Vec<usize>,
    /// Append JSON lines to FILE and plot it beside itself [default: results/DATA.jsonl].
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// Save the index built; needs exactly one --index.
    #[arg(long, value_name = "INDEX")]
    pub save: Option<PathBuf>,
    /// Where to download from, see `data get`.
    #[command(flatten)]
    pub source: Source,
}

/// `cargo xtask codes` and `cargo xtask ranks`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Codes {
    /// A data set of the catalogue (`glove-25`) or an ann-benchmarks HDF5 file [default: the bundled data set].
    #[arg(value_name = "NAME|FILE")]
    pub data: Option<String>,
    /// Use only the first N queries.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub queries: Option<usize>,
    /// Use only the first N rows; their exact neighbours are then computed.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub rows: Option<usize>,
    /// Only these schemes, by name or by the beginning of names: `SQ,PQ48x8` [default: all].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Threads of training, encoding and scanning [default: as many as the machine has].
    #[arg(long, value_name = "N", value_parser = positive)]
    pub threads: Option<usize>,
    /// Append JSON lines to FILE [default: results/DATA.codes.jsonl or results/DATA.ranks.jsonl].
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// Where to download from, see `data get`.
    #[command(flatten)]
    pub source: Source,
}

/// `cargo xtask filters`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filters {
    /// A data set of the catalogue (`glove-25`) or an ann-benchmarks HDF5 file [default: the bundled data set].
    #[arg(value_name = "NAME|FILE")]
    pub data: Option<String>,
    /// The index, in the grammar of the factory.
    #[arg(long, value_name = "SPEC", default_value = "HNSW16")]
    pub index: String,
    /// Use only the first N queries.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = positive)]
    pub queries: usize,
    /// Append JSON lines to FILE [default: results/DATA.filters.jsonl].
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// Where to download from, see `data get`.
    #[command(flatten)]
    pub source: Source,
}

/// `cargo xtask targets`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Targets {
    /// A data set of the catalogue (`glove-25`) or an ann-benchmarks HDF5 file [default: the bundled data set].
    #[arg(value_name = "NAME|FILE")]
    pub data: Option<String>,
    /// The index, in the grammar of the factory.
    #[arg(long, value_name = "SPEC", default_value = "HNSW16")]
    pub index: String,
    /// How often the queries are split into two halves, one to learn from and one to test.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = positive)]
    pub splits: usize,
    /// Use only the first N queries.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub queries: Option<usize>,
    /// Where to download from, see `data get`.
    #[command(flatten)]
    pub source: Source,
}

/// Where data sets come from and go to.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Source {
    /// Download from URL/NAME.hdf5 instead of the address in the catalogue; may be repeated, tried in order
    /// [default: the environment variable ANN_DATA_URL, addresses separated by blanks].
    #[arg(long = "base-url", value_name = "URL")]
    pub base_urls: Vec<String>,
    /// Folder of downloaded files [default: datasets/cache].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// `cargo xtask data`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Data {
    /// Print the catalogue and what is already here.
    List {
        /// One JSON object per line instead of a table.
        #[arg(long)]
        json: bool,
        /// Where files are looked for.
        #[command(flatten)]
        source: Source,
    },
    /// Download data sets, or verify those already here.
    Get {
        /// Names of the catalogue; a unique beginning such as `glove-25` is enough.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Where from and where to.
        #[command(flatten)]
        source: Source,
    },
    /// Compute exact nearest neighbours.
    Truth(Truth),
    /// Rewrite vectors in another format; the endings of the names choose the formats.
    Convert(Convert),
}

/// `cargo xtask data truth`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Truth {
    /// A data set of the catalogue, an HDF5 file with queries, or a file of base vectors.
    #[arg(value_name = "NAME|FILE")]
    pub base: String,
    /// Queries, if BASE does not hold them.
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Metric, if BASE does not name it: l2, ip, cosine or l1.
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<String>,
    /// Neighbours per query.
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = positive)]
    pub k: usize,
    /// Threads [default: as many as the machine has].
    #[arg(long, value_name = "N", value_parser = positive)]
    pub threads: Option<usize>,
    /// Where to write: `.hdf5` with all vectors, `.ivecs` with ids only, anything else as big-ann ground truth.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where data sets come from.
    #[command(flatten)]
    pub source: Source,
}

/// `cargo xtask data convert`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Convert {
    /// File to read: .fvecs .bvecs .ivecs .fbin .u8bin .i8bin .ibin .npy .hdf5.
    pub input: PathBuf,
    /// File to write, of the same kinds but HDF5.
    pub output: PathBuf,
    /// Which part of an HDF5 file: train, test, neighbors or distances.
    #[arg(long, default_value = "train")]
    pub part: String,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("`{text}` is no whole number: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(line: &str) -> Result<Bench, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Bench(bench) => Ok(bench),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn definition_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn bench_takes_the_flags_that_scripts_use() {
        let bench = bench(
            "xtask bench sift.hdf5 --index HNSW16 --index HNSW16,48 --k 5 --threads 2 --search-threads 3 --queries 100 \
             --effort 10,20,40 --turns --out a.jsonl --save a.ann",
        )
        .unwrap();
        assert_eq!(bench.data.as_deref(), Some("sift.hdf5"));
        assert_eq!(bench.indexes, ["HNSW16", "HNSW16,48"], "a comma belongs to the grammar of one index");
        assert_eq!((bench.k, bench.threads, bench.search_threads, bench.queries), (5, Some(2), 3, Some(100)));
        assert!(bench.turns);
        assert_eq!(bench.effort, [10, 20, 40]);
        assert_eq!((bench.out, bench.save), (Some("a.jsonl".into()), Some("a.ann".into())));
    }

    #[test]
    fn bench_runs_without_a_single_flag() {
        let bench = bench("xtask bench").unwrap();
        assert_eq!((bench.data, bench.k, bench.threads, bench.search_threads), (None, 10, None, 1));
        assert!(bench.indexes.is_empty() && bench.effort.is_empty() && !bench.turns);
    }

    #[test]
    fn codes_and_ranks_take_the_same_flags() {
        for command in ["codes", "ranks"] {
            let line = format!("xtask {command} a.hdf5 --queries 9 --rows 80 --only SQ8,PQ --threads 2 --out o.jsonl");
            let codes = match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
                Command::Codes(codes) if command == "codes" => codes,
                Command::Ranks(codes) if command == "ranks" => codes,
                other => panic!("parsed as {other:?}"),
            };
            assert_eq!((codes.data.as_deref(), codes.queries, codes.rows), (Some("a.hdf5"), Some(9), Some(80)));
            assert_eq!(codes.only, ["SQ8", "PQ"]);
            assert_eq!((codes.threads, codes.out), (Some(2), Some("o.jsonl".into())));
            assert!(Cli::try_parse_from(["xtask", command]).is_ok(), "the bundled set needs no flag");
            assert!(Cli::try_parse_from(["xtask", command, "--rows", "0"]).is_err());
        }
    }

    #[test]
    fn zero_and_words_are_refused() {
        for line in
            ["xtask bench --k 0", "xtask bench --threads none", "xtask bench --effort 10,0", "xtask bench --bogus"]
        {
            assert!(bench(line).is_err(), "{line}");
        }
    }

    #[test]
    fn data_commands_parse() {
        for line in [
            "xtask data list --json",
            "xtask data get glove-25 sift-128 --base-url http://a --base-url http://b",
            "xtask data truth base.fbin --queries q.fbin --metric l2 --k 10 --out truth.bin",
            "xtask data convert a.fvecs b.npy",
            "xtask ci",
            "xtask nightly",
            "xtask cross wasm",
        ] {
            Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        assert!(Cli::try_parse_from(["xtask", "data", "get"]).is_err(), "get needs a name");
    }
}
