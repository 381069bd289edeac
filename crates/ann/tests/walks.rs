//! What a user does with an index, from the first row to the file and back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use ann::core::{split_mix, unit};
use ann::io::container::OpenMode;
use ann::prelude::*;
use ann::{ElementKind, Error, LabelError, Monitor};

const SPECS: [&str; 5] = ["Flat", "HNSW8", "KDTree", "RPForest4", "KMeansTree8"];

/// Numbers between -1 and 1.
fn floats(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..(n * dim) as u64).map(|i| (2.0 * unit(split_mix(seed, i)) - 1.0) as f32).collect(), dim).unwrap()
}

/// Whole numbers that fit a byte.
fn bytes(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..(n * dim) as u64).map(|i| (split_mix(seed, i) % 256) as f32).collect(), dim).unwrap()
}

fn labels(found: &[Hit]) -> Vec<u64> {
    found.iter().map(|hit| hit.label).collect()
}

/// The share of true neighbours that `index` finds, where `exact` finds them all.
fn recall(index: &Index, exact: &Index, queries: &Matrix<f32>, k: usize) -> f64 {
    let found = |query: &[f32]| {
        let truth = labels(&exact.search(query, k).unwrap());
        labels(&index.search(query, k).unwrap()).iter().filter(|label| truth.contains(label)).count()
    };
    queries.rows().map(found).sum::<usize>() as f64 / (queries.len() * k) as f64
}

fn message<T>(result: Result<T, Error>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn labels_name_rows_from_the_build_through_adding_and_saving() {
    for spec in SPECS {
        let (first, more) = (floats(50, 5, 1), floats(30, 5, 2));
        let names: Vec<u64> = (0..50).map(|row| 1 << 40 | row).collect();
        let options = BuildOptions { labels: Some(&names), ..BuildOptions::default() };
        let mut index = spec.parse::<Spec>().unwrap().build(&first, &options).unwrap();
        assert_eq!(index.search(first.row(7), 1).unwrap()[0], Hit { label: 1 << 40 | 7, distance: 0.0 });
        assert!(index.contains(1 << 40 | 49) && !index.contains(49));

        let names: Vec<u64> = (0..30).collect();
        index.add(&more, Some(&names)).unwrap();
        assert_eq!((index.len(), index.search(more.row(29), 1).unwrap()[0].label), (80, 29));
        // Without labels a row takes its number.
        index.add(&floats(1, 5, 3), None).unwrap();
        assert_eq!(index.search(floats(1, 5, 3).row(0), 1).unwrap()[0].label, 80);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.ann");
        index.save(&path).unwrap();
        let opened = ann::open(&path).unwrap();
        assert_eq!(opened.search(more.row(3), 20).unwrap(), index.search(more.row(3), 20).unwrap());
        assert!(opened.contains(80) && opened.contains(1 << 40) && !opened.contains(81));
    }
}

#[test]
fn a_taken_label_is_named_with_both_rows_and_changes_nothing() {
    for spec in SPECS {
        let mut index = ann::index_factory(spec, &floats(10, 3, 1), Metric::L2).unwrap();
        let error = index.add(&floats(3, 3, 2), Some(&[100, 4, 101])).unwrap_err();
        assert!(matches!(error, Error::Label(LabelError::Taken { row: 1, label: 4, by: 4 })), "{error:?}");
        assert_eq!(error.to_string(), "row 1: label 4 is taken by row 4");
        assert_eq!(message(index.add(&floats(3, 3, 2), Some(&[1]))), "1 labels for 3 rows");
        assert!(index.len() == 10 && !index.contains(100));
        index.add(&floats(3, 3, 2), Some(&[100, 101, 102])).unwrap();
        // The next row's number is free again only if nobody took it.
        assert_eq!(
            index.add(&floats(1, 3, 5), Some(&[102])).unwrap_err().to_string(),
            "row 0: label 102 is taken by row 12"
        );
    }
    let options = BuildOptions { labels: Some(&[3, 3]), ..BuildOptions::default() };
    let error = "Flat".parse::<Spec>().unwrap().build(&floats(2, 3, 1), &options);
    assert_eq!(message(error), "row 1: label 3 is taken by row 0");
}

#[test]
fn rows_that_bytes_cannot_hold_widen_the_index_without_losing_recall() {
    let (first, more, queries) = (bytes(600, 12, 1), floats(600, 12, 2), floats(50, 12, 3));
    let scaled =
        |rows: &Matrix<f32>| Matrix::new(rows.as_slice().iter().map(|x| 128.0 + 128.0 * x).collect(), 12).unwrap();
    let (more, queries) = (scaled(&more), scaled(&queries));
    let mut all = first.as_slice().to_vec();
    all.extend_from_slice(more.as_slice());
    let all = Matrix::new(all, 12).unwrap();
    for metric in [Metric::L2, Metric::Cosine, Metric::L1] {
        let exact = ann::index_factory("Flat", &all, metric).unwrap();
        let at_once = ann::build(&all, metric).unwrap();
        let mut grown = ann::build(&first, metric).unwrap();
        assert_eq!(grown.element(), ElementKind::U8);
        grown.add(&more, None).unwrap();
        assert_eq!((grown.element(), grown.len()), (ElementKind::F32, 1200));
        let (grown, at_once) = (recall(&grown, &exact, &queries, 10), recall(&at_once, &exact, &queries, 10));
        assert!(grown >= 0.97 && grown >= at_once - 0.02, "{metric}: grown {grown}, at once {at_once}");
    }
}

#[test]
fn an_index_of_no_rows_grows() {
    for spec in SPECS {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            let mut index = ann::index_factory(spec, &Matrix::new(Vec::new(), 4).unwrap(), metric).unwrap();
            assert!(index.is_empty() && index.search(&[1.0; 4], 5).unwrap().is_empty());
            let rows = floats(60, 4, 1);
            for row in 0..60 {
                index.add(rows.view().slice(row..row + 1), None).unwrap();
            }
            let at_once = ann::index_factory("Flat", &rows, metric).unwrap();
            assert_eq!(recall(&index, &at_once, &floats(20, 4, 2), 5), 1.0, "{spec} {metric}");
        }
    }
}

