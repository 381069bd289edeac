//! What an index string says, as plain data that prints as the string again.
//!
//! A tree of enums without behaviour, so that it can be matched, compared, logged and stored. It grows with every
//! structure and quantizer that the factory learns; strings written today keep their meaning.
//!
//! Source: the grammar of `index_factory` in faiss (Douze et al., *The Faiss library*, 2024, arXiv:2401.08281), of
//! which this is a subset. *Where we differ*: a metric may follow after `@`, `HNSW` alone means M = 16 rather than 32,
//! and letters may be in either case.

use std::fmt;
use std::ops::RangeInclusive;

use ann_core::Metric;

/// M where the string is `HNSW` alone: the value of the HNSW paper's experiments and of most libraries.
pub(super) const DEFAULT_M: usize = 16;
/// The most links of a point of Vamana where none are named.
pub(super) const DEFAULT_MAX_DEGREE: usize = 64;
/// Links per point. One link makes no graph (its levels would never end); beyond 512 the rows themselves are shorter.
pub(super) const M: RangeInclusive<usize> = 2..=512;
/// The most links of a point on layer 0. It may be less than M: vicinity writes its bound for all layers there.
pub(super) const M0: RangeInclusive<usize> = 2..=1024;
/// Edges of a point of DEG where none are named, and their range; the number is even.
pub(super) const DEFAULT_DEGREE: usize = 32;
pub(super) const DEGREE: RangeInclusive<usize> = 4..=512;
/// Trees of a KD-forest where none are named, and their range.
pub(super) const DEFAULT_TREES: usize = 4;
pub(super) const TREES: RangeInclusive<usize> = 1..=64;
/// Trees of an RP-forest where none are named, and their range.
pub(super) const DEFAULT_RP_TREES: usize = 16;
pub(super) const RP_TREES: RangeInclusive<usize> = 1..=1000;
/// Branches of a node of a k-means tree where none are named, and their range.
pub(super) const DEFAULT_BRANCHING: usize = 32;
pub(super) const BRANCHING: RangeInclusive<usize> = 2..=1024;
/// Bits of every value of a neighbour.
pub(super) const BITS: RangeInclusive<usize> = 1..=8;

/// Lists of a partition.
pub(super) const NLIST: RangeInclusive<usize> = 1..=1 << 24;
/// Groups of columns of product codes.
pub(super) const GROUPS: RangeInclusive<usize> = 1..=1 << 16;

