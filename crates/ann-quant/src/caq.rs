//! Code adjustment: a code on a uniform grid, walked to where it points more nearly where the row does.
//!
//! The CAQ of Li et al., *SAQ: pushing the limits of vector quantization through code adjustment and dimension segmentation*,
//! SIGMOD 2026, arXiv:2509.12086. Coordinate after coordinate, a number moves to a neighbour as long as that lowers the angle to
//! the row; a few rounds come near to the best code on any scale, without the search for a scale that RaBitQ makes.
//!
//! Where we differ: the walk begins with the grid that clips normal coordinates best instead of the one that reaches to
//! the largest of them, and an improvement counts relative to the angle, whatever the norm of the row. Cost: `O(rounds · d)`.

/// Less than this share of the squared cosine is no improvement: where rounding could walk in circles.
const GAIN: f64 = 1e-9;

/// Moves `numbers` of `bits` bits, at most `rounds` times through all of them.
pub(crate) fn adjust(r: &[f32], bits: u32, rounds: u32, numbers: &mut [f32]) {
    let most = ((1_u32 << bits) - 1) as f32;
    let middle = f64::from(most) / 2.0;
    for _ in 0..rounds {
        // Anew in each round, so that rounding does not pile up.
        let (mut shared, mut size) = (0.0, 0.0);
        for (&r, &number) in r.iter().zip(&*numbers) {
            let value = f64::from(number) - middle;
            shared += f64::from(r) * value;
            size += value * value;
        }
        let mut moved = false;
        for (&r, number) in r.iter().zip(&mut *numbers) {
            for step in [1.0_f32, -1.0] {
                while (0.0..=most).contains(&(*number + step)) {
                    let value = f64::from(*number) - middle;
                    let next_shared = shared + f64::from(r * step);
                    let next_size = size + 2.0 * f64::from(step) * value + 1.0;
                    let better = next_shared > 0.0
                        && next_shared * next_shared * size > shared * shared * next_size * (1.0 + GAIN);
                    if !better {
                        break;
                    }
                    (*number, shared, size, moved) = (*number + step, next_shared, next_size, true);
                }
            }
        }
        if !moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::gauss;

    /// Squared cosine between a row and its numbers.
    fn cosine(r: &[f32], bits: u32, numbers: &[f32]) -> f64 {
        let middle = f64::from((1_u32 << bits) - 1) / 2.0;
        let (mut shared, mut size, mut norm) = (0.0, 0.0, 0.0);
        for (&r, &number) in r.iter().zip(numbers) {
            let (r, value) = (f64::from(r), f64::from(number) - middle);
            (shared, size, norm) = (shared + r * value, size + value * value, norm + r * r);
        }
        shared * shared / (size * norm)
    }

    #[test]
    fn no_single_move_is_left_that_would_help() {
        for bits in [1, 2, 4, 8] {
            let r: Vec<f32> = (0..96).map(|i| gauss(4, i) as f32).collect();
            let most = ((1_u32 << bits) - 1) as f32;
            let mut numbers: Vec<f32> = r.iter().map(|&r| if r > 0.0 { most } else { 0.0 }).collect();
            let before = cosine(&r, bits, &numbers);
            adjust(&r, bits, 1000, &mut numbers);
            let after = cosine(&r, bits, &numbers);
            assert!(bits == 1 || after > before, "{bits} bits");
            for i in 0..96 {
                for step in [1.0, -1.0] {
                    let mut moved = numbers.clone();
                    moved[i] += step;
                    let valid = (0.0..=most).contains(&moved[i]);
                    assert!(!valid || cosine(&r, bits, &moved) <= after * (1.0 + 2e-9), "{bits} bits, {i}");
                }
            }
        }
    }

    #[test]
    fn zeros_stay_where_they_are() {
        let mut numbers = vec![8.0; 64];
        adjust(&[0.0; 64], 4, 6, &mut numbers);
        assert_eq!(numbers, [8.0; 64]);
    }
}
