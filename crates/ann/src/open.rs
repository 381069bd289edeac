//! Index files: saving any index, and opening one without knowing what it holds.

use crate::any::{AnyIndex, Dense, Erased};
use crate::calibration::Calibration;
use crate::dead::Dead;
use crate::factory::{Element, Spec, Structure};
use crate::labels::Labels;
use crate::{Error, Index};
#[cfg(feature = "graph")]
use ann_core::SplitStore;
use ann_core::{ElementKind, Exact, FlatStore};
use ann_io::container::{Archive, LoadError, OpenMode, OpenOptions, Writer};
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the file says of its index: enough to choose the type to load it as.
#[derive(Serialize, Deserialize)]
struct Meta {
    spec: String,
    rows: String,
    labelled: bool,
}

const KIND: &str = "ann";
/// 2: rows may have been removed. Files without such rows are of version 1.
const VERSION: u16 = 2;

pub(crate) fn save(index: &Index, path: &Path) -> Result<(), Error> {
    let mut writer = Writer::new(KIND, if index.dead.is_empty() { 1 } else { VERSION })?;
    let labelled = !index.labels.are_rows();
    writer.meta(&Meta { spec: index.spec().to_string(), rows: index.any.rows().to_owned(), labelled })?;
    if labelled {
        writer.section("labels", index.labels.as_slice())?;
    }
    if !index.dead.is_empty() {
        writer.section("dead", index.dead.as_words())?;
    }
    let calibration = index.calibration.as_ref().map(Calibration::to_values);
    if let Some(values) = &calibration {
        writer.section("calibration", values.as_slice())?;
    }
    index.any.save(&mut writer)?;
    Ok(writer.write(path)?)
}

/// Opens an index file by mapping it: rows and links are used where they lie in the file, nothing is copied.
///
/// Every checksum is verified first, which reads the file once; [`open_with`] can leave that out or read the file into
/// memory. The file must not be changed or cut while the index lives.
///
/// # Errors
/// [`Error::Load`] says what is wrong with the file and in which section. No file, however damaged or forged, makes
/// this panic, read out of bounds, or take more memory than twice its size.
///
/// ```
/// use ann::prelude::*;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("words.ann");
/// let vectors = Matrix::from_rows(&[[1.0, 0.0], [0.0, 1.0]])?;
/// ann::build(&vectors, Metric::L2)?.save(&path)?;
/// let index = ann::open(&path)?;
/// assert_eq!(index.search(&[0.1, 0.9], 1)?[0].label, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Index, Error> {
    open_with(path, OpenMode::Map)
}

/// Opens an index file as told: [`OpenMode::Read`] into memory, [`OpenMode::Map`] in place.
///
/// # Errors
/// As [`open`].
pub fn open_with(path: impl AsRef<Path>, options: impl Into<OpenOptions>) -> Result<Index, Error> {
    let archive = Archive::open(path, options)?;
    if archive.kind() != KIND {
        let (part, found) = (archive.path().to_owned(), archive.kind().to_owned());
        return Err(LoadError::Kind { part, found, expected: KIND.to_owned() }.into());
    }
    if archive.version() > VERSION {
        let (found, supported) = (archive.version(), VERSION);
        return Err(LoadError::Newer { what: KIND.to_owned(), found, supported }.into());
    }
    let meta: Meta = archive.meta()?;
    let spec: Spec = meta.spec.parse().map_err(|_| archive.corrupt("spec", format!("`{}`", meta.spec)))?;
    let any = match meta.rows.as_str() {
        rows if matches!(spec.structure, Structure::Ivf { .. }) => load_ivf(&archive, &spec.structure, rows),
        rows if matches!(spec.structure, Structure::Codes(_) | Structure::Graph { codes: Some(_), .. }) => {
            load_codes(&archive, &spec.structure, rows)
        }
        name if name == ElementKind::F32.name() => load::<f32>(&archive, &spec.structure),
        name if name == ElementKind::F16.name() => load::<f16>(&archive, &spec.structure),
        name if name == ElementKind::Bf16.name() => load::<bf16>(&archive, &spec.structure),
        name if name == ElementKind::U8.name() => load::<u8>(&archive, &spec.structure),
        name if name == ElementKind::I8.name() => load::<i8>(&archive, &spec.structure),
        #[cfg(feature = "graph")]
        SplitStore::NAME if matches!(spec.structure, Structure::Graph { .. }) => {
            Ok(erase(archive.part::<ann_graph::Hnsw<SplitStore>>("index")?))
        }
        other => Err(archive.corrupt("rows", format!("`{other}`")).into()),
    }?;
    if any.structure() != spec.structure || spec.metric.is_some_and(|metric| metric != any.metric()) {
        let found = Spec { structure: any.structure(), metric: Some(any.metric()) };
        return Err(archive.corrupt("spec", format!("`{spec}`, but the index is `{found}`")).into());
    }
    if archive.has_section("labels") != meta.labelled {
        return Err(archive
            .corrupt("labels", format!("expected: {}, found: {}", meta.labelled, !meta.labelled))
            .into());
    }
    let dead = match archive.has_section("dead") {
        true => Dead::from_words(archive.section::<u64>("dead")?.to_vec(), any.len())
            .ok_or_else(|| archive.corrupt("dead", format!("a row beyond {}", any.len())))?,
        false => Dead::default(),
    };
    let calibration = match archive.has_section("calibration") {
        true => {
            let values = archive.section::<f64>("calibration")?;
            let read = Calibration::from_values(&values);
            Some(read.ok_or_else(|| archive.corrupt("calibration", "reaches and recalls that do not ascend"))?)
        }
        false => None,
    };
    let labels = match (meta.labelled, dead.is_empty()) {
        (true, _) => archive.valid("labels", Labels::from_buffer(archive.section_of("labels", any.len())?, &dead))?,
        (false, true) => return Ok(Index { calibration, ..Index::new(any, None)? }),
        // Removing writes labels down, so that those of removed rows are free.
        (false, false) => return Err(archive.corrupt("dead", "removed rows, but no labels").into()),
    };
    Ok(Index { any, labels, dead, numbering: 0, calibration, report: None })
}

