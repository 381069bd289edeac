//! Progress of a build, and the way to stop one.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a build tells its caller while it works, and how the caller stops it.
///
/// ```
/// use ann_core::Monitor;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// let stop = AtomicBool::new(false);
/// let seen = std::sync::atomic::AtomicU64::new(0);
/// let report = |done: u64, _total: u64| seen.store(done, Ordering::Relaxed);
/// let monitor = Monitor::new().on_progress(&report).cancel_with(&stop);
/// monitor.report(5, 10)?;
/// stop.store(true, Ordering::Relaxed);
/// assert!(monitor.report(6, 10).is_err());
/// # Ok::<(), ann_core::Cancelled>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Monitor<'a> {
    progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    cancel: Option<&'a AtomicBool>,
}

/// The caller asked a build to stop; nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the build was cancelled")]
pub struct Cancelled;

impl<'a> Monitor<'a> {
    /// Says nothing and is never cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `progress(rows done, rows in all)` between rounds of work, always from one thread at a time.
    pub fn on_progress(mut self, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Stops the build at the next round once `flag` is true.
    pub fn cancel_with(mut self, flag: &'a AtomicBool) -> Self {
        self.cancel = Some(flag);
        self
    }

    /// The same flag to stop with, and no reports: for a build that is one step of a longer one.
    pub fn silent(self) -> Self {
        Self { progress: None, ..self }
    }

    /// Whether the caller holds a flag to stop the build with.
    pub fn can_cancel(&self) -> bool {
        self.cancel.is_some()
    }

    /// Reports progress. Called by builders.
    ///
    /// # Errors
    /// [`Cancelled`] once the caller's flag is set.
    pub fn report(&self, done: u64, total: u64) -> Result<(), Cancelled> {
        if self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Cancelled);
        }
        if let Some(progress) = self.progress {
            progress(done, total);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("reports", &self.progress.is_some()).field("cancel", &self.cancel).finish()
    }
}
