//! Building a graph on disk in as much memory as there is.
//!
//! Rows that fit are linked together. Others are divided into overlapping shards (`shards.rs`), each shard is linked by
//! itself with two thirds of the degree, and its lists go to a draft beside the target; then the lists of every row are
//! merged, and chosen from anew by the rule of the graph where they are too long. Walks in the merged graph begin at the
//! nearest of the entries of all shards.
//!
//! Source: Subramanya et al., *DiskANN*, NeurIPS 2019, section 3.4. *Where we differ*: a list that is too long goes through
//! the rule, where the code of the authors cuts a shuffled list; the entries of all shards are kept.
//!
//! Cost: every row is linked twice, in graphs that are smaller: about one and a half times the time of one build.

use super::shards::{COPIES, Shards};
use super::write::{Links, write_links};
use super::{DiskError, DiskGraph};
use crate::adjacency::NONE;
use crate::select::{Base, SelectScratch, Selection, select_neighbors};
use crate::{BuildError, Hnsw, HnswParams};
use ann_core::{
    DistanceOracle, FlatStore, Monitor, Neighbor, Par, PushVector, ReadRow, RowError, ScratchPool, VectorStore,
    padded_len,
};
use ann_io::ReadAt;
use ann_io::container::Persist;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Rows of a shard below which a build would be all seams.
const LEAST_SHARD: usize = 256;
/// Rows merged at a time, and per unit of parallel work.
const MERGED_AT_ONCE: usize = 1024;
const CHUNK: usize = 16;
/// Times that a draft's name is tried.
const ATTEMPTS: u32 = 1000;

/// Builds a [`DiskGraph`] from rows that may be larger than memory, such as those of a mapped file.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Par};
/// use ann_graph::{DiskBuilder, DiskGraph, HnswParams};
/// use ann_io::container::{self, OpenMode};
/// use ann_quant::{CodeStore, Pq, PqParams};
/// let rows = Matrix::new((0..16 * 900).map(|i| (i * i % 97) as f32).collect(), 16)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let pq = Pq::train(rows.view(), Metric::L2, &PqParams::default(), Par::Ambient)?;
/// let codes = CodeStore::from_rows(pq, rows.view(), Par::Ambient)?;
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index.ann");
/// DiskBuilder::new(HnswParams::vamana(24)).budget(120_000).build(&path, &store, &codes)?;
/// let index: DiskGraph<CodeStore<Pq>> = container::load(&path, OpenMode::OnDemand)?;
/// assert_eq!(ann_core::Index::len(&index), 900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DiskBuilder<'a> {
    params: HnswParams,
    budget: u64,
    par: Par,
    monitor: Monitor<'a>,
}

impl<'a> DiskBuilder<'a> {
    /// Builds graphs of `params`, of one layer whatever these say; [`HnswParams::vamana`] suits best.
    pub fn new(params: HnswParams) -> Self {
        let params = HnswParams { max_layers: 1, ..params };
        Self { params, budget: u64::MAX, par: Par::default(), monitor: Monitor::new() }
    }

    /// Most bytes of memory that grow with the rows: a copy of the rows that are linked at a time, their links, and 4 bytes
    /// for each row of all. Rows and codes that the caller holds are the caller's.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// On which threads to build; the file is the same on any.
    pub fn par(mut self, par: Par) -> Self {
        self.par = par;
        self
    }

    /// Whom to tell of progress, after each shard, and who may cancel.
    pub fn monitor(mut self, monitor: Monitor<'a>) -> Self {
        self.monitor = monitor;
        self
    }

    /// Links `rows` and writes the graph with `codes` of the same rows to the file at `path`, as [`DiskGraph::write`] does. A
    /// build in shards keeps drafts beside it meanwhile, some `10 max_degree` bytes per row.
    ///
    /// # Errors
    /// [`DiskError::Build`] if a parameter is out of range or the build was cancelled; [`DiskError::Budget`] if no shard fits the
    /// budget; [`DiskError::Draft`]; those of [`DiskGraph::write`].
    pub fn build<R, C>(self, path: impl AsRef<Path>, rows: &R, codes: &C) -> Result<(), DiskError>
    where
        R: ReadRow,
        C: VectorStore<Vector = [f32]> + Persist,
    {
        self.params.check().map_err(BuildError::from)?;
        let (path, len) = (path.as_ref(), rows.len());
        if len as u64 * self.bytes_per_row(rows.dim()) <= self.budget {
            let graph = self.link(self.params, rows, 0..len as u32)?;
            return DiskGraph::write(path, graph.hierarchy(), rows, codes);
        }
        let most = self.shard_len(rows)?;
        self.par.install(|par| Self { par, ..self }.build_shards(path, rows, codes, most))
    }

