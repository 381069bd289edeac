//! Counter-based randomness: the draw for row `i` depends on the seed and `i` alone, never on threads or order.

/// SplitMix64 at position `index` of the stream `seed` (Steele, Lea, Flood, *Fast splittable pseudorandom number
/// generators*, OOPSLA 2014).
///
/// ```
/// assert_ne!(ann_core::split_mix(1, 0), ann_core::split_mix(1, 1));
/// ```
pub fn split_mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A 64-bit draw as a number in `(0, 1]`, on a grid of 2⁻⁵³.
///
/// ```
/// assert_eq!(ann_core::unit(u64::MAX), 1.0);
/// assert!(ann_core::unit(0) > 0.0);
/// ```
pub fn unit(draw: u64) -> f64 {
    ((draw >> 11) + 1) as f64 / (1u64 << 53) as f64
}
