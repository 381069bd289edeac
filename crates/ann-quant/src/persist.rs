//! Codes and quantizers in the container: what was trained as sections, and every store with its quantizer as a part.
//!
//! Tables that follow from codebooks are made again. Version 1 of each.

mod reduced;
mod scalar;
mod signs;

use crate::{Anisotropic, CodeStore, FastCodes, Opq, Pq, Quantizer};
use ann_core::{Metric, VectorStore};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct StoreMeta {
    len: u64,
}

impl<Q: Quantizer + Persist> Persist for CodeStore<Q> {
    const KIND: &'static str = "codes";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&StoreMeta { len: self.len() as u64 })?;
        writer.part("quantizer", self.quantizer())?;
        writer.section("codes", self.padded_codes())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let StoreMeta { len } = archive.meta()?;
        let (quantizer, codes) = (archive.part("quantizer")?, archive.section("codes")?);
        let store = archive.valid("codes", CodeStore::<Q>::from_parts(quantizer, size(len), codes))?;
        let (code_len, stride) = (store.quantizer().code_len(), store.rows().stride());
        archive.check_padding("codes", store.padded_codes(), stride, code_len)?;
        let odd = |row: &[u8]| !store.quantizer().is_code(&row[..code_len]);
        match store.padded_codes().chunks_exact(stride).position(odd) {
            Some(row) => Err(archive.corrupt("codes", format!("row {row} has no {} code", Q::NAME))),
            None => Ok(store),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct PqMeta {
    metric: String,
    dim: u64,
    m: u64,
    nbits: u64,
}

/// Every number of a code names a centroid, since codebooks have a power of two of them.
impl Persist for Pq {
    const KIND: &'static str = "pq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (dim, m, nbits) = (self.dim() as u64, self.m() as u64, self.nbits() as u64);
        writer.meta(&PqMeta { metric: self.metric().to_string(), dim, m, nbits })?;
        writer.section("codebooks", self.codebooks())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let PqMeta { metric, dim, m, nbits } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let codebooks = archive.section::<f32>("codebooks")?.to_vec();
        archive.valid("codebooks", Pq::from_codebooks(codebooks, size(dim), size(m), size(nbits), metric))
    }
}

impl Persist for Opq {
    const KIND: &'static str = "opq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.part("pq", self.pq())?;
        writer.section("rotation", self.rotation())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        archive.valid("rotation", Opq::from_parts(archive.section("rotation")?.to_vec(), archive.part("pq")?))
    }
}

#[derive(Serialize, Deserialize)]
struct AnisotropicMeta {
    eta: f32,
}

impl Persist for Anisotropic {
    const KIND: &'static str = "anisotropic";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&AnisotropicMeta { eta: self.eta() })?;
        writer.part("pq", self.pq())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let AnisotropicMeta { eta } = archive.meta()?;
        archive.valid("eta", Anisotropic::from_parts(eta, archive.part("pq")?))
    }
}

#[derive(Serialize, Deserialize)]
struct FastMeta {
    m: u64,
    len: u64,
}

/// The blocks as they lie in memory.
impl Persist for FastCodes {
    const KIND: &'static str = "fast-codes";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&FastMeta { m: self.m() as u64, len: self.len() as u64 })?;
        writer.section("blocks", self.blocks())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let FastMeta { m, len } = archive.meta()?;
        archive.valid("blocks", FastCodes::from_parts(size(m), size(len), archive.section("blocks")?))
    }
}