#[test]
fn an_index_of_no_rows_is_saved_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    for spec in SPECS {
        let path = folder.path().join(spec);
        ann::index_factory(spec, &Matrix::new(Vec::new(), 4).unwrap(), Metric::L2).unwrap().save(&path).unwrap();
        for mode in [OpenMode::Map, OpenMode::Read] {
            let mut index = ann::open_with(&path, mode).unwrap();
            assert!(index.search(&[0.0; 4], 3).unwrap().is_empty());
            index.add(&floats(5, 4, 1), Some(&[9, 8, 7, 6, 5])).unwrap();
            assert_eq!(index.search(floats(5, 4, 1).row(1), 1).unwrap()[0].label, 8);
        }
    }
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    for spec in SPECS {
        let mut index = ann::index_factory(spec, &floats(20, 4, 1), Metric::Cosine).unwrap();
        let with = |row: usize, column: usize, value: f32| {
            let mut rows = floats(3, 4, 2);
            rows.as_mut_slice()[4 * row + column] = value;
            rows
        };
        let mut zero = floats(3, 4, 2);
        zero.as_mut_slice()[8..].fill(0.0);

        let fits = "the query does not fit: ";
        let direction = "the vector is zero, which has no direction under the cosine metric";
        assert_eq!(message(index.search(&[1.0; 3], 1)), format!("{fits}the vector has 3 columns, expected 4"));
        assert_eq!(
            message(index.search(&[1.0, 0.0, f32::NAN, f32::NAN], 1)),
            format!("{fits}column 2 is NaN, expected a finite number")
        );
        assert_eq!(
            message(index.search(&[1.0, f32::NEG_INFINITY, 0.0, 0.0], 1)),
            format!("{fits}column 1 is -inf, expected a finite number")
        );
        assert_eq!(message(index.search(&[0.0; 4], 1)), format!("{fits}{direction}"));

        let params = SearchParams::default();
        let batch = |rows: &Matrix<f32>| message(index.search_batch(rows, 1, &params, Par::Ambient));
        assert_eq!(batch(&floats(2, 5, 1)), "row 0: the vector has 5 columns, expected 4");
        assert_eq!(batch(&with(1, 3, f32::NAN)), "row 1: column 3 is NaN, expected a finite number");
        assert_eq!(batch(&zero), format!("row 2: {direction}"));

        let not_finite = "row 2: column 0 is inf, expected a finite number";
        let build = |rows: &Matrix<f32>| message(ann::index_factory(spec, rows, Metric::Cosine));
        assert_eq!(build(&with(2, 0, f32::INFINITY)), not_finite);
        assert_eq!(build(&zero), format!("row 2: {direction}"));
        assert_eq!(message(index.add(&with(2, 0, f32::INFINITY), None)), not_finite);
        assert_eq!(message(index.add(&zero, None)), format!("row 2: {direction}"));
        assert_eq!(message(index.add(&floats(2, 5, 1), None)), "row 0: the vector has 5 columns, expected 4");
        assert_eq!(index.len(), 20, "a failed addition changes nothing");
        index.add(&floats(3, 4, 2), None).unwrap();
        assert_eq!(index.search(floats(3, 4, 2).row(1), 1).unwrap()[0].label, 21);
    }
}

