//! What each step makes of what the step before made in the Python package: the same structure.
//!
//! The arrays were written by `python benches/peers/evoc.py fixture crates/ann-cluster/src/stages` with evoc 0.3.2,
//! from scikit-learn's digits: the first 200 for the graph, the first 1,000 for all that follows the layout.

use crate::DensityParams;
use crate::condensed::Condensed;
use crate::fuzzy::fuzzy_graph;
use crate::layers::layers;
use crate::linkage::Linkage;
use crate::neighbors::Neighborhoods;
use crate::persistence::Barcode;
use crate::points::Point;
use crate::spanning::{Link, spanning_tree};
use ann_core::{Monitor, Par};

/// Arrays one after the other, each with its length before it.
struct Arrays(&'static [u8]);

impl Arrays {
    fn take<const W: usize, T>(&mut self, read: fn([u8; W]) -> T) -> Vec<T> {
        let (len, rest) = self.0.split_first_chunk().unwrap();
        let (values, rest) = rest.split_at(u32::from_le_bytes(*len) as usize * W);
        self.0 = rest;
        values.as_chunks().0.iter().map(|&value| read(value)).collect()
    }

    fn ids(&mut self) -> Vec<u32> {
        self.take(|bytes| u32::from(u16::from_le_bytes(bytes)))
    }

    fn floats(&mut self) -> Vec<f32> {
        self.take(f32::from_le_bytes)
    }
}

fn near(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1e-3), "{i}: {a} instead of {b}");
    }
}

#[test]
fn the_graph_of_the_same_neighbors_has_the_same_edges() {
    let mut arrays = Arrays(include_bytes!("stages/graph.bin"));
    let neighborhoods = Neighborhoods::new(15, arrays.ids(), arrays.floats());
    let (starts, targets, weights) = (arrays.ids(), arrays.ids(), arrays.floats());
    let edges = fuzzy_graph(&neighborhoods, 15.0, true, Par::Serial);
    assert_eq!(edges.len(), 200);
    assert!((0..200).all(|node| edges.range(node) == (starts[node] as usize..starts[node + 1] as usize)));
    assert_eq!(edges.all_targets(), targets);
    // Exponentials and sums are rounded in another order there, and a bisection ends one step apart.
    near(edges.weights(), &weights, 1e-3);
}

#[test]
fn the_hierarchy_of_the_same_points_has_the_same_layers() {
    let mut arrays = Arrays(include_bytes!("stages/density.bin"));
    let points: Vec<Point<4>> = arrays.floats().as_chunks().0.to_vec();
    let (from, to, lengths) = (arrays.ids(), arrays.ids(), arrays.floats());
    let own = spanning_tree(&points, 5, Par::Serial, Monitor::new()).unwrap();
    // Of ties another tree may take others.
    near(&own.iter().map(|link| link.distance).collect::<Vec<_>>(), &lengths, 1e-5);

    let links = from.iter().zip(&to).zip(&lengths).map(|((&a, &b), &distance)| Link { a, b, distance });
    let linkage = Linkage::new(points.len(), &links.collect::<Vec<_>>());
    let condensed = Condensed::new(&linkage, 5);
    let column = |f: fn(&crate::condensed::Branch) -> u32| condensed.branches.iter().map(f).collect::<Vec<_>>();
    assert_eq!(column(|branch| branch.parent), arrays.ids());
    assert_eq!(column(|branch| branch.child), arrays.ids());
    near(&condensed.branches.iter().map(|branch| branch.lambda).collect::<Vec<_>>(), &arrays.floats(), 1e-6);
    assert_eq!(column(|branch| branch.size), arrays.ids());

    let bars = Barcode::new(&condensed, 5).bars().to_vec();
    let (births, deaths, weights) = (arrays.ids(), arrays.ids(), arrays.floats());
    assert_eq!(
        bars.iter().map(|bar| (bar.birth, bar.death)).collect::<Vec<_>>(),
        births.into_iter().zip(deaths).collect::<Vec<_>>()
    );
    near(&bars.iter().map(|bar| bar.weight).collect::<Vec<_>>()[1..], &weights[1..], 1e-6);
    let (sizes, total) = Barcode::new(&condensed, 5).total_persistence();
    assert_eq!(sizes, arrays.ids());
    near(&total, &arrays.floats(), 1e-5);

    let layers = layers(&linkage, &DensityParams::default());
    near(&layers.iter().map(|layer| layer.persistence).collect::<Vec<_>>(), &arrays.floats(), 1e-5);
    assert!(layers.len() >= 3, "a fixture of few layers shows little");
    for layer in &layers {
        // Noise was written as -1.
        let labels: Vec<Option<u32>> = arrays.ids().iter().map(|&label| (label != 0xFFFF).then_some(label)).collect();
        assert_eq!(layer.labels, labels);
        near(&layer.strengths, &arrays.floats(), 1e-5);
    }
    assert!(arrays.0.is_empty());
}
