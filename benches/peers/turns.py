#!/usr/bin/env python3
"""Speed beside hnswlib's at equal recall, in turns: both indexes stand in memory, and each measures for some seconds
after the other, so that whatever else the machine does weighs on both.

  python benches/peers/turns.py DATA.hdf5 --index HNSW16 --ours 20,24,80,88 --theirs 20,24,28,32,96,112 --turns 6

Needs h5py, numpy and hnswlib from PyPI. Run it from the root of the repository.
"""
import argparse, json, math, statistics, subprocess, tempfile, time
import h5py, hnswlib, numpy as np


def at(points, recall):
    """QPS at a recall between two points: logarithm of QPS, linear in recall."""
    points = sorted(points)
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 <= recall <= r1:
            return math.exp(math.log(q0) + math.log(q1 / q0) * (recall - r0) / max(r1 - r0, 1e-12))
    return math.nan


class Ours:
    def __init__(self, args):
        self.out = tempfile.mktemp(suffix='.jsonl')
        command = ['cargo', 'xtask', 'bench', args.data, '--index', args.index, '--threads', str(args.threads),
                   '--effort', args.ours, '--turns', '--out', self.out]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.seen = 0
        self.wait('ready')

    def wait(self, word):
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise SystemExit('the benchmark ended early')

    def turn(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        self.wait('done')
        lines = [json.loads(line) for line in open(self.out)]
        new, self.seen = lines[self.seen:], len(lines)
        self.build_s = lines[-1]['build_s']
        return [(line['recall'], line['qps']) for line in new]


class Theirs:
    def __init__(self, args):
        with h5py.File(args.data) as h:
            self.cosine = h.attrs['distance'] in ('angular', b'angular')
            base, self.queries = (np.asarray(h[k], np.float32) for k in ('train', 'test'))
            self.bound = np.asarray(h['distances'])[:, 9] + (1e-5 if self.cosine else 1e-3)
        if self.cosine:
            base, self.queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (base, self.queries))
        self.base, self.efs = base, [int(ef) for ef in args.theirs.split(',')]
        self.index = hnswlib.Index('ip' if self.cosine else 'l2', base.shape[1])
        start = time.time()
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.set_num_threads(args.threads)
        self.index.add_items(base)
        self.build_s = time.time() - start
        self.index.set_num_threads(1)

    def turn(self):
        return [self.measure(ef) for ef in self.efs]

    def measure(self, ef):
        self.index.set_ef(ef)
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            found = self.index.knn_query(self.queries, 10)[0]
            best = min(best, time.perf_counter() - start)
        hits = 0
        for query, rows, bound in zip(self.queries, self.base[found], self.bound):
            distances = 1 - rows @ query if self.cosine else np.linalg.norm(rows - query, axis=1)
            hits += int((distances <= bound).sum())
        return hits / found.size, len(found) / best


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('data')
parser.add_argument('--index', default='HNSW16')
parser.add_argument('--ours', required=True, help='efforts of ours')
parser.add_argument('--theirs', required=True, help='values of ef for hnswlib')
parser.add_argument('--recalls', default='0.95,0.99')
parser.add_argument('--threads', type=int, default=2, help='of the builds')
parser.add_argument('--turns', type=int, default=6)
args = parser.parse_args()

ours, theirs = Ours(args), Theirs(args)
turns = [(ours.turn(), theirs.turn()) for _ in range(args.turns)]
print(f'build: ours {ours.build_s:.1f} s, hnswlib {theirs.build_s:.1f} s, ratio {ours.build_s / theirs.build_s:.2f}')
for recall in map(float, args.recalls.split(',')):
    pairs = [(at(a, recall), at(b, recall)) for a, b in turns]
    ratios = sorted(a / b for a, b in pairs)
    a, b = (max(side) for side in zip(*pairs))
    print(f'recall {recall}: best QPS ours {a:.0f}, hnswlib {b:.0f}; ratio of each turn '
          f'{ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f}')
