use super::*;
use crate::{Anisotropic, AnisotropicParams, PqParams};
use ann_core::{Par, VectorStore};
use ann_testkit::portable::{Portable, iso64, mix128};

fn store(set: &Portable, m: usize) -> CodeStore<Pq> {
    let pq = Pq::train(set.base.view(), set.metric, &PqParams { m, nbits: 4, ..Default::default() }, Par::Ambient);
    CodeStore::from_rows(pq.unwrap(), set.base.view(), Par::Ambient).unwrap()
}

fn prepared(store: &CodeStore<Pq>, query: &[f32]) -> (PqQuery, FastQuery) {
    let (mut tables, mut fast) = (PqQuery::default(), FastQuery::default());
    store.quantizer().prepare(query, &mut tables);
    fast.prepare(&tables);
    (tables, fast)
}

#[test]
fn sums_are_those_of_the_codes_one_by_one() {
    for (n, m) in [(500, 32), (333, 13), (16, 8), (31, 1), (100, 60)] {
        let set = mix128(n.max(16), 2);
        let store = store(&set, m);
        let codes = FastCodes::new(&store).unwrap();
        let (_, query) = prepared(&store, set.queries.row(1));
        let mut sums = vec![7; codes.padded_len()];
        codes.scan(&query, &mut sums);
        for (id, &sum) in (0..store.len() as u32).zip(&sums) {
            let indices = store.quantizer().indices(store.code(id));
            let expected: u32 =
                indices.enumerate().map(|(group, index)| u32::from(query.tables()[group * 16 + index])).sum();
            assert_eq!(sum, expected, "{n} rows, {m} groups, row {id}");
            assert!(sum <= u32::from(u16::MAX));
        }
    }
}

#[test]
fn the_layout_is_that_of_the_module_documentation() {
    let set = mix128(40, 0);
    let store = store(&set, 20);
    let codes = FastCodes::new(&store).unwrap();
    assert_eq!((codes.blocks().len(), codes.padded_len(), codes.m()), (3 * 3 * 64, 48, 20));
    for row in [0, 17, 39] {
        for (group, index) in store.quantizer().indices(store.code(row as u32)).enumerate() {
            let (g, b) = (group / 8, group % 4);
            let byte = codes.blocks()[((row / 16) * 3 + g) * 64 + row % 16 * 4 + b];
            assert_eq!(usize::from(if group % 8 < 4 { byte & 15 } else { byte >> 4 }), index);
        }
    }
    // Rows and groups that do not exist are zero.
    assert!(codes.blocks()[(2 * 3) * 64 + 8 * 4..][..32].iter().all(|&byte| byte == 0));
}

#[test]
fn distances_are_within_the_error_of_the_tables_in_floating_point() {
    for (set, m) in [(mix128(700, 10), 32), (iso64(700, 10), 16)] {
        let store = store(&set, m);
        let codes = FastCodes::new(&store).unwrap();
        for query in set.queries.rows() {
            let (tables, fast) = prepared(&store, query);
            let (mut sums, mut exact) = (vec![0; codes.padded_len()], vec![0.0; 700]);
            codes.scan(&fast, &mut sums);
            store.quantizer().scan(&tables, store.rows(), &mut exact);
            for (&sum, exact) in sums.iter().zip(exact) {
                assert!((fast.distance(sum) - exact).abs() <= fast.error());
            }
            assert!(fast.error() < 0.1 * fast.distance(sums[0]));
        }
    }
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let set = mix128(40, 0);
    let codes = FastCodes::new(&store(&set, 20)).unwrap();
    let parts = |m, len, change: fn(&mut Buffer<u8>)| {
        let mut blocks = codes.blocks.clone();
        change(&mut blocks);
        FastCodes::from_parts(m, len, blocks).map(|_| ())
    };
    assert!(parts(20, 40, |_| ()).is_ok() && FastCodes::from_parts(3, 0, Buffer::new()).is_ok());
    type Lie = (usize, usize, fn(&mut Buffer<u8>));
    let lies: [Lie; 7] = [
        (0, 40, |_| ()),
        (usize::MAX, 40, |_| ()),
        (25, 40, |_| ()),
        (20, 49, |_| ()),
        (20, usize::MAX, |_| ()),
        // Group 20 of row 0, then group 0 of row 40.
        (20, 40, |blocks| blocks.as_mut_slice()[2 * 64] |= 0x10),
        (20, 40, |blocks| blocks.as_mut_slice()[2 * 3 * 64 + 8 * 4] |= 1),
    ];
    for (at, (m, len, change)) in lies.into_iter().enumerate() {
        assert!(matches!(parts(m, len, change), Err(TrainError::Param { .. })), "lie {at}");
    }
}

