//! Scalar codes and codes of signs in the container. Version 1 of each.

use crate::{Quantizer, Sq, SqClip, SqParams, SqRange};
use ann_core::Metric;
use ann_core::simd::Buffer;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct SqMeta {
    metric: String,
    bits: u8,
    range: u8,
    clip: u8,
    clip_at: f32,
    exact: bool,
}

const RANGES: [SqRange; 3] = [SqRange::PerDimension, SqRange::PerVector, SqRange::Uniform];

/// Middles and steps of the columns as sections.
impl Persist for Sq {
    const KIND: &'static str = "sq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let SqParams { bits, range, clip } = *self.params();
        let range = RANGES.iter().position(|&other| other == range).unwrap_or_default() as u8;
        let (clip, clip_at) = match clip {
            SqClip::MinMax => (0, 0.0),
            SqClip::Quantile(q) => (1, q),
            SqClip::Sigma(sigma) => (2, sigma),
        };
        let metric = self.metric().to_string();
        writer.meta(&SqMeta { metric, bits: bits as u8, range, clip, clip_at, exact: self.is_exact() })?;
        writer.section("base", self.base())?;
        writer.section("step", self.step())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let SqMeta { metric, bits, range, clip, clip_at, exact } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let range = RANGES.get(usize::from(range)).copied();
        let range = range.ok_or_else(|| archive.corrupt("range", "none that is known"))?;
        let clip = match clip {
            0 => SqClip::MinMax,
            1 => SqClip::Quantile(clip_at),
            2 => SqClip::Sigma(clip_at),
            _ => return Err(archive.corrupt("clip", "none that is known")),
        };
        let params = SqParams { bits: usize::from(bits), range, clip };
        let (base, step): (Buffer<f32>, Buffer<f32>) = (archive.section("base")?, archive.section("step")?);
        archive.valid("step", Sq::from_parts(params, metric, exact, base.to_vec(), step.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::StoreMeta;
    use super::*;
    use crate::CodeStore;
    use crate::rotated::persist::reload;
    use ann_core::VectorStore;
    use ann_core::{Matrix, Par};

    /// What a [`CodeStore`] writes, to be changed before it is written.
    struct Forged {
        len: u64,
        sq: ForgedSq,
        codes: Vec<u8>,
    }

    struct ForgedSq {
        meta: SqMeta,
        base: Vec<f32>,
        step: Vec<f32>,
    }

    impl Persist for ForgedSq {
        const KIND: &'static str = "sq";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.section("base", &self.base)?;
            writer.section("step", &self.step)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            let (base, step): (Buffer<f32>, Buffer<f32>) = (archive.section("base")?, archive.section("step")?);
            Ok(Self { meta: archive.meta()?, base: base.to_vec(), step: step.to_vec() })
        }
    }

    impl Persist for Forged {
        const KIND: &'static str = "codes";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&StoreMeta { len: self.len })?;
            writer.part("quantizer", &self.sq)?;
            writer.section("codes", &self.codes)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            let StoreMeta { len } = archive.meta()?;
            Ok(Self { len, sq: archive.part("quantizer")?, codes: archive.section("codes")?.to_vec() })
        }
    }

    fn codes(params: &SqParams) -> CodeStore<Sq> {
        let rows = Matrix::new((0..33 * 5).map(|i| (i as f32).sin()).collect(), 33).unwrap();
        let sq = Sq::train(rows.view(), Metric::L2, params, Par::Serial).unwrap();
        CodeStore::from_rows(sq, rows.view(), Par::Serial).unwrap()
    }

    #[test]
    fn codes_come_back_as_they_were() {
        for bits in [8, 6, 4] {
            for range in RANGES {
                for clip in [SqClip::MinMax, SqClip::Sigma(2.5), SqClip::Quantile(0.99)] {
                    let params = SqParams { bits, range, clip };
                    if params.check().is_err() {
                        continue;
                    }
                    let store = codes(&params);
                    let loaded: CodeStore<Sq> = reload(&store).unwrap();
                    assert_eq!((loaded.len(), loaded.padded_codes()), (5, store.padded_codes()));
                    let (sq, other) = (store.quantizer(), loaded.quantizer());
                    assert_eq!((sq.params(), sq.base(), sq.step()), (other.params(), other.base(), other.step()));
                    assert_eq!((sq.metric(), sq.is_exact()), (other.metric(), other.is_exact()));
                }
            }
        }
    }

    #[test]
    fn codes_that_do_not_fit_are_refused() {
        type Lie = (&'static str, fn(&mut Forged));
        let lies: [Lie; 12] = [
            ("metric", |f| f.sq.meta.metric = "l1".into()),
            ("unknown metric", |f| f.sq.meta.metric = "north".into()),
            ("bits", |f| f.sq.meta.bits = 7),
            ("narrower codes", |f| f.sq.meta.bits = 4),
            ("range", |f| f.sq.meta.range = 3),
            ("range of rows", |f| f.sq.meta.range = 1),
            ("clip", |f| (f.sq.meta.clip, f.sq.meta.clip_at) = (1, f32::NAN)),
            ("unknown clip", |f| f.sq.meta.clip = 9),
            ("base", |f| f.sq.base[3] = f32::NAN),
            ("step", |f| f.sq.step[3] = -1.0),
            ("columns", |f| f.sq.step.truncate(32)),
            ("rows", |f| f.len = u64::MAX),
        ];
        for (name, lie) in lies {
            let mut forged: Forged = reload(&codes(&SqParams::default())).unwrap();
            assert!(reload::<_, CodeStore<Sq>>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, CodeStore<Sq>>(&forged).map(|_| ()).unwrap_err();
            assert!(matches!(error, LoadError::Corrupt { .. }), "{name}: {error}");
        }
    }
}
