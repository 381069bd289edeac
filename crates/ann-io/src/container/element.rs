//! The number types a section may hold.

use bytemuck::Pod;
use half::{bf16, f16};
use std::fmt;

/// The number type of a section. The set is part of the format: another type needs another [`FORMAT`](super::FORMAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ElementType {
    U8,
    I8,
    U16,
    I16,
    F16,
    Bf16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

impl ElementType {
    const ALL: [ElementType; 12] = {
        use ElementType::*;
        [U8, I8, U16, I16, F16, Bf16, U32, I32, F32, U64, I64, F64]
    };

    /// The name in files, that of the Rust type: `"f32"`, `"bf16"`.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::U8 => "u8",
            ElementType::I8 => "i8",
            ElementType::U16 => "u16",
            ElementType::I16 => "i16",
            ElementType::F16 => "f16",
            ElementType::Bf16 => "bf16",
            ElementType::U32 => "u32",
            ElementType::I32 => "i32",
            ElementType::F32 => "f32",
            ElementType::U64 => "u64",
            ElementType::I64 => "i64",
            ElementType::F64 => "f64",
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> u32 {
        match self {
            ElementType::U8 | ElementType::I8 => 1,
            ElementType::U16 | ElementType::I16 | ElementType::F16 | ElementType::Bf16 => 2,
            ElementType::U32 | ElementType::I32 | ElementType::F32 => 4,
            ElementType::U64 | ElementType::I64 | ElementType::F64 => 8,
        }
    }

    pub(super) fn named(name: &str) -> Option<ElementType> {
        ElementType::ALL.into_iter().find(|element| element.name() == name)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A number that sections are made of; implemented for the types named in [`ElementType`], and closed.
pub trait Stored: Pod + Default + PartialEq + Send + Sync + sealed::Sealed {
    /// The type as the manifest records it.
    const ELEMENT: ElementType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! stored {
    ($($number:ty => $element:ident),*) => {
        $(
            impl sealed::Sealed for $number {}
            impl Stored for $number {
                const ELEMENT: ElementType = ElementType::$element;
            }
        )*
    };
}

stored!(u8 => U8, i8 => I8, u16 => U16, i16 => I16, f16 => F16, bf16 => Bf16);
stored!(u32 => U32, i32 => I32, f32 => F32, u64 => U64, i64 => I64, f64 => F64);

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees<T: Stored>() {
        assert_eq!(size_of::<T>(), T::ELEMENT.bytes() as usize);
        assert_eq!(std::any::type_name::<T>().rsplit(':').next(), Some(T::ELEMENT.name()));
        assert_eq!(ElementType::named(T::ELEMENT.name()), Some(T::ELEMENT));
    }

    #[test]
    fn names_and_sizes_are_those_of_the_rust_types() {
        let types: [fn(); 12] = [
            agrees::<u8>,
            agrees::<i8>,
            agrees::<u16>,
            agrees::<i16>,
            agrees::<f16>,
            agrees::<bf16>,
            agrees::<u32>,
            agrees::<i32>,
            agrees::<f32>,
            agrees::<u64>,
            agrees::<i64>,
            agrees::<f64>,
        ];
        types.iter().for_each(|agrees| agrees());
        assert_eq!(types.len(), ElementType::ALL.len());
        assert_eq!(ElementType::named("f8"), None);
    }
}
