//! Files: what is read back is what was written, and what is damaged is an error.

use crate::support::{TARGETS, bytes, search, store};
use ann_core::simd::Buffer;
use ann_core::{FlatStore, Index, Metric, Searcher};
use ann_graph::{Deg, DegParams, HnswSearch};
use ann_io::container::{Archive, LoadError, Persist, Writer};
use ann_testkit::portable;
use serde::Serialize;

type Index32 = Deg<FlatStore<f32>>;

fn load(bytes: &[u8]) -> Result<Index32, LoadError> {
    Archive::from_bytes(Buffer::from_slice(bytes))?.load()
}

fn build(n: usize) -> Index32 {
    let set = portable::iso64(n.max(1), 1);
    Deg::builder().degree(6).k_ext(12).build(store(set.base.view().slice(0..n), Metric::L2)).unwrap()
}

#[test]
fn an_index_of_any_size_comes_back_and_goes_on() {
    for n in [0, 1, 2, 6, 7, 8, 9, 300] {
        for target in TARGETS {
            let set = portable::iso64(n.max(1), 20);
            let builder = Deg::builder().degree(6).k_ext(12).target(target);
            let mut deg = builder.build(store(set.base.view().slice(0..n), Metric::L2)).unwrap();
            let saved = bytes(&deg);
            let mut loaded = load(&saved).unwrap();
            assert!(bytes(&loaded) == saved && loaded.params() == deg.params());
            for query in set.queries.rows() {
                let params = search(20, 0.1);
                let expected = Searcher::new(&deg, params).search(query, 5).unwrap().to_vec();
                assert_eq!(Searcher::new(&loaded, params).search(query, 5).unwrap(), expected);
                deg.insert(query).unwrap();
                loaded.insert(query).unwrap();
                assert_eq!((deg.remove(0), loaded.remove(0)).0, Ok((deg.len() > 0).then_some(deg.len() as u32)));
            }
            assert!(bytes(&deg) == bytes(&loaded), "{n} {target:?}");
        }
    }
}

#[test]
fn a_file_cut_short_or_flipped_is_an_error_or_still_sound() {
    let saved = bytes(&build(40));
    for len in (0..saved.len()).step_by(5) {
        assert!(load(&saved[..len]).is_err(), "{len}");
    }
    let query = portable::iso64(1, 1).queries;
    for byte in 0..saved.len() {
        let mut flipped = saved.clone();
        flipped[byte] ^= 1 << (byte % 8);
        // Whatever a reader accepts without looking at every sum must do no harm.
        if let Ok(mut deg) = load(&flipped) {
            assert_eq!(Searcher::new(&deg, HnswSearch::default()).search(query.row(0), 40).unwrap().len(), 40);
            _ = deg.remove(3);
            assert_eq!(deg.len(), 39);
        }
    }
}

#[derive(Serialize)]
struct Meta {
    params: DegParams,
    tries: u64,
}

/// What is done to parameters, links and their lengths before they are written.
type Forge<'a> = &'a dyn Fn(&mut DegParams, &mut Vec<u32>, &mut Vec<f32>);

/// A file whose sums are right and whose links are what `change` makes of them.
fn forged(
    deg: &Index32,
    change: impl FnOnce(&mut DegParams, &mut Vec<u32>, &mut Vec<f32>),
) -> Result<Index32, LoadError> {
    let (mut params, mut links) = (*deg.params(), deg.graph().as_slots().to_vec());
    let mut weights: Vec<f32> = (0..deg.len() as u32).flat_map(|row| deg.neighbors(row).map(|n| n.distance)).collect();
    change(&mut params, &mut links, &mut weights);
    let mut writer = Writer::new(Index32::KIND, Index32::VERSION).unwrap();
    writer.meta(&Meta { params, tries: 0 }).unwrap();
    writer.part("store", deg.store()).unwrap();
    writer.section("links", &links).unwrap();
    writer.section("weights", &weights).unwrap();
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    load(&bytes)
}

#[test]
fn links_that_cannot_be_are_named() {
    let deg = build(60);
    assert!(forged(&deg, |_, _, _| ()).is_ok());
    let error = |change: Forge<'_>| {
        let error = forged(&deg, change).expect_err("a forged file is loaded");
        assert!(matches!(error, LoadError::Corrupt { .. }), "{error}");
        error.to_string()
    };
    assert!(error(&|_, links, _| links[0] = 60).contains("a link leads to no node"));
    assert!(error(&|_, links, _| links[6 * 9] = 9).contains("back to its own"));
    assert!(error(&|_, links, _| links.swap(0, 1)).contains("node 0 has not 6 neighbours in ascending order"));
    assert!(error(&|_, links, _| links[1] = links[0]).contains("ascending"));
    assert!(error(&|_, links, _| links[6 * 60 - 1] = u32::MAX).contains("does not list"));
    assert!(error(&|_, _, weights| weights[8] += 1.0).contains("at the same distance"));
    assert!(error(&|_, _, weights| weights.truncate(359)).contains("weights"));
    assert!(error(&|params, _, _| params.degree = 5).contains("degree is 5"));
    assert!(error(&|params, _, _| params.degree = 12).contains("links"));
    assert!(error(&|params, _, _| params.eps_ext = -1.0).contains("eps_ext"));
    // Every link replaced by every other node: nothing of it is a graph, and nothing panics.
    for slot in 0..60 * 6 {
        for to in (0..60).chain([u32::MAX, u32::MAX - 1]) {
            if deg.graph().as_slots()[slot] != to {
                assert!(forged(&deg, |_, links, _| links[slot] = to).is_err(), "slot {slot} to {to}");
            }
        }
    }
}

#[test]
fn a_graph_in_two_parts_is_an_error() {
    // Twice the complete graph of seven.
    let deg = build(14);
    let error = forged(&deg, |_, links, weights| {
        *links = (0..14u32).flat_map(|row| (row / 7 * 7..row / 7 * 7 + 7).filter(move |&to| to != row)).collect();
        weights.fill(1.0);
    });
    assert!(error.unwrap_err().to_string().contains("7 of 14 nodes can be reached"));
}
