"""Libraries from PyPI behind one face: `Peer.NAMES[name](rows, cosine, threads)` builds, `search(queries, setting, threads)` gives ten ids a query.

Rows of cosine are normalised before they come here, so that products order them. Settings are tuples of numbers, in the order that `SETTING` names.
"""
import os, tempfile

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
import numpy as np

K = 10


def lists(n):
    """faiss's advice, four times the root, as a power of two."""
    return 2 ** int(np.round(np.log2(4 * np.sqrt(n))))


def recall(found, rows, queries, bound, cosine):
    """Share of the K results of every query that are no farther than its `bound`."""
    hits = 0
    for query, ids, bound in zip(queries, np.asarray(found).astype(np.int64), bound):
        near = rows[np.unique(ids[ids >= 0])]
        distances = 1 - near @ query if cosine else np.linalg.norm(near - query, axis=1)
        hits += int((distances <= bound).sum())
    return hits / (len(queries) * K)


class Hnswlib:
    SETTING = ['ef']

    def __init__(self, rows, cosine, threads):
        import hnswlib
        self.index = hnswlib.Index('ip' if cosine else 'l2', rows.shape[1])
        self.index.init_index(len(rows), M=16, ef_construction=200)
        self.index.set_num_threads(threads)
        self.index.add_items(rows)

    def search(self, queries, setting, threads):
        self.index.set_num_threads(threads)
        self.index.set_ef(setting[0])
        return self.index.knn_query(queries, K)[0]


class FaissIvf:
    SETTING = ['nprobe', 'k_factor']

    def __init__(self, rows, cosine, threads):
        import faiss
        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        metric = faiss.METRIC_INNER_PRODUCT if cosine else faiss.METRIC_L2
        self.index = faiss.index_factory(rows.shape[1], f'IVF{lists(len(rows))},{self.codes(rows.shape[1])},RFlat', metric)
        self.index.train(rows)
        self.index.add(rows)

    def search(self, queries, setting, threads):
        self.faiss.omp_set_num_threads(threads)
        probes = self.faiss.SearchParametersIVF(nprobe=setting[0])
        params = self.faiss.IndexRefineSearchParameters(k_factor=setting[1], base_index_params=probes)
        return self.index.search(queries, K, params=params)[1]


class FaissIvfPqFs(FaissIvf):
    def codes(self, dim):
        return f'PQ{dim // 2 if dim % 2 == 0 else dim}x4fs'


class FaissIvfRabitq(FaissIvf):
    def codes(self, dim):
        return 'RaBitQfs'


class Scann:
    SETTING = ['leaves_to_search', 'pre_reorder_num_neighbors']

    def __init__(self, rows, cosine, threads):
        import scann
        leaves, sample = int(np.sqrt(len(rows))) * 2, min(len(rows), 250_000)
        builder = scann.scann_ops_pybind.builder(rows, 100, 'dot_product' if cosine else 'squared_l2')
        builder = builder.tree(leaves, 100, training_sample_size=sample)
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2 if cosine else float('nan')).reorder(100)
        builder.set_n_training_threads(threads)
        self.index = builder.build()

    def search(self, queries, setting, threads):
        call = self.index.search_batched
        if threads > 1:
            self.index.set_num_threads(threads)
            call = self.index.search_batched_parallel
        return call(queries, final_num_neighbors=K, leaves_to_search=setting[0], pre_reorder_num_neighbors=setting[1])[0]


class RabitqIvf:
    """Codes of 32 bits: the rows themselves behind codes of one bit, as the library measures itself."""
    SETTING = ['nprobe']

    def __init__(self, rows, cosine, threads):
        import rabitqlib
        nlist = lists(len(rows))
        means = rabitqlib.RaBitQKMeans(rows.shape[1], nlist, num_threads=threads, final_assignment=rabitqlib.FinalAssignmentMode.Exact)
        means.train(rows)
        self.index = rabitqlib.IvfIndex(rows.shape[1], len(rows), nlist, 32, 'ip' if cosine else 'l2')
        self.index.build(rows, means.centroids, means.assignments, threads)

    def search(self, queries, setting, threads):
        return self.index.search(queries, K, setting[0], None, threads)[0]


class Annoy:
    SETTING = ['search_k']
    TREES = 50

    def __init__(self, rows, cosine, threads):
        import annoy
        self.index = annoy.AnnoyIndex(rows.shape[1], 'dot' if cosine else 'euclidean')
        for i, row in enumerate(rows):
            self.index.add_item(i, row)
        self.index.build(self.TREES, threads)

    def search(self, queries, setting, threads):
        assert threads == 1, 'annoy answers one query at a time'
        found = [self.index.get_nns_by_vector(query, K, setting[0]) for query in queries]
        return np.array([(ids + [-1] * K)[:K] for ids in found])


class Symqg:
    SETTING = ['ef']
    OWN_BITS = 0

    def __init__(self, rows, cosine, threads):
        import rabitqlib
        rows = self.padded(rows)
        self.index = rabitqlib.SymqgIndex(rows.shape[1], 32, 'ip' if cosine else 'l2', self.OWN_BITS)
        self.index.build(rows, 200, threads)

    def padded(self, rows):
        """Its rotation takes multiples of 64."""
        return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 64))))

    def search(self, queries, setting, threads):
        return self.index.search(self.padded(queries), K, setting[0], threads)[0]


class Symqg8(Symqg):
    OWN_BITS = 8


class Deglib:
    SETTING = ['eps']

    def __init__(self, rows, cosine, threads):
        import deglib
        metric = deglib.Metric.FP32_InnerProduct if cosine else deglib.Metric.FP32_L2
        self.index = deglib.build_from_data(rows, edges_per_vertex=32, metric=metric, extend_k=64, extend_eps=0.1, thread_count=threads, seed=7)

    def search(self, queries, setting, threads):
        return np.asarray(self.index.search(queries, eps=setting[0], k=K, threads=threads)[0]).astype(np.int64)


class Svs:
    SETTING = ['search_window_size']

    def __init__(self, rows, cosine, threads):
        import svs
        distance = svs.DistanceType.MIP if cosine else svs.DistanceType.L2
        params = svs.VamanaBuildParameters(alpha=0.95 if cosine else 1.2, graph_max_degree=64, window_size=200)
        dim = rows.shape[1]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'rows.fvecs')
            np.hstack([np.full((len(rows), 1), dim, np.int32).view(np.float32), rows]).tofile(path)
            loader = svs.LVQLoader(svs.VectorDataLoader(path, svs.DataType.float32, dims=dim), padding=32, **self.BITS)
            self.index = svs.Vamana.build(params, loader, distance, num_threads=threads)

    def search(self, queries, setting, threads):
        self.index.num_threads = threads
        self.index.search_window_size = max(setting[0], K)
        return self.index.search(queries, K)[0]


class SvsLvq4x8(Svs):
    BITS = dict(primary=4, residual=8)


class SvsLvq8(Svs):
    BITS = dict(primary=8, residual=0)


class Peer:
    NAMES = {
        'hnswlib': Hnswlib, 'faiss-ivfpqfs': FaissIvfPqFs, 'faiss-ivfrabitq': FaissIvfRabitq, 'scann': Scann, 'rabitq-ivf': RabitqIvf,
        'annoy': Annoy, 'symqg': Symqg, 'symqg-8bit': Symqg8, 'deglib': Deglib, 'svs-lvq4x8': SvsLvq4x8, 'svs-lvq8': SvsLvq8,
    }
