//! Codes of signs, and of fewer columns, in the container. Rotations are drawn again. Version 1 of each.

use crate::rotated::persist::metric_and_mean;
use crate::{Binary, BinaryParams, Quantizer, Ternary, TernaryParams, Truncated};
use ann_core::MAX_DIM;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct BinaryMeta {
    metric: String,
    dim: u64,
    centred: bool,
    rotation: Option<u64>,
    scaled: bool,
    planes: u64,
    scale: f32,
}

impl Persist for Binary {
    const KIND: &'static str = "binary";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let BinaryParams { centred, rotation, scaled, planes } = *self.params();
        let (metric, dim, planes) = (self.metric().to_string(), self.dim() as u64, planes as u64);
        writer.meta(&BinaryMeta { metric, dim, centred, rotation, scaled, planes, scale: self.scale() })?;
        writer.section("centre", self.centre())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let BinaryMeta { metric, dim, centred, rotation, scaled, planes, scale } = archive.meta()?;
        let (metric, centre) = metric_and_mean(archive, "centre", &metric, dim)?;
        let params = BinaryParams { centred, rotation, scaled, planes: super::size(planes) };
        archive.valid("params", Binary::from_parts(params, metric, centre, scale))
    }
}

#[derive(Serialize, Deserialize)]
struct TernaryMeta {
    metric: String,
    dim: u64,
    centred: bool,
    nonzero: Option<u64>,
    optimal: bool,
    planes: u64,
}

impl Persist for Ternary {
    const KIND: &'static str = "ternary";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let TernaryParams { centred, nonzero, optimal, planes } = *self.params();
        let (metric, dim, planes) = (self.metric().to_string(), self.dim() as u64, planes as u64);
        let nonzero = nonzero.map(|nonzero| nonzero as u64);
        writer.meta(&TernaryMeta { metric, dim, centred, nonzero, optimal, planes })?;
        writer.section("centre", self.centre())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let TernaryMeta { metric, dim, centred, nonzero, optimal, planes } = archive.meta()?;
        let (metric, centre) = metric_and_mean(archive, "centre", &metric, dim)?;
        let (nonzero, planes) = (nonzero.map(super::size), super::size(planes));
        let params = TernaryParams { centred, nonzero, optimal, planes };
        archive.valid("params", Ternary::from_parts(params, metric, centre))
    }
}

#[derive(Serialize, Deserialize)]
struct TruncatedMeta {
    dim: u64,
    renormalise: bool,
}

