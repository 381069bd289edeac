//! Synthetic data sets that are the same, bit for bit, in every language and on every machine.
//!
//! The idea: a counter-based generator (no state, any row can be made alone), Gaussians made of integer sums only,
//! and f64 arithmetic in a stated order that is rounded to f32 once. No transcendental function takes part, so no
//! mathematics library can change a bit. The hashes of the full sets are tests of this file.
//!
//! Source: SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014) read as
//! a counter; sums of twelve uniforms after Irwin (1927) and Hall (1927).
//!
//! Cost: 3 mixes per Gaussian; the largest set takes well under a second.
//!
//! | set | rows, full size | metric | intrinsic dimension (MLE, k = 20) | resembles |
//! |---|---|---|---|---|
//! | [`iso64`] | 20,000 × 64 | L2 | 40: hard | noise |
//! | [`mix128`] | 50,000 × 128 | L2 | 12 | SIFT: clusters on a low-dimensional sheet |
//! | [`spec256`] | 50,000 × 256 | inner product | 43: hard | embeddings: unit rows, off centre, decaying spectrum |
//! | [`mrl256`] | 50,000 × 256 | inner product | as `spec256` | Matryoshka embeddings: leading columns matter most |

use ann_core::{Matrix, Metric};

/// Queries of the mixture and spectrum sets are rows of the same law, from here on.
const FIRST_QUERY: u64 = 1_000_000;

/// Base rows, queries and the metric that they are meant for.
#[derive(Debug, Clone)]
pub struct Portable {
    /// Name of the set, such as `mix128`.
    pub name: &'static str,
    /// The rows to index, `(n_base, dim)`.
    pub base: Matrix<f32>,
    /// The rows to ask for, `(n_queries, dim)`.
    pub queries: Matrix<f32>,
    /// The metric of the recorded results.
    pub metric: Metric,
}

