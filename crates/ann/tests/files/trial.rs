//! Opening one file after another, with an eye on time and memory.

use crate::ALLOCATOR;
use crate::sample::{self, answers};
use ann::io::container::OpenOptions;
use ann::prelude::*;
use ann::{Error, Monitor};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Room beside twice the file: messages, the manifest as structs, small vectors.
const SLACK: usize = 16 << 10;

/// Names the file on trial, so that a hang or a panic can be told.
#[derive(Clone, Default)]
pub(crate) struct Docket(Arc<Mutex<String>>);

impl Docket {
    pub(crate) fn call(&self, case: impl ToString) {
        *self.0.lock().unwrap() = case.to_string();
    }

    fn current(&self) -> String {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// Runs `trials` on a thread of their own; fails if one of them panics, or has not ended after two minutes.
pub(crate) fn hold(trials: impl FnOnce(&Docket) + Send + 'static) {
    let docket = Docket::default();
    let (done, wait) = channel();
    let on_trial = docket.clone();
    let thread = std::thread::spawn(move || {
        trials(&on_trial);
        done.send(()).unwrap();
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("hangs: {}", docket.current()),
        Err(RecvTimeoutError::Disconnected) => {
            let panicked = thread.join().unwrap_err();
            let reason = panicked.downcast_ref::<String>().cloned();
            panic!("{}: {}", docket.current(), reason.unwrap_or_default());
        }
    }
}

/// Opens a file, which must take neither long nor much memory.
pub(crate) fn open(path: &Path, options: impl Into<OpenOptions>) -> Result<Index, Error> {
    let length = std::fs::metadata(path).unwrap().len() as usize;
    let start = Instant::now();
    let (seen, result) = ALLOCATOR.measure(|| ann::open_with(path, options));
    assert!(start.elapsed() < Duration::from_secs(1), "opening took {:?}", start.elapsed());
    assert!(seen.peak <= 2 * length + SLACK, "opening {length} bytes took {} of memory", seen.peak);
    if let Err(error) = &result {
        assert!(matches!(error, Error::Load(_)), "not an error of loading: {error:?}");
    }
    result
}

/// Searches and grows an index that nobody vouches for. Anything may come out of it but a panic or a hang.
pub(crate) fn survive(mut index: Index) {
    let start = Instant::now();
    for round in 0..2 {
        if index.dim() == sample::DIM {
            let _ = answers(&index);
            let rows = sample::rows(index.element(), 2000 + 8 * round, 8);
            let labels: Vec<u64> = (0..8).map(|i| 1_000_000 + (8 * round + i) as u64).collect();
            let _ = index.add_with(&rows, Some(&labels), Par::Serial, Monitor::new());
        } else {
            assert!(answers(&index).is_err());
        }
        let found = index.search(&vec![1.0; index.dim()], 3).unwrap();
        assert!(found.len() <= 3);
        assert!(found.iter().all(|hit| index.contains(hit.label)));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "searching and growing took {:?}", start.elapsed());
}
