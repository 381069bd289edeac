#!/usr/bin/env python3
"""Exact trees and k-means of scikit-learn beside ours, in turns.

  cargo build --release -p ann-tree --example measure_trees
  cargo build --release -p ann-quant --example measure_kmeans
  python benches/peers/scikit.py trees                        # 1,000,000 uniform rows (KD), 100,000 Gaussian ones (ball)
  python benches/peers/scikit.py kmeans DATA.hdf5 --k 256 --iterations 10

scikit-learn compares in f64, and is given all queries in one call on one thread. Both start k-means from rows drawn at random, so inertias are means over seeds. Needs h5py, numpy
and scikit-learn.
"""
import argparse, os, re, subprocess, tempfile, time

import numpy as np


def ours(example, *args):
    """What an example prints."""
    return subprocess.run([f'target/release/examples/{example}', *map(str, args)], check=True, capture_output=True, text=True).stdout


def trees(args):
    from sklearn.neighbors import BallTree, KDTree
    print('| tree | columns | k | ours, us | scikit-learn, us | ratio | distance of the last: ours, theirs | build, s |')
    for name, tree, n, dims, count in [('kd', KDTree, 1_000_000, (2, 3, 8), 1000), ('ball', BallTree, 100_000, (16, 32), 200)]:
        for dim in dims:
            rng = np.random.default_rng(dim)
            draw = (lambda n: rng.random((n, dim), np.float32)) if name == 'kd' else (lambda n: rng.standard_normal((n, dim), np.float32))
            rows, queries = draw(n), draw(count)
            with tempfile.TemporaryDirectory() as folder:
                paths = [os.path.join(folder, part) for part in ('rows', 'queries')]
                rows.tofile(paths[0]), queries.tofile(paths[1])
                start = time.perf_counter()
                peer = tree(rows)
                built = time.perf_counter() - start
                for k in (1, 10):
                    theirs, last = np.inf, 0
                    for _ in range(3):
                        start = time.perf_counter()
                        last = peer.query(queries, k)[0][:, -1].mean()
                        theirs = min(theirs, (time.perf_counter() - start) / count * 1e6)
                    told = ours('measure_trees', *paths, dim, name, k)
                    mine, distance = (float(x) for x in re.search(r'k \d+: ([\d.]+) us.*distance ([\d.]+)', told).groups())
                    build = float(re.search(r'built in ([\d.]+)', told)[1])
                    print(f'| {name} | {dim} | {k} | {mine:.2f} | {theirs:.1f} | {theirs / mine:.1f} | {distance:.6f}, {last:.6f} | {build:.2f}, {built:.2f} |', flush=True)


def kmeans(args):
    import h5py
    from sklearn.cluster import KMeans
    rows = h5py.File(args.data)['train'][:].astype(np.float32)
    with tempfile.NamedTemporaryFile() as file:
        rows.tofile(file.name)
        times, inertias = [], []
        for seed in range(args.seeds):
            told = ours('measure_kmeans', file.name, rows.shape[1], args.k, args.iterations, args.threads, seed)
            mine = [float(x) for x in re.match(r'([\d.]+) s, inertia ([\d.e+-]+)', told).groups()]
            start = time.perf_counter()
            peer = KMeans(args.k, init='random', n_init=1, max_iter=args.iterations, tol=0, algorithm=args.algorithm, random_state=seed).fit(rows)
            times.append((mine[0], time.perf_counter() - start))
            inertias.append((mine[1], peer.inertia_))
            print(f'seed {seed}: {times[-1][0]:.2f} s, {times[-1][1]:.2f} s, inertia {mine[1]:.5e}, {peer.inertia_:.5e}', flush=True)
    (mine, theirs), (low, high) = np.mean(times, 0), np.mean(inertias, 0)
    print(f'{args.k} of {rows.shape}: {theirs / mine:.1f} times as fast, inertia {low / high:.4f} of theirs')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    commands.add_parser('trees').set_defaults(run=trees)
    means = commands.add_parser('kmeans')
    means.add_argument('data')
    means.add_argument('--k', type=int, default=256)
    means.add_argument('--iterations', type=int, default=10)
    means.add_argument('--seeds', type=int, default=3)
    means.add_argument('--threads', type=int, default=2)
    means.add_argument('--algorithm', default='lloyd')
    means.set_defaults(run=kmeans)
    args = parser.parse_args()
    args.run(args)
