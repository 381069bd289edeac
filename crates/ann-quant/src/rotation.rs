//! Random rotations: what spreads a vector evenly over its coordinates, so that one grid fits them all.
//!
//! Two kinds. The quick one follows Gao et al., *Practical and asymptotically optimal quantization of high-dimensional
//! vectors in Euclidean space* (SIGMOD 2025, arXiv:2409.09913): rounds of random signs and a Walsh-Hadamard transform after
//! Ailon and Chazelle, *The fast Johnson-Lindenstrauss transform* (SICOMP 2009); where the dimension is no power of two, the
//! transform covers the front and the back in turn, and a step of Kac's walk mixes the halves. The dense one is a Gaussian
//! matrix made orthogonal, for dimensions so small that padding would cost more than the product.
//!
//! Signs and Gaussians are integers of a counter-based generator, everything else is `+ - * / sqrt` in a fixed order: the same
//! values on every platform. Cost: `O(d log d)` and 16 bytes per coordinate once, or `d²` and 4 `d²` bytes.

use ann_core::split_mix;

/// A random orthogonal map from `dim` values to [`Rotation::padded_dim`] values.
///
/// ```
/// let rotation = ann_quant::Rotation::new(200, 7);
/// let (mut rotated, mut back) = (Vec::new(), vec![0.0; 200]);
/// rotation.apply(&[0.5; 200], &mut rotated);
/// assert_eq!(rotated.len(), rotation.padded_dim());
/// let norm: f32 = rotated.iter().map(|x| x * x).sum();
/// assert!((norm - 50.0).abs() < 1e-3);
///
/// rotation.invert(&mut rotated, &mut back);
/// assert!(back.iter().all(|x| (x - 0.5).abs() < 1e-5));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    dim: usize,
    seed: u64,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Hadamard(Hadamard),
    /// Columns of the matrix, one after the other.
    Dense(Vec<f32>),
}

/// Coordinates of the quick rotation come in multiples of this.
const BLOCK: usize = 64;

/// Below this dimension padding to whole blocks costs more than a matrix: 100 columns would become 128.
const DENSE: usize = 128;

impl Rotation {
    /// The rotation that suits `dim` columns: dense below 128 unless whole blocks of 64, quick otherwise.
    ///
    /// # Panics
    /// If `dim` is 0.
    pub fn new(dim: usize, seed: u64) -> Self {
        if Self::padded(dim) == dim && !dim.is_multiple_of(BLOCK) {
            Self::dense(dim, seed)
        } else {
            Self::hadamard(dim, seed)
        }
    }

    /// [`Self::padded_dim`] of what [`Self::new`] makes.
    pub(crate) fn padded(dim: usize) -> usize {
        if dim < DENSE { dim } else { dim.next_multiple_of(BLOCK) }
    }

    /// The quick rotation; pads to a multiple of 64.
    ///
    /// # Panics
    /// If `dim` is 0.
    pub fn hadamard(dim: usize, seed: u64) -> Self {
        assert!(dim > 0, "a rotation of no columns");
        Self { dim, seed, kind: Kind::Hadamard(Hadamard::new(dim.next_multiple_of(BLOCK), seed)) }
    }

    /// The dense rotation, without padding.
    ///
    /// # Panics
    /// If `dim` is 0.
    pub fn dense(dim: usize, seed: u64) -> Self {
        assert!(dim > 0, "a rotation of no columns");
        Self { dim, seed, kind: Kind::Dense(orthogonal(dim, seed)) }
    }

    /// What is no rotation: what tests compare with.
    #[cfg(test)]
    pub(crate) fn identity(dim: usize) -> Self {
        let entry = |i: usize| if i.is_multiple_of(dim + 1) { 1.0 } else { 0.0 };
        Self { dim, seed: 0, kind: Kind::Dense((0..dim * dim).map(entry).collect()) }
    }

    /// Values that go in.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Values that come out.
    pub fn padded_dim(&self) -> usize {
        match &self.kind {
            Kind::Hadamard(rounds) => rounds.len,
            Kind::Dense(_) => self.dim,
        }
    }

