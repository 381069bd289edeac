//! Pages read together, on threads that an index owns.
//!
//! A batch hands all pages but one to the threads, reads that one itself, and waits. Buffers travel with the jobs and
//! come back with them, also from a job that was dropped or panicked, so a batch always ends.

use super::DiskError;
use ann_core::simd::Buffer;
use ann_io::container::Pages;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Pages of one hop. Kept from search to search.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pages: Vec<Buffer<u32>>,
    results: Vec<io::Result<()>>,
    desk: Arc<Desk>,
}

/// Where jobs of a batch report.
#[derive(Debug, Default)]
struct Desk {
    done: Mutex<Vec<Done>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Done {
    slot: usize,
    page: Buffer<u32>,
    result: io::Result<()>,
}

impl Batch {
    /// Reads the pages `wanted`, no number twice; [`Self::page`] shows them. Of several that fail the first is reported.
    pub(super) fn read(&mut self, pages: &Pages, wanted: &[u64], threads: Option<&Threads>) -> Result<(), DiskError> {
        while self.pages.len() < wanted.len() {
            self.pages.push(Buffer::zeroed(pages.size() / size_of::<u32>()));
        }
        let Some((&first, rest)) = wanted.split_first() else { return Ok(()) };
        let failed = |page| move |source| DiskError::Page { page, source };
        let Some(threads) = threads.filter(|_| !rest.is_empty()) else {
            for (&page, buffer) in wanted.iter().zip(&mut self.pages) {
                pages.read(page, bytemuck::cast_slice_mut(buffer.as_mut_slice())).map_err(failed(page))?;
            }
            return Ok(());
        };
        for (slot, &page) in wanted.iter().enumerate().skip(1) {
            let buffer = std::mem::take(&mut self.pages[slot]);
            threads.push(Job {
                pages: pages.clone(),
                number: page,
                slot,
                page: buffer,
                result: None,
                desk: self.desk.clone(),
            });
        }
        self.results.clear();
        self.results.push(pages.read(first, bytemuck::cast_slice_mut(self.pages[0].as_mut_slice())));
        self.results.resize_with(wanted.len(), || Ok(()));
        let mut done = held(&self.desk.done);
        while done.len() < rest.len() {
            done = self.desk.changed.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        for Done { slot, page, result } in done.drain(..) {
            self.pages[slot] = page;
            self.results[slot] = result;
        }
        wanted.iter().zip(self.results.drain(..)).try_for_each(|(&page, result)| result.map_err(failed(page)))
    }

    /// The page that was wanted at place `slot`.
    pub(super) fn page(&self, slot: usize) -> &[u32] {
        &self.pages[slot]
    }
}

/// A page to read.
#[derive(Debug)]
struct Job {
    pages: Pages,
    number: u64,
    slot: usize,
    page: Buffer<u32>,
    /// None as long as it has not ended.
    result: Option<io::Result<()>>,
    desk: Arc<Desk>,
}

impl Job {
    fn run(mut self) {
        let page = bytemuck::cast_slice_mut(self.page.as_mut_slice());
        self.result = Some(self.pages.read(self.number, page));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let panicked = || Err(io::Error::other("the thread that reads it has panicked"));
        let result = self.result.take().unwrap_or_else(panicked);
        held(&self.desk.done).push(Done { slot: self.slot, page: std::mem::take(&mut self.page), result });
        self.desk.changed.notify_one();
    }
}

/// Threads that read pages until they are dropped.
#[derive(Debug)]
pub(super) struct Threads {
    queue: Arc<Queue>,
    handles: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Jobs, and whether there will be no more.
    jobs: Mutex<(VecDeque<Job>, bool)>,
    changed: Condvar,
}

impl Threads {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut threads = Self { queue: Arc::default(), handles: Vec::with_capacity(count) };
        for number in 0..count {
            let queue = threads.queue.clone();
            let name = format!("ann-read-{number}");
            threads.handles.push(Builder::new().name(name).spawn(move || {
                while let Some(job) = queue.next() {
                    // A panic is that of a `ReadAt`; the job has reported it, and the thread lives on.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
                }
            })?);
        }
        Ok(threads)
    }

    fn push(&self, job: Job) {
        held(&self.queue.jobs).0.push_back(job);
        self.queue.changed.notify_one();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        held(&self.queue.jobs).1 = true;
        self.queue.changed.notify_all();
        for handle in self.handles.drain(..) {
            // It cannot have panicked: see above.
            let _ = handle.join();
        }
    }
}

impl Queue {
    fn next(&self) -> Option<Job> {
        let mut jobs = held(&self.jobs);
        loop {
            if let Some(job) = jobs.0.pop_front() {
                return Some(job);
            }
            if jobs.1 {
                return None;
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a mutex holds, whatever happened to who held it before.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
