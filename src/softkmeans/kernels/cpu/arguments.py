"""The arguments of the kernels, each declared once: numbers, inputs, scratch arrays, sums and outputs.

In the kernels, ``t`` is an object of one of these classes. In an array of shape (clusters, rows) or (features, rows), a
line has the length of a panel.
"""

from __future__ import annotations

__all__ = [
    "MAX_DISTANCE",
    "MAX_FEW_FEATURES",
    "PANEL_REGISTERS",
    "TILE_ROWS",
    "AccumulateArguments",
    "AssignArguments",
    "DistortionArguments",
    "DistortionGradientArguments",
    "HessianArguments",
    "MembershipArguments",
    "MinDistancesArguments",
    "PassArguments",
    "PassNumbers",
    "RowGradientArguments",
    "SlopeArguments",
    "group_size",
    "round_up",
]

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import compiler
from ..compiler import FLOAT, INT64, Arguments, Code, Value, Variable
from .strips import strip_counts, table_columns

# With four centers, three registers make twelve sums. They hide the latency of an FMA (four cycles, on two units) and
# fit into 16 registers. Processors with registers of 64 bytes have 32 of them: eight centers read rows half as often.
PANEL_REGISTERS = 3
MAX_FEW_FEATURES = 8  # up to this number, distances are computed from differences, else by a matrix product
TILE_ROWS = 384  # maximum number of rows of a tile


def group_size(bits: int, lanes: int) -> int:
    """Return how many centers are in a group, whose products with rows are computed together."""
    return 8 if bits * lanes == 512 else 4