    /// What the rotation was drawn from; with the dimension it says everything.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Rotates `x` (`dim` values) into `out`, which becomes [`Rotation::padded_dim`] values.
    ///
    /// # Panics
    /// If `x` has another length.
    #[inline(always)]
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        assert!(x.len() == self.dim, "{} values for a rotation of {}", x.len(), self.dim);
        self.apply_to(x.iter().copied(), out);
    }

    /// As [`Rotation::apply`], of `dim` values as they come.
    #[inline(always)]
    pub(crate) fn apply_to(&self, x: impl Iterator<Item = f32>, out: &mut Vec<f32>) {
        out.clear();
        match &self.kind {
            Kind::Hadamard(rounds) => {
                out.extend(x);
                out.resize(rounds.len, 0.0);
                rounds.apply(out);
            }
            Kind::Dense(columns) => {
                out.resize(self.dim, 0.0);
                for (x, column) in x.zip(columns.chunks_exact(self.dim)) {
                    for (out, &entry) in out.iter_mut().zip(column) {
                        *out += x * entry;
                    }
                }
            }
        }
    }

    /// Rotates back: `out` (`dim` values) becomes what [`Rotation::apply`] made `rotated` of, or comes nearest to it.
    /// `rotated` is used up.
    ///
    /// # Panics
    /// If a length differs.
    pub fn invert(&self, rotated: &mut [f32], out: &mut [f32]) {
        assert!(rotated.len() == self.padded_dim() && out.len() == self.dim, "lengths of a rotation of {}", self.dim);
        match &self.kind {
            Kind::Hadamard(rounds) => {
                rounds.invert(rotated);
                out.copy_from_slice(&rotated[..self.dim]);
            }
            Kind::Dense(columns) => {
                for (out, column) in out.iter_mut().zip(columns.chunks_exact(self.dim)) {
                    *out = column.iter().zip(&*rotated).map(|(&a, &b)| a * b).sum();
                }
            }
        }
    }
}

/// Four rounds of signs, a transform of a window and, where that leaves coordinates out, a step of Kac's walk.
#[derive(Debug, Clone, PartialEq)]
struct Hadamard {
    len: usize,
    /// Coordinates in a window, a power of two.
    window: usize,
    /// The signs of each round, times what keeps norms: bits would have to be spread out for every vector.
    signs: [Vec<f32>; ROUNDS],
}

const ROUNDS: usize = 4;

impl Hadamard {
    fn new(len: usize, seed: u64) -> Self {
        let window = 1 << len.ilog2();
        // The transform makes its window √window times as long, the walk everything √2 times.
        let walk = if window < len { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let inside = walk * (1.0 / (window as f64).sqrt()) as f32;
        let words = len / BLOCK;
        let signs = std::array::from_fn(|round| {
            let mut signs = vec![walk; len];
            signs[Self::start(round, len, window)..][..window].fill(inside);
            for (word, signs) in signs.chunks_exact_mut(BLOCK).enumerate() {
                let bits = split_mix(seed, (round * words + word) as u64);
                for (bit, sign) in signs.iter_mut().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1) {
                    debug_assert!(bit < BLOCK);
                    *sign = -*sign;
                }
            }
            signs
        });
        Self { len, window, signs }
    }

    /// Where the window of a round begins: in front in even rounds, at the back in odd ones.
    #[inline(always)]
    fn start(round: usize, len: usize, window: usize) -> usize {
        if round.is_multiple_of(2) { 0 } else { len - window }
    }

    #[inline(always)]
    fn apply(&self, x: &mut [f32]) {
        for (round, signs) in self.signs.iter().enumerate() {
            for (x, sign) in x.iter_mut().zip(signs) {
                *x *= sign;
            }
            transform(&mut x[Self::start(round, self.len, self.window)..][..self.window]);
            if self.window < self.len {
                let (low, high) = x.split_at_mut(self.len / 2);
                butterfly(low, high);
            }
        }
    }

    /// Transform and walk are their own transposes, so are signs: the same steps from the end.
    fn invert(&self, x: &mut [f32]) {
        for (round, signs) in self.signs.iter().enumerate().rev() {
            if self.window < self.len {
                let (low, high) = x.split_at_mut(self.len / 2);
                butterfly(low, high);
            }
            transform(&mut x[Self::start(round, self.len, self.window)..][..self.window]);
            for (x, sign) in x.iter_mut().zip(signs) {
                *x *= sign;
            }
        }
    }
}

