//! The same rows, parameters, seed and changes give the same file, byte for byte, on any threads.

use crate::support::{TARGETS, bytes, store};
use ann_core::{Metric, Monitor, Par};
use ann_graph::{Deg, DegImprove, DegTarget};
use ann_testkit::{portable, shapes};

const THREADS: [Par; 3] = [Par::Serial, Par::Threads(2), Par::Threads(8)];

#[test]
fn builds_and_changes_do_not_depend_on_threads() {
    let sets = [portable::iso64(1_800, 1).base, shapes::duplicates(1_800, 16, 3).base];
    for base in sets {
        for target in TARGETS {
            let [serial, two, eight] = THREADS.map(|par| {
                let builder = Deg::builder().degree(12).k_ext(30).target(target).seed(5).par(par);
                let mut deg = builder.build(store(base.view().slice(0..1_400), Metric::L2)).unwrap();
                let built = bytes(&deg);
                deg.extend(base.view().slice(1_400..1_800).rows(), par, Monitor::new()).unwrap();
                (0..200).for_each(|i| _ = deg.remove(i * 5).unwrap());
                deg.improve(20, &DegImprove::default());
                (built, bytes(&deg))
            });
            assert!(serial == two && serial == eight, "{target:?}");
        }
    }
}

#[test]
fn the_seed_decides() {
    let base = portable::iso64(600, 1).base;
    let build = |seed| bytes(&Deg::builder().degree(8).seed(seed).build(store(base.view(), Metric::L2)).unwrap());
    assert!(build(1) == build(1) && build(1) != build(2));
}

#[test]
fn improving_in_two_parts_is_improving_at_once() {
    let base = portable::iso64(600, 1).base;
    let build = || Deg::builder().degree(8).target(DegTarget::LowLid).build(store(base.view(), Metric::L2)).unwrap();
    let (mut once, mut twice) = (build(), build());
    let improved = once.improve(30, &DegImprove::default());
    let parts = twice.improve(10, &DegImprove::default()) + twice.improve(20, &DegImprove::default());
    assert!(improved == parts && bytes(&once) == bytes(&twice));
}
