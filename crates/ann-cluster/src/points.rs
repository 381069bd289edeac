//! Points of few dimensions, as arrays that a processor takes in one go.
//!
//! A layout has up to sixteen dimensions. They are padded with zeros to `P`, a multiple of four: zeros change no
//! distance and no gradient, and loops over `P` become a few vector instructions. Sums run in one fixed order, so that
//! they are the same everywhere.

/// A point.
pub(crate) type Point<const P: usize> = [f32; P];

/// The squared distance.
#[inline]
pub(crate) fn squared<const P: usize>(a: &Point<P>, b: &Point<P>) -> f32 {
    let squares: Point<P> = std::array::from_fn(|d| (a[d] - b[d]) * (a[d] - b[d]));
    sum(&squares)
}

/// The sum of all coordinates, by fours.
#[inline]
pub(crate) fn sum<const P: usize>(values: &Point<P>) -> f32 {
    let mut lanes = [0.0; 4];
    for four in values.chunks_exact(4) {
        lanes.iter_mut().zip(four).for_each(|(lane, value)| *lane += value);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// `values`, with zeros behind them.
pub(crate) fn padded<const P: usize>(values: &[f32]) -> Point<P> {
    std::array::from_fn(|d| values.get(d).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_changes_no_distance() {
        let (a, b) = ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]);
        assert_eq!(squared::<4>(&padded(&a), &padded(&b)), 14.0);
        assert_eq!(squared::<16>(&padded(&a), &padded(&b)), 14.0);
    }
}