def round_up(number: int, step: int) -> int:
    """Round up to a multiple of a step."""
    return -(-number // step) * step


MAX_DISTANCE = {32: 1e30, 64: 1e300}  # larger distances overflow in later steps


class PassNumbers(NamedTuple):
    """The numbers of a pass over a chunk of rows. Those that kernels take are described there, in `PassArguments`.

    Attributes
    ----------
    bits : int
        Size of the kernel's floats: 32 or 64.
    lanes : int
        Floats of a register.
    is_csr : bool
        Whether the kernel reads the stored values of a CSR matrix.
    n_doubles, n_singles : int
        How many of these values are in the chunk, in float64 or else in float32.
    """

    bits: int
    lanes: int
    chunk_rows: int
    n: int
    d: int
    k: int
    tile_rows: int
    has_weights: bool
    normalize: bool
    inverse_scale: float
    beta: float
    product_error: float
    max_center_norm: float
    error_factor: float
    max_exponent: float
    skipped_fraction: float
    with_resp: bool = False
    gradient_factor: float = 2.0
    noise_dist: float = 0.0
    noise_distance: float = 0.0
    small_ratio: float = 0.0
    kink: float = 0.0
    slope_factor: float = 0.0
    constant_slope: float = 0.0
    power: float = 1.0
    is_csr: bool = False
    n_doubles: int = 0
    n_singles: int = 0
    shift_square: float = 0.0

    @property
    def sizes(self) -> PassNumbers:
        """The numbers without those that determine no shape, such as temperature and scale."""
        return self._replace(
            inverse_scale=0.0, beta=0.0, product_error=0.0, max_center_norm=0.0, error_factor=0.0, max_exponent=0.0,
            skipped_fraction=0.0, gradient_factor=0.0, noise_dist=0.0, noise_distance=0.0, small_ratio=0.0,
            kink=0.0, slope_factor=0.0, constant_slope=0.0, power=0.0, n_doubles=0, n_singles=0, shift_square=0.0,
        )  # fmt: skip

    @property
    def panel_rows(self) -> int:
        """Rows of a full panel."""
        return PANEL_REGISTERS * self.lanes

    @property
    def has_few_features(self) -> bool:
        """True if the kernels for few features are used."""
        return self.d <= MAX_FEW_FEATURES

    @property
    def padded_d(self) -> int:
        """The number of features, rounded up to full registers."""
        return round_up(self.d, self.lanes)

    @property
    def padded_k(self) -> int:
        """The number of clusters, rounded up to a multiple of four; for CSR the columns of the table."""
        return table_columns(self.k, self.lanes) if self.is_csr else round_up(self.k, 4)

    @property
    def resp_stride(self) -> int:
        """Numbers of a line of tile_resp; no power of two, since cache lines at such strides evict each other."""
        return TILE_ROWS + 512 // self.bits

    @property
    def strip_counts(self) -> tuple[int, int, int]:
        """The number of strips of each of `strips.WIDTHS`."""
        return strip_counts(self.padded_d // self.lanes)


# Shapes and values are functions of the numbers p of a pass.
Number = compiler.Number[PassNumbers]
Setting = compiler.Setting[PassNumbers]
Input = compiler.Input[PassNumbers]
Output = compiler.Output[PassNumbers]
Scratch = compiler.Scratch[PassNumbers]
Sum = compiler.Sum[PassNumbers]


class PassArguments(Arguments):
    """What all kernels work with: the rows of a chunk, the centers, and the panel's rows and distances.

    Attributes
    ----------
    few : int
        The number of features if the kernel is written for just this number, else 0.
    is_affine : bool
        Whether ``dist`` is the squared distance plus a bias. If not, `of_squared` makes it of the squared distance.
    is_csr : bool
        Whether the kernel reads the stored values of a CSR matrix: see `csr`.
    panel_start, first_row, panel_rows : Value
        Of the current panel: its position in the tile, the index of its first row in the chunk, its number of rows.
    """

    few: int = 0
    is_affine: bool = True
    is_csr: bool = False
    panel_start: Value
    first_row: Value
    panel_rows: Value

    chunk_rows = Number(lambda p: p.chunk_rows, "rows of the chunk")
    d = Number(lambda p: p.d, "features")
    padded_d = Number(lambda p: p.padded_d, "features, rounded up to full registers")
    k = Number(lambda p: p.k, "clusters")
    tile_rows = Number(lambda p: p.tile_rows, "rows of a tile")
    has_weights = Number(lambda p: p.has_weights, "whether rows have weights")
    normalize = Number(lambda p: p.normalize, "whether rows are divided by their length")

    inverse_scale = Setting(lambda p: p.inverse_scale, "factor by which rows are multiplied after the shift")
    beta = Setting(lambda p: p.beta, "an unnormalized membership is 2^(beta (min_dist - dist))")
    product_error = Setting(lambda p: p.product_error, "largest rounding error of a product, relative to (‖c‖ + ‖z‖)²")
    max_center_norm = Setting(lambda p: p.max_center_norm, "the largest ‖c‖")
    error_factor = Setting(lambda p: p.error_factor, "error of a log-membership, over (‖c‖ + ‖z‖)² MAX_PRODUCT_ERROR")
    max_exponent = Setting(lambda p: p.max_exponent, "memberships below 2^-max_exponent are skipped")
    skipped_fraction = Setting(lambda p: p.skipped_fraction, "part of a cluster's weight that a row may lose")

    x = Input(FLOAT, lambda p: (p.chunk_rows, p.d), "the rows")
    weights = Input(FLOAT, lambda p: (p.chunk_rows if p.has_weights else 0,), "their weights")
    shift_high = Input(FLOAT, lambda p: (p.padded_d,), "subtracted from rows, with shift_low, for more digits")
    shift_low = Input(FLOAT, lambda p: (p.padded_d,), "the second part of the shift")
    centers = Input(FLOAT, lambda p: (p.k, p.padded_d), "the centers c, shifted and scaled")
    center_groups = Input(FLOAT, lambda p: (p.padded_k, p.padded_d), "-2 c, by groups of centers: see `group_centers`")
    bias = Input(FLOAT, lambda p: (p.padded_k,), "-b / beta: the log-prior as a part of the distance")
    center_terms = Input(FLOAT, lambda p: (p.padded_k,), "bias + ‖c‖²; a huge number for padding")

    z = Scratch(FLOAT, lambda p: (p.panel_rows, p.padded_d), "the panel's rows, shifted and scaled")
    columns = Scratch(FLOAT, lambda p: (p.padded_d, p.panel_rows), "the same, transposed")
    row_scales = Scratch(FLOAT, lambda p: (p.tile_rows,), "factor by which each row was multiplied")
    w = Scratch(FLOAT, lambda p: (p.tile_rows,), "weights, 0 for missing rows")
    dist = Scratch(FLOAT, lambda p: (p.padded_k, p.panel_rows), "squared distances plus bias, less the rows' offsets")
    min_dist = Scratch(FLOAT, lambda p: (p.panel_rows,), "the smallest of each row's distances")
    dist_limit = Scratch(FLOAT, lambda p: (p.panel_rows,), "min_dist plus twice the largest rounding error")
    offset = Scratch(FLOAT, lambda p: (p.panel_rows,), "what dist leaves out, as it is equal for all clusters of a row")
    out_of_range = Scratch(INT64, lambda p: (1,), "whether a distance was too large for the kernel's floats")
    weight_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "weight_total of the tile, a sum for each lane")

    weight_total = Sum(lambda p: (p.k,), "Σ w r; in min_distances Σ w d")

    # What a distance or an assignment rule does in its own way; those of `members` replace these functions.

    def largest_dist(self) -> Value:
        """Return a register of what the smallest distance of a row is at most."""
        return self.code.full(MAX_DISTANCE[self.code.bits])

    def of_squared(self, q: Any, at: Any, squared: Value) -> Value:
        """Return a register of ``dist``, at a position, of rows with squared distances from cluster q."""
        return squared + self.bias[q]

    def set_few_features(self, few: int) -> None:
        """Write the kernel for a fixed number of features, or for any number if ``few`` is 0."""
        self.few = few
        if few:
            self.d, self.padded_d = few, round_up(few, self.code.lanes)


class MembershipArguments(PassArguments):
    """What kernels that compute memberships work with.

    Attributes
    ----------
    n_near : Variable
        The length of ``near_list`` for the current panel.
    has_slopes : bool
        Whether there are slopes s = r (e - mean), such as those of the distortion, for which e is the distance.
    is_dense : bool
        Whether all memberships matter, so that none is skipped.
    """

    has_slopes: bool = False
    is_dense: bool = False

    cutoff = Scratch(FLOAT, lambda p: (p.k,), "how far above dist_limit a distance may be before it is skipped")
    near_list = Scratch(INT64, lambda p: (PANEL_REGISTERS * p.k + 1,), "entries of sparse.find_near")
    resp = Scratch(FLOAT, lambda p: (p.k, p.panel_rows), "memberships: unnormalized, later normalized and weighted")
    resp_totals = Scratch(FLOAT, lambda p: (p.tile_rows,), "sums of each row's unnormalized memberships")
    mean_excess = Scratch(FLOAT, lambda p: (p.panel_rows,), "mean of a row's e; of distances, above min_dist")

    def __init__(self, code: Code, parameters: Sequence[Any]) -> None:
        super().__init__(code, parameters)
        self.n_near: Variable = code.variable(code.integer(0))

    def first_total(self, p: Any) -> Value:
        """Return a register of what the unnormalized memberships of no cluster sum to."""
        return self.code.full(0.0)

    def weigh(self, at: Any, p: Any) -> Value:
        """Return a register of unnormalized memberships; ``p`` is the position in the panel."""
        return self.code.exp2((self.min_dist.load(p) - self.dist.load(at)) * self.beta)

    def first_moment(self, p: Any) -> Value:
        """Return a register of what e, times unnormalized memberships, of no cluster sums to."""
        return self.code.full(0.0)

    def excess(self, q: Any, at: Any, p: Any) -> Value:
        """Return a register of e for cluster q: the distances, up to a number for each row."""
        return (self.dist.load(at) - self.min_dist.load(p)) - self.bias[q]

    def distance_of(self, q: Any, at: Any, p: Any) -> Value:
        """Return a register of distances from cluster q, to which the caller adds the bias."""
        return self.dist.load(at) + self.offset.load(p)

    def beta_of(self, q: Any) -> Value:
        """Return the inverse temperature of cluster q, in the exponent of 2."""
        return self.beta


class AccumulateArguments(MembershipArguments):
    """The arguments of `kernels.accumulate`."""

    padded_k = Number(lambda p: p.padded_k, "clusters, rounded up to a multiple of four")
    resp_stride = Number(lambda p: p.resp_stride, "numbers from one cluster to the next in tile_resp")
    n_threes = Number(lambda p: p.strip_counts[0], "strips of three registers")
    n_twos = Number(lambda p: p.strip_counts[1], "strips of two registers")
    n_ones = Number(lambda p: p.strip_counts[2], "strips of one register")

    row_factors = Scratch(FLOAT, lambda p: (p.panel_rows,), "w / resp_totals")
    tile_min_dist = Scratch(FLOAT, lambda p: (p.tile_rows,), "min_dist + offset")
    tile_resp = Scratch(
        FLOAT, lambda p: (0 if p.has_few_features else p.padded_k, p.resp_stride), "weighted memberships of the tile"
    )
    strip = Scratch(
        FLOAT, lambda p: (0 if p.has_few_features else p.tile_rows, p.panel_rows), "the tile's rows, some features"
    )
    distortion_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "distortion_total of the tile, a sum for each lane")
    weighted_sum_lanes = Scratch(
        FLOAT, lambda p: (p.k, p.d if p.has_few_features else 0, p.lanes), "weighted_sum_total of the tile, by lanes"
    )

    distortion_total = Sum(lambda p: (p.k,), "Σ w r d")
    weighted_sum_total = Sum(lambda p: (p.k, p.d if p.has_few_features else 0), "Σ w r z, for few features")
    objective_sums = Sum(lambda p: (3,), "Σ w log2 resp_totals, Σ w min_dist, Σ w")
    weighted_sum_strips = Sum(
        lambda p: (p.padded_k, 0 if p.has_few_features else p.padded_d), "Σ w r z for many features, strip by strip"
    )

    def set_row_factors(self, v: int) -> None:
        """Set the factors w / total of a register of rows, by which memberships become normalized and weighted."""
        self.row_factors.store(v, self.w.load(self.panel_start + v) / self.resp_totals.load(self.panel_start + v))
        self.tile_min_dist.store(self.panel_start + v, self.min_dist.load(v) + self.offset.load(v))

    def distortion_of(self, at: Any, p: Any) -> Value:
        """Return a register of what is added to the distortion, times the memberships."""
        distance = self.dist.load(at)
        return distance if self.few else distance + self.offset.load(p)  # with few features, the offset is 0

    def rule_weight(self, at: Any, p: Any, r: Value) -> Value:
        """Return by how much rows with weighted memberships r count in the update of the centers."""
        return r

    def update_weight(self, at: Any, p: Any, r: Value) -> Value:
        """Return the same times the derivative of the distance: by how much rows count in the weighted sums."""
        return self.rule_weight(at, p, r)


