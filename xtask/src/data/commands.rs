//! `cargo xtask data`: what each subcommand does and prints.

use std::io::Write as _;
use std::path::Path;

use ann_core::{GroundTruth, Matrix};
use ann_io::{Dataset, Points};

use super::catalogue::{Catalogue, Entry};
use super::convert::convert;
use super::download::Outcome;
use super::files::{Dense, fetch, locate, path, read_error};
use crate::args::{Data, Source, Truth};
use crate::engine;
use crate::error::Error;

/// Runs one subcommand.
///
/// # Errors
/// What the subcommand meets.
pub(crate) fn run(command: &Data) -> Result<(), Error> {
    match command {
        Data::List { json, source } => list(*json, source),
        Data::Get { names, source } => get(names, source),
        Data::Truth(args) => truth(args),
        Data::Convert(args) => {
            println!("{}", convert(args)?);
            Ok(())
        }
    }
}

fn list(json: bool, source: &Source) -> Result<(), Error> {
    let catalogue = Catalogue::bundled()?;
    let mut text = String::new();
    if !json {
        text += "name                           metric  layout       rows    dim  queries     MiB  here  licence\n";
    }
    for entry in catalogue.entries() {
        text += &match json {
            true => serde_json::to_string(entry).map_err(|error| Error::Usage(error.to_string()))?,
            false => row(entry, path(entry, source).is_file()),
        };
        text.push('\n');
    }
    // Whoever reads only the first lines has all that was wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn row(entry: &Entry, here: bool) -> String {
    let number = |value: Option<usize>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    format!(
        "{:<30} {:<7} {:<6} {:>10} {:>6} {:>8} {:>7}  {:<4}  {}",
        entry.name,
        entry.metric,
        entry.layout,
        number(entry.n),
        number(entry.dim),
        number(entry.queries),
        number(entry.megabytes.map(|size| size as usize)),
        if here { "yes" } else { "no" },
        entry.licence
    )
}

fn get(names: &[String], source: &Source) -> Result<(), Error> {
    let catalogue = Catalogue::bundled()?;
    // A slip in the last name should show before hours of downloads.
    let entries = names.iter().map(|name| catalogue.find(name)).collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        let (path, outcome) = fetch(entry, source)?;
        let outcome = match outcome {
            Outcome::Verified => "verified",
            Outcome::Recorded => "checked, its SHA-256 recorded",
            Outcome::Downloaded => "downloaded, checked, its SHA-256 recorded",
        };
        println!("{}: {outcome}", path.display());
        if let Some(note) = &entry.note {
            println!("  {note}");
        }
    }
    Ok(())
}

fn truth(args: &Truth) -> Result<(), Error> {
    let data = inputs(args)?;
    let threads = args.threads.unwrap_or_else(engine::threads);
    let truth = engine::exact(data.train.view(), data.test.view(), data.metric, args.k, threads)?;
    let (queries, k) = (truth.len(), truth.k);
    write_truth(&args.out, data, truth)?;
    println!("{}: the {k} nearest of {queries} queries", args.out.display());
    Ok(())
}

/// Base, queries and metric, from one file or from three arguments.
fn inputs(args: &Truth) -> Result<Dense, Error> {
    let vectors = |path: &Path| -> Result<Matrix<f32>, Error> {
        Ok(ann_io::read_vectors(path).map_err(|source| read_error(path, source))?.into_f32())
    };
    let base = Path::new(&args.base);
    let mut data = if base.is_file() && ann_io::Format::of(base).is_some() {
        let (Some(queries), Some(_)) = (&args.queries, &args.metric) else {
            return Err(Error::Usage(format!("{} holds vectors only: give --queries and --metric", args.base)));
        };
        let name = base.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let metric = ann_core::Metric::default();
        Dense { name, metric, train: vectors(base)?, test: vectors(queries)?, truth: None }
    } else {
        let mut data = Dense::read(&locate(Some(&args.base), &args.source)?)?;
        if let Some(queries) = &args.queries {
            data.test = vectors(queries)?;
        }
        data
    };
    if let Some(metric) = &args.metric {
        data.metric = metric.parse().map_err(|error: ann_core::MetricError| Error::Usage(error.to_string()))?;
    }
    Ok(data)
}

