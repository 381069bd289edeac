//! G4 and RaBitQ in the container: parameters and the mean. Rotations and scales are drawn again.
//!
//! Version 1 of each.

use super::{Layout, Rotated};
use crate::training::check_metric;
use crate::{G4, G4Params, Rabitq, RabitqParams, Rotation};
use ann_core::{MAX_DIM, Metric};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta<P> {
    params: P,
    metric: String,
    dim: u64,
}

fn save<'a, P: Serialize>(params: P, rotated: &'a Rotated, writer: &mut Writer<'a>) -> Result<(), SaveError> {
    writer.meta(&Meta { params, metric: rotated.metric.to_string(), dim: rotated.dim() as u64 })?;
    writer.section("centre", &rotated.centre)
}

fn load<P>(archive: &Archive, meta: &Meta<P>, seed: u64, layout: Layout) -> Result<Rotated, LoadError> {
    let (metric, centre) = metric_and_mean(archive, "centre", &meta.metric, meta.dim)?;
    let rotation = Rotation::new(centre.len(), seed);
    archive.valid("params", Rotated::new(metric, centre, rotation, layout))
}

/// A metric that codes have, and a section of `dim` finite numbers.
pub(crate) fn metric_and_mean(
    archive: &Archive,
    section: &str,
    metric: &str,
    dim: u64,
) -> Result<(Metric, Vec<f32>), LoadError> {
    let metric: Metric = archive.valid("metric", metric.parse())?;
    archive.valid("metric", check_metric(metric, "these"))?;
    let dim = match usize::try_from(dim) {
        Ok(dim @ 1..=MAX_DIM) => dim,
        _ => return Err(archive.corrupt("dim", format!("{dim}, expected 1 to {MAX_DIM}"))),
    };
    let mean = archive.section_of::<f32>(section, dim)?;
    match mean.iter().position(|x| !x.is_finite()) {
        Some(column) => Err(archive.corrupt(section, format!("column {column} is {}", mean[column]))),
        None => Ok((metric, mean.to_vec())),
    }
}

impl Persist for G4 {
    const KIND: &'static str = "g4";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        save(self.params, &self.rotated, writer)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let meta: Meta<G4Params> = archive.meta()?;
        let rotated = load(archive, &meta, meta.params.seed, meta.params.layout())?;
        Ok(Self { params: meta.params, rotated })
    }
}

impl Persist for Rabitq {
    const KIND: &'static str = "rabitq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        save(self.params, &self.rotated, writer)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let meta: Meta<RabitqParams> = archive.meta()?;
        archive.valid("params", meta.params.check())?;
        let rotated = load(archive, &meta, meta.params.seed, meta.params.layout())?;
        Ok(Self::with(meta.params, rotated))
    }
}

/// Loads what `value` wrote; the codes of both must be the same, whatever the row.
#[cfg(test)]
pub(crate) fn check_round_trip<Q: crate::Quantizer + Persist>(value: &Q, row: &[f32]) {
    let loaded: Q = reload(value).unwrap_or_else(|error| panic!("{error}"));
    let code = |quantizer: &Q| {
        let mut code = vec![0xa5; quantizer.code_len()];
        quantizer.encode(row, &mut Vec::new(), &mut code);
        code
    };
    assert_eq!((loaded.dim(), loaded.metric(), code(&loaded)), (value.dim(), value.metric(), code(value)));
}

#[cfg(test)]
pub(crate) fn reload<A: Persist, B: Persist>(value: &A) -> Result<B, LoadError> {
    let mut bytes = Vec::new();
    let written = Writer::of(value).and_then(|writer| writer.write_to(&mut bytes));
    assert!(written.is_ok());
    Archive::from_bytes(ann_core::simd::Buffer::from_slice(&bytes))?.load()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::Par;

    /// What a [`Rabitq`] writes, to be changed before it is written.
    struct Forged {
        meta: Meta<RabitqParams>,
        centre: Vec<f32>,
    }

    impl Persist for Forged {
        const KIND: &'static str = "rabitq";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.section("centre", &self.centre)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Ok(Self { meta: archive.meta()?, centre: archive.section("centre")?.to_vec() })
        }
    }

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Forged));

    #[test]
    fn quantizers_come_back_as_they_were() {
        for dim in [3, 64, 200] {
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
                let rows = crate::tests::rows(dim, metric);
                let g4 = G4::train(rows.view(), metric, &G4Params::default(), Par::Serial).unwrap();
                check_round_trip(&g4, rows.row(2));
                let params = RabitqParams { bits: 3, fast: true, staged: true, ..RabitqParams::default() };
                let rabitq = Rabitq::train(rows.view(), metric, &params, Par::Serial).unwrap();
                check_round_trip(&rabitq, rows.row(2));
                assert_eq!(*reload::<_, Rabitq>(&rabitq).unwrap().params(), params);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_corrupt() {
        let lies: [Lie; 9] = [
            ("bits", |f| f.meta.params.bits = 9),
            ("no bits", |f| f.meta.params.bits = 0),
            ("epsilon0", |f| f.meta.params.epsilon0 = f32::INFINITY),
            ("metric", |f| f.meta.metric = "l1".into()),
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("dim", |f| f.meta.dim = 65),
            ("no dim", |f| f.meta.dim = 0),
            ("too many", |f| f.meta.dim = u64::MAX),
            ("centre", |f| f.centre[3] = f32::NAN),
        ];
        let rows = crate::tests::rows(64, Metric::L2);
        let rabitq = Rabitq::train(rows.view(), Metric::L2, &RabitqParams::default(), Par::Serial).unwrap();
        for (name, lie) in lies {
            let mut forged: Forged = reload(&rabitq).unwrap();
            assert!(reload::<_, Rabitq>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, Rabitq>(&forged).err();
            assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{name}: {error:?}");
        }
    }
}
