//! Neighbour blocks against exact search: recall, counts, filters, growth, determinism and files.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_core::{
    All, Exact, FlatStore, Index, Matrix, Metric, Monitor, Par, Predicate, Searcher, SplitStore, VectorStore,
};
use ann_graph::{BlockError, BlockHnsw, BlockSearch, Hnsw};
use ann_quant::{NodeRabitq, NodeRabitqParams};
use ann_testkit::{portable, shapes};

type Blocks<S = FlatStore<f32>> = BlockHnsw<S, NodeRabitq>;

fn build(rows: &Matrix<f32>, metric: Metric, planes: usize, par: Par) -> Blocks {
    let store = FlatStore::<f32>::from_rows(rows.view(), metric).unwrap();
    let graph = Hnsw::builder().keep_pruned(true).par(par).build(store).unwrap();
    let codec = NodeRabitq::train(rows.view(), metric, &NodeRabitqParams { planes, seed: 1 }).unwrap();
    BlockHnsw::new(graph, codec, par).unwrap()
}

/// Share of the ten nearest that a search with `ef` finds.
fn recall(index: &Blocks, rows: &Matrix<f32>, queries: &Matrix<f32>, metric: Metric, ef: usize) -> f64 {
    let exact = Exact::new(FlatStore::<f32>::from_rows(rows.view(), metric).unwrap());
    let truth = exact.ground_truth(queries.view(), 10, Par::Ambient).unwrap();
    let mut searcher = Searcher::new(index, BlockSearch::ef(ef));
    let mut hits = 0;
    for (i, query) in queries.view().rows().enumerate() {
        let found = searcher.search(query, 10).unwrap();
        hits += found.iter().filter(|n| truth.ids(i).contains(&n.id)).count();
    }
    hits as f64 / (10 * queries.len()) as f64
}

/// The floor is what the walk over rows reaches with the same `ef`, less what one plane may lose.
#[test]
fn blocks_find_what_a_walk_over_rows_finds() {
    for (set, metric) in [(portable::mix128(6_000, 200), Metric::L2), (portable::spec256(6_000, 200), Metric::Cosine)] {
        let one = build(&set.base, metric, 1, Par::Ambient);
        let four = build(&set.base, metric, 4, Par::Ambient);
        let mut rows = Searcher::new(one.graph(), ann_graph::HnswSearch::ef(80));
        let exact = Exact::new(FlatStore::<f32>::from_rows(set.base.view(), metric).unwrap());
        let truth = exact.ground_truth(set.queries.view(), 10, Par::Ambient).unwrap();
        let mut hits = 0;
        for (i, query) in set.queries.view().rows().enumerate() {
            hits += rows.search(query, 10).unwrap().iter().filter(|n| truth.ids(i).contains(&n.id)).count();
        }
        let by_rows = hits as f64 / 2_000.0;
        let (one, four) =
            (recall(&one, &set.base, &set.queries, metric, 160), recall(&four, &set.base, &set.queries, metric, 80));
        assert!(four > by_rows - 0.015, "{}: {four} with four planes, {by_rows} over rows", set.name);
        assert!(one > by_rows - 0.02, "{}: {one} with one plane and twice the ef, {by_rows} over rows", set.name);
    }
}

#[test]
fn distances_are_exact_and_sorted_whatever_the_metric() {
    let set = portable::spec256(2_000, 20);
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let index = build(&set.base, metric, 1, Par::Ambient);
        let exact = Exact::new(FlatStore::<f32>::from_rows(set.base.view(), metric).unwrap());
        let (mut searcher, mut all) = (Searcher::new(&index, BlockSearch::default()), Searcher::new(&exact, ()));
        for query in set.queries.view().rows() {
            let truth = all.search(query, 2_000).unwrap().to_vec();
            let found = searcher.search(query, 10).unwrap();
            assert_eq!(found.len(), 10);
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{metric}: {found:?}");
            for n in found {
                assert!(truth.contains(n), "{metric}: {n:?} is not the distance of its row");
            }
        }
    }
}

#[test]
fn hostile_rows_give_all_that_there_is() {
    for shape in shapes::hostile(300, 24, 5) {
        for metric in [Metric::L2, Metric::InnerProduct] {
            let index = build(&shape.base, metric, 1, Par::Ambient);
            let mut searcher = Searcher::new(&index, BlockSearch::default());
            for query in shape.base.view().rows().take(5) {
                for k in [1, 10, 300, 1000] {
                    let found = searcher.search(query, k).unwrap();
                    assert_eq!(found.len(), k.min(300), "{} under {metric}, k = {k}", shape.name);
                }
            }
        }
    }
}