class SlopeArguments(AccumulateArguments):
    """The arguments of kernels that sum slopes s = r (e - mean), too; the mean of a row's e is weighted by r."""

    has_slopes = True

    slope_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "slope_total of the tile, a sum for each lane")
    slope_distortion_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "slope_distortion_total of the tile, by lanes")

    slope_total = Sum(lambda p: (p.k,), "Σ w s")
    slope_distortion_total = Sum(
        lambda p: (p.k,), "Σ w s d; in hessian_product Σ w (s d + r d'), d' along the direction"
    )


class DistortionArguments(SlopeArguments):
    """The arguments of `kernels.accumulate_distortion`: e is the distance d, and weighted sums are those of q."""


class HessianArguments(SlopeArguments):
    """The arguments of `kernels.hessian_product`: e is the derivative of a logit along a direction."""

    direction_groups = Input(FLOAT, lambda p: (p.padded_k, p.padded_d), "-2 v, by groups of centers")
    direction_terms = Input(FLOAT, lambda p: (p.padded_k,), "2 c v")
    direction_b = Input(FLOAT, lambda p: (p.padded_k,), "the direction of b, less direction_beta bias")
    direction_beta = Input(FLOAT, lambda p: (p.padded_k,), "minus the direction of beta, for squared distances")

    dist_slopes = Scratch(FLOAT, lambda p: (p.padded_k, p.panel_rows), "derivatives of dist along the direction")
    logit_slopes = Scratch(FLOAT, lambda p: (p.padded_k, p.panel_rows), "derivatives of the logits")

    def slope_of(self, at: Any) -> Value:
        """Return a register of derivatives of logits."""
        return self.logit_slopes.load(at)


