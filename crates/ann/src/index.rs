//! The index that users hold: any structure, with labels.

use crate::Error;
use crate::any::AnyIndex;
use crate::calibration::Calibration;
use crate::dead::Dead;
use crate::factory::{BuildOptions, Spec};
use crate::labels::Labels;
use ann_core::{ElementKind, Matrix, MatrixView, MemoryUsage, Metric, Monitor, Par};

/// Mending what led to removed rows is better than building anew up to one in so many.
const MENDED: usize = 4;

/// An index of any kind: made by [`crate::build`], a [`Spec`] or [`crate::open`].
///
/// `&self` searches from any number of threads; `&mut self` grows it. One query allocates the list it returns;
/// [`Index::searcher`] allocates nothing.
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
/// let mut index = ann::build(&vectors, Metric::L2)?;
/// index.add(&Matrix::from_rows(&[[9.0, 9.0]])?, Some(&[1_000_000_000_000]))?;
/// let nearest = index.search(&[8.0, 8.0], 1)?;
/// assert_eq!(nearest[0].label, 1_000_000_000_000);
/// let odd = index.search_filtered(&[0.0, 0.0], 1, &SearchParams::default(), &|label| label % 2 == 1)?;
/// assert_eq!(odd[0], Hit { label: 1, distance: 5.0 });
/// # Ok::<(), ann::Error>(())
/// ```
pub struct Index {
    pub(crate) any: Box<dyn AnyIndex>,
    pub(crate) labels: Labels,
    pub(crate) dead: Dead,
    /// How often rows were numbered anew.
    pub(crate) numbering: u64,
    pub(crate) calibration: Option<Calibration>,
    /// Why it was chosen.
    pub(crate) report: Option<String>,
}

impl Index {
    /// Takes an index and labels for its rows; `None` numbers them.
    pub(crate) fn new(any: Box<dyn AnyIndex>, labels: Option<&[u64]>) -> Result<Self, Error> {
        let mut named = Labels::default();
        named.add(0, &named.check(0, any.len(), labels)?);
        Ok(Self { any, labels: named, dead: Dead::default(), numbering: 0, calibration: None, report: None })
    }

    /// The string that builds such an index.
    pub fn spec(&self) -> Spec {
        Spec::from(self.any.structure())
    }

    /// What was chosen and why, where the spec left the choice to the library; not kept in files.
    pub fn report(&self) -> Option<&str> {
        self.report.as_deref()
    }

    /// The metric of its rows.
    pub fn metric(&self) -> Metric {
        self.any.metric()
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.any.dim()
    }

    /// Number of rows, without those that were removed.
    pub fn len(&self) -> usize {
        self.any.len() - self.dead.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows that were removed and still take their place: see [`Self::compact`].
    pub fn removed(&self) -> usize {
        self.dead.len()
    }

    /// Element type that the rows are kept in, without loss unless the spec says otherwise; `u8` for codes alone.
    pub fn element(&self) -> ElementKind {
        self.any.element()
    }

    /// Bytes held, by part; labels count as structure.
    pub fn memory_usage(&self) -> MemoryUsage {
        let usage = self.any.memory_usage();
        let names = self.labels.memory_usage() + self.dead.memory_usage();
        MemoryUsage { structure: usage.structure + names, ..usage }
    }

    /// Whether a row has this label.
    pub fn contains(&self, label: u64) -> bool {
        self.labels.row(label, self.any.len()).is_some()
    }

    /// Appends rows, `(n, dim)`, with labels of their own or, for `None`, their numbers.
    ///
    /// Rows that the element type of the index cannot hold make it widen its rows to `f32` first. Codes are those of the rows
    /// that the index was built on: values beyond their range become its end.
    ///
    /// # Errors
    /// [`Error::Row`] or [`Error::Label`]; the index then holds what it held.
    pub fn add<'a>(&mut self, rows: impl Into<MatrixView<'a, f32>>, labels: Option<&[u64]>) -> Result<(), Error> {
        self.add_with(rows, labels, Par::default(), Monitor::new())
    }

