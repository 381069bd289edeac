//! Every row format through its public door: round trips, and files that somebody cut or flipped.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use ann_core::Matrix;
use ann_io::{Format, ReadError, ReadOptions, Scalar, VectorData, read_vectors, read_vectors_from, read_vectors_with};
use half::f16;
use proptest::prelude::*;

fn parse(bytes: &[u8], format: Format) -> Result<VectorData, ReadError> {
    read_vectors_from(bytes, bytes.len() as u64, format, ReadOptions::default())
}

/// Writes rows and gives the file's bytes back.
fn bytes_of(data: &VectorData, format: Format) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows").with_extension(format.extension());
    data.write(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// Rows of the element type that `format` holds, made of `bytes`.
fn data_for(format: Format, bytes: &[u8], dim: usize) -> VectorData {
    fn take<T: Scalar>(bytes: &[u8], dim: usize, from: impl Fn(u8) -> T) -> VectorData {
        let values = bytes.iter().map(|&byte| from(byte)).collect::<Vec<_>>();
        Matrix::new(values, dim).unwrap().into()
    }
    match format {
        Format::Fvecs | Format::Fbin | Format::Npy => take(bytes, dim, |byte| f32::from(byte) - 0.5),
        Format::Bvecs | Format::U8bin => take(bytes, dim, |byte| byte),
        Format::Ivecs | Format::Ibin => take(bytes, dim, |byte| i32::from(byte) - 100),
        Format::I8bin => take(bytes, dim, |byte| byte as i8),
        Format::F16bin => take(bytes, dim, |byte| f16::from_f32(f32::from(byte) / 4.0)),
        other => panic!("no rows for {other:?}"),
    }
}

fn sample(format: Format) -> Vec<u8> {
    bytes_of(&data_for(format, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255], 3), format)
}

/// Bytes before the first value, and in `vecs` those of every row.
fn header_bytes(format: Format, len: usize) -> usize {
    match format {
        Format::Fvecs | Format::Bvecs | Format::Ivecs => len,
        Format::Npy => 128,
        _ => 8,
    }
}

proptest! {
    // Every file is flushed to the disk, which dominates the time.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_format_round_trips(which in 0..Format::ALL.len(), dim in 1usize..20, n in 1usize..20, seed in any::<u8>()) {
        let format = Format::ALL[which];
        let bytes: Vec<u8> = (0..n * dim).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect();
        let data = data_for(format, &bytes, dim);
        prop_assert_eq!(parse(&bytes_of(&data, format), format).unwrap(), data);
    }

    #[test]
    fn npy_keeps_every_bit_of_every_type(words in proptest::collection::vec(any::<u64>(), 1..40)) {
        let n = words.len();
        for data in [
            VectorData::from(Matrix::new(words.clone(), 1).unwrap()),
            Matrix::new(words.iter().map(|&word| word as i64).collect(), n).unwrap().into(),
            Matrix::new(words.iter().map(|&word| word as u32).collect(), 1).unwrap().into(),
            Matrix::new(words.iter().map(|&word| word as i32).collect(), n).unwrap().into(),
            Matrix::new(words.iter().map(|&word| word as i8).collect(), 1).unwrap().into(),
            Matrix::new(words.iter().map(|&word| word as u8).collect(), n).unwrap().into(),
            Matrix::new(words.iter().map(|&word| word as f64).collect(), 1).unwrap().into(),
        ] {
            prop_assert_eq!(parse(&bytes_of(&data, Format::Npy), Format::Npy).unwrap(), data);
        }
    }

    #[test]
    fn a_limit_reads_the_first_rows(which in 0..Format::ALL.len(), limit in 0usize..6) {
        let format = Format::ALL[which];
        let bytes = sample(format);
        let options = ReadOptions { limit: Some(limit), check_finite: true };
        let part = read_vectors_from(bytes.as_slice(), bytes.len() as u64, format, options).unwrap();
        prop_assert_eq!((part.len(), part.dim()), (limit.min(4), 3));
        let whole = parse(&bytes, format).unwrap().into_f32();
        let part = part.into_f32();
        prop_assert_eq!(part.as_slice(), &whole.as_slice()[..limit.min(4) * 3]);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            if let Ok(data) = parse(&bytes, format) {
                prop_assert!(data.len() * data.dim() <= bytes.len());
            }
        }
    }
}

#[test]
fn a_file_cut_at_any_length_is_an_error_that_names_its_length() {
    for format in Format::ALL {
        let bytes = sample(format);
        for len in 0..bytes.len() {
            // Between two rows a file without a header is simply a shorter file.
            let stride = bytes.len() / 4;
            let whole_rows = header_bytes(format, 0) == 0 && len > 0 && len % stride == 0;
            match parse(&bytes[..len], format) {
                Ok(data) => assert!(whole_rows && data.len() == len / stride, "{format:?} cut at {len}"),
                Err(ReadError::Truncated { offset, expected, .. }) => {
                    assert!(offset == len as u64 && expected > offset, "{format:?} cut at {len}");
                }
                Err(error) => panic!("{format:?} cut at {len}: {error}"),
            }
        }
    }
}

#[test]
fn a_byte_too_many_is_an_error() {
    for format in Format::ALL {
        let bytes = [sample(format), vec![0]].concat();
        assert!(matches!(
            parse(&bytes, format),
            Err(ReadError::Trailing { extra: 1, .. } | ReadError::Truncated { .. })
        ));
    }
}

#[test]
fn a_flipped_bit_in_a_header_yields_no_more_than_the_file_holds() {
    for format in Format::ALL {
        let bytes = sample(format);
        for bit in 0..8 * header_bytes(format, bytes.len()) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(data) = parse(&damaged, format) {
                assert!(data.len() * data.dim() <= bytes.len(), "{format:?} bit {bit}");
            }
        }
    }
}

#[test]
fn values_that_are_not_finite_are_named_where_asked_for() {
    let mut values = vec![0.0f32; 12];
    values[7] = f32::NEG_INFINITY;
    let bytes = bytes_of(&Matrix::new(values, 4).unwrap().into(), Format::Fbin);
    assert!(parse(&bytes, Format::Fbin).is_ok());
    let options = ReadOptions { limit: None, check_finite: true };
    let error = read_vectors_from(bytes.as_slice(), bytes.len() as u64, Format::Fbin, options).unwrap_err();
    assert_eq!(error.to_string(), "row 1, column 3 is -inf, expected a finite value");
    let options = ReadOptions { limit: Some(1), check_finite: true };
    assert!(read_vectors_from(bytes.as_slice(), bytes.len() as u64, Format::Fbin, options).is_ok());
}

#[test]
fn paths_say_what_they_lack() {
    assert!(matches!(read_vectors("rows.parquet"), Err(ReadError::Extension { .. })));
    assert!(matches!(read_vectors("no/such/rows.fbin"), Err(ReadError::Open { .. })));
    let rows = Matrix::new(vec![0.5f32; 4], 2).unwrap();
    let error = ann_io::write_vectors("rows.u8bin", rows.view()).unwrap_err();
    assert_eq!(error.to_string(), "a u8bin file holds u8 values, not f32");
}

#[test]
fn a_failed_write_leaves_the_old_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.fvecs");
    let rows = Matrix::new(vec![0.5f32; 4], 2).unwrap();
    ann_io::write_vectors(&path, rows.view()).unwrap();
    assert!(ann_io::write_vectors(&path, Matrix::<f32>::default().view()).is_err());
    assert_eq!(read_vectors_with(&path, ReadOptions::default()).unwrap(), rows.into());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}
