//! Version 1: codebooks as a part, mean and rotation as sections.

use super::LanePq;
use ann_core::{LaneCodec, Metric};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    metric: String,
    radius: f32,
    eta: f32,
}

impl Persist for LanePq {
    const KIND: &'static str = "lane-pq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { metric: self.metric().to_string(), radius: self.radius, eta: self.eta })?;
        writer.part("pq", &self.pq)?;
        writer.section("mean", &self.mean)?;
        writer.section("rotation", &self.rotation)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { metric, radius, eta } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let (mean, rotation) = (archive.section("mean")?.to_vec(), archive.section("rotation")?.to_vec());
        archive.valid("params", Self::from_parts(archive.part("pq")?, rotation, mean, radius, eta, metric))
    }
}
