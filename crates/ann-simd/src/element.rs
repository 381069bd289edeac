//! The element types that rows and queries are made of.

use bytemuck::Pod;
use half::{bf16, f16};

mod sealed {
    pub trait Sealed {}
}

/// An element of a row: plain memory that some kernel reads.
///
/// `u64` stands for 64 bits of a binary vector. The set is closed, because each type needs its own loads.
///
/// ```
/// use ann_simd::{Element, bf16};
/// assert_eq!((<f32 as Element>::NAME, bf16::NAME), ("f32", "bf16"));
/// ```
pub trait Element: sealed::Sealed + Pod + Send + Sync + 'static {
    /// The name of the type in file headers, factory strings and messages.
    const NAME: &'static str;
}

macro_rules! elements {
    ($($type:ty => $name:literal),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const NAME: &'static str = $name;
        }
    )*};
}

elements!(f32 => "f32", f16 => "f16", bf16 => "bf16", u8 => "u8", i8 => "i8", u64 => "u64");

/// An element that stands for one number, each exact in `f32`.
pub trait Number: Element {
    /// The value, exactly.
    fn float(self) -> f32;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            #[inline(always)]
            fn float(self) -> f32 {
                self.into()
            }
        }
    )*};
}

numbers!(f32, f16, bf16, u8, i8);
