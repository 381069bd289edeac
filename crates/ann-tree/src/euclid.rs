//! Rows and queries as points of a Euclidean space in which near means near, whatever the metric: trees that cut space by planes or centres are built there.
//!
//! Rows are taken as they are under L2 and L1 (for which this is a guess), with norm 1 under cosine. Under inner products a row has one more column, such that all rows
//! have the norm of the longest, and a query has zero there and that norm too: the nearest row is then the one with the largest product. Neyshabur and
//! Srebro, *On symmetric and asymmetric LSHs for inner product search*, ICML 2015, arXiv:1410.5518.

use ann_core::simd::{Arch, ArchError, Kernel, Op, Rows};
use ann_core::{Metric, Par, ReadRow, ScratchPool, padded_len, prepare_dense};

/// How rows and queries of one store become points.
#[derive(Debug, Clone, Copy)]
pub struct Euclid {
    metric: Metric,
    dim: usize,
    /// Norm of all rows under inner products.
    norm: f32,
    /// Where all rows are whole numbers, what centres are rounded to, so that squared distances to them are exact and no
    /// instruction set rounds them in its own way.
    grid: Option<f32>,
    /// Squared distances between points.
    pub squared: Kernel<f32, f32>,
    /// Products of points.
    pub dot: Kernel<f32, f32>,
    /// Products of a point and bytes.
    pub bytes: Kernel<f32, i8>,
}

/// Rows that a thread reads at a time.
const CHUNK: usize = 8192;

impl Euclid {
    /// The space of the rows of `store`.
    pub fn of<S: ReadRow>(store: &S, par: Par) -> Result<Self, ArchError> {
        let mut euclid = Self::with_norm(store.metric(), store.dim(), 0.0)?;
        let pool = ScratchPool::<Vec<f32>>::default();
        let parts = par.map_chunks(store.len(), CHUNK, &pool, |row, range| {
            let mut all = Extent::default();
            range.for_each(|place| {
                store.read(place as u32, row);
                all.add(row);
            });
            all
        });
        let all = parts.iter().fold(Extent::default(), Extent::with);
        match store.metric() {
            Metric::InnerProduct => euclid.norm = all.squares.sqrt().min(f64::from(f32::MAX)) as f32,
            Metric::L2 | Metric::L1 if all.whole => euclid.grid = all.grid(store.dim()),
            _ => {}
        }
        Ok(euclid)
    }

    /// The space of rows that have at most `norm` under inner products.
    pub fn with_norm(metric: Metric, dim: usize, norm: f32) -> Result<Self, ArchError> {
        let arch = Arch::detect()?;
        // Every instruction set has these.
        let missing = "kernels of f32";
        let (Some(squared), Some(dot), Some(bytes)) =
            (Kernel::new(arch, Op::SquaredL2), Kernel::new(arch, Op::Dot), Kernel::new(arch, Op::Dot))
        else {
            unreachable!("{missing}")
        };
        Ok(Self { metric, dim, norm, grid: None, squared, dot, bytes })
    }

    pub fn norm(&self) -> f32 {
        self.norm
    }

    /// The value of a centre, on the grid if there is one.
    pub fn rounded(&self, value: f32) -> f32 {
        self.grid.map_or(value, |grid| (value / grid).round() * grid)
    }

    /// Values of a point, with zeros that spare kernels a tail.
    pub fn width(&self) -> usize {
        padded_len::<f32>(self.dim + usize::from(self.metric == Metric::InnerProduct))
    }

    /// Row `place` of the store as a point.
    pub fn read<S: ReadRow>(&self, store: &S, place: u32, row: &mut Vec<f32>, out: &mut Vec<f32>) {
        store.read(place, row);
        prepare_dense(row, self.metric, self.width(), out);
        if self.metric == Metric::InnerProduct {
            // A row that came later may be longer.
            out[self.dim] = (f64::from(self.norm).powi(2) - norm_squared(row)).max(0.0).sqrt() as f32;
        }
    }

    /// A query as a point.
    pub fn query(&self, query: &[f32], out: &mut Vec<f32>) {
        prepare_dense(query, self.metric, self.width(), out);
        if self.metric == Metric::InnerProduct {
            let norm = norm_squared(query).sqrt();
            let scale = if norm > 0.0 { f64::from(self.norm) / norm } else { 0.0 };
            out.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }

    /// Rows at `places` as points, one after another.
    pub fn read_all<S: ReadRow>(&self, store: &S, places: &[u32], points: &mut Points) {
        let Points { values, row, point } = points;
        values.clear();
        for &place in places {
            self.read(store, place, row, point);
            values.extend_from_slice(point);
        }
    }

    pub fn rows<'a>(&self, values: &'a [f32]) -> Rows<'a, f32> {
        Rows::new(values, self.width(), self.width())
    }
}

/// Some points, and memory to read them.
#[derive(Debug, Clone, Default)]
pub struct Points {
    pub values: Vec<f32>,
    row: Vec<f32>,
    point: Vec<f32>,
}

/// In f64, and so the same on every instruction set.
fn norm_squared(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// What is known of the values of some rows.
struct Extent {
    /// The largest sum of squares of a row.
    squares: f64,
    least: f32,
    most: f32,
    whole: bool,
}

impl Default for Extent {
    fn default() -> Self {
        Self { squares: 0.0, least: f32::INFINITY, most: f32::NEG_INFINITY, whole: true }
    }
}

impl Extent {
    fn add(&mut self, row: &[f32]) {
        self.squares = self.squares.max(norm_squared(row));
        for &x in row {
            (self.least, self.most) = (self.least.min(x), self.most.max(x));
            self.whole &= x == x.trunc();
        }
    }

    fn with(self, other: &Self) -> Self {
        Self {
            squares: self.squares.max(other.squares),
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            whole: self.whole && other.whole,
        }
    }

    /// The finest grid on which sums of `dim` squared differences are below 2^24 steps squared, and so exact.
    fn grid(&self, dim: usize) -> Option<f32> {
        let bound = dim as f64 * (f64::from(self.most) - f64::from(self.least)).powi(2);
        (0..=8)
            .rev()
            .map(|bits| f64::from(1 << bits))
            .find(|steps| bound * steps * steps <= f64::from(1 << 24))
            .map(|steps| (1.0 / steps) as f32)
    }
}
