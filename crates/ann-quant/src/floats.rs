//! Floating-point numbers as codes need them: read from bytes, summed, rounded, in ways that processors do side by side.

/// Numbers summed side by side.
const LANES: usize = 16;

/// The number at byte `at`; 0 where there is none.
#[inline(always)]
pub(crate) fn float(bytes: &[u8], at: usize) -> f32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0.0, |&bytes| f32::from_le_bytes(bytes))
}

/// Whether `bytes` are finite numbers, one after the other.
pub(crate) fn are_finite(bytes: &[u8]) -> bool {
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty() && numbers.iter().all(|&number| f32::from_le_bytes(number).is_finite())
}

/// Folds values in lanes; what does not fill them goes to the first ones.
#[inline(always)]
pub(crate) fn lanes(values: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for part in whole {
        lanes.iter_mut().zip(part).for_each(|(lane, &x)| *lane = fold(*lane, x));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, &x)| *lane = fold(*lane, x));
    lanes
}

/// The largest magnitude; 0 if there are no values.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    lanes(values, 0.0, |most, x| most.max(x.abs())).into_iter().fold(0.0, f32::max)
}

/// Inner product in `f64`, in a fixed order that leaves room for vectors.
pub(crate) fn product(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0_f64; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The whole number nearest to `x`, which lies within ±2²². Adding 1.5 · 2²³ rounds, and leaves the number in the lowest bits;
/// a call for each coordinate would take longer than the rotation, and a cast would have to mind what is out of range.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_the_nearest_ones() {
        for quarter in (-508..=508_i32).chain([-16_777_216, 16_777_215]) {
            let x = quarter as f32 / 4.0;
            assert_eq!(nearest(x), x.round_ties_even() as i32, "{x}");
        }
    }

    #[test]
    fn the_largest_may_lie_anywhere() {
        assert_eq!(largest(&[]), 0.0);
        for len in 1..40 {
            for at in 0..len {
                let mut values = vec![0.5; len];
                values[at] = -2.0;
                assert_eq!(largest(&values), 2.0, "{at} of {len}");
            }
        }
    }
}
