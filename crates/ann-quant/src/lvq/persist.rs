//! LVQ in the container: parameters, what constants are relative to, and the mean.
//!
//! Version 1.

use super::{Lvq, LvqParams};
use crate::rotated::persist::metric_and_mean;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: LvqParams,
    metric: String,
    dim: u64,
    unit: f32,
}

impl Persist for Lvq {
    const KIND: &'static str = "lvq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (metric, dim) = (self.metric.to_string(), self.mean.len() as u64);
        writer.meta(&Meta { params: self.params, metric, dim, unit: self.unit })?;
        writer.section("mean", &self.mean)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, metric, dim, unit } = archive.meta()?;
        let (metric, mean) = metric_and_mean(archive, "mean", &metric, dim)?;
        if !(unit.is_finite() && unit > 0.0) {
            return Err(archive.corrupt("unit", format!("{unit}, expected a positive number")));
        }
        archive.valid("params", Self::from_parts(params, metric, mean, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotated::persist::{check_round_trip, reload};
    use ann_core::{Metric, Par};

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Lvq));

    #[test]
    fn quantizers_come_back_as_they_were() {
        for (bits, residual) in [(4, true), (8, false)] {
            let rows = crate::tests::rows(33, Metric::Cosine);
            let lvq = Lvq::train(rows.view(), Metric::Cosine, &LvqParams { bits, residual }, Par::Serial).unwrap();
            check_round_trip(&lvq, rows.row(2));
        }
    }

    #[test]
    fn what_does_not_fit_is_corrupt() {
        let rows = crate::tests::rows(33, Metric::L2);
        let lvq = Lvq::train(rows.view(), Metric::L2, &LvqParams::default(), Par::Serial).unwrap();
        let lies: [Lie; 5] = [
            ("bits", |lvq| lvq.params.bits = 5),
            ("unit", |lvq| lvq.unit = 0.0),
            ("no unit", |lvq| lvq.unit = f32::NAN),
            ("metric", |lvq| lvq.metric = Metric::Hamming),
            ("mean", |lvq| lvq.mean[1] = f32::INFINITY),
        ];
        for (name, lie) in lies {
            let mut forged = lvq.clone();
            lie(&mut forged);
            let error = reload::<_, Lvq>(&forged).err();
            assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{name}: {error:?}");
        }
    }
}
