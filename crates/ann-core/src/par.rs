//! The one place that knows about threads.
//!
//! Work is cut into chunks whose borders depend on the input alone, and results come back in the order of the chunks,
//! so no result can depend on how many threads there were.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        let results: Vec<Mutex<Option<R>>> = (0..len.div_ceil(chunk)).map(|_| Mutex::new(None)).collect();
        self.each(results.len(), &|c| {
            let mut scratch = pool.take();
            let result = f(&mut scratch, c * chunk..((c + 1) * chunk).min(len));
            pool.give(scratch);
            *held(&results[c]) = Some(result);
        });
        results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    /// `f(scratch, index of the first element, elements)` for the chunks of a slice.
    pub fn for_each_chunk_mut<T, S, F>(self, data: &mut [T], chunk: usize, pool: &ScratchPool<S>, f: F)
    where
        T: Send,
        S: Default + Send,
        F: Fn(&mut S, usize, &mut [T]) + Sync,
    {
        let chunk = chunk.max(1);
        let parts: Vec<Mutex<&mut [T]>> = data.chunks_mut(chunk).map(Mutex::new).collect();
        self.each(parts.len(), &|c| {
            let mut scratch = pool.take();
            f(&mut scratch, c * chunk, &mut held(&parts[c]));
            pool.give(scratch);
        });
    }

    /// `job(i)` for `0..jobs`. Not generic, so that the machinery of threads is compiled once and not for every caller.
    fn each(self, jobs: usize, job: &(dyn Fn(usize) + Sync)) {
        match self {
            #[cfg(feature = "rayon")]
            Self::Ambient if jobs > 1 => {
                use rayon::prelude::*;
                (0..jobs).into_par_iter().for_each(job);
            }
            _ => (0..jobs).for_each(job),
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

    /// How many threads there are to share work among: for how much is handed out at a time, never for what comes of it.
    pub(crate) fn threads(self) -> usize {
        match self {
            Self::Threads(threads) => threads.max(1),
            #[cfg(feature = "rayon")]
            Self::Ambient => rayon::current_num_threads(),
            _ => 1,
        }
    }

    /// Runs `f` with the pool that this value asks for; inside, [`Par::Threads`] has become [`Par::Ambient`] or
    /// [`Par::Serial`]. Builders call it once at their door, so that a pool is made once.
    pub fn install<R: Send>(self, f: impl FnOnce(Self) -> R + Send) -> R {
        let Self::Threads(threads) = self else { return f(self) };
        let (mut f, mut result) = (Some(f), None);
        on_pool(threads, &mut |par| result = f.take().map(|f| f(par)));
        match result {
            Some(result) => result,
            None => unreachable!("a pool runs what it is given"),
        }
    }
}

/// `f` on a pool of its own, or on the calling thread where that is as good. Not generic: see [`Par::each`].
#[cfg_attr(not(feature = "rayon"), expect(unused_variables))]
fn on_pool(threads: usize, f: &mut (dyn FnMut(Par) + Send)) {
    #[cfg(feature = "rayon")]
    if threads > 1
        // If the system refuses threads: slower, but the same result.
        && let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build()
    {
        return pool.install(|| f(Par::Ambient));
    }
    f(Par::Serial);
}

/// What a mutex holds, whatever happened to who held it before.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        held(&self.0).pop().unwrap_or_default()
    }

    /// Keeps a scratch for the next taker.
    pub fn give(&self, scratch: S) {
        held(&self.0).push(scratch);
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
