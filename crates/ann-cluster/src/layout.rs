//! Laying a graph out in a few dimensions: along edges nodes attract each other, and any two repel.
//!
//! After UMAP (McInnes, Healy & Melville, arXiv:1802.03426), with the forces of the Python package `evoc` on its
//! reproducible path. An edge acts in every `w_max / w`-th epoch, and for every 1.5 times that it acts its node is
//! pushed from one other node, drawn at random. Moves have momentum, steps become shorter and repulsion stronger from
//! epoch to epoch. Where we differ: when an edge acts is computed and not kept, draws are counted by edge and epoch,
//! and gradients of far nodes are not rounded by the processor as it likes.
//!
//! Nodes move in blocks of an eighth, in an order that changes with every epoch. All of a block see the places from
//! before, and every node gathers its own forces: the result does not depend on threads. Cost: some 1.7 distances per
//! edge and epoch at most; 12 bytes per coordinate, 4 per edge.

use crate::points::{Point, squared};
use crate::propagation::below;
use crate::sparse::Edges;
use ann_core::{Cancelled, Monitor, Par, ScratchPool, split_mix};

/// Nodes of a block, at least.
const BLOCK: usize = 1024;
/// Times that an edge acts for one push.
const PER_PUSH: f32 = 1.5;
/// Nodes nearer than the root of this are not pushed apart.
const LEAST_SQUARED: f32 = 1e-2;
/// A push along a coordinate, at most.
const MOST: f32 = 4.0;

/// How long and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub epochs: usize,
    /// The first step.
    pub alpha: f32,
    /// How slowly attraction fades with the distance.
    pub noise_level: f32,
    pub seed: u64,
}

/// What is the same for all nodes in one epoch.
struct Epoch {
    number: usize,
    alpha: f32,
    /// How strong pushes are.
    gamma: f32,
    /// What is left of the moves of the epoch before.
    momentum: f32,
    seed: u64,
}

impl Schedule {
    fn epoch(&self, number: usize) -> Epoch {
        let of = |steps: usize| self.alpha * (1.0 - steps as f32 / self.epochs as f32);
        // A step becomes shorter after the epoch: the first two are alike.
        let alpha = |number: usize| of(number.saturating_sub(1));
        let before = 1.0 - alpha(number.saturating_sub(1));
        let gamma = 0.5 + number as f32 / self.epochs.saturating_sub(1).max(1) as f32;
        let momentum = 0.5 * before * before;
        Epoch { number, alpha: alpha(number), gamma, momentum, seed: split_mix(self.seed, number as u64) }
    }
}

/// The places of all nodes, which were at `start`. `monitor` hears of epochs.
pub(crate) fn lay_out<const P: usize>(
    edges: &Edges,
    start: Vec<Point<P>>,
    schedule: Schedule,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<Vec<Point<P>>, Cancelled> {
    /// Nodes of a unit of parallel work.
    const CHUNK: usize = 64;
    let n = edges.len();
    let most = edges.weights().iter().copied().fold(0.0, f32::max);
    if n == 0 || most == 0.0 {
        return Ok(start);
    }
    let least = 1.0 / schedule.epochs as f32;
    let rates: Vec<f32> = edges.weights().iter().map(|weight| (weight / most).max(least)).collect();
    let forces = Forces { edges, rates: &rates, noise_level: schedule.noise_level };
    let (mut places, mut moves) = (start, vec![[0.0; P]; n]);
    // Stores number rows by u32.
    let mut order: Vec<u32> = (0..n as u32).collect();
    let block = BLOCK.max(n / 8);
    let mut moved = vec![[0.0; P]; block.min(n)];
    let pool = ScratchPool::<()>::default();
    for number in 0..schedule.epochs {
        monitor.report(number as u64, schedule.epochs as u64)?;
        let epoch = schedule.epoch(number);
        for nodes in order.chunks(block) {
            let moved = &mut moved[..nodes.len()];
            par.for_each_chunk_mut(moved, CHUNK, &pool, |(), at, moved| {
                for (&node, moved) in nodes[at..].iter().zip(moved) {
                    let node = node as usize;
                    let before = moves[node].map(|x| x * epoch.momentum);
                    *moved = forces.on(node, &places, before, &epoch);
                }
            });
            for (&node, moved) in nodes.iter().zip(&*moved) {
                moves[node as usize] = *moved;
                places[node as usize].iter_mut().zip(moved).for_each(|(x, by)| *x += by);
            }
        }
        for i in (1..n).rev() {
            order.swap(i, below(split_mix(!epoch.seed, i as u64), i + 1));
        }
    }
    Ok(places)
}

/// `n` places at random about the middle.
pub(crate) fn scattered<const P: usize>(n: usize, dim: usize, seed: u64) -> Vec<Point<P>> {
    /// Standard deviation.
    const SPREAD: f32 = 0.25;
    // The sum of twelve uniform numbers, as three draws in quarters, is normal enough.
    let sum = |draw: u64| (0..4).map(|quarter| ((draw >> (16 * quarter)) & 0xFFFF) as i64).sum::<i64>();
    let normal = |i: u64| (0..3).map(|draw| sum(split_mix(seed, 3 * i + draw))).sum::<i64>() as f32 / 65_536.0 - 6.0;
    let place =
        |node: usize| std::array::from_fn(|d| if d < dim { SPREAD * normal((node * dim + d) as u64) } else { 0.0 });
    (0..n).map(place).collect()
}

struct Forces<'a> {
    edges: &'a Edges,
    /// How often an edge acts, in times per epoch.
    rates: &'a [f32],
    noise_level: f32,
}