/// An index by name: what to build, and for which metric.
///
/// | string | index |
/// |---|---|
/// | `Flat` | every row is compared: exact |
/// | `HNSW32`, `HNSW32,Flat`, `HNSW32_Flat` | HNSW with M = 32, up to 64 links on layer 0 |
/// | `HNSW` | as `HNSW16` |
/// | `HNSW16,48` | HNSW with M = 16, up to 48 links on layer 0 |
/// | `NSW16` | one layer of HNSW, up to 32 links, entered at a medoid; `NSW` as `NSW16` |
/// | `Vamana64` | the graph of DiskANN, up to 64 links; `Vamana` as `Vamana64` |
/// | `DEG32` | an undirected graph with 32 edges at every point; `DEG` as `DEG32`; even, 4 to 512 |
/// | `KDTree` | a KD-tree, exact unless `checks` is given; for few columns |
/// | `BallTree` | a ball tree, exact unless `checks` is given; not for inner products |
/// | `KDForest4` | four randomised KD-trees with one queue, approximate: `checks`; not for inner products; `KDForest` as `KDForest4` |
/// | `RPForest16`, `Annoy16` | a forest of 16 trees that cut by planes; `RPForest` as `RPForest16`; 1 to 1000 |
/// | `KMeansTree32` | a tree of clusters of clusters, 32 at a node; `KMeansTree` as `KMeansTree32`; 2 to 1024 |
/// | `SQ8`, `SQ6`, `SQ4` | every code is compared: 8, 6 or 4 bits for each value, distances by code |
/// | `HNSW32,SQ8`, `HNSW32_SQ8` | HNSW on codes alone, distances by code |
/// | `HNSW32,SQ8,Refine(Flat)`, `HNSW32,SQ8,RFlat` | HNSW on codes, what is returned measured by the rows |
/// | `HNSW32,SQ4,Refine(f16)`, `..,Refine(bf16)`, `..,Refine(SQ8)` | the same by rounded rows, or by longer codes |
/// | `HNSW16,Block2` | HNSW with codes of the neighbours beside the links, 1 to 8 bits for each value; refined by the rows |
/// | `NSW16,SQ8`, `Vamana64,Block2`, .. | the same behind the other graphs |
/// | `IVF1024,Flat` | 1,024 lists by the nearest centre, of which a search looks through `nprobe` |
/// | `IVF1024,SQ8`, `IVF1024,SQ4,RFlat` | the same on codes, alone or refined as behind a graph |
/// | `IVF1024,PQ64x4fs,RFlat` | codes of what rows add to centres, in 64 groups of 4 bits, scanned in registers; refined by the rows |
/// | `IVF1024,PQ64`, `IVF1024,PQ64x8` | the same with 8 bits for each group |
/// | `OPQ64,IVF1024,PQ64x4fs,RFlat` | rows are turned first so that groups suit them |
/// | `IVF1024,RaBitQ2,RFlat` | RaBitQ codes around the centres, 1 to 8 bits for each value; `RaBitQ` as `RaBitQ1` |
/// | `IVF1024,ScaNN64,RFlat` | as `PQ64x4fs`, but codes are chosen by their anisotropic loss where distances are products |
/// | `IVF1024,ScaNN64,SOAR,RFlat`, `IVF1024,Flat,SOAR`, .. | every row lies in a second list as well, whose error is none of the first one's |
/// | `Auto` or `Auto,Speed`, `Auto,Balanced`, `Auto,Compact` | what suits the rows, for the most speed, less memory, the least |
/// | `Flat@ip`, `HNSW32@cosine` | any of these, for one metric: a name that [`Metric`] reads |
///
/// Letters may be in either case. Blanks may stand at both ends and around `,` and `@`, nowhere else. M is 2 to 512,
/// the links on layer 0 are 2 to 1024. [`Display`](fmt::Display) writes the shortest of the forms in the case above,
/// and what it writes is read back as an equal value, provided the numbers are in range.
///
/// ```
/// use ann::factory::{Links, Spec, Structure};
/// use ann_core::Metric;
///
/// let spec: Spec = "hnsw32_flat @ Angular".parse()?;
/// let hnsw = Structure::Graph { links: Links::Hnsw { m: 32, m0: None }, codes: None };
/// assert_eq!(spec, Spec { structure: hnsw, metric: Some(Metric::Cosine) });
/// assert_eq!(spec.to_string(), "HNSW32@cosine");
///
/// let error = "HNWS32@ip".parse::<Spec>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "HNWS32@ip\n^ column 1: expected `Auto`, `Flat`, `SQ8`, `SQ6`, `SQ4`, `HNSW`, `NSW`, `Vamana`, `DEG`, `IVF`, `OPQ`, `KDTree`, `BallTree`, `KDForest`, `RPForest`, `Annoy` or `KMeansTree`, found `HNWS32`; did you mean `HNSW32@ip`?"
/// );
/// # Ok::<(), ann::factory::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What to build.
    pub structure: Structure,
    /// What is near; `None` leaves it to the data or the caller.
    pub metric: Option<Metric>,
}

