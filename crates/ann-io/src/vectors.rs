//! Vectors of any element type, and the one door to every file format: the extension decides.
//!
//! | extension | layout, little-endian | elements |
//! |---|---|---|
//! | `fvecs`, `bvecs`, `ivecs` | per row `i32 d`, then `d` values (TEXMEX corpus, INRIA) | f32, u8, i32 |
//! | `fbin`, `u8bin`, `i8bin`, `ibin`, `f16bin` | `u32 n`, `u32 d`, then `n · d` values (big-ann-benchmarks) | f32, u8, i8, i32, f16 |
//! | `npy` | NumPy's array format 1.0 to 3.0, two dimensions, C order | all of [`VectorData`] |
//!
//! Cost: the values once, plus a buffer of 64 KiB; one pass over the file.

use std::io::Read;
use std::path::Path;

use ann_core::{Matrix, MatrixView};
use half::f16;

use crate::sink::{WriteError, write_atomically};
use crate::source::{ReadError, ReadOptions, Source};
use crate::{bin, npy, vecs};

/// Rows read from a file, in the element type that the file holds.
///
/// ```
/// use ann_core::Matrix;
/// use ann_io::VectorData;
/// let data = VectorData::from(Matrix::new(vec![1u8, 2, 3, 4], 2)?);
/// assert_eq!((data.len(), data.dim(), data.element()), (2, 2, "u8"));
/// assert_eq!(data.into_f32().as_slice(), [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is its element type")]
pub enum VectorData {
    F32(Matrix<f32>),
    F64(Matrix<f64>),
    F16(Matrix<f16>),
    U8(Matrix<u8>),
    I8(Matrix<i8>),
    I32(Matrix<i32>),
    U32(Matrix<u32>),
    I64(Matrix<i64>),
    U64(Matrix<u64>),
}

/// Evaluates `$body` with `$matrix` bound to the matrix inside, whatever its element type.
macro_rules! with_matrix {
    ($data:expr, $matrix:ident => $body:expr) => {
        match $data {
            VectorData::F32($matrix) => $body,
            VectorData::F64($matrix) => $body,
            VectorData::F16($matrix) => $body,
            VectorData::U8($matrix) => $body,
            VectorData::I8($matrix) => $body,
            VectorData::I32($matrix) => $body,
            VectorData::U32($matrix) => $body,
            VectorData::I64($matrix) => $body,
            VectorData::U64($matrix) => $body,
        }
    };
}

impl VectorData {
    /// Number of rows.
    pub fn len(&self) -> usize {
        with_matrix!(self, matrix => matrix.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        with_matrix!(self, matrix => matrix.dim())
    }

    /// Name of the element type, `f32` for instance.
    pub fn element(&self) -> &'static str {
        with_matrix!(self, matrix => name_of(matrix))
    }

    /// Converts every value to the nearest `f32`; free for `f32` rows. Integers beyond 2²⁴ and `f64` values lose
    /// their last bits, `f64` values beyond the range of `f32` become infinite.
    pub fn into_f32(self) -> Matrix<f32> {
        match self {
            Self::F32(matrix) => matrix,
            other => with_matrix!(other, matrix => to_f32(&matrix)),
        }
    }

    /// The first value that is NaN or infinite: row, column, value.
    pub fn first_non_finite(&self) -> Option<(usize, usize, f32)> {
        with_matrix!(self, matrix => {
            let at = matrix.as_slice().iter().position(|value| !value.is_finite())?;
            let value = matrix.as_slice().get(at)?.to_f32();
            Some((at / matrix.dim(), at % matrix.dim(), value))
        })
    }

    /// Writes the rows in the format that the extension names, see [`write_vectors`].
    ///
    /// # Errors
    /// [`WriteError`]; the file is then as it was.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), WriteError> {
        with_matrix!(self, matrix => write_vectors(path, matrix.view()))
    }
}

impl<T: Scalar> From<Matrix<T>> for VectorData {
    fn from(matrix: Matrix<T>) -> Self {
        T::erase(matrix)
    }
}

