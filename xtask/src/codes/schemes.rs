//! The schemes that are measured, and their names: those of the factory of faiss where it has the scheme.

use ann::quant::{
    Binary, BinaryParams, CodeScratch, CodeStore, G4, G4Params, Lvq, LvqParams, LvqQuery, Opq, OpqParams, Pq, PqParams,
    Quantizer, Rabitq, RabitqParams, Sq, SqParams, Ternary, TernaryParams, TrainError,
};
use ann_core::simd::Rows;
use ann_core::{MatrixView, Metric, Par};

use crate::error::Error;

/// Rounds of code adjustment; more change little.
const CAQ_ROUNDS: u32 = 6;

/// A scheme with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scheme {
    /// Scalar, a range per column.
    Sq(usize),
    /// Product quantizer: groups, bits of each.
    Pq(usize, usize),
    /// With a rotation before.
    Opq(usize, usize),
    /// Bits of a coordinate, and whether scales are shared.
    Rabitq(u32, bool),
    /// Bits of a coordinate.
    G4(u32),
    /// The same, adjusted.
    Caq(u32),
    /// Bits of the first level, and whether there is a second.
    Lvq(u32, bool),
    /// Signs; bits of a value of the query.
    Binary(usize),
    /// Signs and zeros; bits of a value of the query.
    Ternary(usize),
}

impl Scheme {
    /// Everything that rows of `dim` columns are measured with, by kind and then by size.
    fn all(dim: usize) -> Vec<Self> {
        // The number of groups that makes as many bytes as so many bits of every value.
        let groups = |bits: usize, nbits: usize| (dim * bits).div_ceil(nbits);
        let mut all: Vec<Self> = [4, 6, 8].map(Self::Sq).into();
        all.extend([1, 2, 4, 8].map(|bits| Self::Pq(groups(bits, 8), 8)));
        all.extend([1, 2, 4].map(|bits| Self::Pq(groups(bits, 4), 4)));
        all.extend([1, 2, 4].map(|bits| Self::Opq(groups(bits, 8), 8)));
        all.extend([1, 2].map(|bits| Self::Opq(groups(bits, 4), 4)));
        all.extend([1, 2, 4, 8].map(|bits| Self::Rabitq(bits, false)));
        all.extend([2, 4, 8].map(|bits| Self::Rabitq(bits, true)));
        all.extend([4, 8].map(Self::G4));
        all.extend([1, 2, 4, 8].map(Self::Caq));
        all.extend([(4, false), (8, false), (4, true)].map(|(bits, residual)| Self::Lvq(bits, residual)));
        all.extend([1, 6].map(Self::Binary));
        all.extend([1, 6].map(Self::Ternary));
        // Few columns give the same groups to several sizes.
        all.dedup();
        all
    }

    /// Those named in `only`, in the order of the list: whole names, or beginnings of names that are none; all if
    /// `only` is empty. Case does not matter.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that no scheme begins with.
    pub(crate) fn select(dim: usize, only: &[String]) -> Result<Vec<Self>, Error> {
        let all = Self::all(dim);
        let mut chosen = vec![only.is_empty(); all.len()];
        let names: Vec<String> = all.iter().map(|scheme| scheme.name().to_lowercase()).collect();
        for given in only {
            let wanted = given.to_lowercase();
            let whole = names.contains(&wanted);
            let mut found = false;
            for (chosen, name) in chosen.iter_mut().zip(&names) {
                if *name == wanted || !whole && name.starts_with(&wanted) {
                    (*chosen, found) = (true, true);
                }
            }
            if !found {
                let known: Vec<String> = all.iter().map(Self::name).collect();
                return Err(Error::Usage(format!("--only: unknown scheme `{given}`, expected of {}", known.join(" "))));
            }
        }
        Ok(all.into_iter().zip(chosen).filter_map(|(scheme, chosen)| chosen.then_some(scheme)).collect())
    }