/// Sums into `low`, differences into `high`.
#[inline(always)]
fn butterfly(low: &mut [f32], high: &mut [f32]) {
    for (a, b) in low.iter_mut().zip(high) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

/// Walsh-Hadamard transform, not normalised, of a power of two of values, 64 or more. Two steps go at once: memory is
/// touched half as often.
#[inline(always)]
fn transform(x: &mut [f32]) {
    for tile in tiles(x) {
        transform_16(tile);
    }
    let mut step = 16;
    while 4 * step <= x.len() {
        for block in x.chunks_exact_mut(4 * step) {
            let (low, high) = block.split_at_mut(2 * step);
            let ((a, b), (c, d)) = (low.split_at_mut(step), high.split_at_mut(step));
            let (a, b, c, d) = (tiles(a), tiles(b), tiles(c), tiles(d));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                [*a, *b, *c, *d] = four(*a, *b, *c, *d);
            }
        }
        step *= 4;
    }
    if step < x.len() {
        let (low, high) = x.split_at_mut(step);
        butterfly(low, high);
    }
}

/// As arrays that fill whole registers each.
#[inline(always)]
fn tiles(x: &mut [f32]) -> &mut [[f32; 16]] {
    x.as_chunks_mut::<16>().0
}

/// Two steps of the transform between four rows of lanes.
#[inline(always)]
fn four<const N: usize>(a: [f32; N], b: [f32; N], c: [f32; N], d: [f32; N]) -> [[f32; N]; 4] {
    let (ab, a_b, cd, c_d) = (add(a, b), sub(a, b), add(c, d), sub(c, d));
    [add(ab, cd), add(a_b, c_d), sub(ab, cd), sub(a_b, c_d)]
}

#[inline(always)]
fn add<const N: usize>(mut a: [f32; N], b: [f32; N]) -> [f32; N] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

#[inline(always)]
fn sub<const N: usize>(mut a: [f32; N], b: [f32; N]) -> [f32; N] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= b);
    a
}

/// The transform of 16 values as of a 4 × 4 square: columns, then rows by way of the transposed square.
#[inline(always)]
fn transform_16(x: &mut [f32; 16]) {
    let (rows, _) = x.as_chunks_mut::<4>();
    if let [a, b, c, d] = rows {
        let [p, q, r, s] = transpose(four(*a, *b, *c, *d));
        [*a, *b, *c, *d] = transpose(four(p, q, r, s));
    }
}

#[inline(always)]
fn transpose([a, b, c, d]: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]], [a[2], b[2], c[2], d[2]], [a[3], b[3], c[3], d[3]]]
}

/// Columns of a random orthogonal matrix: Gaussian columns, each made orthogonal to those before it, twice for the digits
/// that the first time loses.
fn orthogonal(dim: usize, seed: u64) -> Vec<f32> {
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(dim);
    let mut index = 0;
    while columns.len() < dim {
        let mut column: Vec<f64> = (0..dim).map(|i| gauss(seed, index + i as u64)).collect();
        index += dim as u64;
        let before = dot(&column, &column);
        for _ in 0..2 {
            for other in &columns {
                let share = dot(&column, other);
                column.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
            }
        }
        let left = dot(&column, &column);
        // Else the column lay within the span of the others but for rounding: draw again.
        if left > 1e-12 * before {
            let scale = 1.0 / left.sqrt();
            column.iter_mut().for_each(|x| *x *= scale);
            columns.push(column);
        }
    }
    columns.concat().into_iter().map(|x| x as f32).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Mean 0, variance 1, nearly normal: the sum of twelve 16-bit uniforms.
pub(crate) fn gauss(seed: u64, index: u64) -> f64 {
    let quarters = |word: u64| (0..4).map(|i| (word >> (16 * i) & 0xffff) as i64).sum::<i64>();
    let sum: i64 = (0..3).map(|draw| quarters(split_mix(seed, 3 * index + draw))).sum();
    (sum - 6 * 0xffff) as f64 / 65_536.0
}

#[cfg(test)]
mod tests;
