#!/usr/bin/env python3
"""Speed beside a library from PyPI at equal recall, in turns: both indexes stand in memory, and each measures for some seconds
after the other, so that whatever else the machine does weighs on both.

  python benches/peers/turns.py DATA.hdf5 --index HNSW16 --ours 20,24,80,88 --theirs 20,24,28,32,96,112
  python benches/peers/turns.py DATA.hdf5 --index IVF1024,RaBitQ1,RFlat --ours 8,16,32 --peer scann --theirs 10:30,10:100,20:100

Settings of several numbers are written with colons (`peers.py` names them). QPS at a recall is read off the front of all settings of a side.
Needs h5py, numpy and the library itself. Run it from the root of the repository.
"""
import argparse, json, math, statistics, subprocess, tempfile, time
import h5py, numpy as np
from peers import K, Peer, recall


def front(points):
    """Of all (recall, QPS) those that no other beats in both, by growing recall."""
    best = []
    for recall, qps in sorted(points, reverse=True):
        if not best or qps > best[-1][1]:
            best.append((recall, qps))
    return best[::-1]


def at(points, recall):
    """QPS at a recall between two points of the front: logarithm of QPS, linear in recall. What is wholly above counts by its fastest."""
    points = front(points)
    if points and points[0][0] >= recall:
        return points[0][1]
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 <= recall <= r1:
            return math.exp(math.log(q0) + math.log(q1 / q0) * (recall - r0) / max(r1 - r0, 1e-12))
    return math.nan


class Ours:
    def __init__(self, args):
        self.out = tempfile.mktemp(suffix='.jsonl')
        command = ['cargo', 'xtask', 'bench', args.data, '--index', args.index, '--threads', str(args.threads), '--effort', args.ours,
                   '--search-threads', str(args.search_threads), '--turns', '--out', self.out]
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
        self.build_s, self.mib = lines[-1]['build_s'], lines[-1]['rss_mb']
        return [(line['recall'], line['qps'], line['setting']) for line in new]


class Theirs:
    def __init__(self, args):
        with h5py.File(args.data) as h:
            self.cosine = h.attrs['distance'] in ('angular', b'angular')
            base, self.queries = (np.asarray(h[k], np.float32) for k in ('train', 'test'))
            self.bound = np.asarray(h['distances'])[:, K - 1] + (1e-5 if self.cosine else 1e-3)
        if self.cosine:
            base, self.queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (base, self.queries))
        self.base, self.threads = base, args.search_threads
        self.settings = [tuple(float(x) if '.' in x else int(x) for x in text.split(':')) for text in args.theirs.split(',')]
        before, start = resident(), time.time()
        self.peer = Peer.NAMES[args.peer](base, self.cosine, args.threads)
        self.build_s, self.mib = time.time() - start, (resident() - before) / 2**20

    def turn(self):
        return [self.measure(setting) for setting in self.settings]

    def measure(self, setting):
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            found = self.peer.search(self.queries, setting, self.threads)
            best = min(best, time.perf_counter() - start)
        return recall(found, self.base, self.queries, self.bound, self.cosine), len(found) / best, setting


def resident():
    """Bytes of memory that this process holds."""
    return int(open('/proc/self/statm').read().split()[1]) * 4096


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('data')
parser.add_argument('--index', default='HNSW16')
parser.add_argument('--peer', default='hnswlib', choices=Peer.NAMES)
parser.add_argument('--ours', required=True, help='efforts of ours')
parser.add_argument('--theirs', required=True, help='settings of the peer')
parser.add_argument('--recalls', default='0.9,0.95,0.99')
parser.add_argument('--threads', type=int, default=2, help='of the builds')
parser.add_argument('--search-threads', type=int, default=1)
parser.add_argument('--turns', type=int, default=6)
parser.add_argument('--verbose', action='store_true', help='print all settings of the last turn')
args = parser.parse_args()

ours, theirs = Ours(args), Theirs(args)
turns = [(ours.turn(), theirs.turn()) for _ in range(args.turns)]
print(f'build: ours {ours.build_s:.1f} s, {args.peer} {theirs.build_s:.1f} s, ratio {ours.build_s / theirs.build_s:.2f}; '
      f'growth: ours {ours.mib:.0f} MiB, {args.peer} {theirs.mib:.0f} MiB')
if args.verbose:
    for side, points in zip((args.index, args.peer), turns[-1]):
        for recall, qps, setting in points:
            print(f'{side:>24} {setting!s:>14} {recall:.4f} {qps:.0f}')
turns = [tuple([point[:2] for point in side] for side in turn) for turn in turns]
for recall in map(float, args.recalls.split(',')):
    pairs = [(at(a, recall), at(b, recall)) for a, b in turns]
    ratios = sorted(a / b for a, b in pairs)
    a, b = (max(side) for side in zip(*pairs))
    print(f'recall {recall}: best QPS ours {a:.0f}, {args.peer} {b:.0f}; ratio of each turn '
          f'{ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f}')