impl<Q: Quantizer + Persist> Persist for Truncated<Q> {
    const KIND: &'static str = "truncated";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&TruncatedMeta { dim: self.dim() as u64, renormalise: self.renormalises() })?;
        writer.part("inner", self.inner())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let TruncatedMeta { dim, renormalise } = archive.meta()?;
        let dim = super::size(dim);
        if dim > MAX_DIM {
            return Err(archive.corrupt("dim", format!("{dim}, expected at most {MAX_DIM}")));
        }
        archive.valid("dim", Truncated::new(archive.part("inner")?, dim, renormalise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotated::persist::{check_round_trip, reload};
    use crate::{CodeStore, Lvq, LvqParams, Rabitq, RabitqParams, Sq, SqParams, SqRange};
    use ann_core::simd::Buffer;
    use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};

    const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

    #[test]
    fn quantizers_come_back_as_they_were() {
        for metric in METRICS {
            for dim in [3, 64, 200] {
                let rows = crate::tests::rows(dim, metric);
                for rotation in [None, Some(u64::MAX)] {
                    for scaled in [true, false] {
                        let params = BinaryParams { rotation, scaled, ..BinaryParams::default() };
                        let binary = Binary::train(rows.view(), metric, &params).unwrap();
                        check_round_trip(&binary, rows.row(2));
                        let loaded: Binary = reload(&binary).unwrap();
                        assert_eq!((loaded.params(), loaded.scale()), (&params, binary.scale()));
                    }
                }
                for params in [
                    TernaryParams::default(),
                    TernaryParams { nonzero: Some(2), planes: 1, ..TernaryParams::default() },
                    TernaryParams { optimal: true, centred: false, ..TernaryParams::default() },
                ] {
                    let ternary = Ternary::train(rows.view(), metric, &params).unwrap();
                    check_round_trip(&ternary, rows.row(2));
                    assert_eq!(reload::<_, Ternary>(&ternary).unwrap().params(), &params);
                }
                let first = crate::truncate(rows.view(), metric, dim / 2, true).unwrap();
                let binary = Binary::train(first.view(), Metric::InnerProduct, &BinaryParams::default()).unwrap();
                check_round_trip(&Truncated::new(binary, dim, true).unwrap(), rows.row(2));
            }
        }
    }

    /// What a quantizer with a centre writes, to be changed before it is written.
    struct Forged<M, const BINARY: bool> {
        meta: M,
        centre: Vec<f32>,
    }

    impl<M: Serialize + for<'a> Deserialize<'a>, const BINARY: bool> Persist for Forged<M, BINARY> {
        const KIND: &'static str = if BINARY { "binary" } else { "ternary" };
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
    type Lie<T> = (&'static str, fn(&mut T));

    fn check_lies<P: Persist, F: Persist>(good: &P, lies: &[Lie<F>]) {
        for (name, lie) in lies {
            let mut forged: F = reload(good).unwrap();
            assert!(reload::<_, P>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, P>(&forged).err();
            assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{name}: {error:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_corrupt() {
        let rows = crate::tests::rows(33, Metric::L2);
        let binary = Binary::train(rows.view(), Metric::L2, &BinaryParams::default()).unwrap();
        let lies: [Lie<Forged<BinaryMeta, true>>; 9] = [
            ("planes", |f| f.meta.planes = 9),
            ("no planes", |f| f.meta.planes = 0),
            ("scale", |f| f.meta.scale = f32::NAN),
            ("negative scale", |f| f.meta.scale = -1.0),
            ("metric", |f| f.meta.metric = "l1".into()),
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("dim", |f| f.meta.dim = 34),
            ("endless", |f| f.meta.dim = u64::MAX),
            ("centre", |f| f.centre[3] = f32::INFINITY),
        ];
        check_lies(&binary, &lies);
        let params = TernaryParams { nonzero: Some(4), ..TernaryParams::default() };
        let ternary = Ternary::train(rows.view(), Metric::L2, &params).unwrap();
        let lies: [Lie<Forged<TernaryMeta, false>>; 8] = [
            ("planes", |f| f.meta.planes = u64::MAX),
            ("places", |f| f.meta.nonzero = Some(34)),
            ("no places", |f| f.meta.nonzero = Some(0)),
            ("metric", |f| f.meta.metric = "hamming".into()),
            ("dim", |f| f.meta.dim = 32),
            ("no dim", |f| f.meta.dim = 0),
            ("too few", |f| f.centre.truncate(32)),
            ("centre", |f| f.centre[0] = f32::NAN),
        ];
        check_lies(&ternary, &lies);
    }

    #[test]
    fn more_columns_are_kept_than_there_are_is_corrupt() {
        struct Cut(TruncatedMeta, Binary);
        impl Persist for Cut {
            const KIND: &'static str = "truncated";
            const VERSION: u16 = 1;

            fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
                writer.meta(&self.0)?;
                writer.part("inner", &self.1)
            }

            fn load(archive: &Archive) -> Result<Self, LoadError> {
                Ok(Self(archive.meta()?, archive.part("inner")?))
            }
        }
        let rows = crate::tests::rows(33, Metric::L2);
        let binary = Binary::train(rows.view(), Metric::L2, &BinaryParams::default()).unwrap();
        let good = Truncated::new(binary, 40, false).unwrap();
        let lies: [Lie<Cut>; 3] =
            [("fewer", |f| f.0.dim = 32), ("none", |f| f.0.dim = 0), ("endless", |f| f.0.dim = u64::MAX)];
        check_lies(&good, &lies);
    }

    /// Every number of a code that is not one is found; those who look at such codes all the same do not panic.
    fn check_codes<Q: Quantizer + Persist + Clone>(quantizer: Q, rows: &Matrix<f32>, factors: &[(usize, usize)]) {
        let store = CodeStore::from_rows(quantizer, rows.view(), Par::Serial).unwrap();
        assert!(reload::<_, CodeStore<Q>>(&store).is_ok());
        let stride = store.rows().stride();
        for &(at, len) in factors {
            let lies: [[u8; 4]; 2] = [f32::NAN.to_le_bytes(), f32::NEG_INFINITY.to_le_bytes()];
            for lie in lies {
                let mut codes = store.padded_codes().to_vec();
                codes[7 * stride + at..][..len].copy_from_slice(&lie[4 - len..]);
                // The upper half of such a number is none of 16 bits.
                if len == 2 {
                    codes[7 * stride + at..][..2].copy_from_slice(&[0, 0x7e]);
                }
                let forged =
                    CodeStore::from_parts(store.quantizer().clone(), store.len(), Buffer::from_slice(&codes)).unwrap();
                let error = reload::<_, CodeStore<Q>>(&forged).err();
                assert!(matches!(error, Some(LoadError::Corrupt { .. })), "{} at {at}: {error:?}", Q::NAME);
                let (mut scratch, mut out) = (Default::default(), vec![0.0; rows.len()]);
                forged.scan(rows.row(0), &mut scratch, &mut out);
                forged.oracle_at(7, &mut scratch).distances(&[7, 8], &mut out[..2]);
            }
        }
    }

    #[test]
    fn numbers_in_codes_that_are_none_are_corrupt() {
        for metric in METRICS {
            let rows = crate::tests::rows(33, metric);
            let l2 = metric == Metric::L2;
            let own = SqParams { range: SqRange::PerVector, ..SqParams::default() };
            let sq = Sq::train(rows.view(), metric, &own, Par::Serial).unwrap();
            check_codes(sq, &rows, if l2 { &[(33, 4), (37, 4), (41, 4)] } else { &[(33, 4), (37, 4)] });
            let plain = BinaryParams { rotation: None, ..BinaryParams::default() };
            // A word of signs, 31 of which are none.
            check_codes(Binary::train(rows.view(), metric, &plain).unwrap(), &rows, &[(8, 4), (4, 4)]);
            let ternary = Ternary::train(rows.view(), metric, &TernaryParams::default()).unwrap();
            check_codes(ternary, &rows, &[(16, 4), (20, 4), (12, 4)]);
            let rabitq = Rabitq::train(rows.view(), metric, &RabitqParams::default(), Par::Serial).unwrap();
            let at = rabitq.code_len() - 4;
            check_codes(rabitq, &rows, &[(at, 4), (at - 4, 4)]);
            let lvq = Lvq::train(rows.view(), metric, &LvqParams::default(), Par::Serial).unwrap();
            let at = if lvq.params().bits == 4 { 17 } else { 33 };
            let places = [(at, 2), (at + 2, 2), (at + 4, 4)];
            check_codes(lvq, &rows, if l2 { &places } else { &places[..2] });
        }
    }
}
