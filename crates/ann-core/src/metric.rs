//! The metrics that the built-in row stores understand.
//!
//! A metric is a value chosen once per store, never a type parameter: dispatch on it happens at most once per
//! block of rows. Everywhere inside the crates a distance is *smaller is nearer*; [`Metric::similarity`] turns it
//! round for people who think in similarities.

use std::fmt;
use std::str::FromStr;

/// How far apart two rows are. Smaller is nearer for every variant.
///
/// | variant | distance between `x` and `y` | rows |
/// |---|---|---|
/// | `L2` | `Σ (x - y)²`: **squared**, see [`Metric::reported`] | any finite |
/// | `InnerProduct` | `-⟨x, y⟩`: negative for similar rows, a row need not be its own nearest | any finite |
/// | `Cosine` | `1 - ⟨x, y⟩ / (‖x‖ ‖y‖)`, in `0..=2` | no zero vectors |
/// | `L1` | `Σ |x - y|` | any finite |
/// | `Hamming` | number of differing bits | bits packed in `u64` words |
/// | `Jaccard` | `1 - |x ∩ y| / |x ∪ y|`, `0` for two empty sets | sets |
///
/// ```
/// use ann_core::Metric;
/// assert_eq!("cosine".parse::<Metric>()?, Metric::Cosine);
/// assert_eq!(Metric::L2.reported(25.0), 5.0);
/// # Ok::<(), ann_core::MetricError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Metric {
    /// Squared Euclidean distance.
    #[default]
    L2,
    /// Negated inner product (maximum inner product search).
    InnerProduct,
    /// One minus the cosine of the angle.
    Cosine,
    /// Sum of absolute differences.
    L1,
    /// Number of differing bits.
    Hamming,
    /// One minus the share of common elements.
    Jaccard,
}

impl Metric {
    /// Every variant, in the order of the documentation.
    pub const ALL: [Self; 6] = [Self::L2, Self::InnerProduct, Self::Cosine, Self::L1, Self::Hamming, Self::Jaccard];

    /// The short name that [`FromStr`] reads: `l2`, `ip`, `cosine`, `l1`, `hamming`, `jaccard`.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::InnerProduct => "ip",
            Self::Cosine => "cosine",
            Self::L1 => "l1",
            Self::Hamming => "hamming",
            Self::Jaccard => "jaccard",
        }
    }

    /// The distance as people and benchmarks quote it: Euclidean rather than squared for `L2`, unchanged otherwise.
    pub fn reported(self, distance: f32) -> f32 {
        match self {
            Self::L2 => distance.max(0.0).sqrt(),
            _ => distance,
        }
    }

    /// The similarity that belongs to a distance: inner product, cosine, Jaccard index; `-distance` where the field
    /// has no similarity of its own.
    pub fn similarity(self, distance: f32) -> f32 {
        match self {
            Self::Cosine | Self::Jaccard => 1.0 - distance,
            Self::L2 | Self::InnerProduct | Self::L1 | Self::Hamming => -distance,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metric name that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{found}`, expected one of l2, ip, cosine, l1, hamming, jaccard")]
pub struct MetricError {
    /// What was given.
    pub found: String,
}

impl FromStr for Metric {
    type Err = MetricError;

    /// Reads the names of [`Metric::name`] and the synonyms of other libraries (`euclidean`, `angular`, `dot`, …),
    /// in any case.
    fn from_str(text: &str) -> Result<Self, MetricError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "l2" | "euclidean" | "sqeuclidean" => Self::L2,
            "ip" | "dot" | "inner_product" => Self::InnerProduct,
            "cosine" | "cos" | "angular" => Self::Cosine,
            "l1" | "manhattan" => Self::L1,
            "hamming" => Self::Hamming,
            "jaccard" => Self::Jaccard,
            _ => return Err(MetricError { found: text.to_owned() }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().to_uppercase().parse(), Ok(metric));
        }
        let error = "l3".parse::<Metric>().unwrap_err();
        assert!(error.to_string().contains("`l3`"));
    }

    #[test]
    fn similarity_orders_opposite_to_distance() {
        for metric in Metric::ALL {
            assert!(metric.similarity(0.25) > metric.similarity(0.5), "{metric}");
        }
    }
}
