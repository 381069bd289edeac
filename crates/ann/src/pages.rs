//! Searches that do not know how many rows they need: page after page, or all within a radius.

use crate::any::{RowFilter, SearchParams};
use crate::select::ByLabel;
use crate::{Error, Hit, Index};
use std::collections::HashSet;

/// How many rows to ask for, time after time: each asks for so many more that all together cost little more than the last.
#[derive(Debug, Default)]
struct Asked(usize);

impl Asked {
    const FIRST: usize = 32;
    const GROWTH: usize = 4;

    fn next(&mut self) -> usize {
        self.0 = if self.0 == 0 { Self::FIRST } else { self.0.saturating_mul(Self::GROWTH) };
        self.0
    }
}

/// The rows of an index from the nearest on, page after page: see [`Index::pages`].
pub struct Pages<'i> {
    index: &'i Index,
    query: Vec<f32>,
    params: SearchParams,
    filter: Option<&'i (dyn Fn(u64) -> bool + Sync)>,
    asked: Asked,
    /// Found and not yet given; those given before.
    waiting: std::collections::VecDeque<Hit>,
    given: HashSet<u64>,
    exhausted: bool,
}

impl Pages<'_> {
    /// The next `size` rows, fewer only where there are no more. No row comes twice. A page is sorted; a row that an earlier search overlooked may come later
    /// than its distance says.
    ///
    /// # Errors
    /// As [`Index::search_with`].
    pub fn next_page(&mut self, size: usize) -> Result<Vec<Hit>, Error> {
        while self.waiting.len() < size && !self.exhausted {
            let wanted = self.asked.next().max(self.given.len().saturating_add(size));
            let filter = self.filter.map(|accepts| ByLabel { labels: &self.index.labels, accepts });
            let filter = filter.as_ref().map(|filter| filter as RowFilter<'_>);
            let found = self.index.find(&self.query, wanted, &self.params, filter)?;
            self.exhausted = found.len() < wanted;
            let hits = self.index.hits(&found).into_iter();
            self.waiting = hits.filter(|hit| !self.given.contains(&hit.label)).collect();
        }
        let page: Vec<Hit> = self.waiting.drain(..size.min(self.waiting.len())).collect();
        self.given.extend(page.iter().map(|hit| hit.label));
        Ok(page)
    }
}

impl std::fmt::Debug for Pages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("index", self.index).field("given", &self.given.len()).finish_non_exhaustive()
    }
}

impl Index {
    /// The rows from the nearest on, for whoever does not know in advance how many it takes. `filter` says which labels count, if any is given.
    ///
    /// Cost: searches for 32, 128, 512, .. rows as they are needed.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::new((0..500).map(|x| x as f32).collect(), 1)?;
    /// let index = ann::build(&vectors, Metric::L2)?;
    /// let mut pages = index.pages(&[0.0], &SearchParams::default(), None);
    /// let labels = |page: Vec<Hit>| page.iter().map(|hit| hit.label).collect::<Vec<_>>();
    /// assert_eq!(labels(pages.next_page(3)?), [0, 1, 2]);
    /// assert_eq!(labels(pages.next_page(2)?), [3, 4]);
    /// assert_eq!(pages.next_page(1_000)?.len(), 495);
    /// assert!(pages.next_page(1)?.is_empty());
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn pages<'i>(
        &'i self,
        query: &[f32],
        params: &SearchParams,
        filter: Option<&'i (dyn Fn(u64) -> bool + Sync)>,
    ) -> Pages<'i> {
        Pages {
            index: self,
            query: query.to_vec(),
            params: *params,
            filter,
            asked: Asked::default(),
            waiting: std::collections::VecDeque::new(),
            given: HashSet::new(),
            exhausted: false,
        }
    }

    /// The rows at a distance of `radius` or less, as [`Hit::distance`] counts it, but no more than `limit`; nearest first.
    /// `filter` says which labels count, if any is given.
    ///
    /// Cost: searches for more and more rows, until one is beyond the radius. What a graph does not find within its effort is
    /// missing as with [`Self::search_with`].
    ///
    /// # Errors
    /// As [`Self::search`]; [`Error::Radius`] if `radius` is NaN.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0], [6.0, 8.0]])?;
    /// let index = ann::build(&vectors, Metric::L2)?;
    /// let near = index.search_range(&[0.0, 0.0], 5.0, usize::MAX, &SearchParams::default(), None)?;
    /// assert_eq!(near.iter().map(|hit| hit.label).collect::<Vec<_>>(), [0, 2, 1]);
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn search_range(
        &self,
        query: &[f32],
        radius: f32,
        limit: usize,
        params: &SearchParams,
        filter: Option<&(dyn Fn(u64) -> bool + Sync)>,
    ) -> Result<Vec<Hit>, Error> {
        if radius.is_nan() {
            return Err(Error::Radius);
        }
        let accepts = filter.map(|accepts| ByLabel { labels: &self.labels, accepts });
        let mut asked = Asked::default();
        loop {
            let wanted = asked.next().min(limit);
            let mut found = self.find(query, wanted, params, accepts.as_ref().map(|filter| filter as RowFilter<'_>))?;
            let within = found.partition_point(|n| self.metric().reported(n.distance) <= radius);
            if within < found.len() || found.len() < wanted || wanted == limit {
                found.truncate(within);
                return Ok(self.hits(&found));
            }
        }
    }
}