#[test]
fn errors_at_the_door_name_the_feature_metric_or_column() {
    let rows = floats(3, 4, 1);
    let spec = "HNSW16@ip".parse::<Spec>().unwrap();
    let options = BuildOptions { metric: Metric::L1, ..BuildOptions::default() };
    assert_eq!(message(spec.build(&rows, &options)), "the index string asks for the metric ip, the options for l1");
    assert_eq!(message(ann::build(&rows, Metric::Hamming)), "the metric hamming does not apply to rows of f32");
    assert_eq!(message(ann::build(&Matrix::default(), Metric::L2)), "rows have 0 columns, must have 1 to 1048576");
    assert!(message(ann::index_factory("HNWS16", &rows, Metric::L2)).contains("did you mean `HNSW16`"));
    let error = message(ann::open("no such folder/index.ann"));
    assert!(error.starts_with("cannot read \"no such folder/index.ann\": "), "{error}");
    let error = message(ann::build(&rows, Metric::L2).unwrap().save("no such folder/index.ann"));
    assert!(error.starts_with("cannot write \"no such folder/index.ann\": "), "{error}");
}

#[test]
fn k_beyond_the_rows_gives_all_of_them_and_k_of_zero_none() {
    for spec in SPECS {
        let rows = floats(30, 4, 1);
        let index = ann::index_factory(spec, &rows, Metric::L2).unwrap();
        for k in [30, 31, 1000, usize::MAX] {
            let found = index.search(rows.row(0), k).unwrap();
            let mut all = labels(&found);
            all.sort_unstable();
            assert_eq!(all, (0..30).collect::<Vec<_>>(), "{spec}, k = {k}");
            assert!(found.is_sorted_by(|a, b| a.distance <= b.distance));
            let batch = index.search_batch(&rows, k, &SearchParams::default(), Par::Ambient).unwrap();
            assert_eq!(batch[0], found);
        }
        assert!(index.search(rows.row(0), 0).unwrap().is_empty());
        assert!(index.search_filtered(rows.row(0), 0, &SearchParams::default(), &|_| true).unwrap().is_empty());
    }
}

#[test]
fn a_filter_by_label_gives_the_nearest_that_it_accepts() {
    let rows = floats(400, 6, 1);
    let names: Vec<u64> = (0..400).map(|row| 10 * row).collect();
    let options = BuildOptions { labels: Some(&names), ..BuildOptions::default() };
    let [exact, graph] = ["Flat", "HNSW8"].map(|spec| spec.parse::<Spec>().unwrap().build(&rows, &options).unwrap());
    let params = SearchParams::effort(100);
    for one_in in [1, 2, 10, 100] {
        let accepts = |label: u64| label.is_multiple_of(10 * one_in);
        for query in floats(20, 6, 2).rows() {
            let found = graph.search_filtered(query, 5, &params, &accepts).unwrap();
            assert_eq!(found, exact.search_filtered(query, 5, &params, &accepts).unwrap(), "one in {one_in}");
            assert_eq!(found.len(), 5.min(400 / one_in as usize));
        }
    }
    assert!(graph.search_filtered(rows.row(0), 5, &params, &|_| false).unwrap().is_empty());
}

