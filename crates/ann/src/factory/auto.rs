//! Choosing an index for someone who chooses nothing.

use super::build::BuildOptions;
use super::{Links, Profile, Structure};
use crate::Error;
use ann_core::{ElementKind, MatrixView, Metric};

/// What was chosen, and why, in words for the user.
pub(super) struct Choice {
    pub(super) structure: Structure,
    pub(super) report: String,
}

/// Links that suit most rows.
pub(super) const LINKS: Links = Links::hnsw(16);

/// Fewer rows are searched fast enough whatever is done.
const MIN_ROWS: usize = 4096;

/// The structure that suits `vectors`, which will be kept as `element`.
///
/// Everything is counted, nothing timed: the same rows give the same choice on every machine.
pub(super) fn choose(
    profile: Profile,
    element: ElementKind,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Choice, Error> {
    if !cfg!(feature = "graph") {
        let report = "exact search, since the feature `graph` is off".to_owned();
        return Ok(Choice { structure: Structure::Flat, report });
    }
    let plain = |why: &str| {
        let structure = Structure::Graph { links: LINKS, codes: None };
        Ok(Choice { structure, report: format!("a graph on the rows themselves, since {why}") })
    };
    if vectors.len() < MIN_ROWS {
        return plain("there are few of them");
    }
    if !matches!(options.metric, Metric::L2 | Metric::InnerProduct | Metric::Cosine) {
        return plain("codes are for l2, ip and cosine");
    }
    if !cfg!(feature = "quant") {
        return plain("the feature `quant` is off");
    }
    let bytes = matches!(element, ElementKind::U8 | ElementKind::I8);
    match profile {
        Profile::Speed => speed(vectors, options),
        Profile::Balanced if bytes => plain("bytes are as short as codes"),
        Profile::Balanced => Ok(balanced()),
        Profile::Compact => Ok(compact(bytes, vectors.dim())),
    }
}

fn balanced() -> Choice {
    use super::{Code, Codes, Refine};
    let codes = Some(Codes { code: Code::Sq8, refine: Some(Refine::Flat) });
    let report = "a graph on codes of 8 bits for each value, and the rows for what is returned".to_owned();
    Choice { structure: Structure::Graph { links: LINKS, codes }, report }
}

/// A graph on the shortest rows that keep recall, with fewer links where these would outweigh the rows.
fn compact(bytes: bool, dim: usize) -> Choice {
    use super::{Code, Codes};
    /// Below this many columns 32 links of 4 bytes are most of what is kept.
    const SHORT: usize = 64;
    let m = if dim < SHORT { 8 } else { 16 };
    let codes = (!bytes).then_some(Codes { code: Code::Sq8, refine: None });
    let rows = if bytes { "the rows, which are bytes" } else { "codes of 8 bits for each value and nothing else" };
    Choice {
        structure: Structure::Graph { links: Links::hnsw(m), codes },
        report: format!("a graph of {m} links on {rows}"),
    }
}

#[cfg(not(all(feature = "graph", feature = "quant")))]
fn speed(_: MatrixView<'_, f32>, _: &BuildOptions<'_>) -> Result<Choice, Error> {
    let structure = Structure::Graph { links: LINKS, codes: None };
    Ok(Choice { structure, report: String::new() })
}

#[cfg(all(feature = "graph", feature = "quant"))]
fn speed(vectors: MatrixView<'_, f32>, options: &BuildOptions<'_>) -> Result<Choice, Error> {
    let trials = super::trial::trials(vectors, options)?;
    let best = trials.iter().min_by(|a, b| a.cost().total_cmp(&b.cost()));
    let bits = best.map_or(1, |trial| trial.bits);
    let mut report =
        format!("codes of the neighbours beside the links, width {bits}; tried on rows held out of a sample");
    for trial in &trials {
        report.push_str("; ");
        report.push_str(&trial.to_string());
    }
    Ok(Choice { structure: Structure::Blocks { links: LINKS, bits }, report })
}
