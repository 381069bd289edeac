//! Lies about lists with checksums that are right: every row in a list, in as many as it should be, and codes that fit them.

use crate::forgery::{Forgery, Values};
use crate::sample::{Sample, lists};
use crate::trial::{Docket, hold, open, survive};
use crate::{MODES, unverified};
use ann::core::split_mix;
use ann::io::container::{Archive, LoadError, Persist, SaveError, Writer};
use ann::partition::{IvfParams, ListCode};
use serde::{Deserialize, Serialize};

const NONE: u32 = u32::MAX;

/// The part `index`: lists of RaBitQ codes and no rows.
pub(crate) struct Lists {
    meta: ListsMeta,
    store: NoRows,
    centres: crate::forgery::Rows,
    margins: Vec<f32>,
    codec: Codec,
    lens: Vec<u32>,
    blocks: Vec<u32>,
    ids: Vec<u32>,
    codes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct ListsMeta {
    params: IvfParams,
    metric: String,
    depth: u64,
}

#[derive(Serialize, Deserialize)]
struct NoRowsMeta {
    dim: u64,
    metric: String,
    len: u64,
}

struct NoRows(NoRowsMeta);

#[derive(Serialize, Deserialize)]
struct CodecMeta {
    metric: String,
    planes: u8,
    seed: u64,
    radius: f32,
}

struct Codec {
    meta: CodecMeta,
    mean: Vec<f32>,
}

impl Persist for NoRows {
    const KIND: &'static str = "no-rows";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.0)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        archive.meta().map(Self)
    }
}

impl Persist for Codec {
    const KIND: &'static str = "node-rabitq";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.meta)?;
        writer.section("mean", &self.mean)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        Ok(Self { meta: archive.meta()?, mean: archive.section("mean")?.to_vec() })
    }
}

impl Persist for Lists {
    const KIND: &'static str = "ivf";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.meta)?;
        writer.part("store", &self.store)?;
        writer.part("centres", &self.centres)?;
        writer.section("margins", &self.margins)?;
        writer.part("codec", &self.codec)?;
        writer.section("lens", &self.lens)?;
        writer.section("blocks", &self.blocks)?;
        writer.section("ids", &self.ids)?;
        writer.section("codes", &self.codes)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let numbers = |name| Ok::<_, LoadError>(archive.section::<u32>(name)?.to_vec());
        Ok(Self {
            meta: archive.meta()?,
            store: archive.part("store")?,
            centres: archive.part("centres")?,
            margins: archive.section("margins")?.to_vec(),
            codec: archive.part("codec")?,
            lens: numbers("lens")?,
            blocks: numbers("blocks")?,
            ids: numbers("ids")?,
            codes: archive.section("codes")?.to_vec(),
        })
    }
}

impl Lists {
    /// Rows that are wanted in place of others: of the first list that is not full the last, and the lane behind it.
    fn end(&self) -> usize {
        self.ids.iter().position(|&id| id == NONE).unwrap()
    }
}

