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
        let stored = match self.kind {
            Kind::Plain => value,
            Kind::Square(factor) => value * value.abs() * factor,
        };
        // Rounding to f32 may raise it.
        (((stored - self.least).min(stored) * (1.0 - self.share)) as f32).next_down()
    }
}