#[test]
fn hostile_tables_neither_overflow_nor_divide_by_zero() {
    let mut query = FastQuery::default();
    query.prepare(&PqQuery { tables: vec![3.0; 32], base: 1.0 });
    assert_eq!((query.distance(0), query.error() < 1e-3), (7.0, true));
    assert!(query.tables().iter().all(|&byte| byte == 0));
    // More groups than 16 bits hold at full scale.
    let tables = (0..4096 * 16).map(|i| (i % 16) as f32).collect();
    query.prepare(&PqQuery { tables, base: 0.0 });
    let largest: u32 = query.tables().chunks(16).map(|table| u32::from(table[15])).sum();
    assert!(largest <= u32::from(u16::MAX) && largest > 60_000, "{largest}");
    query.prepare(&PqQuery { tables: [f32::MAX, f32::MIN, 0.0, 0.0].repeat(4), base: 0.0 });
    assert_eq!(query.tables().len(), 128);
    query.prepare(&PqQuery::default());
    assert!(query.tables().is_empty());
}

#[test]
fn every_quantizer_of_4_bits_can_be_scanned_and_no_other() {
    let set = mix128(300, 0);
    let params = AnisotropicParams { pq: PqParams { m: 8, nbits: 4, ..Default::default() }, ..Default::default() };
    let quantizer = Anisotropic::train(set.base.view(), ann_core::Metric::InnerProduct, &params, Par::Serial).unwrap();
    assert!(FastCodes::new(&CodeStore::from_rows(quantizer, set.base.view(), Par::Serial).unwrap()).is_some());
    let pq = Pq::train(set.base.view(), set.metric, &PqParams { m: 8, nbits: 8, ..Default::default() }, Par::Serial);
    assert!(FastCodes::new(&CodeStore::from_rows(pq.unwrap(), set.base.view(), Par::Serial).unwrap()).is_none());
    assert!(FastCodes::new(&CodeStore::new(store(&set, 8).quantizer().clone())).unwrap().is_empty());
}

/// faiss 1.15.1: recall through bytes is that of the tables in floating point, within 0.001.
#[test]
#[ignore = "slow: three trainings on whole sets"]
fn acceptance_bytes_cost_no_recall() {
    let (mix, iso) = (mix128(50_000, 1000), iso64(20_000, 1000));
    for (set, m) in [(&mix, 32), (&mix, 64), (&iso, 16)] {
        let store = store(set, m);
        let codes = FastCodes::new(&store).unwrap();
        let (mut sums, mut exact) = (vec![0; codes.padded_len()], vec![0.0; store.len()]);
        let (mut by_bytes, mut by_floats) = (0, 0);
        for query in set.queries.rows() {
            let truth: Vec<u32> =
                ann_testkit::nearest(set.base.view(), query, set.metric, 10).iter().map(|n| n.0).collect();
            let (tables, fast) = prepared(&store, query);
            codes.scan(&fast, &mut sums);
            store.quantizer().scan(&tables, store.rows(), &mut exact);
            let mut ids: Vec<u32> = (0..store.len() as u32).collect();
            ids.sort_unstable_by_key(|&id| (sums[id as usize], id));
            by_bytes += truth.iter().filter(|id| ids[..10].contains(id)).count();
            ids.sort_unstable_by(|&a, &b| exact[a as usize].total_cmp(&exact[b as usize]).then(a.cmp(&b)));
            by_floats += truth.iter().filter(|id| ids[..10].contains(id)).count();
        }
        let (bytes, floats) = (by_bytes as f64 / 1e4, by_floats as f64 / 1e4);
        eprintln!("{} PQ{m}x4: {bytes:.4} by bytes, {floats:.4} by floats", set.name);
        assert!((bytes - floats).abs() <= 0.002, "{} {m}: {bytes} {floats}", set.name);
    }
}
