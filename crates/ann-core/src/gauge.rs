//! What stored distances mean as a metric, rounding included: for indexes that skip rows because others are far.

/// Reads stored distances as values of a metric, for which `d(a, c) <= d(a, b) + d(b, c)` holds. A distance that was computed lies within rounding of the true one, and so does what
/// is read from it: between [`Self::at_least`] and [`Self::at_most`].
///
/// ```
/// use ann_core::{FlatStore, Metric, VectorStore};
/// let gauge = FlatStore::<f32>::new(2, Metric::L2)?.gauge().expect("squared distances have roots");
/// assert!(gauge.at_least(25.0) < 5.0 && gauge.at_most(25.0) > 5.0 && gauge.at_most(25.0) < 5.001);
/// assert!(gauge.stored(5.0) < 25.0 && gauge.stored(5.0) > 24.99);
/// assert!(FlatStore::<f32>::new(2, Metric::InnerProduct)?.gauge().is_none());
/// # Ok::<(), ann_core::FlatError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    kind: Kind,
    /// Error of a stored distance, as a share of it, and beside that.
    share: f64,
    least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// The metric itself.
    Plain,
    /// Its square, times a factor.
    Square(f64),
}

impl Gauge {
    /// Stored distances are those of the metric, up to `share` of them and `least`.
    pub fn plain(share: f64, least: f64) -> Self {
        Self { kind: Kind::Plain, share, least }
    }

    /// Stored distances are `factor` times those of the metric squared, up to `share` of them and `least`.
    pub fn square(factor: f64, share: f64, least: f64) -> Self {
        Self { kind: Kind::Square(factor), share, least }
    }

    /// The least that the metric can be where `distance` is stored.
    #[inline]
    pub fn at_least(&self, distance: f32) -> f64 {
        // What is beyond all numbers may be just beyond them.
        let stored = f64::from(distance.min(f32::MAX)) * (1.0 - self.share) - self.least;
        match self.kind {
            Kind::Plain => stored,
            Kind::Square(factor) => (stored.max(0.0) / factor).sqrt(),
        }
    }

    /// The most that the metric can be where `distance` is stored.
    #[inline]
    pub fn at_most(&self, distance: f32) -> f64 {
        let stored = f64::from(distance) * (1.0 + self.share) + self.least;
        match self.kind {
            Kind::Plain => stored,
            Kind::Square(factor) => (stored.max(0.0) / factor).sqrt(),
        }
    }

    /// The least that may be stored where the metric is `value` or more; for values below zero, which nothing is as near as, a number below zero in the order of
    /// these values.
    #[inline]
    pub fn stored(&self, value: f64) -> f32 {
        let stored = self.of(value);
        // Rounding to f32 may raise it.
        (((stored - self.least).min(stored) * (1.0 - self.share)) as f32).next_down()
    }

    /// The most that may be stored where the metric is `value` or less.
    #[inline]
    pub fn stored_at_most(&self, value: f64) -> f32 {
        let stored = self.of(value);
        // Rounding to f32 may lower it.
        (((stored + self.least).max(stored) / (1.0 - self.share)) as f32).next_up()
    }

    /// What is stored for `value` without errors.
    #[inline]
    fn of(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Plain => value,
            Kind::Square(factor) => value * value.abs() * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is stored for a value lies between what may be stored for it, and is read as something around it.
        #[test]
        fn what_is_stored_lies_between_its_limits(
            value in 0.0..1e6f64, error in -1.0..1.0f64, share in 0.0..1e-3f64, least in 0.0..1e-3f64, factor in 0.5..2.0f64, squares: bool,
        ) {
            let gauge = if squares { Gauge::square(factor, share, least) } else { Gauge::plain(share, least) };
            let right = gauge.of(value);
            let stored = (right + 0.999 * error * (share * right / (1.0 + share) + least)) as f32;
            prop_assert!(gauge.stored(value) <= stored && stored <= gauge.stored_at_most(value));
            // Up to what the sum above rounds.
            prop_assert!(gauge.at_least(stored) <= value * (1.0 + 1e-6) + 1e-6 && value <= gauge.at_most(stored) * (1.0 + 1e-6) + 1e-6);
        }
    }

    #[test]
    fn what_has_no_end_excludes_nothing() {
        let gauge = Gauge::square(1.0, 1e-6, 1e-12);
        assert_eq!(gauge.stored_at_most(f64::INFINITY), f32::INFINITY);
        assert_eq!(gauge.stored(f64::NEG_INFINITY), f32::NEG_INFINITY);
    }
}