/// A number of a file; what does not fit is the size of nothing.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnisotropicParams, OpqParams, PqParams};
    use ann_core::simd::Buffer;
    use ann_core::{MatrixView, Par};
    use ann_testkit::portable::spec256;

    fn bytes<P: Persist>(value: &P) -> Vec<u8> {
        let mut bytes = Vec::new();
        Writer::of(value).unwrap().write_to(&mut bytes).unwrap();
        bytes
    }

    fn load<P: Persist>(bytes: &[u8]) -> Result<P, LoadError> {
        Archive::from_bytes(Buffer::from_slice(bytes))?.load()
    }

    const PARAMS: PqParams = PqParams { m: 30, nbits: 5, iterations: 2, seed: 3, sample: None };

    fn pq(rows: MatrixView<'_, f32>) -> Pq {
        Pq::train(rows, Metric::InnerProduct, &PARAMS, Par::Serial).unwrap()
    }

    fn round_trip<Q: Quantizer + Persist>(quantizer: Q, rows: MatrixView<'_, f32>) {
        let store = CodeStore::from_rows(quantizer, rows, Par::Serial).unwrap();
        let written = bytes(&store);
        let loaded: CodeStore<Q> = load(&written).unwrap();
        assert_eq!((loaded.padded_codes(), loaded.len()), (store.padded_codes(), store.len()));
        let (mut before, mut after) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        store.scan(rows.row(1), &mut Default::default(), &mut before);
        loaded.scan(rows.row(1), &mut Default::default(), &mut after);
        assert_eq!(before, after);
        assert_eq!(bytes(&loaded), written);
    }

    #[test]
    fn every_quantizer_comes_back_as_it_was() {
        let set = spec256(100, 0);
        let (rows, pq_params) = (set.base.view(), PARAMS);
        round_trip(pq(rows), rows);
        let params = OpqParams { pq: pq_params, rounds: 1 };
        round_trip(Opq::train(rows, Metric::L2, &params, Par::Serial).unwrap(), rows);
        let params = AnisotropicParams { pq: pq_params, ..Default::default() };
        round_trip(Anisotropic::train(rows, Metric::Cosine, &params, Par::Serial).unwrap(), rows);
    }

    #[test]
    fn blocks_come_back_as_they_were() {
        let set = spec256(100, 0);
        let params = PqParams { m: 30, nbits: 4, ..PARAMS };
        let pq = Pq::train(set.base.view(), Metric::L2, &params, Par::Serial).unwrap();
        let codes = FastCodes::new(&CodeStore::from_rows(pq, set.base.view(), Par::Serial).unwrap()).unwrap();
        let written = bytes(&codes);
        let loaded: FastCodes = load(&written).unwrap();
        assert_eq!((loaded.blocks(), loaded.len(), loaded.m()), (codes.blocks(), 100, 30));
        for lie in [FastMeta { m: 33, len: 100 }, FastMeta { m: u64::MAX, len: 100 }, FastMeta { m: 30, len: 97 }] {
            corrupt::<FastCodes>("numbers", &ForgedBlocks(lie, codes.blocks().to_vec()));
        }
    }

    struct ForgedBlocks(FastMeta, Vec<u8>);

    impl Persist for ForgedBlocks {
        const KIND: &'static str = "fast-codes";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.0)?;
            writer.section("blocks", &self.1)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Err(archive.corrupt("blocks", "only written"))
        }
    }

    /// What a [`Pq`], or anything around it, writes, to be changed before it is written.
    struct Forged {
        meta: PqMeta,
        codebooks: Vec<f32>,
    }

    impl Persist for Forged {
        const KIND: &'static str = "pq";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&self.meta)?;
            writer.section("codebooks", &self.codebooks)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Ok(Self { meta: archive.meta()?, codebooks: archive.section("codebooks")?.to_vec() })
        }
    }

    struct ForgedStore {
        len: u64,
        pq: Pq,
        codes: Vec<u8>,
    }

    impl Persist for ForgedStore {
        const KIND: &'static str = "codes";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.meta(&StoreMeta { len: self.len })?;
            writer.part("quantizer", &self.pq)?;
            writer.section("codes", &self.codes)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            let StoreMeta { len } = archive.meta()?;
            Ok(Self { len, pq: archive.part("quantizer")?, codes: archive.section("codes")?.to_vec() })
        }
    }

    fn corrupt<P: Persist>(name: &str, forged: &impl Persist) {
        let found = load::<P>(&bytes(forged)).map(|_| ());
        assert!(matches!(found, Err(LoadError::Corrupt { .. })), "{name}: {found:?}");
    }

    /// A change and what it is called.
    type Lie<T> = (&'static str, fn(&mut T));

    #[test]
    fn forged_codebooks_are_corrupt_not_panic() {
        let set = spec256(100, 0);
        let good = bytes(&pq(set.base.view()));
        let lies: [Lie<Forged>; 11] = [
            ("metric", |f| f.meta.metric = "hamming".into()),
            ("unknown metric", |f| f.meta.metric = "north".into()),
            ("no columns", |f| f.meta.dim = 0),
            ("other columns", |f| f.meta.dim = 255),
            ("endless columns", |f| f.meta.dim = u64::MAX),
            ("no groups", |f| f.meta.m = 0),
            ("too many groups", |f| f.meta.m = 257),
            ("other bits", |f| f.meta.nbits = 6),
            ("endless bits", |f| f.meta.nbits = u64::MAX),
            ("too few", |f| f.codebooks.truncate(100)),
            ("not finite", |f| f.codebooks[77] = f32::NAN),
        ];
        for (name, lie) in lies {
            let mut forged: Forged = load(&good).unwrap();
            assert!(load::<Pq>(&bytes(&forged)).is_ok());
            lie(&mut forged);
            corrupt::<Pq>(name, &forged);
        }
    }

    #[test]
    fn forged_codes_are_corrupt_not_panic() {
        let set = spec256(100, 0);
        let good = bytes(&CodeStore::from_rows(pq(set.base.view()), set.base.view(), Par::Serial).unwrap());
        // 30 groups of 5 bits are 19 bytes, padded to 32.
        let lies: [Lie<ForgedStore>; 4] = [
            ("fewer rows", |f| f.len = 99),
            ("endless rows", |f| f.len = u64::MAX),
            ("too few", |f| f.codes.truncate(3168)),
            ("padding", |f| f.codes[31] = 1),
        ];
        for (name, lie) in lies {
            let mut forged: ForgedStore = load(&good).unwrap();
            assert!(load::<CodeStore<Pq>>(&bytes(&forged)).is_ok());
            lie(&mut forged);
            corrupt::<CodeStore<Pq>>(name, &forged);
        }
        assert!(load::<CodeStore<Opq>>(&good).is_err());
    }

    #[test]
    fn forged_rotations_and_weights_are_corrupt_not_panic() {
        struct Turned(Pq, Vec<f32>);
        impl Persist for Turned {
            const KIND: &'static str = "opq";
            const VERSION: u16 = 1;

            fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
                writer.part("pq", &self.0)?;
                writer.section("rotation", &self.1)
            }

            fn load(archive: &Archive) -> Result<Self, LoadError> {
                Err(archive.corrupt("rotation", "only written"))
            }
        }
        struct Weighted(Pq, f32);
        impl Persist for Weighted {
            const KIND: &'static str = "anisotropic";
            const VERSION: u16 = 1;

            fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
                writer.meta(&AnisotropicMeta { eta: self.1 })?;
                writer.part("pq", &self.0)
            }

            fn load(archive: &Archive) -> Result<Self, LoadError> {
                Err(archive.corrupt("eta", "only written"))
            }
        }
        let set = spec256(100, 0);
        let pq = pq(set.base.view());
        let one: Vec<f32> = (0..256 * 256).map(|i| if i % 257 == 0 { 1.0 } else { 0.0 }).collect();
        assert!(load::<Opq>(&bytes(&Turned(pq.clone(), one.clone()))).is_ok());
        for (name, at, value) in [("scaled", 257, 2.0), ("skewed", 1, 0.1), ("not finite", 0, f32::NAN)] {
            let mut rotation = one.clone();
            rotation[at] = value;
            corrupt::<Opq>(name, &Turned(pq.clone(), rotation));
        }
        corrupt::<Opq>("too few", &Turned(pq.clone(), one[..256].to_vec()));
        assert!(load::<Anisotropic>(&bytes(&Weighted(pq.clone(), 3.0))).is_ok());
        for eta in [f32::NAN, f32::INFINITY, 0.0, -2.0] {
            corrupt::<Anisotropic>("eta", &Weighted(pq.clone(), eta));
        }
    }

    #[test]
    fn truncated_files_are_errors() {
        let set = spec256(100, 0);
        let good = bytes(&CodeStore::from_rows(pq(set.base.view()), set.base.view(), Par::Serial).unwrap());
        for len in (0..good.len()).step_by(997) {
            assert!(load::<CodeStore<Pq>>(&good[..len]).is_err());
        }
    }
}