#[test]
fn a_filter_gives_as_many_as_match() {
    let set = portable::mix128(2_000, 10);
    let index = build(&set.base, Metric::L2, 1, Par::Ambient);
    let (mut scratch, mut out) = Default::default();
    for every in [2, 50, 1_000, 5_000] {
        let filter = Predicate(|id: u32| id % every == 1);
        let matches = (0..2_000).filter(|id| id % every == 1).count();
        for query in set.queries.view().rows() {
            let params = BlockSearch::ef(2_000);
            index.search_with(query, 10, &params, &filter, &mut scratch, &mut out).unwrap();
            assert_eq!(out.len(), matches.min(10), "every {every}");
            assert!(out.iter().all(|n| n.id % every == 1));
        }
    }
}

#[test]
fn threads_do_not_matter() {
    let set = portable::mix128(2_500, 10);
    let search = |par| {
        let index = build(&set.base, Metric::L2, 2, par);
        let mut searcher = Searcher::new(&index, BlockSearch::default());
        set.queries.view().rows().map(|q| searcher.search(q, 10).unwrap().to_vec()).collect::<Vec<_>>()
    };
    let serial = search(Par::Serial);
    assert_eq!(serial, search(Par::Threads(2)));
    assert_eq!(serial, search(Par::Threads(8)));
}

#[test]
fn rows_that_are_added_are_found_and_pieces_stay_current() {
    let set = portable::mix128(3_000, 50);
    let first = Matrix::new(set.base.as_slice()[..2_000 * 128].to_vec(), 128).unwrap();
    let mut index = build(&first, Metric::L2, 2, Par::Ambient);
    let added = set.base.view().slice(2_000..3_000);
    assert_eq!(index.extend(added.rows(), Par::Ambient, Monitor::new()).unwrap(), 2_000..3_000);
    assert_eq!(index.len(), 3_000);
    let mut searcher = Searcher::new(&index, BlockSearch::ef(100));
    let mut lost = 0;
    for (row, vector) in set.base.view().rows().enumerate() {
        lost += usize::from(searcher.search(vector, 1).unwrap()[0].id != row as u32);
    }
    assert!(lost <= 3, "{lost} rows do not find themselves");
    // The same links, encoded at once.
    let whole = BlockHnsw::new(index.graph().clone(), index.codec().clone(), Par::Serial).unwrap();
    let mut other = Searcher::new(&whole, BlockSearch::ef(100));
    for query in set.queries.view().rows() {
        assert_eq!(searcher.search(query, 10).unwrap(), other.search(query, 10).unwrap());
    }
    let broken = [f32::NAN; 128];
    assert!(index.extend([&broken[..]], Par::Serial, Monitor::new()).is_err());
    assert_eq!(index.len(), 3_000);
}

#[test]
fn empty_and_single_rows_are_searched() {
    let one = Matrix::from_rows(&[[1.0, 2.0]]).unwrap();
    let index = build(&one, Metric::L2, 1, Par::Ambient);
    let mut searcher = Searcher::new(&index, BlockSearch::default());
    assert_eq!(searcher.search(&[1.0, 3.0], 5).unwrap().len(), 1);
    assert_eq!(searcher.search(&[1.0, 3.0], 0).unwrap().len(), 0);
    assert!(searcher.search(&[f32::NAN, 0.0], 1).is_err());
    let empty = Hnsw::builder().build(FlatStore::<f32>::new(2, Metric::L2).unwrap()).unwrap();
    let codec = index.codec().clone();
    let mut index = BlockHnsw::new(empty, codec, Par::Serial).unwrap();
    let (mut scratch, mut out) = Default::default();
    index.search_with(&[0.0, 0.0], 3, &BlockSearch::default(), &All, &mut scratch, &mut out).unwrap();
    assert!(out.is_empty());
    index.extend(one.view().rows(), Par::Serial, Monitor::new()).unwrap();
    index.search_with(&[0.0, 0.0], 3, &BlockSearch::default(), &All, &mut scratch, &mut out).unwrap();
    assert_eq!(out.len(), 1);
}

#[test]
fn halves_are_refined_to_whole_rows() {
    let set = portable::spec256(1_500, 20);
    let store = SplitStore::from_rows(set.base.view(), Metric::Cosine).unwrap();
    let graph = Hnsw::builder().keep_pruned(true).build(store).unwrap();
    let codec = NodeRabitq::train(set.base.view(), Metric::Cosine, &NodeRabitqParams::default()).unwrap();
    let index: Blocks<SplitStore> = BlockHnsw::new(graph, codec, Par::Ambient).unwrap();
    let flat = FlatStore::<f32>::from_rows(set.base.view(), Metric::Cosine).unwrap();
    let (mut searcher, mut scratch) = (Searcher::new(&index, BlockSearch::default()), Default::default());
    for query in set.queries.view().rows() {
        use ann_core::DistanceOracle as _;
        let oracle = flat.oracle(query, &mut scratch);
        for n in searcher.search(query, 10).unwrap() {
            assert_eq!(n.distance, oracle.distance(n.id));
        }
    }
}

