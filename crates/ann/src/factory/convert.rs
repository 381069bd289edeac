//! From one structure to another over the same rows, links and all.

use super::{BuildOptions, Links, Spec, Structure, auto, build};
use crate::{Error, Index};
use ann_core::Par;

impl Index {
    /// The same rows under the same labels as another graph, with the links that are there: what a profile costs is its
    /// codes and not a build. `Auto`, `Auto,Balanced` and `Auto,Compact` are for this, and so are the strings they stand for.
    ///
    /// Both indexes are whole; drop the first to have its memory back. A calibration is not taken along. Values keep their element type. Cost: encoding, and
    /// for `Auto` its trials.
    ///
    /// # Errors
    /// [`Error::Convert`] if this index has no links or not those of the spec; [`Error::RowsGone`] if it keeps codes or
    /// rounded rows alone (`Auto,Compact` of anything but bytes); those of [`Spec::build`].
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::new((0..3000).map(|i| (i * i % 997) as f32 / 7.0).collect(), 3)?;
    /// let balanced = ann::index_factory("HNSW16,SQ8,Refine(Flat)", &vectors, Metric::L2)?;
    /// let compact = balanced.convert(&"HNSW16,SQ8".parse()?, Par::default())?;
    /// assert_eq!(compact.search(vectors.row(7), 1)?[0].label, 7);
    /// assert!(compact.memory_usage().total() < balanced.memory_usage().total());
    /// assert!(compact.convert(&"Auto".parse()?, Par::default()).is_err());
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn convert(&self, to: &Spec, par: Par) -> Result<Self, Error> {
        let refuse = |why| Error::Convert { from: self.spec(), to: to.clone(), why };
        let links = self.any.hierarchy().ok_or_else(|| refuse("there are no links"))?;
        if to.metric.is_some_and(|metric| metric != self.metric()) {
            return Err(refuse("links are for one metric"));
        }
        let vectors = self.any.vectors().ok_or_else(|| Error::RowsGone { spec: self.spec() })?;
        let options = BuildOptions { metric: self.metric(), par, ..self.any.options() };
        let (structure, report) = match to.structure {
            Structure::Auto(profile) => {
                let choice = auto::choose(profile, self.element(), vectors.view(), &options)?;
                (choice.structure.with_links(Links::of(links.params())), Some(choice.report))
            }
            ref named => (named.clone(), None),
        };
        if structure.links() != Some(Links::of(links.params())) {
            return Err(refuse("the links are others"));
        }
        let any = build::build(&structure, self.element(), vectors.view(), &options, Some(links))?;
        Ok(Self {
            any,
            labels: self.labels.clone(),
            dead: self.dead.clone(),
            numbering: self.numbering,
            calibration: None,
            report,
        })
    }
}

impl Structure {
    /// How graphs are linked.
    fn links(&self) -> Option<Links> {
        match *self {
            Self::Graph { links, .. } | Self::Blocks { links, .. } => Some(links),
            _ => None,
        }
    }

    /// The same, linked in another way.
    fn with_links(mut self, others: Links) -> Self {
        if let Self::Graph { links, .. } | Self::Blocks { links, .. } = &mut self {
            *links = others;
        }
        self
    }
}
