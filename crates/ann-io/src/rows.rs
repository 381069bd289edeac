//! Stored rows in the container: values with their padding, and inverse norms where there are any.
//!
//! Version 1.

use crate::container::{Archive, LoadError, Persist, SaveError, Stored, Writer};
use ann_core::{FlatStore, Metric, Rerank, Scalar, SplitStore, VectorStore};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    metric: String,
    dim: u64,
    len: u64,
}

impl<T: Scalar + Stored> Persist for FlatStore<T> {
    const KIND: &'static str = "rows";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (dim, len) = (self.dim() as u64, self.len() as u64);
        writer.meta(&Meta { metric: self.metric().to_string(), dim, len })?;
        writer.section("values", self.padded_rows())?;
        if self.rounds() {
            writer.section(ROUNDED, &[1u8])?;
        }
        writer.section("inverse_norms", self.inverse_norms())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { metric, dim, len } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let (dim, len) = (usize::try_from(dim).unwrap_or(usize::MAX), usize::try_from(len).unwrap_or(usize::MAX));
        let (values, norms) = (archive.section("values")?, archive.section("inverse_norms")?);
        let store: Self = archive.valid("values", FlatStore::from_parts(dim, metric, len, values, norms))?;
        let stride = store.kernel_rows().stride();
        archive.check_padding("values", store.padded_rows(), stride, dim)?;
        if let Some(row) = store.inverse_norms().iter().position(|norm| !norm.is_finite() || *norm <= 0.0) {
            return Err(archive.corrupt("inverse_norms", format!("row {row} has no positive norm")));
        }
        Ok(if archive.has_section(ROUNDED) { store.rounding() } else { store })
    }
}

/// A section that is there if values are rounded.
const ROUNDED: &str = "rounded";

/// Two stores of the same rows as parts.
impl<C, R> Persist for Rerank<C, R>
where
    C: Persist + VectorStore<Vector = [f32]> + 'static,
    R: Persist + VectorStore<Vector = [f32]> + 'static,
{
    const KIND: &'static str = "rerank";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&RerankMeta { metric: self.metric().to_string(), slack: self.slack() })?;
        writer.part("coarse", self.coarse())?;
        writer.part("fine", self.fine())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let RerankMeta { metric, slack } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        if !slack.is_finite() || slack < 0.0 {
            return Err(archive.corrupt("slack", format!("{slack} is no difference")));
        }
        archive.valid("fine", Self::from_parts(archive.part("coarse")?, archive.part("fine")?, metric, slack))
    }
}

#[derive(Serialize, Deserialize)]
struct RerankMeta {
    metric: String,
    slack: f32,
}

#[derive(Serialize, Deserialize)]
struct SplitMeta {
    metric: String,
    error: f32,
}

/// The upper halves as rows of their own, the lower as values beside them.
impl Persist for SplitStore {
    const KIND: &'static str = "halves";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&SplitMeta { metric: self.metric().to_string(), error: self.error() })?;
        writer.part("high", self.high())?;
        writer.section("low", self.low())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let SplitMeta { metric, error } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        if !error.is_finite() || error < 0.0 {
            return Err(archive.corrupt("error", format!("{error} is no bound")));
        }
        let store = archive
            .valid("low", SplitStore::from_parts(metric, archive.part("high")?, archive.section("low")?, error))?;
        let (dim, stride) = (store.dim(), store.high().kernel_rows().stride());
        archive.check_padding("low", store.low(), stride, dim)?;
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{Matrix, simd::Buffer};
    use half::bf16;

    /// What a [`SplitStore`] writes, to be changed before it is written.
    struct Forged {
        meta: SplitMeta,
        high: FlatStore<bf16>,
        low: Vec<i16>,
    }

