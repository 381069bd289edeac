//! Memory that kernels like to read: aligned, on huge pages when large, or mapped straight from a file.
//!
//! [`Buffer`] is a vector of plain numbers whose first element sits on a cache line, so that a row whose stride is a
//! multiple of 64 bytes never straddles one line more than it must. From 2 MiB on it asks for huge pages: a graph
//! search jumps between rows, and with 4 KiB pages most jumps miss the address-translation cache as well. [`Mapping`]
//! is a file in memory that many buffers may share; a buffer cut out of it costs nothing until it is written to.
//!
//! Cost: an owned buffer takes its capacity rounded up to 64 bytes (small) or 2 MiB (large; pages never touched are
//! never backed by memory); a window takes no memory of its own.

mod buffer;
mod counting;
mod mapping;
mod storage;

pub use buffer::Buffer;
pub use counting::{Allocations, CountingAllocator};
pub use mapping::Mapping;