class RowGradientArguments(MembershipArguments):
    """The arguments of `kernels.row_gradient`."""

    gradient_factor = Setting(lambda p: p.gradient_factor, "factor of the gradient, 2 for that of the distances")

    y_totals = Scratch(FLOAT, lambda p: (p.panel_rows,), "what r in y sums to")
    y = Scratch(FLOAT, lambda p: (p.panel_rows, p.padded_d), "Σ r c of the panel's rows; transposed for few features")

    out_gradient = Output(FLOAT, lambda p: (p.chunk_rows, p.d), "gradient of the objective with respect to the rows")

    def center_weight(self, q: Any, at: Any, r: Value) -> Value:
        """Return by how much a center counts in the gradient, given r or, for distortions, q = r - β s."""
        return r


class DistortionGradientArguments(RowGradientArguments):
    """The arguments of `kernels.row_gradient_distortion`."""

    has_slopes = True


class AssignArguments(MembershipArguments):
    """The arguments of `kernels.assign`."""

    with_resp = Number(lambda p: p.with_resp, "whether memberships are written")

    log_totals = Scratch(FLOAT, lambda p: (p.panel_rows,), "log2 of resp_totals")

    out_distance = Output(FLOAT, lambda p: (p.chunk_rows,), "distance to the nearest center")
    out_log_total = Output(FLOAT, lambda p: (p.chunk_rows,), "log2 of the sum of unnormalized memberships")
    out_resp = Output(FLOAT, lambda p: (p.chunk_rows, p.k if p.with_resp else 0), "memberships")


class MinDistancesArguments(PassArguments):
    """The arguments of `kernels.min_distances`."""

    n = Number(lambda p: p.n, "rows of the block: numbers from one candidate to the next in out_distances")

    closest = Input(FLOAT, lambda p: (p.chunk_rows,), "distance to the nearest of the centers chosen so far")
    out_distances = Output(FLOAT, lambda p: (p.k, p.chunk_rows), "the smaller of closest and each candidate's distance")