#[cfg(feature = "quant")]
fn load_codes(archive: &Archive, structure: &Structure, rows: &str) -> Result<Box<dyn AnyIndex>, Error> {
    crate::factory::load(archive, structure, rows)
}

#[cfg(feature = "ivf_pq")]
fn load_ivf(archive: &Archive, structure: &Structure, rows: &str) -> Result<Box<dyn AnyIndex>, Error> {
    crate::factory::load_ivf(archive, structure, rows)
}

#[cfg(not(feature = "ivf_pq"))]
fn load_ivf(_: &Archive, structure: &Structure, _: &str) -> Result<Box<dyn AnyIndex>, Error> {
    Err(Error::Feature { what: structure.to_string(), feature: "ivf_pq" })
}

#[cfg(not(feature = "quant"))]
fn load_codes(_: &Archive, structure: &Structure, _: &str) -> Result<Box<dyn AnyIndex>, Error> {
    Err(Error::Feature { what: structure.to_string(), feature: "quant" })
}

fn load<T: Element>(archive: &Archive, structure: &Structure) -> Result<Box<dyn AnyIndex>, Error> {
    match structure {
        Structure::Flat => Ok(erase(Exact::new(archive.part::<FlatStore<T>>("index")?))),
        // An index is saved as what was chosen.
        Structure::Codes(_) | Structure::Ivf { .. } | Structure::Auto(_) => {
            Err(archive.corrupt("rows", format!("`{}`", T::NAME)).into())
        }
        #[cfg(feature = "graph")]
        Structure::Deg { .. } => Ok(erase(archive.part::<ann_graph::Deg<FlatStore<T>>>("index")?)),
        #[cfg(feature = "graph")]
        Structure::Graph { .. } => Ok(erase(archive.part::<ann_graph::Hnsw<FlatStore<T>>>("index")?)),
        #[cfg(all(feature = "graph", feature = "quant"))]
        Structure::Blocks { .. } => {
            Ok(erase(archive.part::<ann_graph::BlockHnsw<FlatStore<T>, ann_quant::NodeRabitq>>("index")?))
        }
        #[cfg(all(feature = "graph", not(feature = "quant")))]
        Structure::Blocks { .. } => Err(Error::Feature { what: structure.to_string(), feature: "quant" }),
        #[cfg(not(feature = "graph"))]
        Structure::Graph { .. } | Structure::Deg { .. } | Structure::Blocks { .. } => {
            Err(Error::Feature { what: structure.to_string(), feature: "graph" })
        }
    }
}

fn erase(index: impl Dense) -> Box<dyn AnyIndex> {
    Box::new(Erased::new(index))
}
