//! Codes of principal components in the container. Version 1.

use crate::{Quantizer, Reduced};
use ann_core::Metric;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    metric: String,
    energy: f32,
}

impl<Q: Quantizer + Persist> Persist for Reduced<Q> {
    const KIND: &'static str = "reduced";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { metric: self.metric().to_string(), energy: self.energy() })?;
        writer.section("mean", self.mean())?;
        writer.section("directions", self.directions())?;
        writer.part("inner", self.inner())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { metric, energy } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let (mean, directions) = (archive.section::<f32>("mean")?, archive.section::<f32>("directions")?);
        archive.valid(
            "directions",
            Reduced::from_parts(archive.part("inner")?, metric, energy, mean.to_vec(), directions.to_vec()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotated::persist::{check_round_trip, reload};
    use crate::{Keep, Sq, SqParams};
    use ann_core::Par;

    fn reduced(metric: Metric) -> Reduced<Sq> {
        let rows = crate::tests::rows(40, metric);
        let train =
            |rows: ann_core::MatrixView<'_, f32>, metric| Sq::train(rows, metric, &SqParams::default(), Par::Serial);
        Reduced::train(rows.view(), metric, Keep::Columns(7), Par::Serial, train).unwrap()
    }

    /// What a [`Reduced`] writes, to be changed before it is written.
    struct Forged {
        meta: Meta,
        mean: Vec<f32>,
        directions: Vec<f32>,
        inner: Sq,
    }

    impl Persist for Forged {
        const KIND: &'static str = "reduced";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.section("mean", &self.mean)?;
            writer.section("directions", &self.directions)?;
            writer.part("inner", &self.inner)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            let (mean, directions) = (archive.section("mean")?.to_vec(), archive.section("directions")?.to_vec());
            Ok(Self { meta: archive.meta()?, mean, directions, inner: archive.part("inner")? })
        }
    }

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Forged));

    #[test]
    fn quantizers_come_back_as_they_were() {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            let reduced = reduced(metric);
            check_round_trip(&reduced, crate::tests::rows(40, metric).row(2));
            assert_eq!(reload::<_, Reduced<Sq>>(&reduced).unwrap().energy(), reduced.energy());
        }
    }

    #[test]
    fn what_does_not_fit_is_corrupt() {
        let lies: [Lie; 9] = [
            ("metric", |f| f.meta.metric = "l1".into()),
            ("metric of the inner", |f| f.meta.metric = "l2".into()),
            ("energy", |f| f.meta.energy = f32::NAN),
            ("more energy", |f| f.meta.energy = 1.5),
            ("mean", |f| f.mean[3] = f32::INFINITY),
            ("columns", |f| f.mean.truncate(39)),
            ("fewer columns than are kept", |f| f.mean.truncate(6)),
            ("direction", |f| f.directions[9] = f32::NAN),
            ("long direction", |f| f.directions[9] = -2.0),
        ];
        for (name, lie) in lies {
            let mut forged: Forged = reload(&reduced(Metric::Cosine)).unwrap();
            assert!(reload::<_, Reduced<Sq>>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, Reduced<Sq>>(&forged).err();
            assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{name}: {error:?}");
        }
    }
}
