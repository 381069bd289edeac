#!/usr/bin/env python3
"""Quantizers beside those of faiss and of RaBitQ's authors (rabitqlib): bytes, seconds of training, rows encoded in a
second, relative error, recall of a scan over codes alone; on the same rows and queries and by the same definitions as
`cargo xtask codes`, which is run first unless its lines are given.

  python benches/peers/codes.py DATA.hdf5 --out peers.jsonl
  python benches/peers/codes.py DATA.hdf5 --ours results/DATA.codes.jsonl --only SQ,PQ48x8
  python benches/peers/codes.py DATA.hdf5 --only SQ8,PQ48x8 --turns 3     # speed only: ours and theirs in turns

Relative error: the mean of |estimate - distance| / distance over all queries and 1,000 rows at equal intervals, squared
Euclidean, of normalised vectors under cosine. Recall at 10 counts rows no farther than the true tenth, with a slack of
1e-3 (1e-5 under cosine). A recall that is lower than a peer's by more than 0.5 points is marked with `!`.

Needs h5py, numpy, faiss-cpu and, for its part, rabitqlib from PyPI. Run it from the root of the repository.
"""
import argparse, json, os, statistics, subprocess, tempfile, time

# Threads that wait would otherwise spin, and slow one another where others use the machine too.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
import faiss, h5py, numpy as np

try:
    import rabitqlib
except ImportError:
    rabitqlib = None

SAMPLE, K = 1000, 10