    /// As [`Self::add`], on the threads of `par`, with progress and cancellation.
    ///
    /// # Errors
    /// As [`Self::add`], and [`Error::Cancelled`].
    pub fn add_with<'a>(
        &mut self,
        rows: impl Into<MatrixView<'a, f32>>,
        labels: Option<&[u64]>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(), Error> {
        let rows = rows.into();
        let first = self.any.len();
        let named = self.labels.check(first, rows.len(), labels)?;
        match self.any.extend(rows, par, monitor) {
            Err(Error::Row(error)) if matches!(error.source, ann_core::VectorError::Inexact { .. }) => {
                let Some(mut wide) = self.any.widened()? else { return Err(Error::Row(error)) };
                wide.extend(rows, par, monitor)?;
                self.any = wide;
            }
            result => result?,
        }
        self.labels.add(first, &named);
        Ok(())
    }

    /// Removes the rows with these labels: no search returns them any more, and their labels are free. A label that is named
    /// twice is removed once.
    ///
    /// They keep their memory and are walked through, so searches slow down as they become many: [`Self::compact`].
    /// Cost: one pass over all labels per call.
    ///
    /// # Errors
    /// [`LabelError::Unknown`](crate::LabelError::Unknown) names the first label that no row has; the index then holds what it
    /// held.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
    /// let mut index = ann::build(&vectors, Metric::L2)?;
    /// index.remove(&[0])?;
    /// assert_eq!((index.len(), index.search(&[0.0, 0.0], 1)?[0].label), (2, 2));
    /// index.compact(Par::default())?;
    /// assert_eq!((index.removed(), index.search(&[0.0, 0.0], 5)?.len()), (0, 2));
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn remove(&mut self, labels: &[u64]) -> Result<(), Error> {
        let row = |(position, &label): (usize, &u64)| {
            self.labels.row(label, self.any.len()).ok_or(crate::LabelError::Unknown { position, label })
        };
        let rows: Vec<u32> = labels.iter().enumerate().map(row).collect::<Result<_, _>>()?;
        if !rows.is_empty() {
            rows.iter().for_each(|&row| self.dead.insert(row));
            self.labels.free(&self.dead, self.any.len());
        }
        Ok(())
    }

    /// Gives back what removed rows hold, on the threads of `par`. Labels stay; selections made before are stale.
    ///
    /// Where up to a quarter of the rows was removed, or the rows are not kept without loss, links and codes stay and what led to removed rows is mended, at a small
    /// part of the cost of a build. Otherwise the index is built anew.
    ///
    /// # Errors
    /// Those of [`Spec::build`]; the index is unchanged.
    pub fn compact(&mut self, par: Par) -> Result<(), Error> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let few = self.dead.len() <= self.any.len() / MENDED;
        let rebuilt = if few || self.is_empty() { Ok(None) } else { self.rebuilt(par) };
        let rebuilt = match rebuilt {
            // Too few rows are left to learn codes from: those that were learnt before stay.
            #[cfg(feature = "quant")]
            Err(Error::Train(_)) => None,
            rebuilt => rebuilt?,
        };
        let left = match rebuilt {
            Some((any, left)) => {
                self.any = any;
                left
            }
            None => self.any.purge(self.dead.rows(), par),
        };
        let names: Vec<u64> = left.iter().map(|&row| self.labels.label(row)).collect();
        let mut labels = Labels::default();
        labels.add(0, &labels.check(0, left.len(), Some(&names))?);
        (self.labels, self.dead) = (labels, Dead::default());
        self.numbering += 1;
        Ok(())
    }

    /// The same index built over the rows that are left, and their numbers; `None` if the rows are gone.
    #[allow(clippy::type_complexity)] // an index, and where its rows were
    fn rebuilt(&self, par: Par) -> Result<Option<(Box<dyn AnyIndex>, Vec<u32>)>, Error> {
        let Some(vectors) = self.any.vectors() else { return Ok(None) };
        let left: Vec<u32> = (0..self.any.len() as u32).filter(|&row| !self.dead.contains(row)).collect();
        let values: Vec<f32> = left.iter().flat_map(|&row| vectors.row(row as usize)).copied().collect();
        drop(vectors);
        let options = BuildOptions { metric: self.metric(), element: Some(self.element()), par, ..self.any.options() };
        let built = self.spec().build(&Matrix::new(values, self.dim())?, &options)?;
        Ok(Some((built.any, left)))
    }

    /// Writes the index to `path`, whole or not at all; [`crate::open`] reads it.
    ///
    /// The same index gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Save`].
    #[cfg(feature = "io")]
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), Error> {
        crate::open::save(self, path.as_ref())
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("spec", &self.spec().to_string())
            .field("metric", &self.metric())
            .field("len", &self.len())
            .field("dim", &self.dim())
            .field("element", &self.element().name())
            .finish_non_exhaustive()
    }
}