/// Reads the rows of `path` in the format that its extension names.
///
/// ```
/// use ann_core::Matrix;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("rows.fvecs");
/// let rows = Matrix::new(vec![0.5f32, 1.5, 2.5, 3.5], 2)?;
/// ann_io::write_vectors(&path, rows.view())?;
/// assert_eq!(ann_io::read_vectors(&path)?.into_f32(), rows);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReadError`], in particular for a file that is longer or shorter than its header says.
pub fn read_vectors(path: impl AsRef<Path>) -> Result<VectorData, ReadError> {
    read_vectors_with(path, ReadOptions::default())
}

/// [`read_vectors`] with options.
///
/// # Errors
/// [`ReadError`].
pub fn read_vectors_with(path: impl AsRef<Path>, options: ReadOptions) -> Result<VectorData, ReadError> {
    let path = path.as_ref();
    let format = Format::of(path).ok_or_else(|| ReadError::Extension { path: path.to_owned() })?;
    decode(&mut Source::open(path)?, format, options)
}

/// Reads rows from a stream of exactly `len` bytes, a file in memory for instance.
///
/// ```
/// use ann_io::{Format, ReadOptions, read_vectors_from};
/// let bytes = [2, 0, 0, 0, 1, 0, 0, 0, 7, 9]; // n = 2, d = 1
/// let data = read_vectors_from(bytes.as_slice(), bytes.len() as u64, Format::U8bin, ReadOptions::default())?;
/// assert_eq!(data.into_f32().as_slice(), [7.0, 9.0]);
/// # Ok::<(), ann_io::ReadError>(())
/// ```
///
/// # Errors
/// [`ReadError`].
pub fn read_vectors_from(
    reader: impl Read,
    len: u64,
    format: Format,
    options: ReadOptions,
) -> Result<VectorData, ReadError> {
    decode(&mut Source::new(reader, len), format, options)
}

/// Writes `rows` to `path` in the format that its extension names; the file appears whole or not at all.
///
/// # Errors
/// [`WriteError`], in particular where the format holds another element type; the file is then as it was.
pub fn write_vectors<T: Scalar>(path: impl AsRef<Path>, rows: MatrixView<'_, T>) -> Result<(), WriteError> {
    let path = path.as_ref();
    let format = Format::of(path).ok_or_else(|| WriteError::Extension { path: path.to_owned() })?;
    if let Some(expected) = format.element().filter(|&element| element != T::NAME) {
        return Err(WriteError::Element { format: format.extension(), expected, found: T::NAME });
    }
    write_atomically(path, |writer| match format {
        Format::Fvecs | Format::Bvecs | Format::Ivecs => vecs::write(writer, rows, path),
        Format::Npy => npy::write(writer, rows, path),
        _ => bin::write(writer, rows, path),
    })
}

/// A file format for rows.
///
/// ```
/// use ann_io::Format;
/// assert_eq!(Format::of("sift/base.FVECS".as_ref()), Some(Format::Fvecs));
/// assert_eq!(Format::of("base.parquet".as_ref()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is its extension, see the module documentation")]
pub enum Format {
    Fvecs,
    Bvecs,
    Ivecs,
    Fbin,
    U8bin,
    I8bin,
    Ibin,
    F16bin,
    Npy,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 9] = [
        Self::Fvecs,
        Self::Bvecs,
        Self::Ivecs,
        Self::Fbin,
        Self::U8bin,
        Self::I8bin,
        Self::Ibin,
        Self::F16bin,
        Self::Npy,
    ];

    /// The format that the extension of `path` names, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::ALL.into_iter().find(|format| format.extension().eq_ignore_ascii_case(extension))
    }

    /// The extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Fvecs => "fvecs",
            Self::Bvecs => "bvecs",
            Self::Ivecs => "ivecs",
            Self::Fbin => "fbin",
            Self::U8bin => "u8bin",
            Self::I8bin => "i8bin",
            Self::Ibin => "ibin",
            Self::F16bin => "f16bin",
            Self::Npy => "npy",
        }
    }

    /// The only element type of the format; `None` where the file says it.
    pub fn element(self) -> Option<&'static str> {
        match self {
            Self::Fvecs | Self::Fbin => Some("f32"),
            Self::Bvecs | Self::U8bin => Some("u8"),
            Self::Ivecs | Self::Ibin => Some("i32"),
            Self::I8bin => Some("i8"),
            Self::F16bin => Some("f16"),
            Self::Npy => None,
        }
    }
}