    /// Rows that a shard may have.
    fn shard_len<R: ReadRow>(&self, rows: &R) -> Result<usize, DiskError> {
        let (placed, each) = (rows.len() as u64 * size_of::<[u16; COPIES]>() as u64, self.bytes_per_row(rows.dim()));
        let most = usize::try_from(self.budget.saturating_sub(placed) / each).unwrap_or(usize::MAX).min(rows.len());
        if most < LEAST_SHARD || Shards::count(rows.len(), most).is_none() {
            let rows_needed = LEAST_SHARD.max(rows.len() / usize::from(u16::MAX) * 4);
            let needed = placed + rows_needed as u64 * each;
            return Err(DiskError::Budget { needed, budget: self.budget });
        }
        Ok(most)
    }

    /// Memory of a row that is linked: itself, its list, its parent, its place in the order, its number and slack for rounds.
    fn bytes_per_row(&self, dim: usize) -> u64 {
        let words = padded_len::<f32>(dim) + self.params.m0() + 4;
        words as u64 * 4 + 16
    }

    /// Links the rows `members`.
    fn link<R: ReadRow>(
        &self,
        params: HnswParams,
        rows: &R,
        members: impl Iterator<Item = u32>,
    ) -> Result<Hnsw<FlatStore<f32>>, DiskError> {
        let mut store = FlatStore::<f32>::new(rows.dim(), rows.metric())?;
        store.reserve(members.size_hint().0);
        let mut values = Vec::new();
        for row in members {
            rows.read(row, &mut values);
            store.push(&values).map_err(|source| BuildError::Row(RowError { row: row as usize, source }))?;
        }
        Ok(Hnsw::builder().params(params).par(self.par).build(store)?)
    }

    fn build_shards<R, C>(self, path: &Path, rows: &R, codes: &C, most: usize) -> Result<(), DiskError>
    where
        R: ReadRow,
        C: VectorStore<Vector = [f32]> + Persist,
    {
        let len = rows.len();
        let count = Shards::count(len, most).unwrap_or(COPIES);
        let shards = Shards::divide(rows, count, most, self.params.seed, self.par)?;
        let degree = self.params.m0();
        // Two lists of this length seldom have more than `degree` different nodes after the rule.
        let part = HnswParams { m: (2 * self.params.m / 3).max(2), m0: Some((2 * degree / 3).max(2)), ..self.params };
        let mut lists = Draft::create(path, part.m0())?;
        let (mut starts, mut entries, mut done) = (Vec::with_capacity(count), Vec::new(), 0);
        for shard in 0..count {
            self.monitor.report(done, (len * COPIES) as u64).map_err(BuildError::from)?;
            let members: Vec<u32> = shards.rows(shard).collect();
            let graph = self.link(part, rows, members.iter().copied())?;
            starts.push(done);
            done += members.len() as u64;
            entries.extend(graph.hierarchy().entry().map(|entry| members[entry as usize]));
            for node in 0..members.len() as u32 {
                lists.push(graph.hierarchy().base().neighbors(node).map(|id| members[id as usize]))?;
            }
        }
        entries.sort_unstable();
        entries.dedup();
        self.monitor.report(done, done).map_err(BuildError::from)?;
        lists.flush()?;
        let merged = self.merge(path, rows, &shards, starts, &lists)?;
        drop(lists);
        let links = |node: u32, out: &mut Vec<u32>| merged.read(u64::from(node), out);
        write_links(path, Links { of: &links, max_degree: degree, entries: &entries }, rows, codes)
    }

