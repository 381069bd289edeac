//! Lies with checksums that are right: only what the numbers mean can give them away.

use crate::forgery::{Forgery, Graph, Values};
use crate::sample::{Sample, graphs};
use crate::trial::{Docket, hold, open, survive};
use crate::{MODES, unverified};
use ann::core::split_mix;
use ann::io::container::OpenMode;
use half::bf16;
use std::path::{Path, PathBuf};

const NONE: u32 = u32::MAX;

/// Files made of a sample by telling lies.
struct Forger {
    _folder: tempfile::TempDir,
    honest: PathBuf,
    path: PathBuf,
}

impl Forger {
    fn new(sample: &Sample) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (honest, path) = (folder.path().join("honest.ann"), folder.path().join("forged.ann"));
        std::fs::write(&honest, &sample.bytes).unwrap();
        Self { _folder: folder, honest, path }
    }

    fn forge(&self, lie: impl FnOnce(&mut Forgery)) -> &Path {
        let mut forgery = Forgery::of(&self.honest);
        lie(&mut forgery);
        forgery.write(&self.path);
        &self.path
    }
}

/// A lie and what it is called.
type Lie = (&'static str, fn(&mut Forgery));

/// What no honest index could be: refused with or without checksums.
const LIES: &[Lie] = &[
    ("link to the row after the last", |f| f.index.links[0] = f.index.parents.len() as u32),
    ("link to the largest number that is one", |f| f.index.links[9] = NONE - 1),
    ("link behind an unused slot", |f| {
        let list = f.index.unfilled_list();
        f.index.links[8 * list + 7] = 0;
    }),
    ("link of an upper layer out of range", |f| f.index.layers[0].links[0] = f.index.layers[0].rows.len() as u32),
    ("a list too few", |f| f.index.links.truncate(f.index.links.len() - 8)),
    ("a list too many", |f| f.index.links.extend([NONE; 8])),
    ("a slot too many", |f| f.index.links.push(NONE)),
    ("an upper list too few", |f| f.index.layers[0].links.truncate(4)),
    ("parent out of range", |f| {
        let child = f.index.child();
        f.index.parents[child] = 1 << 31;
    }),
    ("a parent too few", |f| f.index.parents.truncate(39)),
    ("parent that does not link to its child", |f| {
        let child = f.index.child();
        let parent = f.index.parents[child] as usize;
        f.index.links[8 * parent..][..8].fill(NONE);
    }),
    ("parents in a circle", |f| {
        let [a, b] = f.index.leaves();
        (f.index.parents[a], f.index.parents[b]) = (b as u32, a as u32);
        f.index.links[8 * a] = b as u32;
        f.index.links[8 * b] = a as u32;
    }),
    ("a row that is its own parent, beside the root", |f| {
        let [a, _] = f.index.leaves();
        (f.index.parents[a], f.index.links[8 * a]) = (a as u32, a as u32);
    }),
    ("root out of range", |f| f.index.meta.root = f.index.parents.len() as u32),
    ("root that is no row at all", |f| f.index.meta.root = NONE),
    ("root with another parent", |f| f.index.meta.root = f.index.child() as u32),
    ("below out of range", |f| f.index.layers[0].below[0] = u32::MAX),
    ("below another row", |f| f.index.layers[0].below[0] = (f.index.layers[0].rows[0] + 1) % 40),
    ("below another node", |f| f.index.layers[1].below[0] = (f.index.layers[1].below[0] + 1) % 4),
    ("row of an upper layer out of range", |f| f.index.layers[0].rows[0] = 40),
    ("rows and below both out of range", |f| (f.index.layers[0].rows[1], f.index.layers[0].below[1]) = (40, 40)),
    ("a layer without rows", |f| {
        let top = f.index.layers.last_mut().unwrap();
        (top.rows, top.below, top.links) = Default::default();
    }),
    ("below too short", |f| f.index.layers[0].below.truncate(1)),
    ("one layer more than there is", |f| f.index.meta.upper += 1),
    ("one layer less than there is", |f| f.index.meta.upper -= 1),
    ("255 layers", |f| f.index.meta.upper = 255),
    ("fewer layers allowed than there are", |f| f.index.meta.params.max_layers = 1),
    ("no layers allowed", |f| f.index.meta.params.max_layers = 0),
    ("layers without end allowed", |f| f.index.meta.params.max_layers = usize::MAX),
    ("m of 0", |f| f.index.meta.params.m = 0),
    ("m of 1", |f| f.index.meta.params.m = 1),
    ("m beyond all", |f| f.index.meta.params.m = usize::MAX),
    ("m of another graph", |f| f.index.meta.params.m = 5),
    ("m0 of 0", |f| f.index.meta.params.m0 = Some(0)),
    ("m0 beyond all", |f| f.index.meta.params.m0 = Some(usize::MAX)),
    ("m0 of another graph", |f| f.index.meta.params.m0 = Some(9)),
    ("no candidates", |f| f.index.meta.params.ef_construction = 0),
    ("level scale that is no number", |f| f.index.meta.params.level_scale = f64::NAN),
    ("level scale below 0", |f| f.index.meta.params.level_scale = -1.0),
    ("level scale without end", |f| f.index.meta.params.level_scale = f64::INFINITY),
    ("alpha that is no number", |f| {
        f.index.meta.params.rule = ann::graph::OcclusionRule::Relaxed { alpha: f32::NAN };
    }),
    ("angle that is no number", |f| {
        f.index.meta.params.rule = ann::graph::OcclusionRule::Angle { min_degrees: f32::NAN };
    }),
    ("padding that is not zero", |f| f.index.store.pad(1.0)),
    ("padding that is no number", |f| f.index.store.pad(f32::NAN)),
    ("no columns", |f| f.index.store.meta.dim = 0),
    ("a column too many for the stride", |f| f.index.store.meta.dim = 17),
    ("a million columns and one", |f| f.index.store.meta.dim = (1 << 20) + 1),
    ("columns without end", |f| f.index.store.meta.dim = u64::MAX),
    ("columns that wrap", |f| f.index.store.meta.dim = 1 << 62),
    ("a row more than there is", |f| f.index.store.meta.len += 1),
    ("a row less than there is", |f| f.index.store.meta.len -= 1),
    ("rows without end", |f| f.index.store.meta.len = u64::MAX),
    ("rows that wrap", |f| f.index.store.meta.len = 1 << 61),
    ("metric of bits", |f| f.index.store.meta.metric = "hamming".into()),
    ("metric that nobody knows", |f| f.index.store.meta.metric = "l3".into()),
    ("an inverse norm too many", |f| f.index.store.inverse_norms.push(1.0)),
    ("element that nobody knows", |f| f.meta.element = "f64".into()),
    ("element of another file", |f| f.meta.element = if f.meta.element == "u8" { "i8" } else { "u8" }.into()),
    ("spec that is none", |f| f.meta.spec = "HNSW".repeat(9)),
    ("spec of another structure", |f| f.meta.spec = "Flat".into()),
    ("spec with another m", |f| f.meta.spec = "HNSW5".into()),
    ("spec with another m0", |f| f.meta.spec = "HNSW4,9".into()),
    ("spec with another metric", |f| f.meta.spec = "HNSW4@l1".into()),
    ("kind that nobody knows", |f| f.kind = "anna"),
    ("version to come", |f| f.version = 3),
    ("removed rows without labels", |f| (f.dead, f.labels, f.meta.labelled) = (Some(vec![1]), None, false)),
];

/// Lies that only some files can tell.
const LIES_ON_LABELS: &[Lie] = &[
    ("label given twice", |f| {
        let labels = f.labels.as_mut().unwrap();
        labels[39] = labels[0];
    }),
    ("a label too few", |f| f.labels.as_mut().unwrap().truncate(39)),
    ("a label too many", |f| f.labels.as_mut().unwrap().push(5)),
    ("labels promised and not given", |f| f.labels = None),
    ("labels given and not promised", |f| f.meta.labelled = false),
    ("a removed row that is none", |f| f.dead = Some(vec![1 << 40])),
    ("a removed row far beyond", |f| f.dead = Some(vec![0, 0, 0, 1])),
];
const LIES_ON_NORMS: &[Lie] = &[
    ("inverse norm that is no number", |f| f.index.store.inverse_norms[3] = f32::NAN),
    ("inverse norm without end", |f| f.index.store.inverse_norms[3] = f32::INFINITY),
    ("inverse norm of 0", |f| f.index.store.inverse_norms[3] = 0.0),
    ("inverse norm below 0", |f| f.index.store.inverse_norms[39] = -1.0),
    ("an inverse norm too few", |f| f.index.store.inverse_norms.truncate(39)),
    ("metric without norms", |f| f.index.store.meta.metric = "l2".into()),
];

/// What an index could be, however odd: it opens, or it does not, and what opens must bear searches and new rows.
const ODDITIES: &[Lie] = &[
    ("the root links to itself only", |f| {
        let root = f.index.meta.root;
        f.index.links[8 * root as usize..][..8].fill(root);
    }),
    ("lone row that links to itself", |f| {
        f.index.shrink_to_one_row();
        f.index.links.fill(0);
        f.labels = f.labels.take().map(|labels| labels[..1].to_vec());
    }),
    ("every list names one row only", |f| {
        for list in f.index.links.chunks_mut(8) {
            let first = list[0];
            list.fill(first);
        }
    }),
    ("an upper layer of one row many times", |f| {
        let layer = &mut f.index.layers[0];
        let row = layer.rows[0];
        layer.rows.fill(row);
        layer.below.fill(row);
        let rows = vec![row; f.index.layers[1].rows.len()];
        f.index.layers[1].rows = rows;
    }),
    ("upper layers without links", |f| f.index.layers.iter_mut().for_each(|layer| layer.links.fill(NONE))),
    ("rows that are no numbers", |f| f.index.store.fill(f32::NAN)),
    ("rows without end", |f| f.index.store.fill(f32::INFINITY)),
    ("rows that are zero", |f| f.index.store.fill(0.0)),
    ("rows that are largest", |f| f.index.store.fill(f32::MAX)),
    ("a column that was padding", |f| f.index.store.meta.dim += 1),
    ("a column that is now padding", |f| f.index.store.meta.dim -= 1),
    ("candidates without end", |f| f.index.meta.params.ef_construction = usize::MAX),
    ("levels without end", |f| f.index.meta.params.level_scale = 4.0),
    ("levels of almost nothing", |f| f.index.meta.params.level_scale = f64::MIN_POSITIVE),
    ("another seed", |f| f.index.meta.params.seed = u64::MAX),
    ("no pruning", |f| f.index.meta.params.rule = ann::graph::OcclusionRule::Relaxed { alpha: f32::MAX }),
    ("angles of half a turn", |f| {
        f.index.meta.params.rule = ann::graph::OcclusionRule::Angle { min_degrees: 180.0 };
    }),
    ("everything switched on", |f| {
        (f.index.meta.params.extend_candidates, f.index.meta.params.keep_pruned) = (true, true);
    }),
    ("metric of other rows", |f| f.index.store.meta.metric = "l1".into()),
    ("labels where later rows would have theirs", |f| f.labels = f.labels.as_ref().map(|_| (1..41).collect())),
];

fn bear(path: &Path, mode: OpenMode) {
    if let Ok(index) = open(path, mode) {
        survive(index);
    }
}

#[test]
fn a_forgery_without_lies_is_the_file_itself() {
    for sample in graphs() {
        let forger = Forger::new(&sample);
        assert_eq!(std::fs::read(forger.forge(|_| ())).unwrap(), sample.bytes, "{}", sample.name);
    }
}

#[test]
fn every_lie_is_refused() {
    hold(|docket: &Docket| {
        for sample in graphs() {
            let forger = Forger::new(&sample);
            let honest: Forgery = Forgery::of(&forger.honest);
            assert!(honest.index.layers.len() >= 2, "lies about two upper layers need them");
            let on_labels = LIES_ON_LABELS.iter().filter(|_| honest.labels.is_some());
            let on_norms = LIES_ON_NORMS.iter().filter(|_| !honest.index.store.inverse_norms.is_empty());
            for (name, lie) in LIES.iter().chain(on_labels).chain(on_norms) {
                docket.call(format!("{}, {name}", sample.name));
                let path = forger.forge(lie);
                for mode in MODES {
                    assert!(open(path, mode).is_err(), "{mode:?}: opened");
                    assert!(open(path, unverified(mode)).is_err(), "{mode:?}, unverified: opened");
                }
            }
        }
    });
}

#[test]
fn every_oddity_is_refused_or_borne() {
    hold(|docket: &Docket| {
        for sample in graphs() {
            let forger = Forger::new(&sample);
            for (name, oddity) in ODDITIES {
                docket.call(format!("{}, {name}", sample.name));
                let path = forger.forge(oddity);
                for mode in MODES {
                    bear(path, mode);
                }
            }
        }
    });
}

#[test]
fn random_lies_are_refused_or_borne() {
    hold(|docket: &Docket| {
        for sample in graphs() {
            let forger = Forger::new(&sample);
            for seed in 0..500 {
                docket.call(format!("{}, random lies of seed {seed}", sample.name));
                let path = forger.forge(|f| (0..1 + seed % 3).for_each(|i| f.index.lie_at_random(split_mix(seed, i))));
                bear(path, MODES[0]);
            }
        }
    });
}

impl Graph {
    /// A row that is not the root.
    fn child(&self) -> usize {
        usize::from(self.meta.root == 0)
    }

    /// A row whose list has room.
    fn unfilled_list(&self) -> usize {
        self.links.chunks(8).position(|list| list[6] == NONE).unwrap()
    }

    /// Two rows that are nobody's parents.
    fn leaves(&self) -> [usize; 2] {
        let mut leaves = (0..self.parents.len()).filter(|&row| !self.parents.contains(&(row as u32)));
        [leaves.next().unwrap(), leaves.next().unwrap()]
    }

    fn shrink_to_one_row(&mut self) {
        (self.meta.root, self.meta.upper, self.parents, self.layers) = (0, 0, vec![0], Vec::new());
        self.links.truncate(8);
        self.store.shrink_to_one_row();
    }

    /// Puts a number that is likely to hurt where an honest one was.
    fn lie_at_random(&mut self, random: u64) {
        let draw = |i: u64, below: usize| split_mix(random, i) as usize % below;
        let len = self.parents.len() as u32;
        let lie = [0, 1, len - 1, len, NONE, draw(0, 40) as u32, draw(1, 40) as u32, draw(2, 40) as u32][draw(3, 8)];
        let above = draw(4, self.layers.len());
        let layer = &mut self.layers[above];
        let (rows, below) = (layer.rows.len(), if above == 0 { len as usize } else { 40 });
        let numbers = match draw(5, 8) {
            0..4 => &mut self.links,
            4 => &mut self.parents,
            5 => &mut layer.links,
            6 => {
                // A node for another row, consistently, so that more than the range has to be looked at.
                let (node, row) = (draw(6, rows), draw(7, below) as u32);
                layer.below[node] = row;
                &mut layer.rows
            }
            _ => &mut layer.below,
        };
        let at = draw(8, numbers.len());
        numbers[at] = lie;
    }
}

impl crate::forgery::Rows {
    /// Puts `value` into the last padding of row 1, as far as the type can say it.
    fn pad(&mut self, value: f32) {
        match &mut self.values {
            Values::U8(values) => values[2 * 8 - 1] = 1,
            Values::Bf16(values) => values[2 * 8 - 1] = bf16::from_f32(value),
            Values::F32(values) => values[2 * 8 - 1] = value,
        }
    }

    /// Puts `value` into all columns of every second row.
    fn fill(&mut self, value: f32) {
        let dim = self.meta.dim as usize;
        match &mut self.values {
            Values::U8(values) => values.chunks_mut(16).for_each(|rows| rows[..dim].fill(value as u8)),
            Values::Bf16(values) => values.chunks_mut(16).for_each(|rows| rows[..dim].fill(bf16::from_f32(value))),
            Values::F32(values) => values.chunks_mut(16).for_each(|rows| rows[..dim].fill(value)),
        }
    }

    fn shrink_to_one_row(&mut self) {
        self.meta.len = 1;
        self.inverse_norms.truncate(1);
        match &mut self.values {
            Values::U8(values) => values.truncate(8),
            Values::Bf16(values) => values.truncate(8),
            Values::F32(values) => values.truncate(8),
        }
    }
}
