#!/usr/bin/env python3
"""Clusters of the Python package `evoc` beside ours: number of clusters, share of noise, agreement with known labels, agreement of runs, time.

  cargo build --release -p ann-cluster --example measure_evoc
  python benches/peers/evoc.py run  DIR --peer evoc --seeds 10      # writes DIR/<set>.evoc.npz
  python benches/peers/evoc.py run  DIR --peer ours --seeds 10 --example target/release/examples/measure_evoc
  python benches/peers/evoc.py table DIR
  python benches/peers/evoc.py time DIR --example target/release/examples/measure_evoc   # fits in turns, on two threads
  python benches/peers/evoc.py fixture crates/ann-cluster/src/stages   # what each step of the package makes of digits, for tests

Both cluster the same bytes with the defaults of the package. Its seeded path is a different algorithm from its unseeded one; only the first is compared. A first
fit, in which numba compiles, is not counted. A layout differs from seed to seed, so distributions are compared: a mean must lie within
max(2 pooled standard deviations, .02) of the peer's, and the adjusted Rand index between the two peers must reach that between seeds of the package, less .05.
Needs numpy, scikit-learn, h5py and evoc.
"""
import argparse, os, subprocess, sys, time

# Else this file would be taken for the package.
sys.path = [path for path in sys.path if os.path.abspath(path) != os.path.dirname(os.path.abspath(__file__))]
import numpy as np

SETS = ['wordnet', 'digits', 'mix128', 'blobs1', 'blobs.5']
G, M1, M2 = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def bits(seed, start, count):
    i = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    with np.errstate(over='ignore'):
        z = np.uint64(seed) + i * G
        z = (z ^ (z >> np.uint64(30))) * M1
        z = (z ^ (z >> np.uint64(27))) * M2
        return z ^ (z >> np.uint64(31))


def gauss(seed, start, count):
    z = bits(seed, 3 * start, 3 * count).reshape(-1, 3)
    parts = [((z >> np.uint64(s)) & np.uint64(0xFFFF)).astype(np.int64).sum(1) for s in (0, 16, 32, 48)]
    return (sum(parts) - 393210) / 65536.0


def mix128(n, d=128, r=16, k=200):
    """`ann_testkit::portable::mix128`."""
    centres, maps = 1.5 * gauss(3, 0, k * r).reshape(k, r), gauss(4, 0, d * r).reshape(d, r)
    labels = (bits(2, 0, n) % np.uint64(k)).astype(np.int64)
    z = gauss(5, 0, n * r).reshape(n, r) + centres[labels]
    x = 0.15 * gauss(6, 0, n * d).reshape(n, d)
    for j in range(r):
        x = x + maps[:, j][None, :] * z[:, j][:, None] * 0.25
    return x.astype(np.float32), labels


def blobs(sd, n=5000, d=64, k=20):
    """`ann_testkit::portable::blobs64`."""
    labels = (bits(902, 0, n) % np.uint64(k)).astype(np.int64)
    x = gauss(901, 0, k * d).reshape(k, d)[labels] + sd * gauss(903, 0, n * d).reshape(n, d)
    return x.astype(np.float32), labels


def load(name):
    """Rows, and the labels where they are known."""
    if name == 'wordnet':
        import h5py
        path = os.path.join(os.path.dirname(__file__), '../../datasets/wordnet-10k-384-angular.hdf5')
        return h5py.File(path)['train'][:].astype(np.float32), None
    if name == 'digits':
        from sklearn.datasets import load_digits
        x, labels = load_digits(return_X_y=True)
        return x.astype(np.float32), labels
    return mix128(10000) if name == 'mix128' else blobs(1.0 if name == 'blobs1' else 0.5)


def fit_theirs(x, seed):
    from evoc import EVoC
    return EVoC(random_state=seed).fit(x)


