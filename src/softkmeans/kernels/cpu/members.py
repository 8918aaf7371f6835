"""The members of the family: how distances and assignment rules other than the plain ones write their part of a kernel.

Plain soft k-means, with squared distances and one temperature, is what the classes of `arguments` write. A distance or
a rule is a class here, which replaces some of their functions. A kernel is written for one distance and one rule: see
`MEMBERS`.

=====================  ===================================================================================
part                   what ``dist`` holds, and the unnormalized memberships
=====================  ===================================================================================
plain                  d + bias, less the row's offset; 2^(beta (min_dist - dist))
`SoftmaxArguments`     ratio d + bias, with a ratio for each cluster; the same, and that of the noise
`FuzzyArguments`       d, and later min_dist / d; its power 1 / (m - 1)
`SquaredArguments`     d is the squared distance
`RootArguments`        d is its root
=====================  ===================================================================================
"""

from __future__ import annotations

__all__ = [
    "MEMBERS",
    "FuzzyAccumulateArguments",
    "FuzzyAssignArguments",
    "NonlinearArguments",
    "PreciseArguments",
    "RootArguments",
    "RootUpdateArguments",
    "SoftmaxArguments",
    "UpdateArguments",
    "with_member",
]

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from typing_extensions import override

from ..compiler import FLOAT, Code, Value, Variable
from .arguments import (
    MAX_DISTANCE,
    AccumulateArguments,
    AssignArguments,
    Input,
    MembershipArguments,
    PassArguments,
    RowGradientArguments,
    Scratch,
    Setting,
    Sum,
)

A = TypeVar("A", bound=PassArguments)

SMALLEST = {32: 1e-30, 64: 1e-290}  # smaller distances are 0: their reciprocals would overflow


class NonlinearArguments(PassArguments):
    """What all but the plain kernels work with: ``dist`` is a function of the squared distance.

    Attributes
    ----------
    refines_small : bool
        Whether small distances from a matrix product are computed again, because their relative error counts.
    """

    is_affine = False
    refines_small: bool = False

    small_ratio = Setting(lambda p: p.small_ratio, "squared distances below this times (‖c‖ + ‖z‖)² are imprecise")
    kink = Setting(lambda p: p.kink, "squared distances up to this are 0 but for rounding")

    squares = Scratch(FLOAT, lambda p: (p.panel_rows,), "squared norms of the panel's rows")
    min_squared = Scratch(FLOAT, lambda p: (p.panel_rows,), "the smallest of each row's squared distances")

    def distance(self, at: Any, squared: Value) -> Value:
        """Return a register of distances, given the squared ones."""
        return squared

    def inverse_distance(self, at: Any) -> Value | None:
        """Return a register of 1 / d, if it is known."""
        return None

    def slope(self, at: Any) -> Value:
        """Return a register of derivatives of the distance in the squared one."""
        return self.code.full(1.0)

    def zero_distance(self) -> Any:
        """Return the distance up to which rows are on a center, but for rounding."""
        return self.kink

    def level(self, q: Any, distance: Value) -> Value:
        """Return a register of ``dist``, given the distances from cluster q."""
        return distance

    @override
    def of_squared(self, q: Any, at: Any, squared: Value) -> Value:
        return self.level(q, self.distance(at, squared))

    def product_error_at(self, size: Value) -> Value:
        """Return the largest error of ``dist`` from a matrix product, given a register of ‖c‖ + ‖z‖."""
        return size * size * self.product_error

    def exponent_error(self, size: Value, min_squared: Value) -> Value:
        """Return the typical error of a log-membership, over its bound, given registers of ‖c‖ + ‖z‖."""
        return size * size * self.error_factor


# -- distances


class SquaredArguments(NonlinearArguments):
    """The squared Euclidean distance."""


class PreciseArguments(SquaredArguments):
    """The squared Euclidean distance, without loss of digits where it is small."""

    refines_small = True


class RootArguments(NonlinearArguments):
    """The Euclidean distance, whose derivative in the squared one is 1 / (2 d)."""

    refines_small = True

    slope_factor = Setting(lambda p: p.slope_factor, "1/2, the factor of 1 / d in the derivative of d; 0 for means")
    constant_slope = Setting(lambda p: p.constant_slope, "1 if centers move to the means of their rows, else 0")

    inverse_roots = Scratch(FLOAT, lambda p: (p.padded_k, p.panel_rows), "1 / d; 0 where d is 0")

    def __init__(self, code: Code, parameters: Sequence[Any]) -> None:
        super().__init__(code, parameters)
        self.min_inverse: Variable = code.variable(code.full(1.0))

    @override
    def distance(self, at: Any, squared: Value) -> Value:
        inverse = self.code.select(squared <= self.kink, 0.0, self.code.inverse_root(squared))
        self.inverse_roots.store(at, inverse)
        self.min_inverse.set(self.code.minimum(inverse, self.min_inverse))
        return squared * inverse

    @override
    def inverse_distance(self, at: Any) -> Value | None:
        return self.inverse_roots.load(at)

    @override
    def zero_distance(self) -> Any:
        return SMALLEST[self.code.bits]

    @override
    def slope(self, at: Any) -> Value:
        return self.code.fma(self.inverse_roots.load(at), self.slope_factor, self.constant_slope)

    @override
    def product_error_at(self, size: Value) -> Value:
        return size * (0.5 * self.product_error / self.code.sqrt(self.small_ratio))

    @override
    def exponent_error(self, size: Value, min_squared: Value) -> Value:
        square = size * size
        smallest = self.code.select(min_squared < square * self.small_ratio, square * self.small_ratio, min_squared)
        return square * self.code.inverse_root(smallest + SMALLEST[self.code.bits]) * (0.5 * self.error_factor)


