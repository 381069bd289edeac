//! Writing a data set as ann-benchmarks does, h5py's types included.

use std::path::Path;

use ann_core::{GroundTruth, Metric};
use hdf5_pure::{AttrValue, EnumTypeBuilder, FileBuilder, make_i8_type};

use super::SPARSE;
use crate::dataset::{Dataset, Points};
use crate::sink::{WriteError, write_atomically};

pub(super) fn write(dataset: &Dataset, path: &Path) -> Result<(), WriteError> {
    let Dataset { metric, train, test, truth, .. } = dataset;
    let expected = match metric {
        Metric::Hamming => "bits",
        Metric::Jaccard => "sets",
        _ => "dense",
    };
    for found in [kind(train), kind(test)] {
        if found != expected {
            return Err(WriteError::Element { format: "hdf5", expected, found });
        }
    }
    if expected != "sets" && (train.dim() != test.dim() || train.dim() == 0) {
        let expected = "that of the base rows, and above 0";
        return Err(WriteError::Shape { what: "dimension of the queries", found: test.dim(), expected });
    }
    let mut builder = FileBuilder::new();
    let text = |value: &str| AttrValue::VarLenString(value.to_owned());
    builder.set_attr("type", text(if expected == "sets" { SPARSE } else { "dense" }));
    builder.set_attr("distance", text(distance_name(*metric)));
    builder.set_attr("dimension", AttrValue::I64(train.dim().max(test.dim()) as i64));
    builder.set_attr("point_type", text(if expected == "dense" { "float" } else { "bit" }));
    put_points(&mut builder, train, ["train", "size_train"])?;
    put_points(&mut builder, test, ["test", "size_test"])?;
    if let Some(truth) = truth {
        put_truth(&mut builder, truth, dataset)?;
    }
    write_atomically(path, |writer| {
        builder.finish_to(writer).map_err(|error| match error {
            hdf5_pure::Error::Io(source) => WriteError::Io { path: path.to_owned(), source },
            error => WriteError::Hdf5 { problem: error.to_string() },
        })
    })
}

fn put_points(builder: &mut FileBuilder, points: &Points, [name, sizes]: [&str; 2]) -> Result<(), WriteError> {
    let shape = [points.len() as u64, points.dim() as u64];
    match points {
        Points::Dense(matrix) => {
            builder.create_dataset(name).with_f32_data(matrix.as_slice()).with_shape(&shape);
        }
        Points::Bits(bits) => {
            let bytes: Vec<u8> = (0..bits.words().len()).flat_map(|i| bits.unpack(i)).map(u8::from).collect();
            // What Python's h5py calls bool.
            let bool_type = EnumTypeBuilder::with_base(make_i8_type()).value("FALSE", 0).value("TRUE", 1).build();
            let bool_type = bool_type.map_err(|error| WriteError::Hdf5 { problem: error.to_string() })?;
            let count = bytes.len() as u64;
            builder.create_dataset(name).with_raw_data(bool_type, bytes, count).with_shape(&shape);
        }
        Points::Sets(sets) => {
            let ids: Vec<i64> = sets.ids().iter().map(|&id| id.into()).collect();
            let lens: Vec<i64> = sets.iter().map(|set| set.len() as i64).collect();
            builder.create_dataset(name).with_i64_data(&ids);
            builder.create_dataset(sizes).with_i64_data(&lens);
        }
    }
    Ok(())
}

fn put_truth(builder: &mut FileBuilder, truth: &GroundTruth, dataset: &Dataset) -> Result<(), WriteError> {
    let unwritable = |what, found, expected| WriteError::Shape { what, found, expected };
    if truth.len() != dataset.test.len() || truth.k == 0 {
        return Err(unwritable("queries of the ground truth", truth.len(), "as many as queries, each with neighbours"));
    }
    if truth.distances.len() != truth.ids.len() {
        return Err(unwritable("number of distances", truth.distances.len(), "one for each id"));
    }
    let ids = truth.ids.iter().map(|&id| match i32::try_from(id) {
        Ok(narrow) if (id as usize) < dataset.train.len() => Ok(narrow),
        _ => Err(unwritable("neighbour", id as usize, "an id below the number of base rows and 2^31")),
    });
    let ids = ids.collect::<Result<Vec<i32>, _>>()?;
    let scale = if dataset.metric == Metric::Hamming { dataset.train.dim() as f32 } else { 1.0 };
    let distances: Vec<f32> = truth.distances.iter().map(|distance| distance / scale).collect();
    let shape = [truth.len() as u64, truth.k as u64];
    builder.create_dataset("neighbors").with_i32_data(&ids).with_shape(&shape);
    builder.create_dataset("distances").with_f32_data(&distances).with_shape(&shape);
    Ok(())
}

fn kind(points: &Points) -> &'static str {
    match points {
        Points::Dense(_) => "dense",
        Points::Bits(_) => "bits",
        Points::Sets(_) => "sets",
    }
}

/// The metric's name in ann-benchmarks; the crates' own where that has none.
fn distance_name(metric: Metric) -> &'static str {
    match metric {
        Metric::L2 => "euclidean",
        Metric::Cosine => "angular",
        Metric::InnerProduct => "dot",
        Metric::L1 => "manhattan",
        other => other.name(),
    }
}