#[test]
fn a_batch_finds_what_its_queries_find_one_by_one() {
    let lists: &[&str] = if cfg!(feature = "ivf_pq") { &["IVF9,Flat", "IVF9,RaBitQ2,SOAR,RFlat"] } else { &[] };
    for spec in SPECS.iter().chain(lists) {
        for (rows, queries) in [(floats(500, 9, 1), floats(77, 9, 2)), (bytes(500, 9, 1), bytes(77, 9, 2))] {
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
                if metric == Metric::L1 && spec.contains("RaBitQ") {
                    continue;
                }
                let index = ann::index_factory(spec, &rows, metric).unwrap();
                let params = SearchParams::effort(40);
                let one_by_one: Vec<_> = queries.rows().map(|q| index.search_with(q, 7, &params).unwrap()).collect();
                for par in [Par::Serial, Par::Ambient, Par::Threads(1), Par::Threads(8)] {
                    assert_eq!(index.search_batch(&queries, 7, &params, par).unwrap(), one_by_one, "{spec} {metric}");
                }
                let mut searcher = index.searcher();
                for (query, expected) in queries.rows().zip(&one_by_one) {
                    assert_eq!(searcher.search(query, 7, &params).unwrap(), expected);
                }
            }
        }
    }
    let index = ann::build(&floats(5, 9, 1), Metric::L2).unwrap();
    let none = Matrix::new(Vec::new(), 9).unwrap();
    assert!(index.search_batch(&none, 3, &SearchParams::default(), Par::Ambient).unwrap().is_empty());
}

#[test]
fn eight_threads_search_one_index_as_one_does() {
    let (rows, queries) = (floats(1000, 8, 1), floats(100, 8, 2));
    let index = ann::build(&rows, Metric::L2).unwrap();
    let alone: Vec<_> = queries.rows().map(|query| index.search(query, 10).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (index, queries, alone) = (&index, &queries, &alone);
            scope.spawn(move || {
                let mut searcher = index.searcher();
                for i in (0..100).map(|i| (i + 13 * thread) % 100) {
                    assert_eq!(index.search(queries.row(i), 10).unwrap(), alone[i]);
                    assert_eq!(searcher.search(queries.row(i), 10, &SearchParams::default()).unwrap(), alone[i]);
                }
            });
        }
    });
}

#[test]
fn a_cancelled_addition_changes_nothing() {
    let mut index = ann::build(&bytes(200, 4, 1), Metric::L2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
    index.save(&before).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(true);
    for rows in [bytes(50, 4, 2), floats(50, 4, 2)] {
        let result = index.add_with(&rows, Some(&[0; 50]), Par::Serial, Monitor::new());
        assert!(matches!(result, Err(Error::Label(_))));
        let names: Vec<u64> = (1000..1050).collect();
        let result = index.add_with(&rows, Some(&names), Par::Serial, Monitor::new().cancel_with(&stop));
        assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
        index.save(&after).unwrap();
        assert_eq!(std::fs::read(&before).unwrap(), std::fs::read(&after).unwrap());
    }
}

#[test]
fn a_mapped_index_takes_no_memory_for_rows_or_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    for (spec, rows) in [("HNSW8", floats(2000, 16, 1)), ("HNSW8", bytes(2000, 16, 1)), ("Flat", floats(2000, 16, 1))] {
        let built = ann::index_factory(spec, &rows, Metric::L2).unwrap();
        built.save(&path).unwrap();
        let file = std::fs::metadata(&path).unwrap().len() as usize;
        let mapped = ann::open(&path).unwrap();
        assert_eq!(mapped.memory_usage().total(), 0, "{spec}");
        let read = ann::open_with(&path, OpenMode::Read).unwrap();
        let held = read.memory_usage().total();
        assert!(held.abs_diff(file) <= 4096, "{spec}: a file of {file} bytes read into memory, {held} reported");
        let held = built.memory_usage().total();
        assert!(held >= file - 4096 && held <= 2 * file, "{spec}: a file of {file} bytes, {held} reported when built");
    }
}