class UpdateArguments(AccumulateArguments):
    """Rows count in the weighted sums by other weights than their memberships."""

    update_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "update_total of the tile, a sum for each lane")

    update_total = Sum(lambda p: (p.k,), "sum of the weights of the weighted sums")


class RootUpdateArguments(RootArguments, UpdateArguments):
    """The weights of iteratively reweighted least squares, and those of rows on a center."""

    kink_lanes = Scratch(FLOAT, lambda p: (p.k, p.lanes), "kink_total of the tile, a sum for each lane")

    kink_total = Sum(lambda p: (p.k,), "Σ w r of rows on the center")

    @override
    def update_weight(self, at: Any, p: Any, r: Value) -> Value:
        return self.rule_weight(at, p, r) * self.slope(at)


# -- assignment rules


class NoiseArguments(NonlinearArguments):
    """A rule with a noise cluster, perhaps."""

    noise_dist = Setting(lambda p: p.noise_dist, "dist of the noise cluster; MAX_DISTANCE if there is none")

    @override
    def largest_dist(self) -> Value:
        return self.code.full(self.noise_dist)

    def if_noise(self, weight: Value) -> Value:
        """Return a register of weights of the noise cluster; 0 if there is none."""
        return self.code.select(self.noise_dist < MAX_DISTANCE[self.code.bits], weight, 0.0)


class SoftmaxArguments(NoiseArguments):
    """The softmax with a temperature for each cluster, and with a noise cluster."""

    ratios = Input(FLOAT, lambda p: (p.padded_k,), "beta of each cluster, relative to the largest one")

    @override
    def level(self, q: Any, distance: Value) -> Value:
        return self.code.fma(distance, self.code.full(self.ratios[q]), self.code.full(self.bias[q]))


class SoftmaxMembershipArguments(SoftmaxArguments, MembershipArguments):
    """The memberships of the softmax, and of the noise cluster."""

    noise_distance = Setting(lambda p: p.noise_distance, "distance of the noise cluster")

    @override
    def first_total(self, p: Any) -> Value:
        return self.if_noise(self.code.exp2((self.min_dist.load(p) - self.noise_dist) * self.beta))

    @override
    def first_moment(self, p: Any) -> Value:
        return self.first_total(p) * self.noise_distance

    @override
    def excess(self, q: Any, at: Any, p: Any) -> Value:
        return self.distance_of(q, at, p)

    @override
    def distance_of(self, q: Any, at: Any, p: Any) -> Value:
        return (self.dist.load(at) - self.bias[q]) * (1.0 / self.ratios[q])

    @override
    def beta_of(self, q: Any) -> Value:
        return self.beta * self.ratios[q]


class SoftmaxGradientArguments(SoftmaxMembershipArguments, RowGradientArguments):
    """The gradient with respect to rows, to which centers contribute by their temperatures."""

    @override
    def center_weight(self, q: Any, at: Any, r: Value) -> Value:
        if not self.has_slopes:
            r = r * self.ratios[q]
        return r * self.slope(at)


class FuzzyArguments(NoiseArguments):
    """The memberships of fuzzy c-means for the fuzzifier m = 2: min_dist / d, normalized."""

    refines_small = True

    def ratio_to(self, smallest: Value, distance: Value, inverse: Value | None = None) -> Value:
        """Return the smallest distance of rows over another one; 1 for rows on a center, and 0 for other centers."""
        code = self.code
        is_zero, inverse = distance <= self.zero_distance(), code.reciprocal(distance) if inverse is None else inverse
        smallest = code.select(smallest <= self.zero_distance(), 0.0, smallest)
        return code.select(is_zero, 1.0, smallest * inverse)

    def to_power(self, ratio: Value) -> Value:
        """Return ratios to the power 1 / (m - 1)."""
        return ratio

    def inverse_power(self, total: Value) -> Value:
        """Return sums of unnormalized memberships to the power -(m - 1)."""
        return 1.0 / total


