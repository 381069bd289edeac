//! Some rows of a store as a store of their own: what the graphs of a branch are built over.

use ann_core::{DistanceOracle, VectorError, VectorStore};

/// The rows `rows` of `store`; row `i` here is row `rows[i]` there.
pub(super) struct Subset<'s, S> {
    pub(super) store: &'s S,
    pub(super) rows: &'s [u32],
}

impl<S: VectorStore> VectorStore for Subset<'_, S> {
    type Vector = S::Vector;
    type Scratch = S::Scratch;
    type Oracle<'a>
        = SubsetOracle<'a, S::Oracle<'a>>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn check(&self, vector: &S::Vector) -> Result<(), VectorError> {
        self.store.check(vector)
    }

    fn oracle<'a>(&'a self, query: &'a S::Vector, scratch: &'a mut S::Scratch) -> Self::Oracle<'a> {
        SubsetOracle { oracle: self.store.oracle(query, scratch), rows: self.rows }
    }

    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut S::Scratch) -> Self::Oracle<'a> {
        SubsetOracle { oracle: self.store.oracle_at(self.rows[id as usize], scratch), rows: self.rows }
    }

    fn memory_usage(&self) -> usize {
        size_of_val(self.rows)
    }
}

/// Answers for one query about the rows of a [`Subset`].
pub(super) struct SubsetOracle<'a, O> {
    oracle: O,
    rows: &'a [u32],
}

impl<O> SubsetOracle<'_, O> {
    /// `answer(rows, out)` for the rows that `ids` stand for, in blocks, so that nothing is allocated.
    fn in_blocks(&self, ids: &[u32], out: &mut [f32], answer: impl Fn(&[u32], &mut [f32])) {
        const BLOCK: usize = 64;
        assert_eq!(ids.len(), out.len(), "a distance for every row");
        let mut rows = [0; BLOCK];
        for (ids, out) in ids.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let rows = &mut rows[..ids.len()];
            rows.iter_mut().zip(ids).for_each(|(row, &id)| *row = self.rows[id as usize]);
            answer(rows, out);
        }
    }
}

impl<O: DistanceOracle> DistanceOracle for SubsetOracle<'_, O> {
    const ESTIMATES: bool = O::ESTIMATES;

    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.in_blocks(ids, out, |rows, out| self.oracle.distances(rows, out));
    }

    fn exact(&self, ids: &[u32], out: &mut [f32]) {
        self.in_blocks(ids, out, |rows, out| self.oracle.exact(rows, out));
    }

    fn exact_within(&self, threshold: f32, ids: &[u32], out: &mut [f32]) {
        self.in_blocks(ids, out, |rows, out| self.oracle.exact_within(threshold, rows, out));
    }

    fn floor(&self, estimate: f32) -> f32 {
        self.oracle.floor(estimate)
    }

    fn prefetch(&self, id: u32) {
        self.oracle.prefetch(self.rows[id as usize]);
    }
}
