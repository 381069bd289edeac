//! The element types of stored rows, and which of them holds given data without loss.

use crate::MatrixView;
use ann_simd::Element;
use half::{bf16, f16};

/// An element type that dense rows may be stored in.
pub trait Scalar: Element {
    /// Its place in [`ElementKind`].
    const KIND: ElementKind;

    /// The value, if this type holds it exactly.
    fn exact(value: f32) -> Option<Self>;

    /// The nearest value of this type.
    fn nearest(value: f32) -> Self;

    /// The value as `f32`, exactly.
    fn widen(self) -> f32;
}

impl Scalar for f32 {
    const KIND: ElementKind = ElementKind::F32;

    fn exact(value: f32) -> Option<Self> {
        Some(value)
    }

    fn nearest(value: f32) -> Self {
        value
    }

    fn widen(self) -> f32 {
        self
    }
}

macro_rules! scalar {
    ($($t:ty, $kind:ident, $nearest:expr, $widen:expr;)*) => {$(
        impl Scalar for $t {
            const KIND: ElementKind = ElementKind::$kind;

            fn exact(value: f32) -> Option<Self> {
                let nearest = Self::nearest(value);
                (nearest.widen() == value).then_some(nearest)
            }

            fn nearest(value: f32) -> Self {
                ($nearest)(value)
            }

            fn widen(self) -> f32 {
                ($widen)(self)
            }
        }
    )*};
}

scalar! {
    f16, F16, f16::from_f32, f16::to_f32;
    bf16, Bf16, bf16::from_f32, bf16::to_f32;
    u8, U8, |x: f32| x.round() as u8, f32::from;
    i8, I8, |x: f32| x.round() as i8, f32::from;
}

/// The element type of stored rows, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementKind {
    /// 32-bit floating point.
    F32,
    /// IEEE half precision: 11 significant bits, up to 65,504.
    F16,
    /// bfloat16: 8 significant bits, the range of `f32`.
    Bf16,
    /// Integers `0..=255`.
    U8,
    /// Integers `-128..=127`.
    I8,
}

impl ElementKind {
    /// `f32`, `f16`, `bf16`, `u8` or `i8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::U8 => "u8",
            Self::I8 => "i8",
        }
    }
}

/// The smallest element type that holds every value of `rows` exactly: `u8` or `i8` for integral data (SIFT,
/// images), `bf16` or `f16` for embeddings that a model gave in half precision, `f32` otherwise.
///
/// Storing rows in it changes no distance; it saves memory and, since search waits for memory, time.
///
/// ```
/// use ann_core::{ElementKind, Matrix, narrowest};
/// let pixels = Matrix::new(vec![0.0, 17.0, 255.0, 3.0], 2)?;
/// assert_eq!(narrowest(pixels.view()), ElementKind::U8);
/// let thirds = Matrix::new(vec![1.0 / 3.0], 1)?;
/// assert_eq!(narrowest(thirds.view()), ElementKind::F32);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
pub fn narrowest(rows: MatrixView<'_, f32>) -> ElementKind {
    let values = rows.as_slice();
    if holds::<u8>(values) {
        ElementKind::U8
    } else if holds::<i8>(values) {
        ElementKind::I8
    } else if holds::<bf16>(values) {
        ElementKind::Bf16
    } else if holds::<f16>(values) {
        ElementKind::F16
    } else {
        ElementKind::F32
    }
}

fn holds<T: Scalar>(values: &[f32]) -> bool {
    values.iter().all(|&x| T::exact(x).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;

    fn kind(values: &[f32]) -> ElementKind {
        narrowest(Matrix::new(values.to_vec(), 1).unwrap().view())
    }

    #[test]
    fn the_narrowest_exact_type_is_found() {
        assert_eq!(kind(&[0.0, 255.0]), ElementKind::U8);
        assert_eq!(kind(&[-128.0, 127.0]), ElementKind::I8);
        assert_eq!(kind(&[-128.0, 128.0]), ElementKind::Bf16);
        assert_eq!(kind(&[0.5, 2f32.powi(127)]), ElementKind::Bf16);
        assert_eq!(kind(&[0.5, 2047.0]), ElementKind::F16);
        assert_eq!(kind(&[0.5, 16_777_215.0]), ElementKind::F32);
    }

    #[test]
    fn non_finite_values_are_held_by_no_integer() {
        assert!(u8::exact(f32::NAN).is_none());
        assert!(i8::exact(f32::INFINITY).is_none());
        assert!(u8::exact(-1.0).is_none() && u8::exact(256.0).is_none());
    }
}
