//! Vectors from one file format to another, and from one element type to another where nothing is lost.

use ann_core::{GroundTruth, Matrix};
use ann_io::{Dataset, Format, Points, VectorData};

use super::files::read_error;
use crate::args::Convert;
use crate::error::Error;

/// Runs `data convert` and says what was written.
///
/// # Errors
/// If the input cannot be read, the output cannot be written, or values do not fit its element type.
pub(crate) fn convert(args: &Convert) -> Result<String, Error> {
    let hdf5 = args.input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("hdf5"));
    let data = if hdf5 {
        part(Dataset::read(&args.input).map_err(|source| read_error(&args.input, source))?, &args.part)?
    } else {
        ann_io::read_vectors(&args.input).map_err(|source| read_error(&args.input, source))?
    };
    let data = match Format::of(&args.output).and_then(Format::element) {
        Some(element) => cast(data, element)?,
        None => data,
    };
    data.write(&args.output)?;
    Ok(format!("{}: {} rows of {} {}", args.output.display(), data.len(), data.dim(), data.element()))
}

fn part(dataset: Dataset, name: &str) -> Result<VectorData, Error> {
    let truth = |truth: Option<GroundTruth>| {
        truth.ok_or_else(|| Error::Usage("the file holds no ground truth; see `data truth`".to_owned()))
    };
    Ok(match name {
        "train" => dense(dataset.train)?,
        "test" => dense(dataset.test)?,
        "neighbors" => {
            let truth = truth(dataset.truth)?;
            Matrix::new(truth.ids, truth.k)?.into()
        }
        "distances" => {
            let truth = truth(dataset.truth)?;
            Matrix::new(truth.distances, truth.k)?.into()
        }
        _ => return Err(Error::Usage(format!("no part `{name}`; expected train, test, neighbors or distances"))),
    })
}

fn dense(points: Points) -> Result<VectorData, Error> {
    match points {
        Points::Dense(matrix) => Ok(matrix.into()),
        Points::Bits(bits) => {
            let bytes = (0..bits.words().len()).flat_map(|i| bits.unpack(i)).map(u8::from).collect();
            Ok(Matrix::new(bytes, bits.bits())?.into())
        }
        _ => Err(Error::Usage("sets of different sizes fit no vector format".to_owned())),
    }
}

/// The same values as another element type.
///
/// # Errors
/// [`Error::Usage`] with the first value that type has no room for. Only `f64` to `f32` may round.
pub(crate) fn cast(data: VectorData, element: &str) -> Result<VectorData, Error> {
    if data.element() == element {
        return Ok(data);
    }
    let dim = data.dim();
    let values = doubles(data)?;
    Ok(match element {
        "f32" => Matrix::new(values.iter().map(|&value| value as f32).collect(), dim)?.into(),
        "u8" => Matrix::new(exactly(&values, dim, element, |v| v as u8, f64::from)?, dim)?.into(),
        "i8" => Matrix::new(exactly(&values, dim, element, |v| v as i8, f64::from)?, dim)?.into(),
        "i32" => Matrix::new(exactly(&values, dim, element, |v| v as i32, f64::from)?, dim)?.into(),
        _ => return Err(Error::Usage(format!("no conversion to {element}; write .npy instead"))),
    })
}

fn exactly<T: Copy>(
    values: &[f64],
    dim: usize,
    element: &str,
    to: impl Fn(f64) -> T,
    back: impl Fn(T) -> f64,
) -> Result<Vec<T>, Error> {
    let convert = |(at, &value): (usize, &f64)| {
        let result = to(value);
        if back(result) == value {
            return Ok(result);
        }
        let (row, column) = (at / dim, at % dim);
        Err(Error::Usage(format!("row {row}, column {column}: {value} is no {element}")))
    };
    values.iter().enumerate().map(convert).collect()
}

fn doubles(data: VectorData) -> Result<Vec<f64>, Error> {
    fn all<T: Copy>(matrix: &Matrix<T>, double: impl Fn(T) -> f64) -> Vec<f64> {
        matrix.as_slice().iter().map(|&value| double(value)).collect()
    }
    let wide = |fits: bool| {
        if fits { Ok(()) } else { Err(Error::Usage("integers beyond 2^53 cannot be converted".to_owned())) }
    };
    Ok(match data {
        VectorData::F64(matrix) => matrix.into_vec(),
        VectorData::I32(matrix) => all(&matrix, f64::from),
        VectorData::U32(matrix) => all(&matrix, f64::from),
        VectorData::I64(matrix) => {
            wide(matrix.as_slice().iter().all(|value| value.unsigned_abs() <= 1 << 53))?;
            all(&matrix, |value| value as f64)
        }
        VectorData::U64(matrix) => {
            wide(matrix.as_slice().iter().all(|&value| value <= 1 << 53))?;
            all(&matrix, |value| value as f64)
        }
        // All others are exact as f32.
        other => all(&other.into_f32(), f64::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &std::path::Path, output: &std::path::Path, part: &str) -> Result<String, Error> {
        convert(&Convert { input: input.to_owned(), output: output.to_owned(), part: part.to_owned() })
    }

    #[test]
    fn integral_floats_become_bytes_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let rows = Matrix::new(vec![0.0f32, 255.0, 7.0, 8.0, 9.0, 10.0], 3).unwrap();
        ann_io::write_vectors(file("a.fvecs"), rows.view()).unwrap();
        let said = run(&file("a.fvecs"), &file("a.u8bin"), "train").unwrap();
        assert!(said.ends_with("2 rows of 3 u8"), "{said}");
        run(&file("a.u8bin"), &file("a.npy"), "train").unwrap();
        run(&file("a.npy"), &file("b.fvecs"), "train").unwrap();
        assert_eq!(std::fs::read(file("a.fvecs")).unwrap(), std::fs::read(file("b.fvecs")).unwrap());
    }

    #[test]
    fn value_that_does_not_fit_is_named() {
        for (value, element) in
            [(0.5, "u8"), (256.0, "u8"), (-1.0, "u8"), (128.0, "i8"), (3e9, "i32"), (f64::NAN, "i8")]
        {
            let data = Matrix::new(vec![1.0, 2.0, 3.0, value], 2).unwrap().into();
            let error = cast(data, element).unwrap_err().to_string();
            assert!(error.starts_with("row 1, column 1: "), "{error}");
        }
    }

    #[test]
    fn parts_of_a_data_set_become_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let rows = |values: Vec<f32>| Points::Dense(Matrix::new(values, 2).unwrap());
        let dataset = Dataset {
            name: "toy".to_owned(),
            metric: ann_core::Metric::L2,
            train: rows(vec![0.0, 0.0, 3.0, 4.0]),
            test: rows(vec![0.0, 1.0]),
            truth: Some(GroundTruth::new(1, vec![0], vec![1.0]).unwrap()),
        };
        dataset.write(file("toy.hdf5")).unwrap();
        for (part, output, values) in [
            ("train", "train.fbin", vec![0.0, 0.0, 3.0, 4.0]),
            ("test", "test.npy", vec![0.0, 1.0]),
            ("neighbors", "truth.ivecs", vec![0.0]),
            ("distances", "distances.fvecs", vec![1.0]),
        ] {
            run(&file("toy.hdf5"), &file(output), part).unwrap();
            assert_eq!(ann_io::read_vectors(file(output)).unwrap().into_f32().as_slice(), values, "{part}");
        }
        assert!(run(&file("toy.hdf5"), &file("x.npy"), "labels").is_err());
    }
}
