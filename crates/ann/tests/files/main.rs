//! Index files that were cut, changed or forged: each gives a typed error or, where its bytes mean the same, the same
//! answers. None makes the library panic, hang, or take more memory than twice the file; without verification answers
//! may be wrong, and everything else still holds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod damaged;
mod forged;
#[cfg(feature = "ivf_pq")]
mod forged_lists;
mod forgery;
mod sample;
mod trial;

use ann::io::container::{OpenMode, OpenOptions};

#[global_allocator]
static ALLOCATOR: ann_simd::CountingAllocator = ann_simd::CountingAllocator;

const MODES: [OpenMode; 2] = [OpenMode::Map, OpenMode::Read];

fn unverified(mode: OpenMode) -> OpenOptions {
    OpenOptions { mode, verify: false }
}