def fit_ours(example, path, shape, first, count, threads=2):
    """Labels of the chosen and of the finest layer, and seconds, for each of `count` seeds."""
    out = path + '.labels'
    command = [example, path, str(shape[0]), str(shape[1]), str(first), str(count), str(threads), out]
    seconds = [float(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
    labels = np.fromfile(out, np.int32).reshape(count, 2, shape[0])
    return labels[:, 0], labels[:, 1], seconds


def raw(name, directory):
    x, _ = load(name)
    path = os.path.join(directory, name + '.f32')
    x.tofile(path)
    return path, x


def run(args):
    for name in args.sets:
        path, x = raw(name, args.directory)
        labels, base, seconds = [], [], []
        for seed in range(args.seeds):
            if args.peer == 'ours':
                found, finest, spent = fit_ours(args.example, path, x.shape, seed, 1)
                labels, base, seconds = labels + list(found), base + list(finest), seconds + spent
            else:
                start = time.perf_counter()
                model = fit_theirs(x, seed)
                seconds.append(time.perf_counter() - start)
                labels.append(model.labels_)
                base.append(model.cluster_layers_[0])
            # After every seed, so that a run may be broken off.
            file = os.path.join(args.directory, f'{name}.{args.peer}.npz')
            np.savez(file, labels=np.array(labels), base=np.array(base), seconds=np.array(seconds))
        print(name, args.peer, [round(s, 2) for s in seconds], flush=True)


def measures(labels, truth):
    """One row a run: k, noise, and with known labels NMI (noise a class of its own) and ARI* (without noise)."""
    from sklearn.metrics import adjusted_rand_score as ari, normalized_mutual_info_score as nmi
    rows = []
    for found in labels:
        kept = found >= 0
        row = [found.max() + 1, 1 - kept.mean()]
        if truth is not None:
            row += [nmi(truth, found), ari(truth[kept], found[kept])]
        rows.append(row)
    return np.array(rows)


def agreement(a, b, same):
    from sklearn.metrics import adjusted_rand_score as ari
    return np.mean([ari(x, y) for i, x in enumerate(a) for j, y in enumerate(b) if not same or i < j])


def table(args):
    names = ['k', 'noise', 'NMI', 'ARI*']
    print('| data | measure | evoc | ours | allowed | |\n|---|---|---|---|---|---|')
    for name in args.sets:
        theirs, ours = (np.load(os.path.join(args.directory, f'{name}.{peer}.npz')) for peer in ('evoc', 'ours'))
        truth = load(name)[1]
        for layer, pick in (('', 'labels'), ('base ', 'base')):
            a, b = measures(theirs[pick], truth), measures(ours[pick], truth)
            for column in range(a.shape[1] if layer == '' else 2):
                x, y = a[:, column], b[:, column]
                allowed = max(2 * np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2), 0.02)
                verdict = 'ok' if abs(x.mean() - y.mean()) <= allowed else 'NO'
                digits = 1 if column == 0 else 3
                cell = lambda v: f'{v.mean():.{digits}f} ± {v.std(ddof=1):.{digits}f}'
                print(f'| {name} | {layer}{names[column]} | {cell(x)} | {cell(y)} | ± {allowed:.{digits}f} | {verdict} |')
        own, cross = agreement(theirs['labels'], theirs['labels'], True), agreement(theirs['labels'], ours['labels'], False)
        verdict = 'ok' if cross >= own - 0.05 else 'NO'
        print(f'| {name} | ARI of two runs | {own:.3f} | {cross:.3f} (across), {agreement(ours["labels"], ours["labels"], True):.3f} (ours) | ≥ {own - 0.05:.3f} | {verdict} |')


def clock(args):
    """Wall and processor seconds of fits in turns. On a machine that has other work only the latter mean something."""
    import resource
    import numba
    numba.set_num_threads(2)
    spent = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    print('| data | rows | evoc: wall, processor s | ours | ratio |\n|---|---|---|---|---|')
    for name in args.sets:
        path, x = raw(name, args.directory)
        fit_theirs(x, 0)
        theirs, ours = [], []
        for turn in range(args.turns):
            wall, processor = time.perf_counter(), time.process_time()
            fit_theirs(x, turn)
            theirs.append([time.perf_counter() - wall, time.process_time() - processor])
            before = spent()
            wall = fit_ours(args.example, path, x.shape, turn, 1)[2][0]
            ours.append([wall, spent() - before])
        (a, b), (c, d) = np.median(theirs, axis=0), np.median(ours, axis=0)
        print(f'| {name} | {x.shape[0]:,} x {x.shape[1]} | {a:.2f}, {b:.2f} | {c:.2f}, {d:.2f} | {a / c:.1f}, {b / d:.1f} |', flush=True)


def fixture(args):
    """Arrays of the package's own steps, one after the other: a length as u32, then that many u16 or f32. Read by crates/ann-cluster/src/stages.rs."""
    from evoc import boruvka, cluster_trees as trees, clustering, clustering_utilities as utilities
    from evoc.graph_construction import neighbor_graph_matrix
    from evoc.knn_graph import knn_graph
    from evoc.numba_kdtree import build_kdtree
    write = lambda file, *arrays: [file.write(np.uint32(a.size).tobytes() + np.ascontiguousarray(a).astype(a.dtype.newbyteorder('<')).tobytes()) for a in arrays]
    u16, f32 = (lambda a: np.asarray(a).astype(np.uint16)), (lambda a: np.asarray(a).astype(np.float32))
    digits = load('digits')[0]
    with open(os.path.join(args.directory, 'graph.bin'), 'wb') as file:
        ids, distances = knn_graph(digits[:200], n_neighbors=15, random_state=np.random.RandomState(0))
        graph = neighbor_graph_matrix(15.0, ids, distances, True).tocsr()
        graph.sort_indices()
        write(file, u16(ids), f32(distances), u16(graph.indptr), u16(graph.indices), f32(graph.data))
    from evoc.label_propagation import label_propagation_init
    from evoc.node_embedding import node_embedding
    rows, state = digits[:1000], np.random.RandomState(0)
    graph = neighbor_graph_matrix(15.0, *knn_graph(rows, n_neighbors=15, random_state=state), True)
    start = label_propagation_init(graph, n_components=4, approx_n_parts=256, random_scale=0.1, scaling=0.5, random_state=state, data=rows)
    points = node_embedding(graph, 4, 50, initial_embedding=start, initial_alpha=0.1, random_state=state).astype(np.float32)
    links = boruvka.parallel_boruvka(build_kdtree(points), 2, min_samples=5, reproducible=True)
    links = links[np.argsort(links.T[2])]
    tree = trees.condense_tree(trees.mst_to_linkage_tree(links), 5)
    clusters = trees.mask_condensed_tree(tree, tree.child >= len(rows))
    births, deaths, _, weights = utilities.min_cluster_size_barcode(clusters, len(rows), 5)
    sizes, total = utilities.compute_total_persistence(births, deaths, weights)
    layers, strengths, persistence = clustering.build_cluster_layers(points, min_samples=5, base_min_cluster_size=5, reproducible_flag=True)
    print([layer.max() + 1 for layer in layers], persistence)
    with open(os.path.join(args.directory, 'density.bin'), 'wb') as file:
        write(file, f32(points), u16(links[:, 0]), u16(links[:, 1]), f32(links[:, 2]))
        write(file, u16(tree.parent), u16(tree.child), f32(tree.lambda_val), u16(tree.child_size))
        write(file, u16(births), u16(deaths), f32(weights), u16(sizes), f32(total), f32(persistence))
        for labels, strength in zip(layers, strengths):
            write(file, u16(labels), f32(strength))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('task', choices=['run', 'table', 'time', 'fixture'])
    parser.add_argument('directory', help='for rows, labels and results')
    parser.add_argument('--peer', choices=['evoc', 'ours'], default='ours')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=SETS)
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--example', default='target/release/examples/measure_evoc')
    args = parser.parse_args()
    os.makedirs(args.directory, exist_ok=True)
    {'run': run, 'table': table, 'time': clock, 'fixture': fixture}[args.task](args)


if __name__ == '__main__':
    main()