#[test]
fn codecs_and_graphs_that_do_not_fit_are_refused() {
    let rows = Matrix::new((0..400).map(|i| (i % 7) as f32).collect(), 4).unwrap();
    let graph = |m0| {
        let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap();
        Hnsw::builder().m0(m0).build(store).unwrap()
    };
    let codec =
        |metric, rows: &Matrix<f32>| NodeRabitq::train(rows.view(), metric, &NodeRabitqParams::default()).unwrap();
    let narrow = Matrix::new(vec![1.0; 6], 3).unwrap();
    for codec in [codec(Metric::L2, &narrow), codec(Metric::InnerProduct, &rows)] {
        let error = BlockHnsw::new(graph(32), codec, Par::Serial).unwrap_err();
        assert!(matches!(error, BlockError::Codec { .. }), "{error}");
    }
    let error = BlockHnsw::new(graph(80), codec(Metric::L2, &rows), Par::Serial).unwrap_err();
    assert_eq!(error.to_string(), "up to 80 neighbours per node, blocks hold 64");
}

#[cfg(feature = "persist")]
mod files {
    use super::*;
    use ann_io::container::{Archive, LoadError, OpenMode, Persist, SaveError, Writer};

    fn reload<A: Persist, B: Persist>(value: &A) -> Result<B, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.ann");
        let mut writer = Writer::new("test", 1).unwrap();
        writer.part("index", value).unwrap();
        writer.write(&path).unwrap();
        Archive::open(&path, OpenMode::Read)?.part("index")
    }

    #[test]
    fn a_saved_index_answers_as_before() {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            let set = portable::spec256(1_000, 20);
            let index = build(&set.base, metric, 2, Par::Ambient);
            let loaded: Blocks = reload(&index).unwrap();
            let mut before = Searcher::new(&index, BlockSearch::default());
            let mut after = Searcher::new(&loaded, BlockSearch::default());
            for query in set.queries.view().rows() {
                assert_eq!(before.search(query, 10).unwrap(), after.search(query, 10).unwrap());
            }
        }
    }

    /// What a [`BlockHnsw`] writes, to be changed before it is written.
    struct Forged {
        graph: Hnsw<FlatStore<f32>>,
        codec: NodeRabitq,
        pieces: Vec<u8>,
        leaders: Vec<u32>,
        leader_codes: Vec<u8>,
    }

    impl Persist for Forged {
        const KIND: &'static str = "blocks";
        const VERSION: u16 = 1;

        fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
            writer.part("graph", &self.graph)?;
            writer.part("codec", &self.codec)?;
            writer.section("pieces", &self.pieces)?;
            writer.section("leaders", &self.leaders)?;
            writer.section("leader_codes", &self.leader_codes)
        }

        fn load(archive: &Archive) -> Result<Self, LoadError> {
            Ok(Self {
                graph: archive.part("graph")?,
                codec: archive.part("codec")?,
                pieces: archive.section("pieces")?.to_vec(),
                leaders: archive.section("leaders")?.to_vec(),
                leader_codes: archive.section("leader_codes")?.to_vec(),
            })
        }
    }

    /// A change and what it is called.
    type Lie = (&'static str, fn(&mut Forged));

    #[test]
    fn files_that_do_not_fit_are_refused() {
        let set = portable::mix128(600, 1);
        let index = build(&set.base, Metric::L2, 1, Par::Ambient);
        let lies: [Lie; 6] = [
            ("a piece too few", |f| f.pieces.truncate(f.pieces.len() - 64)),
            ("a leader beyond the rows", |f| f.leaders[0] = 600),
            ("codes of fewer leaders", |f| f.leader_codes.truncate(64)),
            ("other links", |f| f.pieces.fill(7)),
            ("no links", |f| f.pieces.fill(255)),
            ("another metric", |f| {
                let rows = Matrix::new(vec![1.0; 128], 128).unwrap();
                f.codec = NodeRabitq::train(rows.view(), Metric::Cosine, &NodeRabitqParams::default()).unwrap();
            }),
        ];
        for (name, lie) in lies {
            let mut forged: Forged = reload(&index).unwrap();
            assert!(reload::<_, Blocks>(&forged).is_ok());
            lie(&mut forged);
            let error = reload::<_, Blocks>(&forged).unwrap_err();
            assert!(matches!(error, LoadError::Corrupt { .. }), "{name}: {error}");
        }
        // Codes may say anything: results may be poor, never wrong in number or distance.
        let mut forged: Forged = reload(&index).unwrap();
        let links = index.graph().hierarchy().base().as_slots();
        let stride = forged.pieces.len() / 600;
        for (node, piece) in forged.pieces.chunks_exact_mut(stride).enumerate() {
            let at = piece.windows(4).position(|w| w == links[node * 32].to_le_bytes()).unwrap();
            piece[..at.min(512)].fill(0xff);
        }
        if let Ok(loaded) = reload::<_, Blocks>(&forged) {
            let mut searcher = Searcher::new(&loaded, BlockSearch::default());
            assert_eq!(searcher.search(set.queries.row(0), 10).unwrap().len(), 10);
        }
    }
}
