//! Distance kernels with run-time dispatch, and aligned or mapped memory: slices in, numbers out.
//!
//! A [`Kernel`] is one operation ([`Op`]) on one pair of element types, compiled for one instruction set ([`Level`]). It is
//! chosen once, is `Copy`, and is safe to call: the [`Arch`] it was made from proves that the processor has the
//! instructions. Its four doors take one pair, listed rows, every row, or a block of queries against a block of rows; the
//! branch on operation and instruction set lies before the loop, at one indirect call for each door.
//!
//! What a kernel promises:
//! - all four doors give bit-identical values for the same pair on the same level;
//! - integer kernels are exact on every level; float kernels differ between levels by rounding only;
//! - no kernel reads outside the given slices, whatever their alignment.
//!
//! This is the only crate of the workspace with `unsafe` code.
//!
//! ```
//! use ann_simd::{Arch, Kernel, Op, Rows};
//!
//! let arch = Arch::detect()?;
//! let kernel = Kernel::<f32, f32>::new(arch, Op::SquaredL2).expect("offered for f32");
//! let table = [0.0, 0.0, 3.0, 4.0, 6.0, 8.0];
//! let mut distances = [0.0; 2];
//! kernel.gather(&[0.0, 0.0], Rows::new(&table, 2, 2), &[2, 1], &mut distances);
//! assert_eq!(distances, [100.0, 25.0]);
//! # Ok::<(), ann_simd::ArchError>(())
//! ```

mod arch;
mod doors;
mod element;
mod float;
mod int;
mod kernel;
pub mod lanes;
mod memory;
mod packed;
pub mod reference;
mod rows;
#[cfg(target_arch = "x86_64")]
mod short;

pub use arch::{Arch, ArchError, Level};
pub use element::{Element, Number};
pub use float::norm_squared;
pub use half::{bf16, f16};
pub use kernel::{Kernel, Op};
pub use memory::{Allocations, Buffer, CountingAllocator, Mapping};
pub use packed::PackedDot;
pub use rows::Rows;
