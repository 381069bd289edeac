use std::path::PathBuf;

use ann_core::Matrix;
use hdf5_pure::FileBuilder;
use proptest::prelude::*;

use super::part::MAX_EXPANSION;
use super::*;
use crate::dataset::{BitRows, IdSets};

fn folder_with(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

fn dense(metric: Metric) -> Dataset {
    let rows = |n: usize| Matrix::new((0..n * 3).map(|i| (i * i % 11) as f32 - 2.5).collect(), 3).unwrap();
    Dataset {
        name: "rows".to_owned(),
        metric,
        train: Points::Dense(rows(20)),
        test: Points::Dense(rows(4)),
        truth: Some(GroundTruth::new(2, vec![0, 7, 1, 19, 2, 4, 3, 5], vec![0.5; 8]).unwrap()),
    }
}

fn bits() -> Dataset {
    let rows = |n: usize| BitRows::pack(&(0..n * 70).map(|i| u8::from(i % 5 < 2)).collect::<Vec<_>>(), 70).unwrap();
    Dataset {
        name: "rows".to_owned(),
        metric: Metric::Hamming,
        train: Points::Bits(rows(9)),
        test: Points::Bits(rows(2)),
        truth: Some(GroundTruth::new(2, vec![0, 1, 1, 8], vec![0.0, 3.0, 7.0, 70.0]).unwrap()),
    }
}

fn sets() -> Dataset {
    Dataset {
        name: "rows".to_owned(),
        metric: Metric::Jaccard,
        train: Points::Sets(IdSets::from_sets(&[vec![1, 5, 9], vec![], vec![4_000_000_000], vec![2, 3]])),
        test: Points::Sets(IdSets::from_sets(&[vec![2]])),
        truth: Some(GroundTruth::new(1, vec![3], vec![0.5]).unwrap()),
    }
}

#[test]
fn every_kind_of_points_round_trips() {
    let metrics = [Metric::L2, Metric::Cosine, Metric::InnerProduct, Metric::L1];
    for dataset in metrics.map(dense).into_iter().chain([bits(), sets()]) {
        let (_folder, path) = folder_with("rows.hdf5");
        dataset.write(&path).unwrap();
        assert_eq!(Dataset::read(&path).unwrap(), dataset);
    }
}

#[test]
fn attributes_are_those_of_ann_benchmarks() {
    for (dataset, distance, kind, dimension) in [
        (dense(Metric::Cosine), "angular", "dense", 3),
        (bits(), "hamming", "dense", 70),
        (sets(), "jaccard", "sparse", 4_000_000_001),
    ] {
        let (_folder, path) = folder_with("rows.hdf5");
        dataset.write(&path).unwrap();
        let attributes = hdf5_pure::File::open(&path).unwrap().root().attrs().unwrap();
        assert_eq!(attributes["distance"].as_str(), Some(distance));
        assert_eq!(attributes["type"].as_str(), Some(kind));
        assert_eq!(attributes["dimension"].as_u64(), Some(dimension));
    }
}

#[test]
fn hamming_distances_are_stored_as_fractions() {
    let (_folder, path) = folder_with("rows.hdf5");
    bits().write(&path).unwrap();
    let file = hdf5_pure::File::open(&path).unwrap();
    assert_eq!(file.dataset("distances").unwrap().read_f32().unwrap(), [0.0, 3.0 / 70.0, 0.1, 1.0]);
}

/// A file with the given distance and nothing else but what `arrays` adds.
fn write_file(path: &Path, distance: &str, arrays: impl FnOnce(&mut FileBuilder)) {
    let mut builder = FileBuilder::new();
    builder.set_attr("distance", AttrValue::AsciiString(distance.to_owned()));
    arrays(&mut builder);
    builder.write(path).unwrap();
}

#[test]
fn old_compressed_files_of_other_types_are_read() {
    let (_folder, path) = folder_with("old.h5");
    let values: Vec<f64> = (0..1000).map(f64::from).collect();
    write_file(&path, "euclidean", |builder| {
        let train = builder.create_dataset("train").with_f64_data(&values).with_shape(&[250, 4]);
        train.with_chunks(&[64, 3]).with_shuffle().with_deflate(6);
        builder.create_dataset("test").with_u8_data(&[1, 2, 3, 4]).with_shape(&[1, 4]);
        builder.create_dataset("neighbors").with_i64_data(&[249]).with_shape(&[1, 1]);
        builder.create_dataset("distances").with_f64_data(&[2.5]).with_shape(&[1, 1]);
    });
    let dataset = Dataset::read(&path).unwrap();
    let expected: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    assert_eq!(dataset.train.dense().unwrap().as_slice(), expected);
    assert_eq!(dataset.test.dense().unwrap().as_slice(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(dataset.truth.unwrap(), GroundTruth::new(1, vec![249], vec![2.5]).unwrap());
}

#[test]
fn old_sets_of_indicators_are_read() {
    let (_folder, path) = folder_with("old.hdf5");
    write_file(&path, "jaccard", |builder| {
        builder.create_dataset("train").with_u8_data(&[1, 0, 1, 0, 0, 0]).with_shape(&[2, 3]);
        builder.create_dataset("test").with_f32_data(&[0.0, 1.0, 0.0]).with_shape(&[1, 3]);
    });
    let dataset = Dataset::read(&path).unwrap();
    assert_eq!(dataset.train, Points::Sets(IdSets::from_sets(&[vec![0, 2], vec![]])));
    assert_eq!(dataset.truth, None);
}

#[test]
fn a_limit_cuts_base_rows_and_drops_the_truth() {
    for dataset in [dense(Metric::L2), bits(), sets()] {
        let (_folder, path) = folder_with("rows.hdf5");
        dataset.write(&path).unwrap();
        let read = |limit| Dataset::read_with(&path, ReadOptions { limit: Some(limit), check_finite: true }).unwrap();
        let (cut, whole) = (read(2), read(dataset.train.len()));
        assert_eq!((cut.train.len(), cut.test == dataset.test, cut.truth), (2, true, None));
        assert_eq!(whole, dataset);
    }
}

#[test]
fn what_does_not_fit_together_is_named() {
    let error = |distance: &str, arrays: fn(&mut FileBuilder)| {
        let (_folder, path) = folder_with("bad.hdf5");
        write_file(&path, distance, arrays);
        Dataset::read_with(&path, ReadOptions { limit: None, check_finite: true }).unwrap_err().to_string()
    };
    fn array(builder: &mut FileBuilder, name: &str, values: &[f32], columns: usize) {
        let shape = [(values.len() / columns) as u64, columns as u64];
        builder.create_dataset(name).with_f32_data(values).with_shape(&shape);
    }
    assert_eq!(error("euclidean", |_| {}), "the file has no array `train`");
    assert!(error("minkowski", |_| {}).contains("\"minkowski\""));
    let message = error("euclidean", |builder| {
        array(builder, "train", &[0.0; 6], 3);
        array(builder, "test", &[0.0; 4], 2);
    });
    assert_eq!(message, "dimension of `test`: expected 3, found 2");
    let message = error("euclidean", |builder| {
        array(builder, "train", &[0.0, 1.0, 2.0, f32::NAN], 2);
        array(builder, "test", &[0.0; 4], 2);
    });
    assert_eq!(message, "row 1, column 1 is NaN, expected a finite value");
    let message = error("hamming", |builder| {
        array(builder, "train", &[0.0, 1.0, 2.0, 1.0], 2);
        array(builder, "test", &[0.0; 4], 2);
    });
    assert_eq!(message, "`train` row 1, column 0 is 2, expected 0 or 1");
    let message = error("euclidean", |builder| {
        array(builder, "train", &[0.0; 4], 2);
        array(builder, "test", &[0.0; 4], 2);
        builder.create_dataset("neighbors").with_i32_data(&[0, 2]).with_shape(&[2, 1]);
        array(builder, "distances", &[0.0; 2], 1);
    });
    assert_eq!(message, "`neighbors` row 1, column 0 is 2, expected an id below the number of base rows");
    let message = error("jaccard", |builder| {
        builder.create_dataset("train").with_i64_data(&[1, 2, 3]);
        builder.create_dataset("size_train").with_i64_data(&[1, 1]);
        builder.create_dataset("test").with_i64_data(&[1]);
        builder.create_dataset("size_test").with_i64_data(&[1]);
    });
    assert_eq!(message, "sum of sizes against the number of ids: expected 3, found 2");
}

#[test]
fn points_that_do_not_suit_the_metric_are_not_written() {
    let (folder, path) = folder_with("rows.hdf5");
    let error = Dataset { metric: Metric::L2, ..bits() }.write(&path).unwrap_err();
    assert_eq!(error.to_string(), "a hdf5 file holds dense values, not bits");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// Files of every layout: contiguous, chunked and compressed, flat sets.
fn samples() -> Vec<Vec<u8>> {
    let (_folder, path) = folder_with("rows.hdf5");
    let mut samples: Vec<Vec<u8>> = [dense(Metric::L2), bits(), sets()]
        .into_iter()
        .map(|dataset| {
            dataset.write(&path).unwrap();
            std::fs::read(&path).unwrap()
        })
        .collect();
    write_file(&path, "euclidean", |builder| {
        let values: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let train = builder.create_dataset("train").with_f32_data(&values).with_shape(&[40, 3]);
        train.with_chunks(&[16, 2]).with_shuffle().with_deflate(6);
        builder.create_dataset("test").with_f32_data(&values).with_shape(&[40, 3]).with_chunks(&[40, 3]);
    });
    samples.push(std::fs::read(&path).unwrap());
    samples
}

fn parse(bytes: &[u8]) -> Result<Dataset, ReadError> {
    Dataset::from_bytes("rows", bytes.to_vec(), ReadOptions::default())
}

#[test]
fn files_cut_at_any_length_are_errors_not_panics() {
    for bytes in samples() {
        assert!(parse(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_bytes_never_panic_nor_yield_more_than_the_file_holds() {
    for bytes in samples() {
        // A linear congruence spreads the places; the first KiB holds the headers and gets a share of its own.
        let mut state = 1u64;
        for round in 0..600 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let range = if round % 2 == 0 { bytes.len() } else { bytes.len().min(1024) };
            let mut damaged = bytes.clone();
            damaged[(state >> 33) as usize % range] ^= 1 << (state >> 60 & 7);
            if let Ok(dataset) = parse(&damaged) {
                let values = dataset.train.len() as u64 * dataset.train.dim() as u64;
                let sets = matches!(dataset.train, Points::Sets(_));
                assert!(sets || values < MAX_EXPANSION * damaged.len() as u64);
            }
        }
    }
}

/// Replaces the one place where the dimensions 40 x 3 of `train` stand and makes the header's checksum right again, so
/// that only our own checks can notice.
fn forge_shape(bytes: &[u8], shape: [u64; 2]) -> Vec<u8> {
    let pattern = [40u64, 3].map(u64::to_le_bytes).concat();
    let at = bytes.windows(16).position(|window| window == pattern).unwrap();
    let mut forged = bytes.to_vec();
    forged[at..at + 16].copy_from_slice(&shape.map(u64::to_le_bytes).concat());
    // Object header, version 2: signature, version, flags, 16 bytes of times if bit 5, size of the messages.
    let start = bytes[..at].windows(4).rposition(|window| window == b"OHDR").unwrap();
    let flags = bytes[start + 5];
    let size_at = start + 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
    let width = 1 << (flags & 3);
    let size = bytes[size_at..size_at + width].iter().rev().fold(0, |size, &byte| size << 8 | usize::from(byte));
    let end = size_at + width + size;
    assert_eq!(lookup3(&bytes[start..end]).to_le_bytes(), bytes[end..end + 4]);
    let checksum = lookup3(&forged[start..end]);
    forged[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
    forged
}

/// Bob Jenkins' `hashlittle` of 2006 with seed 0, the checksum of HDF5's metadata.
fn lookup3(key: &[u8]) -> u32 {
    let mut state = [0xdead_beef_u32.wrapping_add(key.len() as u32); 3];
    let blocks = key.len().div_ceil(12);
    for (i, block) in key.chunks(12).enumerate() {
        for (word, bytes) in state.iter_mut().zip(block.chunks(4)) {
            let mut padded = [0; 4];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = word.wrapping_add(u32::from_le_bytes(padded));
        }
        if i + 1 < blocks {
            for (x, y, z, by) in [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)]
            {
                state[x] = state[x].wrapping_sub(state[y]) ^ state[y].rotate_left(by);
                state[y] = state[y].wrapping_add(state[z]);
            }
        } else {
            for (x, y, by) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
                state[x] = (state[x] ^ state[y]).wrapping_sub(state[y].rotate_left(by));
            }
        }
    }
    state[2]
}

#[test]
fn a_shape_that_the_stored_bytes_cannot_fill_is_refused() {
    let sample = &samples()[3];
    for shape in [[1 << 40, 3], [u64::MAX, u64::MAX], [4000, 3], [41, 3 << 20]] {
        let error = parse(&forge_shape(sample, shape)).unwrap_err().to_string();
        assert!(error.contains("exceeds") || error.contains("chunks, expected"), "{shape:?}: {error}");
    }
    // One row more is within the last chunk: a lie that no size can betray.
    assert!(parse(&forge_shape(sample, [41, 3])).is_ok());
}

#[test]
fn a_file_on_disk_reads_as_its_bytes_do() {
    let (_folder, path) = folder_with("rows.hdf5");
    for bytes in samples() {
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Dataset::read(&path).unwrap(), parse(&bytes).unwrap());
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(Dataset::read(&path).is_err());
    }
    assert!(matches!(Dataset::read("no/such/rows.hdf5"), Err(ReadError::Open { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_dense_rows_round_trip(dim in 1usize..9, n in 1usize..40, seed in any::<u32>()) {
        let rows = |n: usize| {
            let value = |i: usize| f32::from_bits((i as u32 ^ seed).wrapping_mul(2_654_435_761) & 0xbfff_ffff);
            Points::Dense(Matrix::new((0..n * dim).map(value).collect(), dim).unwrap())
        };
        let dataset = Dataset { name: "any".to_owned(), metric: Metric::L1, train: rows(n), test: rows(1), truth: None };
        let (_folder, path) = folder_with("any.hdf5");
        dataset.write(&path).unwrap();
        prop_assert_eq!(Dataset::read(&path).unwrap(), dataset);
    }
}