/// 64 random bits: number `index` of stream `seed` of SplitMix64.
///
/// ```
/// assert_eq!(ann_testkit::portable::bits(0, 0), 0xE220_A839_7B1D_CDAF);
/// ```
pub fn bits(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Uniform in `[0, 1)`, a multiple of 2⁻⁵³.
pub fn uniform(seed: u64, index: u64) -> f64 {
    (bits(seed, index) >> 11) as f64 / (1u64 << 53) as f64
}

/// Mean 0, variance 1, within ±6, a multiple of 2⁻¹⁶ and so exact in f32: the sum of twelve 16-bit uniforms.
pub fn gauss(seed: u64, index: u64) -> f64 {
    let sum: i64 = (0..3).map(|draw| quarters(bits(seed, 3 * index + draw))).sum();
    (sum - 393_210) as f64 / 65_536.0
}

/// Sum of the four 16-bit quarters of a word.
fn quarters(word: u64) -> i64 {
    // Two pairs are added side by side in 32-bit lanes, where their sums fit.
    let pairs = (word & 0x0000_FFFF_0000_FFFF) + ((word >> 16) & 0x0000_FFFF_0000_FFFF);
    ((pairs & 0xFFFF_FFFF) + (pairs >> 32)) as i64
}

/// Isotropic Gaussian rows of 64 columns, for squared L2. Base rows come first in one stream, queries from row 20,000
/// on, so that smaller sets are prefixes of the full one (20,000 and 1,000).
///
/// ```
/// let small = ann_testkit::portable::iso64(100, 10);
/// assert_eq!((small.base.len(), small.queries.len(), small.base.dim()), (100, 10, 64));
/// ```
///
/// # Panics
/// If `n_base > 20_000`.
pub fn iso64(n_base: usize, n_queries: usize) -> Portable {
    const DIM: usize = 64;
    assert!(n_base <= 20_000, "iso64 has 20,000 base rows, {n_base} asked for");
    let rows = |first: usize, n: usize| {
        let data = (first * DIM..(first + n) * DIM).map(|j| gauss(11, j as u64) as f32).collect();
        matrix(data, DIM)
    };
    Portable { name: "iso64", base: rows(0, n_base), queries: rows(20_000, n_queries), metric: Metric::L2 }
}

/// A mixture of 200 Gaussians in 16 dimensions, spread over 128 columns by a random linear map, with isotropic noise;
/// for squared L2. The full set is 50,000 and 1,000; smaller ones are its prefixes.
///
/// ```
/// let (small, smaller) = (ann_testkit::portable::mix128(50, 5), ann_testkit::portable::mix128(20, 2));
/// assert_eq!(small.base.row(19), smaller.base.row(19));
/// assert_eq!(small.queries.row(1), smaller.queries.row(1));
/// ```
///
/// # Panics
/// If `n_base > 1_000_000`.
pub fn mix128(n_base: usize, n_queries: usize) -> Portable {
    let mixture = Mixture::new(1);
    let base = matrix(rows(0, n_base, |i, out| mixture.row(i, out)), Mixture::DIM);
    let queries = matrix(rows(FIRST_QUERY, n_queries, |i, out| mixture.row(i, out)), Mixture::DIM);
    Portable { name: "mix128", base, queries, metric: Metric::L2 }
}

/// Cluster of each of the first `n` base rows of [`mix128`], in `0..200`: the truth for clustering tests.
pub fn mix128_labels(n: usize) -> Vec<u32> {
    (0..n as u64).map(|i| Mixture::label(1, i) as u32).collect()
}

/// Rows of 64 columns around 20 centres, drawn from a Gaussian of deviation 1, with deviation `sd` from them; and the cluster of each: for tests of clustering.
///
/// ```
/// let (rows, labels) = ann_testkit::portable::blobs64(0.5, 100);
/// assert_eq!((rows.len(), rows.dim(), labels.len()), (100, 64, 100));
/// assert!(labels.iter().all(|&label| label < 20));
/// ```
pub fn blobs64(sd: f64, n: usize) -> (Matrix<f32>, Vec<u32>) {
    const DIM: usize = 64;
    let labels: Vec<u32> = (0..n as u64).map(|i| (bits(902, i) % 20) as u32).collect();
    let value = |at: usize| {
        let (row, column) = (at / DIM, at % DIM);
        gauss(901, (labels[row] as usize * DIM + column) as u64) + sd * gauss(903, at as u64)
    };
    (matrix((0..n * DIM).map(|at| value(at) as f32).collect(), DIM), labels)
}

/// Unit rows of 256 columns with a decaying spectrum and a common offset, rotated so that no column stands out; for
/// the inner product. The full set is 50,000 and 1,000; smaller ones are its prefixes.
///
/// ```
/// let small = ann_testkit::portable::spec256(3, 1);
/// let norm: f64 = small.base.row(2).iter().map(|&x| f64::from(x).powi(2)).sum();
/// assert!((norm - 1.0).abs() < 1e-6);
/// ```
///
/// # Panics
/// If `n_base > 1_000_000`.
pub fn spec256(n_base: usize, n_queries: usize) -> Portable {
    spectrum("spec256", true, n_base, n_queries)
}

/// As [`spec256`] without the rotation: the leading columns carry most of the variance.
///
/// ```
/// let small = ann_testkit::portable::mrl256(200, 1);
/// let spread = |column: usize| small.base.rows().map(|row| row[column].powi(2)).sum::<f32>();
/// assert!(spread(0) > 20.0 * spread(255));
/// ```
///
/// # Panics
/// If `n_base > 1_000_000`.
pub fn mrl256(n_base: usize, n_queries: usize) -> Portable {
    spectrum("mrl256", false, n_base, n_queries)
}

/// The law of `mix128`: centres and the linear map, drawn once.
struct Mixture {
    seed: u64,
    centres: Vec<f64>,
    map: Vec<f64>,
}

impl Mixture {
    const DIM: usize = 128;
    const RANK: usize = 16;
    const CLUSTERS: usize = 200;

    fn new(seed: u64) -> Self {
        let centres = (0..(Self::CLUSTERS * Self::RANK) as u64).map(|j| 1.5 * gauss(seed + 2, j)).collect();
        let map = (0..(Self::DIM * Self::RANK) as u64).map(|j| gauss(seed + 3, j)).collect();
        Self { seed, centres, map }
    }

    fn label(seed: u64, i: u64) -> usize {
        (bits(seed + 1, i) % Self::CLUSTERS as u64) as usize
    }

    fn row(&self, i: u64, out: &mut Vec<f32>) {
        let centre = &self.centres[Self::label(self.seed, i) * Self::RANK..][..Self::RANK];
        let mut z = [0.0; Self::RANK];
        for (j, (z, c)) in z.iter_mut().zip(centre).enumerate() {
            *z = gauss(self.seed + 4, i * Self::RANK as u64 + j as u64) + c;
        }
        out.extend(self.map.chunks_exact(Self::RANK).enumerate().map(|(column, map)| {
            let mut x = 0.15 * gauss(self.seed + 5, i * Self::DIM as u64 + column as u64);
            for (a, z) in map.iter().zip(&z) {
                x += (a * z) * 0.25;
            }
            x as f32
        }));
    }
}

fn spectrum(name: &'static str, rotate: bool, n_base: usize, n_queries: usize) -> Portable {
    let law = Spectrum::new(1, rotate);
    let base = matrix(rows(0, n_base, |i, out| law.row(i, out)), Spectrum::DIM);
    let queries = matrix(rows(FIRST_QUERY, n_queries, |i, out| law.row(i, out)), Spectrum::DIM);
    Portable { name, base, queries, metric: Metric::InnerProduct }
}

/// The law of `spec256` and `mrl256`: scale, offset and sign of every column.
struct Spectrum {
    seed: u64,
    scale: Vec<f64>,
    offset: Vec<f64>,
    /// Random signs before the Hadamard rotation; absent where the columns stay as they are.
    signs: Option<Vec<f64>>,
}

impl Spectrum {
    const DIM: usize = 256;

    fn new(seed: u64, rotate: bool) -> Self {
        let columns = 0..Self::DIM as u64;
        let scale: Vec<f64> = columns.clone().map(|j| 1.0 / (1.0 + j as f64 / 16.0)).collect();
        let offset = columns.clone().zip(&scale).map(|(j, s)| 0.5 * (gauss(seed + 8, j) * s)).collect();
        let signs = rotate.then(|| columns.map(|j| 1.0 - 2.0 * (bits(seed + 7, j) >> 63) as f64).collect());
        Self { seed, scale, offset, signs }
    }

    fn row(&self, i: u64, out: &mut Vec<f32>) {
        let mut x = [0.0; Self::DIM];
        for (j, x) in x.iter_mut().enumerate() {
            *x = gauss(self.seed + 6, i * Self::DIM as u64 + j as u64) * self.scale[j] + self.offset[j];
        }
        if let Some(signs) = &self.signs {
            x.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            hadamard(&mut x);
            x.iter_mut().for_each(|x| *x /= 16.0);
        }
        let norm = x.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
        out.extend(x.iter().map(|x| (x / norm) as f32));
    }
}

/// Walsh-Hadamard transform in place, not normalised. The length is a power of two.
fn hadamard(x: &mut [f64]) {
    let mut half = 1;
    while half < x.len() {
        for block in x.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Rows `first..first + n` of a law, one after the other.
fn rows(first: u64, n: usize, mut row: impl FnMut(u64, &mut Vec<f32>)) -> Vec<f32> {
    assert!(first == FIRST_QUERY || n as u64 <= FIRST_QUERY, "base rows from {FIRST_QUERY} on are queries");
    let mut data = Vec::new();
    for i in first..first + n as u64 {
        row(i, &mut data);
    }
    data
}

/// Rows that are whole by construction.
pub(crate) fn matrix(data: Vec<f32>, dim: usize) -> Matrix<f32> {
    Matrix::new(data, dim).unwrap_or_else(|error| unreachable!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brute::nearest;
    use sha2::{Digest, Sha256};

    /// The first 16 hexadecimal digits of the SHA-256 of the little-endian bytes.
    fn hash(matrix: &Matrix<f32>) -> String {
        let mut sha = Sha256::new();
        if cfg!(target_endian = "little") {
            sha.update(bytemuck::cast_slice::<f32, u8>(matrix.as_slice()));
        } else {
            matrix.as_slice().iter().for_each(|x| sha.update(x.to_le_bytes()));
        }
        sha.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Hashes of base and queries, and what is nearest to query 0.
    fn verify(set: &Portable, base: &str, queries: &str, ids: &[u32], distances: &[f64]) {
        assert_eq!((hash(&set.base).as_str(), hash(&set.queries).as_str()), (base, queries), "{}", set.name);
        let found = nearest(set.base.view(), set.queries.row(0), set.metric, 5);
        if !ids.is_empty() {
            assert_eq!(found.iter().map(|&(id, _)| id).collect::<Vec<_>>(), ids, "{}", set.name);
        }
        for (&(_, found), expected) in found.iter().zip(distances) {
            assert!((found - expected).abs() < 1e-3, "{}: {found} instead of {expected}", set.name);
        }
    }

    #[test]
    fn iso64_is_bit_exact() {
        let set = iso64(20_000, 1_000);
        let ids = [17_997, 1_472, 2_008, 10_059, 19_228];
        verify(&set, "46f3322ca8a2d437", "48945edc56ba9af9", &ids, &[65.723, 66.186, 68.563]);
    }

    #[test]
    fn mix128_is_bit_exact() {
        let set = mix128(50_000, 1_000);
        let ids = [2_238, 33_062, 20_582, 36_141, 7_811];
        verify(&set, "56596df40327a8a3", "94e1ff876624f5c2", &ids, &[87.041, 89.883, 103.079]);
    }

    #[test]
    fn spec256_is_bit_exact() {
        let set = spec256(50_000, 1_000);
        let ids = [42_956, 7_747, 14_202, 25_674, 2_743];
        verify(&set, "5c494be67340757d", "00154ede4a308f12", &ids, &[-0.63029, -0.60296, -0.58786]);
    }

    #[test]
    fn mrl256_is_bit_exact() {
        verify(&mrl256(50_000, 1_000), "344d10606e9020d3", "a148cff5f7d5855f", &[], &[]);
    }

    #[test]
    fn smaller_sets_are_prefixes() {
        for make in [iso64, mix128, spec256, mrl256] {
            let (large, small) = (make(40, 7), make(13, 3));
            assert_eq!(small.base.as_slice(), &large.base.as_slice()[..13 * small.base.dim()], "{}", small.name);
            assert_eq!(small.queries.as_slice(), &large.queries.as_slice()[..3 * small.base.dim()], "{}", small.name);
        }
    }

    #[test]
    fn gaussians_have_their_moments() {
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|j| gauss(5, j)).collect();
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02, "{} {}", moment(1), moment(2));
        assert!(draws.iter().all(|&x| f64::from(x as f32) == x));
    }

    #[test]
    fn labels_cover_every_cluster() {
        let labels = mix128_labels(5_000);
        let mut seen = labels.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((seen.len(), seen.last()), (200, Some(&199)));
    }
}