    /// The lists of every row in one; `starts` has the place of the first list of every shard.
    fn merge<R: ReadRow>(
        &self,
        path: &Path,
        rows: &R,
        shards: &Shards,
        mut starts: Vec<u64>,
        lists: &Draft,
    ) -> Result<Draft, DiskError> {
        let degree = self.params.m0();
        let selection = Selection { rule: self.params.rule, keep_pruned: self.params.keep_pruned };
        let mut merged = Draft::create(path, degree)?;
        let pool = ScratchPool::<Scratch<R>>::default();
        for start in (0..rows.len()).step_by(MERGED_AT_ONCE) {
            let end = (start + MERGED_AT_ONCE).min(rows.len());
            // Rows of a shard are in order, and so are its lists.
            let mut unions = Vec::with_capacity(end - start);
            for row in start..end {
                let mut union = Vec::new();
                for shard in shards.of(row) {
                    lists.read(starts[shard], &mut union).map_err(DiskError::Draft)?;
                    starts[shard] += 1;
                }
                union.sort_unstable();
                union.dedup();
                unions.push(union);
            }
            let chosen = self.par.map_chunks(unions.len(), CHUNK, &pool, |scratch, range| {
                let choose = |i: usize| scratch.choose(rows, (start + i) as u32, &unions[i], selection, degree);
                range.map(choose).collect::<Vec<_>>()
            });
            for list in chosen.into_iter().flatten() {
                merged.push(list.into_iter())?;
            }
        }
        merged.flush()?;
        Ok(merged)
    }
}

/// Where a merged list is chosen.
struct Scratch<S: VectorStore> {
    oracle: S::Scratch,
    select: SelectScratch<S>,
    distances: Vec<f32>,
    candidates: Vec<Neighbor>,
    kept: Vec<Neighbor>,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self {
            oracle: S::Scratch::default(),
            select: SelectScratch::default(),
            distances: Vec::new(),
            candidates: Vec::new(),
            kept: Vec::new(),
        }
    }
}

impl<S: VectorStore> Scratch<S> {
    /// At most `degree` of the nodes of `union`, nearest first.
    fn choose(&mut self, rows: &S, row: u32, union: &[u32], selection: Selection, degree: usize) -> Vec<u32> {
        let Self { oracle, select, distances, candidates, kept } = self;
        let oracle = rows.oracle_at(row, oracle);
        distances.resize(union.len(), 0.0);
        oracle.distances(union, distances);
        candidates.clear();
        candidates.extend(union.iter().zip(distances.iter()).map(|(&id, &d)| Neighbor::new(id, d)));
        candidates.sort_unstable();
        if candidates.len() <= degree {
            return candidates.iter().map(|n| n.id).collect();
        }
        let base = Base { itself: oracle.distance(row), degree };
        select_neighbors(rows, selection, |node| node, base, candidates, kept, select);
        kept.iter().map(|n| n.id).collect()
    }
}

/// Lists of at most so many ids, one after another in a file that is gone afterwards.
struct Draft {
    path: PathBuf,
    file: File,
    slots: usize,
    /// Lists that are not yet in the file.
    written: Vec<u8>,
}

impl Draft {
    /// A new file in the folder of `target`.
    fn create(target: &Path, slots: usize) -> Result<Self, DiskError> {
        let failed = |reason: &str| DiskError::Draft(io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned()));
        let name = target.file_name().ok_or_else(|| failed("no file name"))?;
        for attempt in 0..ATTEMPTS {
            let mut draft = std::ffi::OsString::from(".");
            draft.push(name);
            draft.push(format!(".{}-{attempt}.links.tmp", std::process::id()));
            let path = target.with_file_name(draft);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file, slots, written: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DiskError::Draft(error)),
            }
        }
        Err(failed("too many drafts beside the target"))
    }

    /// Appends a list of at most `slots` ids.
    fn push(&mut self, list: impl Iterator<Item = u32>) -> Result<(), DiskError> {
        const AT_ONCE: usize = 1 << 16;
        let filled = list.chain(std::iter::repeat(NONE)).take(self.slots);
        filled.for_each(|id| self.written.extend_from_slice(&id.to_le_bytes()));
        if self.written.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.file.write_all(&self.written).map_err(DiskError::Draft)?;
        self.written.clear();
        Ok(())
    }

    /// Appends list `number` to `out`.
    fn read(&self, number: u64, out: &mut Vec<u32>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + self.slots, NONE);
        let bytes = self.slots as u64 * size_of::<u32>() as u64;
        self.file.read_at(number * bytes, bytemuck::cast_slice_mut(&mut out[start..]))?;
        let used = out[start..].iter().take_while(|&&id| id != NONE).count();
        out.truncate(start + used);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What brought us here matters more than a file that stays behind.
        let _ = std::fs::remove_file(&self.path);
    }
}
