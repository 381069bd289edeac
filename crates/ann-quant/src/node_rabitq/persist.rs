//! Version 1: the mean as a section, the rotation by its seed.

use super::{NodeRabitq, NodeRabitqParams};
use ann_core::{LaneCodec, MAX_DIM, Metric};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    metric: String,
    planes: u8,
    seed: u64,
    radius: f32,
}

impl Persist for NodeRabitq {
    const KIND: &'static str = "node-rabitq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (metric, planes) = (self.metric().to_string(), self.planes as u8);
        writer.meta(&Meta { metric, planes, seed: self.rotation.seed(), radius: self.radius })?;
        writer.section("mean", &self.mean)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { metric, planes, seed, radius } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let mean = archive.section::<f32>("mean")?;
        if !(1..=MAX_DIM).contains(&mean.len()) || mean.iter().any(|x| !x.is_finite()) {
            return Err(archive.corrupt("mean", "no finite row of 1 to 1,048,576 columns"));
        }
        if !(radius.is_finite() && radius > 0.0) {
            return Err(archive.corrupt("radius", format!("{radius} is no distance")));
        }
        let params = NodeRabitqParams { planes: planes.into(), seed };
        archive.valid("params", Self::with_mean(mean.to_vec(), radius, metric, &params))
    }
}
