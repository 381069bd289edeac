//! Rows that are equal, of which one alone is linked like a row.
//!
//! To a walk a thousand copies are a thousand nodes at one distance, more than any frontier holds, and to the rule that chooses links all of
//! them are near. So only the first of each kind takes part in a build, and stands for the others. These are a tree below it, from
//! which a search gathers as many as it wants. Each leads to the first, which has the links, and beyond those of one side: a walk to a row behind a thousand
//! copies has its frontier full of them, and must find its way all the same.

use crate::FlatGraph;
use ann_core::Neighbor;

/// Copies that a copy leads to.
const CHILDREN: usize = 2;

/// For every row the first that it equals, as far as leaves have shown.
pub(super) struct Copies {
    /// A row that it equals and that does not come later; following it leads to the first.
    earlier: Vec<u32>,
}

impl Copies {
    /// `rows` rows, every one of its kind.
    pub(super) fn none(rows: usize) -> Self {
        Self { earlier: (0..rows as u32).collect() }
    }

    /// Takes note of pairs of rows that are equal. Their order does not matter.
    pub(super) fn join(&mut self, pairs: impl IntoIterator<Item = (u32, u32)>) {
        for (a, b) in pairs {
            let (a, b) = (self.trace(a), self.trace(b));
            self.earlier[a.max(b) as usize] = a.min(b);
        }
    }

    /// The first row of the kind, shortening the way to it.
    fn trace(&mut self, mut row: u32) -> u32 {
        while self.earlier[row as usize] != row {
            let next = self.earlier[row as usize];
            self.earlier[row as usize] = self.earlier[next as usize];
            row = next;
        }
        row
    }

    /// The first row that `row` equals, which may be itself.
    pub(super) fn first(&self, mut row: u32) -> u32 {
        while self.earlier[row as usize] != row {
            row = self.earlier[row as usize];
        }
        row
    }

    /// Whether every row is the only one of its kind.
    pub(super) fn is_empty(&self) -> bool {
        (0..).zip(&self.earlier).all(|(row, &earlier)| row == earlier)
    }

    /// Leaves of the candidates of `row` the first of every kind, ascending and each once, and none for a row that is not a first itself.
    pub(super) fn unite(&self, row: u32, candidates: &mut Vec<Neighbor>) {
        if self.first(row) != row {
            return candidates.clear();
        }
        candidates.iter_mut().for_each(|n| n.id = self.first(n.id));
        candidates.retain(|n| n.id != row);
        candidates.sort_unstable();
        candidates.dedup();
    }

    /// Links all copies, which have no links yet: the first to some, each to some more, to the first, and to one side of it.
    pub(super) fn link(&self, graph: &mut FlatGraph) {
        let copies =
            (0..self.earlier.len() as u32).map(|row| (self.first(row), row)).filter(|(first, row)| first != row);
        let mut kinds: Vec<(u32, u32)> = copies.collect();
        kinds.sort_unstable();
        let mut list = Vec::with_capacity(graph.max_degree());
        for kind in kinds.chunk_by(|a, b| a.0 == b.0) {
            let first = kind[0].0;
            let links: Vec<u32> = graph.neighbors(first).collect();
            // Copies have no links yet, and nothing but these leads to them: what lies behind a link is a first too.
            // Place 0 is that of the first.
            for place in 0..=kind.len() {
                let children = CHILDREN * place + 1..=(CHILDREN * (place + 1)).min(kind.len());
                list.clear();
                list.extend(children.map(|place| kind[place - 1].1));
                if let Some(turn) = place.checked_sub(1) {
                    list.push(first);
                    list.extend(aside(graph, first, &links, turn, graph.max_degree() - list.len()));
                } else {
                    list.extend(links.iter().take(graph.max_degree() - list.len()));
                }
                graph.set(place.checked_sub(1).map_or(first, |place| kind[place].1), &list);
            }
        }
    }
}

/// Where a copy leads, beside the first: to one of the links of that in turn and to what lies behind it, so that a walk whose
/// frontier is full of copies leaves them on all sides.
fn aside<'g>(
    graph: &'g FlatGraph,
    first: u32,
    links: &'g [u32],
    turn: usize,
    room: usize,
) -> impl Iterator<Item = u32> + 'g {
    let near = links.get(turn % links.len().max(1)).copied();
    // When all links have had their turn, to what lies behind them, one after another.
    let further = |near: u32| (turn / links.len()).checked_sub(1).and_then(|at| graph.neighbors(near).nth(at));
    let next = near.map(|near| further(near).filter(|&row| row != first).unwrap_or(near));
    let behind = next.into_iter().flat_map(|next| graph.neighbors(next));
    next.into_iter().chain(behind.filter(move |&row| row != first && Some(row) != next)).take(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_a_tree_below_the_first_and_lead_aside() {
        let mut graph = FlatGraph::new(4);
        graph.add_nodes(9);
        graph.set(1, &[0, 8, 5]);
        graph.set(8, &[1, 0]);
        let mut copies = Copies::none(9);
        copies.join([(7, 6), (6, 4), (3, 7), (2, 1), (1, 3)]);
        assert_eq!((1..8).map(|row| copies.first(row)).collect::<Vec<_>>(), [1, 1, 1, 1, 5, 1, 1]);
        copies.link(&mut graph);
        let lists: Vec<Vec<u32>> = (0..9).map(|row| graph.neighbors(row).collect()).collect();
        let expected: [&[u32]; 9] =
            [&[], &[2, 3, 0, 8], &[4, 6, 1, 0], &[7, 1, 8, 0], &[1, 5], &[], &[1, 0], &[1, 8, 0], &[1, 0]];
        assert_eq!(lists, expected);
    }

    #[test]
    fn rows_without_copies_are_left_alone() {
        let mut graph = FlatGraph::new(2);
        graph.add_nodes(2);
        graph.set(0, &[1]);
        Copies::none(2).link(&mut graph);
        assert_eq!(graph.neighbors(0).collect::<Vec<_>>(), [1]);
    }
}