/// The structure part of a [`Spec`].
///
/// ```
/// use ann::factory::{Links, Spec, Structure};
/// let spec = Spec::from(Structure::Graph { links: Links::Hnsw { m: 16, m0: Some(48) }, codes: None });
/// assert_eq!(spec.to_string(), "HNSW16,48");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Structure {
    /// All rows, compared one by one.
    Flat,
    /// The codes of all rows, compared one by one.
    Codes(Code),
    /// A graph.
    Graph {
        /// How it is linked.
        links: Links,
        /// What is walked on; `None` is the rows themselves.
        codes: Option<Codes>,
    },
    /// A dynamic exploration graph.
    Deg {
        /// Edges of every point, even, 4 to 512.
        degree: usize,
    },
    /// Rows in cells that are cut at medians, with a box around each.
    KdTree,
    /// Rows in cells that are halved between two rows, with a ball around each.
    BallTree,
    /// Randomised KD-trees that are searched together.
    KdForest {
        /// Trees, 1 to 64.
        trees: usize,
    },
    /// Trees that cut rows by planes between two centres.
    RpForest {
        /// How many, 1 to 1000.
        trees: usize,
    },
    /// A tree of clusters of clusters.
    KMeansTree {
        /// Clusters at a node, 2 to 1024.
        branching: usize,
    },
    /// A graph with codes of the neighbours beside the links of every node, of which there may be 64.
    Blocks {
        /// How it is linked.
        links: Links,
        /// Bits of every value of a neighbour, 1 to 8.
        bits: usize,
    },
    /// Lists of rows by their nearest centre.
    Ivf {
        /// Lists, 1 to 16,777,216.
        nlist: usize,
        /// What lies in them.
        list: ListCode,
        /// Whether every row lies in a second list, chosen by SOAR: half the lists find about as much.
        soar: bool,
        /// What gives the distances that are returned; `None` is what lies in the lists.
        refine: Option<Refine>,
    },
    /// What suits the rows: any of the others, chosen when it is built.
    Auto(Profile),
}

/// What lies in the lists of a partition. Displays as in a [`Spec`], but for the `OPQ` before it.
///
/// ```
/// assert_eq!(ann::factory::ListCode::Pq { m: 64, bits: 4, turned: false }.to_string(), "PQ64x4fs");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListCode {
    /// The rows themselves.
    Flat,
    /// Codes of the rows.
    Codes(Code),
    /// Product codes of what rows add to their centre.
    Pq {
        /// Groups of columns.
        m: usize,
        /// Bits per group, 4 or 8.
        bits: usize,
        /// Whether rows are turned so that groups suit them.
        turned: bool,
    },
    /// RaBitQ codes around the centre.
    Rabitq {
        /// Bits of every value, 1 to 8.
        bits: usize,
    },
    /// Product codes of 4 bits that are chosen by their anisotropic loss.
    Scann {
        /// Groups of columns.
        m: usize,
    },
}

/// How a graph is linked. Displays as in a [`Spec`].
///
/// ```
/// assert_eq!(ann::factory::Links::Vamana { max_degree: 64 }.to_string(), "Vamana64");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Links {
    /// A hierarchical navigable small world graph.
    Hnsw {
        /// Links chosen for a new point on each layer, 2 to 512.
        m: usize,
        /// The most links of a point on layer 0, 2 to 1024; `None` is `2 * m`.
        m0: Option<usize>,
    },
    /// A navigable small world graph: layer 0 of the former, entered at a medoid.
    Nsw {
        /// Links chosen for a new point, 2 to 512; it may come to have twice as many.
        m: usize,
    },
    /// The graph of DiskANN.
    Vamana {
        /// The most links of a point, 2 to 512.
        max_degree: usize,
    },
}

/// Codes in place of rows, and what measures the rows that are returned.
///
/// ```
/// use ann::factory::{Code, Codes, Links, Refine, Spec, Structure};
/// let codes = Codes { code: Code::Sq8, refine: Some(Refine::Flat) };
/// let spec = Spec::from(Structure::Graph { links: Links::Hnsw { m: 32, m0: None }, codes: Some(codes) });
/// assert_eq!(spec.to_string(), "HNSW32,SQ8,Refine(Flat)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codes {
    /// What is kept of a row.
    pub code: Code,
    /// What gives the distances that are returned; `None` is the codes themselves.
    pub refine: Option<Refine>,
}