class FuzzyPowerArguments(FuzzyArguments):
    """The memberships of fuzzy c-means for any fuzzifier."""

    power = Setting(lambda p: p.power, "1 / (m - 1)")

    @override
    def to_power(self, ratio: Value) -> Value:
        code = self.code
        return code.select(ratio > SMALLEST[code.bits], code.exp2(code.log2(ratio) * self.power), 0.0)

    @override
    def inverse_power(self, total: Value) -> Value:
        return self.code.exp2(self.code.log2(total) * (-1.0 / self.power))


class FuzzyMembershipArguments(FuzzyArguments, MembershipArguments):
    """Fuzzy memberships; ``dist`` is replaced by min_dist / dist."""

    is_dense = True

    @override
    def first_total(self, p: Any) -> Value:
        noise = self.code.full(self.noise_dist)
        return self.if_noise(self.to_power(self.ratio_to(self.min_dist.load(p), noise)))

    @override
    def weigh(self, at: Any, p: Any) -> Value:
        ratio = self.ratio_to(self.min_dist.load(p), self.dist.load(at), self.inverse_distance(at))
        self.dist.store(at, ratio)
        return self.to_power(ratio)


class FuzzyAssignArguments(FuzzyMembershipArguments, AssignArguments):
    """Memberships, and the objective of each row."""


class FuzzyAccumulateArguments(FuzzyMembershipArguments, UpdateArguments):
    """The weights u^m = u (min_dist / dist) total^-(m - 1), and the objective min_dist total^-(m - 1) of each row."""

    row_powers = Scratch(FLOAT, lambda p: (p.panel_rows,), "resp_totals to the power -(m - 1)")
    row_objectives = Scratch(FLOAT, lambda p: (p.panel_rows,), "Σ u^m d of the panel's rows")

    @override
    def set_row_factors(self, v: int) -> None:
        at = self.panel_start + v
        total = self.resp_totals.load(at)
        power = self.inverse_power(total)
        objective = self.min_dist.load(v) * power
        self.row_factors.store(v, self.w.load(at) / total)
        self.row_powers.store(v, power)
        self.row_objectives.store(v, objective)
        self.tile_min_dist.store(at, objective)

    @override
    def distortion_of(self, at: Any, p: Any) -> Value:
        return self.row_objectives.load(p)

    @override
    def rule_weight(self, at: Any, p: Any, r: Value) -> Value:
        return r * (self.dist.load(at) * self.row_powers.load(p))


# -- members


class Part(NamedTuple):
    """The classes of a distance or a rule: for kernels of distances only, of memberships, of sums, and of gradients."""

    of_distances: tuple[type[PassArguments], ...]
    of_memberships: tuple[type[PassArguments], ...]
    of_sums: tuple[type[PassArguments], ...]
    of_gradients: tuple[type[PassArguments], ...]

    def classes(self, arguments: type[PassArguments]) -> tuple[type[PassArguments], ...]:
        """Return the classes for a kernel with the given arguments."""
        if issubclass(arguments, AccumulateArguments):
            return self.of_sums
        if issubclass(arguments, RowGradientArguments):
            return self.of_gradients
        return self.of_memberships if issubclass(arguments, MembershipArguments) else self.of_distances


SQUARED = Part(*[(SquaredArguments,)] * 4)
ROOT = Part((RootArguments,), (RootArguments,), (RootUpdateArguments,), (RootArguments,))
SOFTMAX = Part(
    (SoftmaxArguments,), (SoftmaxMembershipArguments,), (SoftmaxMembershipArguments,), (SoftmaxGradientArguments,)
)
FUZZY = Part((FuzzyArguments,), (FuzzyAssignArguments,), (FuzzyAccumulateArguments,), (FuzzyMembershipArguments,))
POWER = Part(
    (FuzzyPowerArguments, *FUZZY.of_distances), (FuzzyPowerArguments, *FUZZY.of_memberships),
    (FuzzyPowerArguments, *FUZZY.of_sums), (FuzzyPowerArguments, *FUZZY.of_gradients),
)  # fmt: skip

# What is added to the name of a kernel, and the parts that it is written with.
MEMBERS: dict[str, tuple[Part, ...]] = {
    "": (),
    "_softmax": (SQUARED, SOFTMAX),
    "_root": (ROOT, SOFTMAX),
    "_fuzzy": (SQUARED, FUZZY),
    "_fuzzy_root": (ROOT, FUZZY),
    "_power": (SQUARED, POWER),
    "_power_root": (ROOT, POWER),
}


def with_member(arguments: type[A], member: str, *first: type[PassArguments]) -> type[A]:
    """Return the arguments of a kernel that is written for a member; more classes may come first."""
    parts = [*first, *(kind for part in MEMBERS[member] for kind in part.classes(arguments))]
    return type(f"{arguments.__name__}{member}", (*parts, arguments), {}) if parts else arguments