class Data:
    """Rows and queries, normalised under cosine, and what estimates and results are held against."""

    def __init__(self, args):
        self.name = os.path.basename(args.data)
        with h5py.File(args.data) as h:
            self.cosine = h.attrs['distance'] in ('angular', b'angular')
            self.rows, self.queries = (np.asarray(h[k], np.float32) for k in ('train', 'test'))
            kth = np.asarray(h['distances'])[:, K - 1]
        self.queries = self.queries[:args.queries]
        if self.cosine:
            self.rows, self.queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (self.rows, self.queries))
        if args.rows and args.rows < len(self.rows):
            self.rows = np.ascontiguousarray(self.rows[:args.rows])
            exact = faiss.IndexFlatL2(self.rows.shape[1])
            exact.add(self.rows)
            squared = exact.search(self.queries, K)[0][:, -1]
            kth = squared / 2 if self.cosine else np.sqrt(squared)
        self.bound = kth[:len(self.queries)] + (1e-5 if self.cosine else 1e-3)
        count = min(SAMPLE, len(self.rows))
        self.sample = np.ascontiguousarray(self.rows[[i * len(self.rows) // count for i in range(count)]])
        rows, queries = self.sample.astype(np.float64), self.queries.astype(np.float64)
        # Differences, not products: they do not cancel.
        self.distances = np.stack([((rows - query) ** 2).sum(axis=1) for query in queries])

    def error(self, estimates):
        counted = self.distances > 1e-6 * self.distances.mean()
        return float((np.abs(estimates - self.distances)[counted] / self.distances[counted]).mean())

    def recall(self, found):
        hits = 0
        for query, ids, bound in zip(self.queries, found, self.bound):
            rows = self.rows[ids]
            distances = 1 - rows @ query if self.cosine else np.linalg.norm(rows - query, axis=1)
            hits += int((distances <= bound).sum())
        return hits / found.size


class Faiss:
    peer = 'faiss'

    def __init__(self, scheme, data):
        dim = data.rows.shape[1]
        kind = scheme.rstrip('0123456789x')
        number = scheme[len(kind):]
        # One bit has no number in the factory.
        rabitq = f'RR{dim},RaBitQ{number.replace("1", "")}'
        spec = {'SQ': scheme, 'PQ': scheme, 'OPQ': f'OPQ{number.split("x")[0]},PQ{number}', 'RaBitQ': rabitq}.get(kind)
        if spec is None or 'PQ' in kind and dim % int(number.split('x')[0]):
            raise LookupError(scheme)
        self.index = faiss.index_factory(dim, spec)

    def train(self, rows, threads):
        self.index.train(rows)

    def encode(self, rows, threads):
        self.index.add(rows)

    def bytes(self):
        return self.index.sa_code_size()

    def search(self, queries):
        return self.index.search(queries, K)[1]

    def estimates(self, queries, sample):
        self.index.reset()
        self.index.add(sample)
        return by_row(*self.index.search(queries, len(sample)))


class Rabitqlib:
    """Its inverted lists with one list around the mean: a scan."""
    peer = 'rabitqlib'

    def __init__(self, scheme, data):
        name, _, fast = scheme.partition('-')
        if rabitqlib is None or not name.startswith('RaBitQ'):
            raise LookupError(scheme)
        self.bits, self.fast = int(name[6:]), fast == 'fast'

    def train(self, rows, threads):
        self.centre, self.threads = rows.mean(axis=0, keepdims=True), threads

    def encode(self, rows, threads):
        self.index = rabitqlib.IvfIndex(rows.shape[1], len(rows), 1, self.bits)
        self.index.build(rows, self.centre, np.zeros(len(rows), np.uint32), num_threads=threads, fast_quantization=self.fast)

    def bytes(self):
        with tempfile.NamedTemporaryFile() as file:
            self.index.save(file.name)
            # Without the centre and the like, of which there is one.
            return os.path.getsize(file.name) // self.index.num_points

    def search(self, queries):
        return self.of(queries, K)[0]

    def estimates(self, queries, sample):
        self.encode(sample, self.threads)
        ids, distances = self.of(queries, len(sample))
        return by_row(distances, ids)

    def of(self, queries, k):
        """Ids and distances; which is which shows in the types."""
        a, b = self.index.search(queries, k, 1, high_accuracy=True, num_threads=self.threads)[:2]
        return (a, b) if np.issubdtype(a.dtype, np.integer) else (b, a)


def by_row(distances, ids):
    out = np.empty(distances.shape, np.float64)
    np.put_along_axis(out, ids.astype(np.int64), distances, axis=1)
    return out


def timed(call, *args):
    start = time.perf_counter()
    call(*args)
    return time.perf_counter() - start


def speed(Peer, scheme, data, threads):
    index = Peer(scheme, data)
    train_s = timed(index.train, data.rows, threads)
    return index, train_s, len(data.rows) / timed(index.encode, data.rows, threads)


def line(Peer, scheme, data, threads):
    index, train_s, rate = speed(Peer, scheme, data, threads)
    size, recall = index.bytes(), data.recall(index.search(data.queries))
    return dict(data=data.name, n=len(data.rows), queries=len(data.queries), peer=index.peer, scheme=scheme, bytes=size,
                threads=threads, train_s=round(train_s, 3), encode_rows_per_s=round(rate),
                relative_error=round(data.error(index.estimates(data.queries, data.sample)), 6), recall=round(recall, 5))


def ours(args, only=None, queries=None):
    """Runs `cargo xtask codes` and gives its lines."""
    out = tempfile.mktemp(suffix='.jsonl')
    command = ['cargo', 'xtask', 'codes', args.data, '--threads', str(args.threads), '--out', out]
    for flag, value in [('--queries', queries or args.queries), ('--rows', args.rows), ('--only', only or args.only)]:
        command += [flag, str(value)] if value else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return read(out)


def read(path):
    return [json.loads(text) for text in open(path)]


def turns(args, data, schemes):
    print('| scheme | peer | training, s: ours, theirs, ratio | rows encoded in a second: ours, theirs, ratio |\n|---|---|---|---|')
    for scheme in schemes:
        for Peer in Faiss, Rabitqlib:
            try:
                Peer(scheme, data)
            except LookupError:
                continue
            pairs = []
            for _ in range(args.turns):
                own = ours(args, scheme, 1)[0]
                pairs.append((own['train_s'], own['encode_rows_per_s'], *speed(Peer, scheme, data, args.threads)[1:]))
            a, b, c, d = (statistics.median(column) for column in zip(*pairs))
            train = statistics.median(p[0] / max(p[2], 1e-3) for p in pairs)
            encode = statistics.median(p[1] / p[3] for p in pairs)
            print(f'| {scheme} | {Peer.peer} | {a:.2f}, {c:.2f}, {train:.2f} | {b:,.0f}, {d:,.0f}, {encode:.2f} |', flush=True)


def table(lines, theirs):
    print('| scheme | library | bytes | training, s | rows encoded in a second | relative error | recall@10 |\n|---|---|---|---|---|---|---|')
    for own in lines:
        peers = [peer for peer in theirs if peer['scheme'] == own['scheme']]
        for some in [own] + peers:
            worse = some is own and any(round(peer['recall'] - own['recall'], 6) > 0.005 for peer in peers)
            print(f"| {some['scheme'] if some is own else ''} | {some['peer']} | {some['bytes']} | {some['train_s']:.2f} | "
                  f"{some['encode_rows_per_s']:,.0f} | {some['relative_error']:.4f} | {some['recall']:.4f}{' !' if worse else ''} |")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('data')
parser.add_argument('--ours', help='lines of `cargo xtask codes` with the same rows and queries')
parser.add_argument('--theirs', help='lines of an earlier run of this script, whose schemes are not measured again')
parser.add_argument('--only', help='schemes, as `cargo xtask codes` takes them')
parser.add_argument('--queries', type=int)
parser.add_argument('--rows', type=int)
parser.add_argument('--threads', type=int, default=os.cpu_count())
parser.add_argument('--turns', type=int, default=0, help='measure speed alone, so many times')
parser.add_argument('--out', help='append the lines of the peers here')
args = parser.parse_args()

faiss.omp_set_num_threads(args.threads)
data = Data(args)
if args.turns:
    turns(args, data, args.only.split(',') if args.only else [own['scheme'] for own in read(args.ours)])
    raise SystemExit
lines, theirs = read(args.ours) if args.ours else ours(args), read(args.theirs) if args.theirs else []
wanted = args.only.lower().split(',') if args.only else ['']
for own in [own for own in lines if own['scheme'].lower().startswith(tuple(wanted))]:
    for Peer in Faiss, Rabitqlib:
        if any((peer['peer'], peer['scheme']) == (Peer.peer, own['scheme']) for peer in theirs):
            continue
        try:
            theirs.append(line(Peer, own['scheme'], data, args.threads))
        except LookupError:
            continue
        print(json.dumps(theirs[-1]), flush=True)
        if args.out:
            with open(args.out, 'a') as file:
                file.write(json.dumps(theirs[-1]) + '\n')
table(lines, theirs)
