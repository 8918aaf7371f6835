"""Titles and texts of the sections of docs/benchmarks.md, by the name of the function in `tables`, in order."""

SECTIONS = {
    "machine": (
        "The floor",
        """\
A dense pass makes two matrix products and n k exponentials, and reads the rows once. The floor is the time of this work
at the rates below, a lower limit in float32. sgemm shows what BLAS reaches for such shapes.""",
    ),
    "passes": (
        "A soft pass compared with a hard one",
        """\
`softkmeans.accumulate(x, c, T)`, float32, compared with the *hard* Lloyd iterations of scikit-learn and faiss. *Dense*:
T is such that memberships have a perplexity of k / 2, so that none can be skipped. *Sparse*: blobs at least 6 σ apart,
T = 2 σ². Above 1, the soft pass is faster. *Of the floor*: the least time that this machine needs, divided by the time
of the dense pass.""",
    ),
    "soft": (
        "A pass compared with other programs",
        """\
The time of one iteration, divided by that of ours, on the same dense work. KMeans is hard, and reads the same rows.""",
    ),
    "members": (
        "The members of the family",
        """\
A pass of each member divided by a plain one, float32, on the dense work: the sums over all rows, and the parameters of
the next pass. The sums are first compared with float64.""",
    ),
    "relatives": (
        "The members compared with other programs",
        """\
The time of an iteration of the other program divided by that of ours, for the same model on the same dense work.""",
    ),
    "convergence": (
        "Fewer passes",
        """\
Passes until the objective is within 10⁻⁶ E of the final one, from the same start, compared with those of plain EM, on
blobs (2 to 64 features, from separated to overlapping) and the data sets of scikit-learn, with T fixed and learned.""",
    ),
    "adam": (
        "Compared with Adam",
        """\
From the same start until the free energy is within 10⁻⁶ E of the same optimum, on overlapping blobs: softkmeans, and
the naive PyTorch module trained by Adam on all rows, with a learning rate that is halved on plateaus. The initial rate
is 0.1, or the one that is best for these data.""",
    ),
    "training": (
        "Training the PyTorch module",
        """\
`layer.loss(x, objective).backward()`, float32, on dense work: divided by one `softkmeans.accumulate`, without and with
gradients of the rows, and compared with the loss as most people would write it, from `torch.cdist` and a softmax. Then
a step of `train_layer` on the distortion, compared with the same loss and `torch.optim.Adam`. Gradients are compared
first. For a thousand rows or less, the calls take longer than the work, and the naive loss is as fast or faster.""",
    ),
    "batches": (
        "Batches of problems",
        """\
`softkmeans.functional.soft_kmeans` on many small problems, float32, 30 iterations in one call: divided by as many
passes, `softkmeans.accumulate`, over one problem with all the rows, and compared with SoftKMeans of torch_kmeans, which
fits a batch, too, with inner products in place of distances. All centers are first compared with float64. Then fits
until all problems have converged, without and with gradients of the rows through the centers.""",
    ),
    "fits": (
        "Whole fits",
        """\
`SoftKMeans(k, temperature=1e-6)` compared with `KMeans(k, n_init=1)`, with seeding and each one's stopping rule, on
separated blobs. Above 1, softkmeans is faster. faiss makes 25 passes from random rows; compare it with
`init="k-means||"` and `growing_sample=True`.""",
    ),
    "small": (
        "Small tables and single rows",
        """\
Whole default fits, float64, the mean over ten seeds, compared with `GaussianMixture(covariance_type="spherical")` and
`KMeans(n_init=1)`; then the answers of fitted models. Below 1, softkmeans is faster. The light predictor, which needs
no PyTorch, is `softkmeans.predictor`.""",
    ),
    "sparse_rows": (
        "Sparse rows",
        """\
CSR matrices. *A pass* of soft k-means in a fit, compared with a hard Lloyd iteration of scikit-learn on the same matrix
(10⁵ × 10⁴, a thousandth of the values stored, k = 20; memberships have a perplexity of about k / 2), and the peak
memory of a fit in addition to the data. Then *texts* as TF-IDF (5000 × 8000, words as frequent as Zipf's law says):
whole fits, k = 20, compared with `KMeans(k, n_init=1)`, and `select_n_clusters` on 500 of them, for k up to 10. The
sums of a pass are first compared with those of dense rows.""",
    ),
    "memory": (
        "Memory",
        """\
Peak memory in addition to the data, after a smaller call has loaded all libraries.""",
    ),
    "growth": (
        "Growth",
        """\
The time of a pass, float32, as n, d or k grows. A call takes about a millisecond in addition to its work, for checks,
and for calls between Python, PyTorch and the kernels.""",
    ),
    "starting": (
        "Starting",
        """\
The time of commands in new processes, and the additional time of the first fit of 200,000 rows compared with a second
one: on a new machine, where kernels are compiled, and in later processes, which load them. Small data needs no compiled
kernels.""",
    ),
}