#[test]
fn a_mapped_index_is_searched_grown_and_saved_over_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    let (rows, more, queries) = (bytes(500, 8, 1), bytes(100, 8, 2), bytes(40, 8, 3));
    for spec in SPECS {
        let mut built = ann::index_factory(spec, &rows, Metric::L2).unwrap();
        built.save(&path).unwrap();
        let mut mapped = ann::open(&path).unwrap();
        let bystander = ann::open(&path).unwrap();
        let answers = |index: &Index| index.search_batch(&queries, 10, &SearchParams::default(), Par::Serial).unwrap();
        let before = answers(&built);
        assert_eq!(answers(&mapped), before);

        mapped.add(&more, None).unwrap();
        built.add(&more, None).unwrap();
        assert_eq!(answers(&mapped), answers(&built));
        assert_eq!(answers(&bystander), before, "growing wrote to the file");

        mapped.save(&path).unwrap();
        assert_eq!(answers(&bystander), before, "an old map keeps the old file");
        let reopened = ann::open(&path).unwrap();
        assert_eq!((reopened.len(), answers(&reopened)), (600, answers(&built)));
        let built_path = folder.path().join("built.ann");
        built.save(&built_path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&built_path).unwrap());
        // Nothing but the files themselves is left in the folder.
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    }
}

/// A sample decides for halves; a row beside it that they cannot hold must not make the build fail.
#[test]
fn one_value_that_halves_cannot_hold_is_kept_in_whole_rows() {
    let mut rows = floats(6_000, 96, 13);
    for row in [1, 2, 5_998] {
        rows.as_mut_slice()[row * 96 + 5] = 3.4e38;
    }
    let index = ann::index_factory("HNSW4", &rows, Metric::L2).unwrap();
    assert_eq!((index.len(), index.element()), (6_000, ElementKind::F32));
    assert_eq!(index.search(rows.row(77), 1).unwrap()[0], Hit { label: 77, distance: 0.0 });
}

/// Rows long and many enough that a graph is built on bytes and walked on halves, and lists are refined by halves first.
#[test]
fn long_rows_of_floats_are_found_exactly_filtered_saved_and_widened() {
    let rows = floats(4_200, 96, 11);
    let queries = floats(20, 96, 12);
    let lists: &[&str] = if cfg!(feature = "ivf_pq") { &["IVF16,Flat", "IVF16,RaBitQ2,RFlat"] } else { &[] };
    let specs = ["HNSW16"].iter().chain(lists);
    let metrics = [Metric::L2, Metric::Cosine, Metric::InnerProduct];
    for (spec, metric) in specs.flat_map(|&spec| metrics.map(|metric| (spec, metric))) {
        let exact = ann::index_factory("Flat", &rows, metric).unwrap();
        let mut index = ann::index_factory(spec, &rows, metric).unwrap();
        assert_eq!(index.element(), ElementKind::F32);
        let params = SearchParams::effort(1_000);
        let wide = |index: &Index, query| index.search_with(query, 10, &params).unwrap();
        let mut hits = 0;
        for query in queries.rows() {
            let truth = exact.search(query, 10).unwrap();
            for hit in wide(&index, query) {
                hits += truth.iter().filter(|t| t.label == hit.label).count();
                let same = truth.iter().find(|t| t.label == hit.label);
                assert!(
                    same.is_none_or(|t| (t.distance - hit.distance).abs() < 1e-5),
                    "{spec} {metric}: {hit:?} {same:?}"
                );
            }
            let odd = index.search_filtered(query, 30, &SearchParams::default(), &|label| label % 200 == 1).unwrap();
            assert_eq!(odd.len(), 21);
        }
        assert!(hits >= 190, "{spec} {metric}: {hits} of 200");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.ann");
        index.save(&path).unwrap();
        for mode in [OpenMode::Map, OpenMode::Read] {
            let opened = ann::open_with(&path, mode).unwrap();
            assert_eq!(opened.spec().to_string(), index.spec().to_string());
            queries.rows().for_each(|query| assert_eq!(wide(&opened, query), wide(&index, query)));
        }

        // A value that has no nearest bf16 turns the halves into whole rows.
        if metric != Metric::Cosine {
            let mut odd = vec![0.0; 96];
            odd[3] = 3.4e38;
            let before: Vec<_> = queries.rows().map(|query| wide(&index, query)).collect();
            index.add(&Matrix::new(odd, 96).unwrap(), None).unwrap();
            assert_eq!(index.len(), 4_201);
            if metric == Metric::L2 {
                let after: Vec<_> = queries.rows().map(|query| wide(&index, query)).collect();
                assert_eq!(after, before);
            }
        }
    }
}