    /// What tables call it.
    pub(crate) fn name(&self) -> String {
        match *self {
            Self::Sq(bits) => format!("SQ{bits}"),
            Self::Pq(m, nbits) => format!("PQ{m}x{nbits}"),
            Self::Opq(m, nbits) => format!("OPQ{m}x{nbits}"),
            Self::Rabitq(bits, fast) => format!("RaBitQ{bits}{}", if fast { "-fast" } else { "" }),
            Self::G4(bits) => format!("G{bits}"),
            Self::Caq(bits) => format!("CAQ{bits}"),
            Self::Lvq(bits, residual) => format!("LVQ{bits}{}", if residual { "x8" } else { "" }),
            Self::Binary(1) => "Binary-symmetric".to_owned(),
            Self::Binary(_) => "Binary".to_owned(),
            Self::Ternary(1) => "Ternary-symmetric".to_owned(),
            Self::Ternary(_) => "Ternary".to_owned(),
        }
    }

    /// Trains on `rows` and hands the result to `encode`.
    ///
    /// # Errors
    /// [`TrainError`], of training or of `encode`.
    pub(crate) fn train<V: Visit>(
        &self,
        rows: MatrixView<'_, f32>,
        metric: Metric,
        par: Par,
        visitor: V,
    ) -> Result<V::Output, TrainError> {
        match *self {
            Self::Sq(bits) => visitor.visit(Sq::train(rows, metric, &SqParams { bits, ..SqParams::default() }, par)?),
            Self::Pq(m, nbits) => visitor.visit(Pq::train(rows, metric, &pq(m, nbits), par)?),
            Self::Opq(m, nbits) => {
                let params = OpqParams { pq: pq(m, nbits), ..OpqParams::default() };
                visitor.visit(Opq::train(rows, metric, &params, par)?)
            }
            Self::Rabitq(bits, fast) => {
                let params = RabitqParams { bits, fast, ..RabitqParams::default() };
                visitor.visit(Rabitq::train(rows, metric, &params, par)?)
            }
            Self::G4(bits) => visitor.visit(G4::train(rows, metric, &G4Params { bits, ..G4Params::default() }, par)?),
            Self::Caq(bits) => {
                let params = G4Params { bits, rounds: CAQ_ROUNDS, ..G4Params::default() };
                visitor.visit(G4::train(rows, metric, &params, par)?)
            }
            Self::Lvq(bits, residual) => {
                let lvq = Lvq::train(rows, metric, &LvqParams { bits, residual }, par)?;
                if residual { visitor.visit(BothLevels(lvq)) } else { visitor.visit(lvq) }
            }
            Self::Binary(planes) => {
                visitor.visit(Binary::train(rows, metric, &BinaryParams { planes, ..BinaryParams::default() })?)
            }
            Self::Ternary(planes) => {
                visitor.visit(Ternary::train(rows, metric, &TernaryParams { planes, ..TernaryParams::default() })?)
            }
        }
    }
}

fn pq(m: usize, nbits: usize) -> PqParams {
    PqParams { m, nbits, ..PqParams::default() }
}

/// What is done with a trained quantizer, whatever its type.
pub(crate) trait Visit {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// [`TrainError`] if rows cannot be encoded.
    fn visit<Q: Quantizer>(self, quantizer: Q) -> Result<Self::Output, TrainError>;
}

/// Writes the distances from a query to all rows.
pub(crate) type Estimator<'a> = Box<dyn FnMut(&[f32], &mut [f32]) + 'a>;

/// Codes of all rows, of any scheme.
pub(crate) trait Coded: Sync {
    /// Bytes of a code.
    fn bytes(&self) -> usize;

    /// Writes the distances from a query to all rows.
    fn estimator(&self) -> Estimator<'_>;
}

impl<Q: Quantizer> Coded for CodeStore<Q> {
    fn bytes(&self) -> usize {
        self.quantizer().code_len()
    }

    fn estimator(&self) -> Estimator<'_> {
        let mut scratch = CodeScratch::<Q>::default();
        Box::new(move |query, out| self.scan(query, &mut scratch, out))
    }
}

/// An [`Lvq`] whose distances are those of both levels.
#[derive(Debug)]
struct BothLevels(Lvq);

impl Quantizer for BothLevels {
    const NAME: &'static str = Lvq::NAME;
    type Prepared = LvqQuery;

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn metric(&self) -> Metric {
        self.0.metric()
    }

    fn code_len(&self) -> usize {
        self.0.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        self.0.encode(vector, scratch, code);
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        self.0.decode(code, vector);
    }

    fn prepare(&self, query: &[f32], out: &mut LvqQuery) {
        self.0.prepare(query, out);
    }

    fn gather(&self, query: &LvqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.0.refine(query, codes, ids, out);
    }
}