impl Forces<'_> {
    /// `moved`, and what acts on `node` in this epoch.
    fn on<const P: usize>(&self, node: usize, places: &[Point<P>], mut moved: Point<P>, epoch: &Epoch) -> Point<P> {
        let own = &places[node];
        let targets = self.edges.all_targets();
        for edge in self.edges.range(node) {
            let rate = self.rates[edge];
            let Some(pushes) = acts(rate, epoch.number) else { continue };
            let other = &places[targets[edge] as usize];
            let distance_squared = squared(own, other);
            if distance_squared > 0.0 {
                let distance = distance_squared.sqrt();
                let pull = (-2.0 * self.noise_level * distance - 2.0) / (2.0 * distance_squared - 0.5 * distance + 1.0);
                for d in 0..P {
                    moved[d] += pull * (own[d] - other[d]) * epoch.alpha;
                }
            }
            for push in 0..pushes {
                // An edge acts at most once an epoch, with fewer than 256 pushes.
                let draw = split_mix(epoch.seed, ((edge as u64) << 8) | u64::from(push));
                let other = &places[below(draw, places.len())];
                let distance_squared = squared(own, other);
                if distance_squared > LEAST_SQUARED {
                    let force = epoch.gamma * 4.0 / ((1.0 + 0.25 * distance_squared) * distance_squared);
                    for d in 0..P {
                        moved[d] += (force * (own[d] - other[d])).clamp(-MOST, MOST) * epoch.alpha;
                    }
                }
            }
        }
        moved
    }
}

/// Whether an edge that acts `rate` times per epoch acts in this one, and how many pushes are then due.
#[inline]
fn acts(rate: f32, epoch: usize) -> Option<u32> {
    let epoch = epoch as f32;
    // As `floor`, of what is small and not negative (but for the epoch before the first, which counts for nothing): that is a call where processors need not have it.
    let whole = |x: f32| x as i32 as f32;
    let times = whole(epoch * rate);
    if times <= whole((epoch - 1.0) * rate) || times < 1.0 {
        return None;
    }
    // The first of all is left out.
    let pushes_by = |epoch: f32| (whole(epoch * rate / PER_PUSH) - 1.0).max(0.0);
    let last = (times - 1.0) / rate;
    let before = whole(last) + f32::from(u8::from(whole(last) < last));
    // A small number that is not negative.
    Some((pushes_by(epoch) - pushes_by(before)).max(0.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bookkeeping that [`acts`] stands for.
    fn counted(rate: f64, epochs: usize) -> Vec<Option<u32>> {
        let (every, push_every) = (1.0 / rate, 1.5 / rate);
        let (mut next, mut next_push) = (every, push_every);
        let acted = |epoch: usize| {
            let epoch = epoch as f64;
            (next <= epoch).then(|| {
                next += every;
                let pushes = ((epoch - next_push) / push_every) as i64;
                next_push += pushes as f64 * push_every;
                pushes as u32
            })
        };
        (0..epochs).map(acted).collect()
    }

    #[test]
    fn edges_act_as_often_as_their_weight_says() {
        // Where a multiple falls on an epoch it is exact, so that both ways of counting agree.
        for rate in [1.0f32, 0.5, 0.25, 0.125, 0.99, 0.37, 0.613, 0.041] {
            let found: Vec<_> = (0..50).map(|epoch| acts(rate, epoch)).collect();
            assert_eq!(found, counted(f64::from(rate), 50), "{rate}");
        }
        assert!((0..50).all(|epoch| acts(0.02, epoch).is_none()));
    }

    #[test]
    fn steps_shorten_after_the_second_epoch() {
        let schedule = Schedule { epochs: 50, alpha: 0.1, noise_level: 0.5, seed: 0 };
        let alpha = |number| schedule.epoch(number).alpha;
        assert_eq!((alpha(0), alpha(1)), (0.1, 0.1));
        assert!((alpha(2) - 0.098).abs() < 1e-6 && (alpha(49) - 0.004).abs() < 1e-6);
        assert!((schedule.epoch(2).momentum - 0.405).abs() < 1e-6);
        assert_eq!((schedule.epoch(0).gamma, schedule.epoch(49).gamma), (0.5, 1.5));
    }

    #[test]
    fn a_layout_is_the_same_on_any_number_of_threads() {
        let edges = Edges::build(3000, Par::Serial, |(): &mut (), node, out| {
            let ring = |by: usize| ((node + by) % 3000) as u32;
            out.extend([1, 2, 2998, 2999].map(|by| (ring(by), 1.0 / (1 + by % 3) as f32)));
            out.sort_unstable_by_key(|edge| edge.0);
        });
        let schedule = Schedule { epochs: 20, alpha: 0.1, noise_level: 0.5, seed: 4 };
        let laid_out = |par: Par| {
            par.install(|par| lay_out(&edges, scattered::<4>(3000, 3, 1), schedule, par, Monitor::new()).unwrap())
        };
        let serial = laid_out(Par::Serial);
        assert_eq!(serial, laid_out(Par::Threads(2)));
        assert_eq!(serial, laid_out(Par::Threads(8)));
        assert!(serial.iter().all(|place| place[3] == 0.0 && place.iter().all(|x| x.is_finite())));
        let apart = |by: usize| (0..3000).map(|i| squared(&serial[i], &serial[(i + by) % 3000])).sum::<f32>();
        assert!(apart(1) < 0.3 * apart(1500));
    }
}
