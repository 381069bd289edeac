//! SAQ in the container: parameters, mean, directions, and where segments end. Rotations are drawn again. Version 1.

use super::plan::{BLOCK, Part};
use super::{Saq, SaqParams};
use crate::Quantizer;
use crate::rotated::persist::metric_and_mean;
use ann_core::simd::Rows;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: SaqParams,
    metric: String,
    dim: u64,
    /// Where each segment ends.
    ends: Vec<u32>,
    /// Bits of each.
    bits: Vec<u8>,
}

impl Persist for Saq {
    const KIND: &'static str = "saq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let ends = self.segments.iter().map(|segment| segment.columns.end as u32).collect();
        let bits = self.segments.iter().map(|segment| segment.bits as u8).collect();
        let (metric, dim) = (self.metric.to_string(), self.dim() as u64);
        writer.meta(&Meta { params: self.params, metric, dim, ends, bits })?;
        writer.section("mean", &self.mean)?;
        writer.section("components", &self.components)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        /// Rounding leaves a millionth.
        const SLACK: f32 = 1e-4;
        let Meta { params, metric, dim, ends, bits } = archive.meta()?;
        archive.valid("params", params.check())?;
        let (metric, mean) = metric_and_mean(archive, "mean", &metric, dim)?;
        let dim = mean.len();
        let parts: Vec<Part> =
            ends.iter().zip(&bits).map(|(&end, &bits)| Part { end: end as usize, bits: u32::from(bits) }).collect();
        let in_order = parts.is_sorted_by(|a, b| a.end < b.end) && parts.first().is_some_and(|part| part.end > 0);
        let whole = parts.iter().all(|part| part.end == dim || part.end < dim && part.end.is_multiple_of(BLOCK));
        if ends.len() != bits.len() || !in_order || !whole {
            return Err(
                archive.corrupt("segments", format!("{ends:?} of {bits:?} bits are no segments of {dim} columns"))
            );
        }
        let kept = parts.last().map_or(0, |part| part.end);
        // Both at most `MAX_DIM`, whose square fits.
        let components = archive.section_of::<f32>("components", kept * dim)?.to_vec();
        let saq = archive.valid("segments", Self::from_parts(params, metric, mean, components, &parts))?;
        let mut products = vec![0.0; kept];
        for (at, direction) in saq.components.chunks_exact(dim).enumerate() {
            saq.kernel.scan(direction, Rows::new(&saq.components, dim, dim), &mut products);
            products[at] -= 1.0;
            // Not that any is larger: what is no number is neither.
            if !products.iter().all(|product| product.abs() <= SLACK) {
                return Err(archive.corrupt("components", format!("direction {at} is not orthogonal to the others")));
            }
        }
        Ok(saq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotated::persist::{check_round_trip, reload};
    use ann_core::{Metric, Par};

    /// What a [`Saq`] writes, to be changed before it is written.
    struct Forged {
        meta: Meta,
        mean: Vec<f32>,
        components: Vec<f32>,
    }

    impl Persist for Forged {
        const KIND: &'static str = "saq";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.section("mean", &self.mean)?;
            writer.section("components", &self.components)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            let (mean, components) = (archive.section("mean")?.to_vec(), archive.section("components")?.to_vec());
            Ok(Self { meta: archive.meta()?, mean, components })
        }
    }

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Forged));

    #[test]
    fn it_comes_back_as_it_was() {
        for dim in [1, 40, 64, 200] {
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
                let rows = crate::tests::rows(dim, metric);
                let params = SaqParams { bits: 1.5, seed: 3, rounds: 2 };
                let saq = Saq::train(rows.view(), metric, &params, Par::Serial).unwrap();
                check_round_trip(&saq, rows.row(2));
                let loaded: Saq = reload(&saq).unwrap();
                assert_eq!(*loaded.params(), params);
                assert!(loaded.segments().eq(saq.segments()));
            }
        }
    }

    #[test]
    fn a_code_with_a_factor_that_is_no_number_is_none() {
        let rows = crate::tests::rows(70, Metric::L2);
        let saq = Saq::train(rows.view(), Metric::L2, &SaqParams::default(), Par::Serial).unwrap();
        let mut code = vec![0; saq.code_len()];
        saq.encode(rows.row(1), &mut Vec::new(), &mut code);
        assert!(saq.is_code(&code) && !saq.is_code(&code[1..]));
        let last = code.len() - 4;
        code[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(!saq.is_code(&code));
    }

    #[test]
    fn what_does_not_fit_is_corrupt() {
        let lies: [Lie; 18] = [
            ("no average bits", |f| f.meta.params.bits = f32::NAN),
            ("metric", |f| f.meta.metric = "l1".into()),
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("dim", |f| f.meta.dim = 199),
            ("no dim", |f| f.meta.dim = 0),
            ("too many", |f| f.meta.dim = u64::MAX),
            ("mean", |f| f.mean[3] = f32::INFINITY),
            ("no segments", |f| (f.meta.ends, f.meta.bits) = (Vec::new(), Vec::new())),
            ("fewer bits", |f| _ = f.meta.bits.pop()),
            ("no bits", |f| f.meta.bits[0] = 0),
            ("too many bits", |f| f.meta.bits[0] = 9),
            ("empty", |f| (f.meta.ends, f.meta.bits) = (vec![0, 200], vec![1, 1])),
            ("twice", |f| (f.meta.ends, f.meta.bits) = (vec![200, 200], vec![1, 1])),
            ("broken block", |f| (f.meta.ends, f.meta.bits) = (vec![65, 200], vec![1, 1])),
            ("beyond", |f| f.meta.ends[0] = 256),
            ("components", |f| f.components.truncate(400)),
            ("not orthogonal", |f| f.components[1] += 0.1),
            ("no number", |f| f.components[777] = f32::NAN),
        ];
        let rows = crate::tests::rows(200, Metric::L2);
        let saq = Saq::train(rows.view(), Metric::L2, &SaqParams::default(), Par::Serial).unwrap();
        for (name, lie) in lies {
            let mut forged: Forged = reload(&saq).unwrap();
            assert!(reload::<_, Saq>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, Saq>(&forged).err();
            assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{name}: {error:?}");
        }
    }
}
