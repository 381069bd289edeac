//! The one place that knows about threads.
//!
//! Work is cut into chunks whose borders depend on the input alone, and results come back in the order of the chunks,
//! so no result can depend on how many threads there were.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// On which threads a build, a training or a batch search runs. One query is never split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Par {
    /// On the calling thread.
    Serial,
    /// On the caller's current rayon pool (`pool.install(..)`), the global one otherwise. Serial without the feature
    /// `rayon`.
    #[default]
    Ambient,
    /// On a pool of that many threads that lives as long as the call. 0 and 1 mean [`Par::Serial`].
    Threads(usize),
}

impl Par {
    /// `f(scratch, range)` for the chunks of `0..len`, results in the order of the chunks.
    ///
    /// Scratch comes from `pool` and goes back to it: at most one per running thread is ever made.
    pub fn map_chunks<S, R, F>(self, len: usize, chunk: usize, pool: &ScratchPool<S>, f: F) -> Vec<R>
    where
        S: Default + Send,
        R: Send,
        F: Fn(&mut S, Range<usize>) -> R + Sync,
    {
        let chunk = chunk.max(1);
        let ranges = (0..len.div_ceil(chunk)).map(|c| c * chunk..((c + 1) * chunk).min(len));
        let run = |range: Range<usize>| {
            let mut scratch = pool.take();
            let result = f(&mut scratch, range);
            pool.give(scratch);
            result
        };
        match self {
            #[cfg(feature = "rayon")]
            Self::Ambient if len > chunk => {
                use rayon::prelude::*;
                ranges.collect::<Vec<_>>().into_par_iter().map(run).collect()
            }
            _ => ranges.map(run).collect(),
        }
    }

    /// `f(scratch, index of the first element, elements)` for the chunks of a slice.
    pub fn for_each_chunk_mut<T, S, F>(self, data: &mut [T], chunk: usize, pool: &ScratchPool<S>, f: F)
    where
        T: Send,
        S: Default + Send,
        F: Fn(&mut S, usize, &mut [T]) + Sync,
    {
        let chunk = chunk.max(1);
        let run = |(c, part): (usize, &mut [T])| {
            let mut scratch = pool.take();
            f(&mut scratch, c * chunk, part);
            pool.give(scratch);
        };
        match self {
            #[cfg(feature = "rayon")]
            Self::Ambient if data.len() > chunk => {
                use rayon::prelude::*;
                data.par_chunks_mut(chunk).enumerate().for_each(run);
            }
            _ => data.chunks_mut(chunk).enumerate().for_each(run),
        }
    }

    /// Sorts by a key, the same result for any number of threads (equal keys must mean equal elements).
    pub fn sort_unstable_by_key<T: Send, K: Ord>(self, data: &mut [T], key: impl Fn(&T) -> K + Sync) {
        match self {
            #[cfg(feature = "rayon")]
            Self::Ambient => {
                use rayon::prelude::*;
                data.par_sort_unstable_by_key(key);
            }
            _ => data.sort_unstable_by_key(key),
        }
    }

    /// Runs `f` with the pool that this value asks for; inside, [`Par::Threads`] has become [`Par::Ambient`] or
    /// [`Par::Serial`]. Builders call it once at their door, so that a pool is made once.
    pub fn install<R: Send>(self, f: impl FnOnce(Self) -> R + Send) -> R {
        match self {
            #[cfg(feature = "rayon")]
            Self::Threads(threads) if threads > 1 => {
                match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
                    Ok(pool) => pool.install(|| f(Self::Ambient)),
                    // The system refuses threads: slower, but the same result.
                    Err(_) => f(Self::Serial),
                }
            }
            Self::Threads(_) => f(Self::Serial),
            par => f(par),
        }
    }
}

/// Scratch objects that outlive one call: taken by a thread for a chunk of work, given back afterwards.
#[derive(Debug)]
pub struct ScratchPool<S>(Mutex<Vec<S>>);

impl<S> Default for ScratchPool<S> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<S: Default> ScratchPool<S> {
    /// An idle scratch, or a new one.
    pub fn take(&self) -> S {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps a scratch for the next taker.
    pub fn give(&self, scratch: S) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_in_order_on_any_number_of_threads() {
        for par in [Par::Serial, Par::Ambient, Par::Threads(1), Par::Threads(3), Par::Threads(8)] {
            let pool = ScratchPool::<()>::default();
            let chunks = par.install(|par| par.map_chunks(103, 10, &pool, |(), range| range));
            assert_eq!(chunks.len(), 11);
            assert_eq!(chunks.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..103).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_element_is_visited_once() {
        let mut data = vec![0u32; 1000];
        let pool = ScratchPool::<()>::default();
        Par::Threads(4).install(|par| {
            par.for_each_chunk_mut(&mut data, 7, &pool, |(), start, part| {
                for (i, value) in part.iter_mut().enumerate() {
                    *value += (start + i) as u32;
                }
            });
        });
        assert!(data.iter().enumerate().all(|(i, &value)| value == i as u32));
    }
}
