#!/usr/bin/env python3
"""Filtered search of hnswlib and faiss on the filters of `cargo xtask filters`: a half, a tenth, a hundredth, a thousandth of the rows, drawn at
random, or nearest to the query, or farthest from it; for each the least `ef` of the sweep that reaches recall 0.95, on one thread.

  python benches/peers/filters.py DATA.hdf5 --out results/DATA.filters.jsonl

hnswlib asks a Python function about every row, which is what its users get; faiss asks a bitmap. Needs h5py, numpy, hnswlib and faiss-cpu.
"""
import argparse, json, os, time

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
import faiss, h5py, hnswlib, numpy as np

K, WANTED = 10, 0.95
SHARES = [0.5, 0.1, 0.01, 0.001]
EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768]


def drawn(n, share):
    hashed = (np.arange(n, dtype=np.uint64) * 2654435761) & 0xFFFFFFFF
    return hashed.astype(np.float64) < share * 2.0**32


def cells(rows, queries):
    """(kind, share, masks, truths); one mask for all queries or one each."""
    n = len(rows)
    norms = (rows * rows).sum(axis=1)
    order = np.stack([np.argsort(norms - 2 * (rows @ query), kind='stable') for query in queries])
    for kind in ('random', 'near', 'far'):
        for share in SHARES:
            most = max(int(share * n), 1)
            if kind == 'random':
                masks = [drawn(n, share)]
            else:
                masks = []
                for ranks in order:
                    mask = np.zeros(n, bool)
                    mask[ranks[:most] if kind == 'near' else ranks[n - most:]] = True
                    masks.append(mask)
            truths = []
            for i, ranks in enumerate(order):
                mask = masks[min(i, len(masks) - 1)]
                truths.append(ranks[mask[ranks]][:K])
            yield kind, share, masks, truths


def of_hnswlib(rows, queries, threads, m, ef_construction):
    index = hnswlib.Index(space='l2', dim=rows.shape[1])
    index.init_index(max_elements=len(rows), M=m, ef_construction=ef_construction)
    index.add_items(rows, num_threads=threads)
    index.set_num_threads(1)

    def search(query, mask, ef):
        index.set_ef(ef)
        accepts = mask.tolist().__getitem__ if not isinstance(mask, list) else mask.__getitem__
        try:
            return index.knn_query(query, k=K, filter=accepts)[0][0]
        except RuntimeError:  # fewer than k were found
            return np.empty(0, int)

    return search, lambda mask: mask.tolist()


def of_faiss(rows, queries, threads, m, ef_construction):
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(rows.shape[1], m)
    index.hnsw.efConstruction = ef_construction
    index.add(rows)
    faiss.omp_set_num_threads(1)

    def search(query, bitmap, ef):
        selector = faiss.IDSelectorBitmap(bitmap)
        found = index.search(query[None], K, params=faiss.SearchParametersHNSW(efSearch=ef, sel=selector))[1][0]
        return found[found >= 0]

    return search, lambda mask: np.packbits(mask, bitorder='little')


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('data')
    args.add_argument('--queries', type=int, default=200)
    args.add_argument('--threads', type=int, default=os.cpu_count())
    args.add_argument('--peers', default='hnswlib,faiss')
    args.add_argument('--out')
    args = args.parse_args()
    with h5py.File(args.data) as h:
        cosine = h.attrs['distance'] in ('angular', b'angular')
        rows, queries = (np.asarray(h[k], np.float32) for k in ('train', 'test'))
    queries = queries[:args.queries]
    if cosine:
        rows, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, queries))
    rows = np.ascontiguousarray(rows)
    filters = list(cells(rows, queries))
    for peer, make in (('hnswlib', of_hnswlib), ('faiss', of_faiss)):
        if peer not in args.peers.split(','):
            continue
        search, prepare = make(rows, queries, args.threads, 16, 200)
        for kind, share, masks, truths in filters:
            prepared = [prepare(mask) for mask in masks]
            wanted = sum(len(truth) for truth in truths)
            for ef in EFFORTS:
                start = time.perf_counter()
                found = [search(query, prepared[min(i, len(prepared) - 1)], ef) for i, query in enumerate(queries)]
                seconds = time.perf_counter() - start
                recall = sum(len(np.intersect1d(f, t)) for f, t in zip(found, truths)) / wanted
                if recall >= WANTED or seconds > 120:
                    break
            short = sum(len(f) < len(t) for f, t in zip(found, truths))
            line = dict(data=os.path.basename(args.data), n=len(rows), peer=f'{peer}-M16', filter=kind, share=share, setting=ef, k=K,
                        recall=round(recall, 4), qps=round(len(queries) / seconds, 1), short=short)
            print(f"{line['peer']:<24} {kind:<7} {100 * share:>6.1f} % {ef:>6} {recall:>8.4f} {line['qps']:>10.0f} {short:>6}", flush=True)
            if args.out:
                with open(args.out, 'a') as out:
                    out.write(json.dumps(line) + '\n')


if __name__ == '__main__':
    main()