/// A lie and what it is called.
type Lie = (&'static str, fn(&mut Forgery<Lists>));

const LIES: &[Lie] = &[
    ("a row that is not there", |f| f.index.ids[0] = 40),
    ("the largest row", |f| f.index.ids[0] = NONE - 1),
    ("a lane in use without a row", |f| f.index.ids[0] = NONE),
    ("a row in every lane of a block", |f| {
        let row = f.index.ids[0];
        f.index.ids[..3].fill(row);
    }),
    ("a row behind the end of its list", |f| {
        let end = f.index.end();
        f.index.ids[end] = 0;
    }),
    ("rows too few", |f| {
        let len = f.index.ids.len();
        f.index.ids.truncate(len - 16);
    }),
    ("half a block of rows", |f| f.index.ids.extend([NONE; 8])),
    ("a block of no list", |f| {
        f.index.ids.extend([NONE; 16]);
        let block = f.index.codes.len() / f.index.blocks.len();
        f.index.codes.extend(vec![0; block]);
    }),
    ("a list that ends beyond its blocks", |f| f.index.lens[0] += 16),
    ("a list that ends beyond all blocks", |f| f.index.lens[3] = NONE),
    ("a list longer by one", |f| f.index.lens[0] += 1),
    ("a list shorter by one", |f| f.index.lens[0] -= 1),
    ("a list without rows", |f| f.index.lens[0] = 0),
    ("a list too many", |f| f.index.lens.push(0)),
    ("a list too few", |f| f.index.lens.truncate(3)),
    ("a block that is not there", |f| f.index.blocks[0] = f.index.blocks.len() as u32),
    ("the largest block", |f| f.index.blocks[0] = NONE),
    ("a block of two lists", |f| f.index.blocks[0] = f.index.blocks[1]),
    ("a block too many", |f| f.index.blocks.push(0)),
    ("a block too few", |f| f.index.blocks.truncate(1)),
    ("codes too few", |f| {
        let len = f.index.codes.len();
        f.index.codes.truncate(len - 1);
    }),
    ("codes too many", |f| f.index.codes.push(0)),
    ("no codes", |f| f.index.codes.clear()),
    ("a row more than there is", |f| f.index.store.0.len += 1),
    ("a row less than there is", |f| f.index.store.0.len -= 1),
    ("rows without end", |f| f.index.store.0.len = u64::MAX),
    ("as many rows as may be", |f| f.index.store.0.len = (1 << 32) - 2),
    ("no columns", |f| f.index.store.0.dim = 0),
    ("another number of columns", |f| f.index.store.0.dim = 7),
    ("columns without end", |f| f.index.store.0.dim = u64::MAX),
    ("rows of another metric", |f| f.index.store.0.metric = "ip".into()),
    ("lists of another metric", |f| f.index.meta.metric = "ip".into()),
    ("lists of a metric without codes", |f| f.index.meta.metric = "l1".into()),
    ("codes of another metric", |f| f.index.codec.meta.metric = "cosine".into()),
    ("codes of another metric that has none", |f| f.index.codec.meta.metric = "hamming".into()),
    ("codes of no bits", |f| f.index.codec.meta.planes = 0),
    ("codes of other bits", |f| f.index.codec.meta.planes = 2),
    ("codes of too many bits", |f| f.index.codec.meta.planes = 255),
    ("a radius that is no number", |f| f.index.codec.meta.radius = f32::NAN),
    ("a radius of 0", |f| f.index.codec.meta.radius = 0.0),
    ("a radius without end", |f| f.index.codec.meta.radius = f32::INFINITY),
    ("a mean that is no number", |f| f.index.codec.mean[0] = f32::NAN),
    ("a column of the mean too few", |f| f.index.codec.mean.truncate(5)),
    ("no mean", |f| f.index.codec.mean.clear()),
    ("no lists", |f| f.index.meta.params.nlist = 0),
    ("fewer lists than there are", |f| f.index.meta.params.nlist = 3),
    ("lists without end", |f| f.index.meta.params.nlist = usize::MAX),
    ("codes of another kind", |f| f.index.meta.params.code = ListCode::Rows),
    ("a parameter of other bits", |f| f.index.meta.params.code = ListCode::Rabitq { bits: 2 }),
    ("product codes that are not there", |f| {
        f.index.meta.params.code = ListCode::Pq { m: 3, nbits: 4, rotate: None, eta: None };
    }),
    ("nothing to learn from", |f| f.index.meta.params.sample_per_list = 0),
    ("a weight that is no number", |f| f.index.meta.params.soar = Some(f32::NAN)),
    ("a weight below 0", |f| f.index.meta.params.soar = Some(-1.0)),
    ("a centre more than there is", |f| f.index.centres.meta.len += 1),
    ("a centre less than there is", |f| f.index.centres.meta.len -= 1),
    ("centres of another metric", |f| f.index.centres.meta.metric = "ip".into()),
    ("a margin too few", |f| f.index.margins.truncate(2)),
    ("a margin too many", |f| f.index.margins.push(f32::MAX)),
    ("a margin that is no number", |f| f.index.margins[1] = f32::NAN),
    ("a margin without end", |f| f.index.margins[3] = f32::INFINITY),
    ("margins that descend", |f| f.index.margins[0] = f32::MAX),
    ("spec with another number of lists", |f| f.meta.spec = "IVF5,RaBitQ1@l2".into()),
    ("spec with other codes", |f| f.meta.spec = "IVF4,RaBitQ2@l2".into()),
    ("spec with rows behind codes", |f| f.meta.spec = "IVF4,RaBitQ1,RFlat@l2".into()),
    ("second lists as the spec does not have them", |f| {
        let soar = &mut f.index.meta.params.soar;
        *soar = if soar.is_some() { None } else { Some(1.0) };
    }),
];

/// What an index could be, however odd.
const ODDITIES: &[Lie] = &[
    ("centres that are no numbers", |f| fill(f, f32::NAN)),
    ("centres without end", |f| fill(f, f32::INFINITY)),
    ("centres that are largest", |f| fill(f, f32::MAX)),
    ("codes of ones", |f| f.index.codes.fill(255)),
    ("codes of zeros", |f| f.index.codes.fill(0)),
    ("factors that are no numbers", |f| f.index.codes.fill(0x7e)),
    ("a depth without end", |f| f.index.meta.depth = u64::MAX),
    ("a depth of 0", |f| f.index.meta.depth = 0),
    ("no margins", |f| f.index.margins.clear()),
    ("margins that are largest", |f| f.index.margins.fill(f32::MAX)),
    ("margins that are least", |f| f.index.margins.fill(f32::MIN)),
    ("a tiny radius", |f| f.index.codec.meta.radius = f32::MIN_POSITIVE),
    ("a large radius", |f| f.index.codec.meta.radius = f32::MAX),
    ("a mean of the largest", |f| f.index.codec.mean.fill(f32::MAX)),
    ("another seed", |f| f.index.codec.meta.seed = 77),
];

fn fill(f: &mut Forgery<Lists>, value: f32) {
    let Values::F32(values) = &mut f.index.centres.values else { panic!("centres are floats") };
    let dim = f.index.centres.meta.dim as usize;
    let stride = values.len() / f.index.centres.meta.len as usize;
    values.chunks_mut(stride).for_each(|row| row[..dim].fill(value));
}

/// Calls `each` with every forgery of every sample.
fn forge(sample: &Sample, lie: impl FnOnce(&mut Forgery<Lists>), each: impl FnOnce(&std::path::Path)) {
    let folder = tempfile::tempdir().unwrap();
    let (honest, path) = (folder.path().join("honest.ann"), folder.path().join("forged.ann"));
    std::fs::write(&honest, &sample.bytes).unwrap();
    let mut forgery = Forgery::of(&honest);
    lie(&mut forgery);
    forgery.write(&path);
    each(&path);
}

#[test]
fn a_forgery_of_lists_without_lies_is_the_file_itself() {
    for sample in lists() {
        forge(&sample, |_| (), |path| assert_eq!(std::fs::read(path).unwrap(), sample.bytes, "{}", sample.name));
    }
}

#[test]
fn every_lie_about_lists_is_refused() {
    hold(|docket: &Docket| {
        for sample in lists() {
            for (name, lie) in LIES {
                docket.call(format!("{}, {name}", sample.name));
                forge(&sample, lie, |path| {
                    for mode in MODES {
                        assert!(open(path, mode).is_err(), "{mode:?}: opened");
                        assert!(open(path, unverified(mode)).is_err(), "{mode:?}, unverified: opened");
                    }
                });
            }
        }
    });
}

#[test]
fn odd_and_random_lists_are_refused_or_borne() {
    let random = |f: &mut Forgery<Lists>, seed: u64| {
        for i in 0..1 + seed % 3 {
            let draw = |j: u64, below: usize| split_mix(seed, 4 * i + j) as usize % below;
            let numbers = match draw(0, 3) {
                0 => &mut f.index.lens,
                1 => &mut f.index.blocks,
                _ => &mut f.index.ids,
            };
            let at = draw(1, numbers.len());
            numbers[at] = [0, 1, 16, 39, 40, NONE, draw(2, 40) as u32, draw(2, 8) as u32][draw(3, 8)];
        }
    };
    hold(move |docket: &Docket| {
        let bear = |path: &std::path::Path| {
            if let Ok(index) = open(path, MODES[0]) {
                survive(index);
            }
        };
        for sample in lists() {
            for (name, oddity) in ODDITIES {
                docket.call(format!("{}, {name}", sample.name));
                forge(&sample, oddity, bear);
            }
            for seed in 0..150 {
                docket.call(format!("{}, random lies of seed {seed}", sample.name));
                forge(&sample, |f| random(f, seed), bear);
            }
        }
    });
}
