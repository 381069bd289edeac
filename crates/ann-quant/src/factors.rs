//! The factors of codes that stand for what a row adds to its owner, the node or centre beside it.

use ann_core::simd::f16;

/// By what a product with a code is multiplied to be one with the row's difference from its owner.
///
/// `‖d‖² / ⟨d, code⟩` is right for queries that lie along the difference: an unbiased estimate as in RaBitQ (Gao and Long, SIGMOD 2024), and what distances want. Inner products are
/// large for queries along the whole row `x = owner + d`, and those are right with `⟨x, d⟩ / ⟨x, code⟩`: the error along the row, of which
/// anisotropic codes make less (Guo et al., ICML 2020), is none. Where a row is so nearly across the code that this says little, it is as for distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Products {
    /// Of the difference with itself.
    pub(crate) norm: f64,
    /// Of the difference with the code.
    pub(crate) code: f64,
    /// Of the owner with the difference.
    pub(crate) owner: f64,
    /// Of the owner with the code.
    pub(crate) owner_code: f64,
}

impl Products {
    /// The factor for squared distances, or for inner products.
    pub(crate) fn factor(self, squared: bool) -> f32 {
        /// How much the two may differ.
        const MOST: f64 = 2.0;
        let Self { norm, code, owner, owner_code } = self;
        let factor = if code > 0.0 { norm / code } else { 0.0 };
        let along_row = (owner + norm) / (owner_code + code);
        let factor =
            if !squared && along_row > factor / MOST && along_row < factor * MOST { along_row } else { factor };
        factor as f32
    }
}

/// The nearest number of half precision that is finite.
pub(crate) fn half(value: f32) -> f16 {
    f16::from_f32(value.clamp(-65_504.0, 65_504.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
        a[0] * b[0] + a[1] * b[1]
    }

    fn factor(owner: [f64; 2], difference: [f64; 2], code: [f64; 2], squared: bool) -> f64 {
        let products = Products {
            norm: dot(difference, difference),
            code: dot(difference, code),
            owner: dot(owner, difference),
            owner_code: dot(owner, code),
        };
        f64::from(products.factor(squared))
    }

    #[test]
    fn a_factor_is_right_along_the_difference_or_along_the_row() {
        let (owner, difference, code) = ([3.0, 1.0], [0.5, 1.0], [1.0, 1.0]);
        let row = [3.5, 2.0];
        let of = |squared| factor(owner, difference, code, squared);
        assert!((of(true) * dot(difference, code) - dot(difference, difference)).abs() < 1e-6);
        assert!((of(false) * dot(row, code) - dot(row, difference)).abs() < 1e-6);
        assert!((of(true) - of(false)).abs() > 0.1);
    }

    #[test]
    fn a_row_across_its_code_is_as_for_distances_and_no_code_has_no_factor() {
        let (difference, code) = ([0.5, 1.0], [1.0, 1.0]);
        let across = factor([0.5, -2.0], difference, code, false);
        assert_eq!(across, factor([0.5, -2.0], difference, code, true));
        assert_eq!(factor([1.0, 1.0], [0.0, 0.0], [0.0, 0.0], false), 0.0);
        assert_eq!(factor([1.0, 1.0], difference, [-1.0, -1.0], false), 0.0);
    }
}