    impl Persist for Forged {
        const KIND: &'static str = "halves";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.part("high", &self.high)?;
            writer.section("low", &self.low)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Ok(Self { meta: archive.meta()?, high: archive.part("high")?, low: archive.section("low")?.to_vec() })
        }
    }

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Forged));

    fn reload<A: Persist, B: Persist>(value: &A) -> Result<B, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.ann");
        let mut writer = Writer::new("test", 1).unwrap();
        writer.part("rows", value).unwrap();
        writer.write(&path).unwrap();
        Archive::open(&path, crate::container::OpenMode::Read)?.part("rows")
    }

    fn halves() -> SplitStore {
        let rows = Matrix::new((0..33 * 5).map(|i| (i as f32).sin()).collect(), 33).unwrap();
        SplitStore::from_rows(rows.view(), Metric::Cosine).unwrap()
    }

    #[test]
    fn halves_come_back_as_they_were() {
        let store = halves();
        let loaded: SplitStore = reload(&store).unwrap();
        assert_eq!((loaded.metric(), loaded.len(), loaded.dim()), (store.metric(), 5, 33));
        assert_eq!((loaded.low(), loaded.error()), (store.low(), store.error()));
        assert_eq!(loaded.joined().unwrap().padded_rows(), store.joined().unwrap().padded_rows());
    }

    #[test]
    fn halves_that_do_not_fit_are_refused() {
        let lies: [Lie; 7] = [
            ("metric", |f| f.meta.metric = "l1".into()),
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("metric of other halves", |f| f.meta.metric = "l2".into()),
            ("error", |f| f.meta.error = f32::NAN),
            ("negative error", |f| f.meta.error = -1.0),
            ("too few", |f| f.low.truncate(64)),
            ("padding", |f| f.low[40] = 1),
        ];
        for (name, lie) in lies {
            let mut forged: Forged = reload(&halves()).unwrap();
            assert!(reload::<_, SplitStore>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, SplitStore>(&forged).unwrap_err();
            assert!(matches!(error, LoadError::Corrupt { .. }), "{name}: {error}");
        }
        assert!(SplitStore::from_parts(Metric::L2, halves().high().clone(), Buffer::new(), 0.0).is_err());
    }

    /// What a [`Rerank`] writes, to be changed before it is written.
    struct ForgedRerank {
        meta: RerankMeta,
        coarse: FlatStore<bf16>,
        fine: FlatStore<f32>,
    }

    impl Persist for ForgedRerank {
        const KIND: &'static str = "rerank";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.part("coarse", &self.coarse)?;
            writer.part("fine", &self.fine)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Ok(Self { meta: archive.meta()?, coarse: archive.part("coarse")?, fine: archive.part("fine")? })
        }
    }

    fn matrix(n: usize, dim: usize) -> Matrix<f32> {
        Matrix::new((0..n * dim).map(|i| (i as f32).sin()).collect(), dim).unwrap()
    }

    fn rows(n: usize, dim: usize) -> FlatStore<f32> {
        FlatStore::from_rows(matrix(n, dim).view(), Metric::L2).unwrap()
    }

    fn rerank() -> Rerank<FlatStore<bf16>, FlatStore<f32>> {
        let short = FlatStore::rounded(matrix(9, 33).view(), Metric::L2).unwrap();
        Rerank::new(short, rows(9, 33), Metric::L2, matrix(9, 33).view()).unwrap()
    }

    #[test]
    fn stores_to_rerank_by_come_back_as_they_were() {
        let store = rerank();
        let loaded: Rerank<FlatStore<bf16>, FlatStore<f32>> = reload(&store).unwrap();
        assert_eq!((loaded.metric(), loaded.slack(), loaded.len()), (Metric::L2, store.slack(), 9));
        assert_eq!(loaded.coarse().padded_rows(), store.coarse().padded_rows());
        assert_eq!(loaded.fine().padded_rows(), store.fine().padded_rows());
    }

    #[test]
    fn stores_to_rerank_by_that_do_not_fit_are_refused() {
        type Lie = (&'static str, fn(&mut ForgedRerank));
        let lies: [Lie; 8] = [
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("no number", |f| f.meta.slack = f32::NAN),
            ("endless slack", |f| f.meta.slack = f32::INFINITY),
            ("negative slack", |f| f.meta.slack = -1e-9),
            ("fewer rows", |f| f.fine = rows(8, 33)),
            ("more rows", |f| f.fine = rows(10, 33)),
            ("no rows", |f| f.fine = FlatStore::new(33, Metric::L2).unwrap()),
            ("columns", |f| f.fine = rows(9, 32)),
        ];
        for (name, lie) in lies {
            let mut forged: ForgedRerank = reload(&rerank()).unwrap();
            assert!(reload::<_, Rerank<FlatStore<bf16>, FlatStore<f32>>>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, Rerank<FlatStore<bf16>, FlatStore<f32>>>(&forged).unwrap_err();
            assert!(matches!(error, LoadError::Corrupt { .. }), "{name}: {error}");
        }
    }
}