/// What is kept of a row. Displays as in a [`Spec`].
///
/// ```
/// assert_eq!(ann::factory::Code::Sq4.to_string(), "SQ4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// 8 bits of every value.
    Sq8,
    /// 6 bits of every value.
    Sq6,
    /// 4 bits of every value.
    Sq4,
}

/// What measures the rows that are returned. Displays as in a [`Spec`].
///
/// ```
/// assert_eq!(ann::factory::Refine::Bf16.to_string(), "Refine(bf16)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refine {
    /// The rows themselves, without loss.
    Flat,
    /// Rows rounded to `f16`.
    F16,
    /// Rows rounded to `bf16`.
    Bf16,
    /// Codes of 8 bits.
    Sq8,
}

impl Code {
    pub(super) const ALL: [Self; 3] = [Self::Sq8, Self::Sq6, Self::Sq4];
}

impl Refine {
    pub(super) const ALL: [Self; 4] = [Self::Flat, Self::F16, Self::Bf16, Self::Sq8];

    /// The word within the brackets.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Flat => "Flat",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Sq8 => "SQ8",
        }
    }
}

impl Links {
    /// HNSW with as many links on layer 0 as usual.
    pub(super) const fn hnsw(m: usize) -> Self {
        Self::Hnsw { m, m0: None }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Hnsw { m, m0: None } => write!(f, "HNSW{m}"),
            Self::Hnsw { m, m0: Some(m0) } => write!(f, "HNSW{m},{m0}"),
            Self::Nsw { m } => write!(f, "NSW{m}"),
            Self::Vamana { max_degree } => write!(f, "Vamana{max_degree}"),
        }
    }
}

impl fmt::Display for ListCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flat => f.write_str("Flat"),
            Self::Codes(code) => code.fmt(f),
            Self::Pq { m, bits: 8, .. } => write!(f, "PQ{m}"),
            Self::Pq { m, .. } => write!(f, "PQ{m}x4fs"),
            Self::Rabitq { bits } => write!(f, "RaBitQ{bits}"),
            Self::Scann { m } => write!(f, "ScaNN{m}"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sq8 => "SQ8",
            Self::Sq6 => "SQ6",
            Self::Sq4 => "SQ4",
        })
    }
}

impl fmt::Display for Refine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refine({})", self.word())
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        self.refine.map_or(Ok(()), |refine| write!(f, ",{refine}"))
    }
}

/// What matters most where the library chooses. Displays as in a [`Spec`].
///
/// ```
/// assert_eq!(ann::factory::Profile::Compact.to_string(), "Auto,Compact");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// Queries per second: neighbour blocks, with as many bits as held-out rows ask for.
    #[default]
    Speed,
    /// Speed at little more memory than the rows: a graph on codes of 8 bits, refined by the rows.
    Balanced,
    /// Memory: a graph on codes of 8 bits alone.
    Compact,
}

impl Profile {
    pub(super) const ALL: [Self; 3] = [Self::Speed, Self::Balanced, Self::Compact];

    /// The word behind the comma.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Speed => "Speed",
            Self::Balanced => "Balanced",
            Self::Compact => "Compact",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Speed => f.write_str("Auto"),
            _ => write!(f, "Auto,{}", self.word()),
        }
    }
}

