//! ann-simd