/// An element type of vector files. Implemented for the types inside [`VectorData`] and no others.
pub trait Scalar: bytemuck::Pod + Send + Sync + sealed::Sealed {
    /// The type's name in Rust.
    const NAME: &'static str;
    /// NumPy's type string, little-endian.
    #[doc(hidden)]
    const DESCR: &'static str;
    /// The nearest `f32`.
    fn to_f32(self) -> f32;
    /// Whether the value is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    #[doc(hidden)]
    fn swap_bytes(self) -> Self;
    #[doc(hidden)]
    fn erase(matrix: Matrix<Self>) -> VectorData;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalar {
    ($type:ident, $variant:ident, $descr:literal, $to_f32:expr, $is_finite:expr) => {
        impl sealed::Sealed for $type {}
        impl Scalar for $type {
            const NAME: &'static str = stringify!($type);
            const DESCR: &'static str = $descr;
            fn to_f32(self) -> f32 {
                $to_f32(self)
            }
            fn is_finite(self) -> bool {
                $is_finite(self)
            }
            fn swap_bytes(mut self) -> Self {
                bytemuck::bytes_of_mut(&mut self).reverse();
                self
            }
            fn erase(matrix: Matrix<Self>) -> VectorData {
                VectorData::$variant(matrix)
            }
        }
    };
}
scalar!(f32, F32, "<f4", |x| x, f32::is_finite);
scalar!(f64, F64, "<f8", |x| x as f32, f64::is_finite);
scalar!(f16, F16, "<f2", f16::to_f32, f16::is_finite);
scalar!(u8, U8, "|u1", f32::from, |_| true);
scalar!(i8, I8, "|i1", f32::from, |_| true);
scalar!(i32, I32, "<i4", |x| x as f32, |_| true);
scalar!(u32, U32, "<u4", |x| x as f32, |_| true);
scalar!(i64, I64, "<i8", |x| x as f32, |_| true);
scalar!(u64, U64, "<u8", |x| x as f32, |_| true);

fn decode<R: Read>(source: &mut Source<R>, format: Format, options: ReadOptions) -> Result<VectorData, ReadError> {
    let limit = options.limit.map_or(u64::MAX, |limit| limit as u64);
    let data = match format {
        Format::Fvecs => vecs::read::<f32, _>(source, limit)?.into(),
        Format::Bvecs => vecs::read::<u8, _>(source, limit)?.into(),
        Format::Ivecs => vecs::read::<i32, _>(source, limit)?.into(),
        Format::Fbin => bin::read::<f32, _>(source, limit)?.into(),
        Format::U8bin => bin::read::<u8, _>(source, limit)?.into(),
        Format::I8bin => bin::read::<i8, _>(source, limit)?.into(),
        Format::Ibin => bin::read::<i32, _>(source, limit)?.into(),
        Format::F16bin => bin::read::<f16, _>(source, limit)?.into(),
        Format::Npy => npy::read(source, limit)?,
    };
    match data.first_non_finite().filter(|_| options.check_finite) {
        Some((row, column, value)) => Err(ReadError::NonFinite { row, column, value }),
        None => Ok(data),
    }
}

/// `values` as rows of `dim`, whose count the callers computed from both.
pub(crate) fn rows<T>(values: Vec<T>, dim: usize) -> Result<Matrix<T>, ReadError> {
    let found = values.len() as u64;
    Matrix::new(values, dim).map_err(|_| ReadError::Mismatch {
        what: "values of whole rows",
        expected: dim as u64,
        found,
    })
}

fn name_of<T: Scalar>(_: &Matrix<T>) -> &'static str {
    T::NAME
}

fn to_f32<T: Scalar>(matrix: &Matrix<T>) -> Matrix<f32> {
    let values = matrix.as_slice().iter().map(|value| value.to_f32()).collect();
    // The same number of values in the same dimension, so the shape cannot be refused.
    Matrix::new(values, matrix.dim()).unwrap_or_default()
}
