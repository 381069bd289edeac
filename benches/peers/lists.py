#!/usr/bin/env python3
"""Recall and build time of inverted lists beside those of faiss (product codes), rabitqlib (RaBitQ) and scann (ScaNN, weighted and not), with as many lists,
codes of the same size and the same number of lists searched. Nothing is measured again but by the codes.

  python benches/peers/lists.py DATA.hdf5 --index IVF1024,PQ64x4fs --index IVF1024,RaBitQ4 --index IVF1024,ScaNN64 --nprobe 8,32,128

Rows of cosine are normalised, and compared by products in scann and by squared distances elsewhere. A recall that is lower than a peer's by more than 0.5 points is
marked with `!`. Needs h5py, numpy and the libraries. Run it from the root of the repository.
"""
import argparse, json, os, re, subprocess, tempfile, time

import h5py, numpy as np
from peers import K, recall


def ours(args, spec):
    out = tempfile.mktemp(suffix='.jsonl')
    command = ['cargo', 'xtask', 'bench', args.data, '--index', spec, '--threads', str(args.threads), '--effort', args.nprobe, '--out', out]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in open(out)]
    return [('ann', lines[0]['build_s'], [line['recall'] for line in lines])]


def faiss(rows, queries, nlist, codes, args):
    import faiss
    faiss.omp_set_num_threads(args.threads)
    start = time.perf_counter()
    index = faiss.index_factory(rows.shape[1], f'IVF{nlist},{codes}')
    index.train(rows)
    index.add(rows)
    build_s = time.perf_counter() - start
    search = lambda nprobe: index.search(queries, K, params=faiss.SearchParametersIVF(nprobe=nprobe))[1]
    return 'faiss', build_s, search


def rabitqlib(rows, queries, nlist, bits, args):
    import rabitqlib
    start = time.perf_counter()
    means = rabitqlib.RaBitQKMeans(rows.shape[1], nlist, num_threads=args.threads, final_assignment=rabitqlib.FinalAssignmentMode.Exact)
    means.train(rows)
    index = rabitqlib.IvfIndex(rows.shape[1], len(rows), nlist, bits, 'l2')
    index.build(rows, means.centroids, means.assignments, args.threads)
    build_s = time.perf_counter() - start
    return 'rabitqlib', build_s, lambda nprobe: index.search(queries, K, nprobe, None, args.threads)[0]


def scann(rows, queries, cosine, nlist, m, threshold, args):
    import scann
    start = time.perf_counter()
    builder = scann.scann_ops_pybind.builder(rows, K, 'dot_product' if cosine else 'squared_l2')
    builder = builder.tree(nlist, nlist, training_sample_size=min(len(rows), 250_000))
    builder = builder.score_ah(rows.shape[1] // m, anisotropic_quantization_threshold=threshold)
    builder.set_n_training_threads(args.threads)
    index = builder.build()
    build_s = time.perf_counter() - start
    return f'scann, threshold {threshold}', build_s, lambda nprobe: index.search_batched(queries, leaves_to_search=nprobe)[0]


def peers(spec, rows, queries, cosine, args):
    """The peers of one of our strings, built one after the other."""
    nlist, codes = re.fullmatch(r'IVF(\d+),(\w+)', spec).groups()
    number = [int(text) for text in re.findall(r'\d+', codes)]
    if codes.startswith('RaBitQ'):
        yield rabitqlib(rows, queries, int(nlist), number[0], args)
    elif codes.startswith('ScaNN'):
        for threshold in float('nan'), 0.2:
            yield scann(rows, queries, cosine, int(nlist), number[0], threshold, args)
    else:
        yield faiss(rows, queries, int(nlist), codes, args)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('data')
parser.add_argument('--index', action='append', required=True)
parser.add_argument('--nprobe', default='8,32,128')
parser.add_argument('--threads', type=int, default=os.cpu_count())
args = parser.parse_args()

with h5py.File(args.data) as h:
    cosine = h.attrs['distance'] in ('angular', b'angular')
    rows, queries = (np.asarray(h[k], np.float32) for k in ('train', 'test'))
    bound = np.asarray(h['distances'])[:, K - 1] + (1e-5 if cosine else 1e-3)
if cosine:
    rows, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, queries))
probes = [int(text) for text in args.nprobe.split(',')]
print('| index | library | build, s | ' + ' | '.join(f'recall at {nprobe}' for nprobe in probes) + ' |')
print('|---' * (3 + len(probes)) + '|')
for spec in args.index:
    lines = ours(args, spec)
    for name, build_s, search in peers(spec, rows, queries, cosine, args):
        lines.append((name, build_s, [recall(search(nprobe), rows, queries, bound, cosine) for nprobe in probes]))
    best = [max(line[2][i] for line in lines[1:]) for i in range(len(probes))]
    for name, build_s, recalls in lines:
        cells = [f"{value:.4f}{' !' if name == 'ann' and top - value > 0.005 else ''}" for value, top in zip(recalls, best)]
        print(f"| {spec} | {name} | {build_s:.1f} | {' | '.join(cells)} |", flush=True)