impl From<Structure> for Spec {
    /// Leaves the metric open.
    fn from(structure: Structure) -> Self {
        Self { structure, metric: None }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.structure.fmt(f)?;
        self.metric.map_or(Ok(()), |metric| write!(f, "@{metric}"))
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat => f.write_str("Flat"),
            Self::Codes(code) => code.fmt(f),
            Self::Graph { links, codes } => {
                links.fmt(f)?;
                codes.map_or(Ok(()), |codes| write!(f, ",{codes}"))
            }
            Self::KdTree => f.write_str("KDTree"),
            Self::BallTree => f.write_str("BallTree"),
            Self::KdForest { trees } => write!(f, "KDForest{trees}"),
            Self::RpForest { trees } => write!(f, "RPForest{trees}"),
            Self::KMeansTree { branching } => write!(f, "KMeansTree{branching}"),
            Self::Deg { degree } => write!(f, "DEG{degree}"),
            Self::Blocks { links, bits } => write!(f, "{links},Block{bits}"),
            Self::Ivf { nlist, list, soar, refine } => {
                if let ListCode::Pq { m, turned: true, .. } = list {
                    write!(f, "OPQ{m},")?;
                }
                write!(f, "IVF{nlist},{list}{}", if *soar { ",SOAR" } else { "" })?;
                refine.map_or(Ok(()), |refine| write!(f, ",{refine}"))
            }
            Self::Auto(profile) => profile.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn structures() -> impl Strategy<Value = Structure> {
        let code = || prop::sample::select(Code::ALL.to_vec());
        let refine = prop::option::of(prop::sample::select(Refine::ALL.to_vec()));
        let codes = prop::option::of((code(), refine).prop_map(|(code, refine)| Codes { code, refine }));
        let links = || {
            prop_oneof![
                (M, prop::option::of(M0)).prop_map(|(m, m0)| Links::Hnsw { m, m0 }),
                M.prop_map(|m| Links::Nsw { m }),
                M.prop_map(|max_degree| Links::Vamana { max_degree }),
            ]
        };
        let graph = (links(), codes).prop_map(|(links, codes)| Structure::Graph { links, codes });
        let blocks = (links(), BITS).prop_map(|(links, bits)| Structure::Blocks { links, bits });
        let auto = prop::sample::select(Profile::ALL.to_vec()).prop_map(Structure::Auto);
        let deg = (2usize..=256).prop_map(|half| Structure::Deg { degree: 2 * half });
        let list = prop_oneof![
            Just(ListCode::Flat),
            code().prop_map(ListCode::Codes),
            (GROUPS, any::<bool>(), any::<bool>()).prop_map(|(m, few, turned)| ListCode::Pq {
                m,
                bits: if few { 4 } else { 8 },
                turned
            }),
            BITS.prop_map(|bits| ListCode::Rabitq { bits }),
            GROUPS.prop_map(|m| ListCode::Scann { m }),
        ];
        let refine = prop::option::of(prop::sample::select(Refine::ALL.to_vec()));
        let ivf = (NLIST, list, any::<bool>(), refine).prop_map(|(nlist, list, soar, refine)| {
            let refine = refine.filter(|_| list != ListCode::Flat);
            Structure::Ivf { nlist, list, soar, refine }
        });
        prop_oneof![
            Just(Structure::Flat),
            Just(Structure::KdTree),
            Just(Structure::BallTree),
            TREES.prop_map(|trees| Structure::KdForest { trees }),
            RP_TREES.prop_map(|trees| Structure::RpForest { trees }),
            BRANCHING.prop_map(|branching| Structure::KMeansTree { branching }),
            code().prop_map(Structure::Codes),
            graph,
            blocks,
            deg,
            ivf,
            auto
        ]
    }

    fn specs() -> impl Strategy<Value = Spec> {
        let metrics = prop::option::of(prop::sample::select(Metric::ALL.to_vec()));
        (structures(), metrics).prop_map(|(structure, metric)| Spec { structure, metric })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(spec in specs()) {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn case_and_blanks_do_not_matter(spec in specs(), lower: bool) {
            let text = spec.to_string().replace(',', " ,\t").replace('@', "  @ ").replace('(', "( ").replace(')', " )");
            let text = if lower { text.to_lowercase() } else { text.to_uppercase() };
            prop_assert_eq!(format!(" {text}\n").parse(), Ok(spec));
        }
    }
}