fn write_truth(path: &Path, data: Dense, truth: GroundTruth) -> Result<(), Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "hdf5" => {
            let name = data.name.trim_end_matches(".hdf5").to_owned();
            let (train, test) = (Points::Dense(data.train), Points::Dense(data.test));
            Dataset { name, metric: data.metric, train, test, truth: Some(truth) }.write(path)?;
        }
        "ivecs" => {
            let ids = super::convert::cast(Matrix::new(truth.ids, truth.k)?.into(), "i32")?;
            ids.write(path)?;
        }
        _ => ann_io::write_truth(path, &truth)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path, out: &str) -> Truth {
        Truth {
            base: folder.join("base.fbin").display().to_string(),
            queries: Some(folder.join("queries.fvecs")),
            metric: Some("l2".to_owned()),
            k: 2,
            threads: Some(1),
            out: folder.join(out),
            source: Source::default(),
        }
    }

    fn toy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values: Vec<f32>| {
            ann_io::write_vectors(folder.path().join(name), Matrix::new(values, 2).unwrap().view()).unwrap();
        };
        write("base.fbin", vec![0.0, 0.0, 3.0, 4.0, 0.0, 1.0, 10.0, 10.0]);
        write("queries.fvecs", vec![0.0, 0.0, 9.0, 9.0]);
        folder
    }

    #[test]
    fn truth_is_exact_in_every_format() {
        let folder = toy();
        run(&Data::Truth(args(folder.path(), "truth.bin"))).unwrap();
        let truth = ann_io::read_truth(folder.path().join("truth.bin")).unwrap();
        assert_eq!(truth.ids, [0, 2, 3, 1]);
        assert_eq!(truth.distances[..2], [0.0, 1.0]);
        assert!((truth.distances[2] - 2f32.sqrt()).abs() < 1e-6, "Euclidean, not squared");

        run(&Data::Truth(args(folder.path(), "truth.ivecs"))).unwrap();
        assert_eq!(ann_io::read_truth_ids(folder.path().join("truth.ivecs")).unwrap().as_slice(), [0, 2, 3, 1]);

        run(&Data::Truth(args(folder.path(), "set.hdf5"))).unwrap();
        let dataset = Dataset::read(folder.path().join("set.hdf5")).unwrap();
        assert_eq!(dataset.truth, Some(truth));

        let again = Truth {
            base: folder.path().join("set.hdf5").display().to_string(),
            queries: None,
            metric: None,
            ..args(folder.path(), "again.bin")
        };
        run(&Data::Truth(again)).unwrap();
        assert_eq!(ann_io::read_truth(folder.path().join("again.bin")).unwrap().ids, [0, 2, 3, 1]);
    }

    #[test]
    fn bare_vectors_need_queries_and_a_metric() {
        let folder = toy();
        let error = run(&Data::Truth(Truth { metric: None, ..args(folder.path(), "truth.bin") })).unwrap_err();
        assert!(error.to_string().contains("--metric"), "{error}");
        let error = run(&Data::Truth(Truth { metric: Some("l7".to_owned()), ..args(folder.path(), "t") })).unwrap_err();
        assert!(error.to_string().contains("`l7`"), "{error}");
    }

    #[test]
    fn rows_of_the_list_line_up() {
        let catalogue = Catalogue::bundled().unwrap();
        let licence = |entry: &Entry| row(entry, true).find(&entry.licence).unwrap();
        let first = licence(&catalogue.entries()[0]);
        assert!(catalogue.entries().iter().all(|entry| licence(entry) == first));
    }
}
