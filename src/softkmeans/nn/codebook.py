"""A codebook for networks: vector quantization by soft k-means, trained together with the network around it."""

from __future__ import annotations

__all__ = ["SoftCodebook"]

import math
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from typing_extensions import override

from .. import functional
from .._utils.checks import check_bool, check_count, check_fraction, check_not_negative
from .._utils.random import as_generator
from ..errors import InputError, Message, Setting
from ..functional.callables import full_precision
from ..functional.graphs import records_graph
from ..temperature import Schedule
from .first_codes import ROWS_PER_CODE, FirstCodes, choose_codes, draw_new_codes, evaluate_codes, rows_of_ranks
from .parameters import at_least_single, checked_log_temperature, given_temperatures
from .precise import PreciseModule
from .quantization import BatchSums, assign_batch, code_means, nearest_codes
from .vectors import Quantized, as_rows

MIN_TEMPERATURE = 1e-30  # of temperature="auto", if all vectors are codes
MIN_CLUSTER_SIZE = 0.01  # vectors of a batch below which a code counts as dead, even if it is not replaced


class SoftCodebook(PreciseModule):
    """Vector quantization by soft k-means, trained together with the network around it.

    In training, each vector becomes the mean of the codes, weighted by its memberships softmax(-distance / T), so that
    gradients flow through the memberships. In evaluation, it becomes the nearest code. After each training step, the
    codes move towards the weighted means of the vectors, as in EM on a running batch.

    Parameters
    ----------
    dim : int
        Number of features d of a vector.
    codebook_size : int
        Number of codes k.
    temperature : float, Schedule or "auto", default="auto"
        Temperature T > 0 in the units of squared distances. A `temperature.Schedule` has a temperature for each
        training step; the last one remains. "auto" is E / d, where E is the running mean of the expected squared
        distances: it follows the scale of the features. That is half the maximum-likelihood temperature, at which codes
        of vectors without clusters merge.
    straight_through : bool, default=False
        Whether vectors are replaced by their nearest code in training, too. The gradient is then passed on to the
        vectors unchanged.
    ema_update : bool, default=True
        Whether the codes follow running (exponential moving) averages. If False, the codes are a parameter for the
        network's optimizer, and the free energy per feature is added to the loss.
    decay : float, default=0.8
        Decay of the running averages in each step, from 0 (only the current batch) to less than 1.
    commitment_weight : float, default=1.0
        Weight of the mean squared difference between the vectors and their quantized values in the loss.
    kmeans_init : bool, default=True
        Whether the first training batches choose the first codes, by k-means++ and soft k-means. The codes are chosen
        again when the number of vectors has doubled, until there are 32 for each code. If False, the first codes are
        standard normal.
    kmeans_iters : int, default=10
        Number of passes of soft k-means for the first codes.
    threshold_ema_dead_code : float, default=0.1
        A code is dead if the running average of the number of vectors that are nearest to it is below this. Dead codes
        are replaced by vectors of the batch, drawn in proportion to their squared distance from the nearest code. With
        0, no code is replaced.
    random_state : int, numpy Generator or RandomState, optional
        Seed for the first codes and the replacements. By default, they differ in each run.
    device, dtype
        Device and type of the codes. The codes keep at least 32 bits when the module is converted to half precision.

    Attributes
    ----------
    codebook : Tensor or nn.Parameter (k, d)
        The codes; a buffer if ``ema_update`` is True. NaN until the first batch if ``kmeans_init`` is True.
    cluster_size : Tensor (k,)
        Running average of the number of vectors in a batch that are nearest to each code.
    embed_weight : Tensor (k,)
        Running average of the sums of memberships.
    embed_avg : Tensor (k, d)
        Running average of the sums of vectors times memberships.
    distortion : Tensor ()
        Running average of the expected squared distance E of a vector.
    step : Tensor () of int64
        Number of training steps.

    Raises
    ------
    InputError
        If an argument is invalid.

    Notes
    -----
    In `torch.nn.parallel.DistributedDataParallel`, all processes use the sums over the vectors of all of them, choose
    the same first codes, and replace the same dead codes. Each training step must be made by all processes.

    The running averages are those of van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning",
    NeurIPS 2017, with memberships in place of hard assignments, as in Agustsson et al., "Soft-to-hard vector
    quantization", NeurIPS 2017. Names follow the package vector-quantize-pytorch.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(8, 100, 4, generator=torch.Generator().manual_seed(0))
    >>> codebook = SoftCodebook(4, 16, random_state=0)
    >>> quantized, indices, loss = codebook(x)
    >>> quantized.shape, indices.shape, loss.shape
    (torch.Size([8, 100, 4]), torch.Size([8, 100]), torch.Size([]))
    >>> codebook.perplexity > 12, int(codebook.dead_codes.sum())
    (tensor(True), 0)
    """

    precise = ("codebook", "cluster_size", "embed_weight", "embed_avg", "distortion", "log_temperature")
    codebook: Tensor
    cluster_size: Tensor
    embed_weight: Tensor
    embed_avg: Tensor
    distortion: Tensor
    log_temperature: Tensor
    step: Tensor
    seed: Tensor
    initted: Tensor

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        temperature: float | str | Schedule = "auto",
        straight_through: bool = False,
        ema_update: bool = True,
        decay: float = 0.8,
        commitment_weight: float = 1.0,
        kmeans_init: bool = True,
        kmeans_iters: int = 10,
        threshold_ema_dead_code: float = 0.1,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, count in (("dim", dim), ("codebook_size", codebook_size), ("kmeans_iters", kmeans_iters)):
            check_count(name, count)
        check_bool("straight_through", straight_through)
        check_bool("ema_update", ema_update)
        check_bool("kmeans_init", kmeans_init)
        check_fraction("decay", decay)
        if decay == 1:
            raise InputError("keeps the codes forever", parameter="decay", value=decay, hint="give a number below 1")
        check_not_negative("commitment_weight", commitment_weight)
        check_not_negative("threshold_ema_dead_code", threshold_ema_dead_code)
        self.dim, self.codebook_size, self.straight_through = dim, codebook_size, straight_through
        self.ema_update, self.decay, self.kmeans_iters = ema_update, decay, kmeans_iters
        self.commitment_weight, self.threshold_ema_dead_code = commitment_weight, threshold_ema_dead_code
        dtype = at_least_single(torch.get_default_dtype() if dtype is None else dtype)
        self._temperatures = given_temperatures(temperature, dtype)
        rng = as_generator(random_state)
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self._has_codes = not kmeans_init
        self._first_rows: Tensor | None = None  # until there are enough
        self._n_to_choose = 0  # number of first rows from which the codes are chosen again
        codes = torch.full((codebook_size, dim), math.nan, **options)
        if not kmeans_init:
            codes = torch.as_tensor(rng.standard_normal(codes.shape)).to(codes)
        if ema_update:
            self.register_buffer("codebook", codes)
        else:
            self.codebook = nn.Parameter(codes)
        shapes = {"cluster_size": codes.shape[:1], "embed_weight": codes.shape[:1], "embed_avg": codes.shape}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, **options))
        self.register_buffer("distortion", torch.zeros((), **options))
        self.register_buffer("log_temperature", torch.full((), math.nan, **options))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=device))
        self.register_buffer("seed", torch.tensor(int(rng.integers(2**62)), device=device))
        self.register_buffer("initted", torch.tensor(not kmeans_init, device=device))
        if self._temperatures:
            self._set_temperature(self._temperatures[0])

    @property
    def temperature(self) -> Tensor:
        """Temperature T, a Tensor (). It can be set to a number, unless it has a schedule or is "auto".

        Raises
        ------
        InputError
            If it is set to a number that is not finite and above 0, or if it has a schedule or is "auto".
        """
        return self.log_temperature.exp()

    @temperature.setter
    def temperature(self, value: float | Tensor) -> None:
        if len(self._temperatures) != 1:
            problem = "follows its schedule" if self._temperatures else "follows the distortion ('auto')"
            raise InputError(problem, parameter="temperature", hint="create the codebook with a number to set it")
        self._set_temperature(value)

    @torch.no_grad()
    def _set_temperature(self, value: float | Tensor) -> None:
        self.log_temperature.copy_(checked_log_temperature(value, 1, self.log_temperature.dtype))

    @property
    def perplexity(self) -> Tensor:
        """Perplexity exp(H) () of the fractions of vectors in each code: k if all are equal, 1 for one code."""
        fraction = self.cluster_size / self.cluster_size.sum()
        return cast(Tensor, torch.special.entr(fraction).sum().exp())

    @property
    def dead_codes(self) -> Tensor:
        """Dead codes (k,) of bool: the running average of a code's vectors is below the threshold, or below 0.01."""
        return self.cluster_size.lt(max(self.threshold_ema_dead_code, MIN_CLUSTER_SIZE))

    @override
    def forward(self, x: Tensor) -> Quantized:
        """Quantize vectors; in training mode, learn from them first.

        Parameters
        ----------
        x : Tensor (n, d), (b, n, d) or (b, d, h, w)
            Vectors: rows, sequences of rows, or feature maps of images.

        Returns
        -------
        Quantized
            Quantized vectors in the shape and type of x, indices of the nearest codes, and the loss.

        Raises
        ------
        InputError
            If x has a wrong type or shape, no vectors, NaN or infinity; if the first training batch has fewer vectors
            than codes; or if there are no codes yet in evaluation mode.

        Examples
        --------
        >>> codebook = SoftCodebook(1, 2, random_state=0)
        >>> x = torch.tensor([[0.0], [0.2], [5.0], [5.2]])
        >>> loss = codebook(x).loss
        >>> codebook.eval()(x).quantized.flatten()
        tensor([0.1000, 0.1000, 5.1000, 5.1000])
        """
        rows = as_rows(x, self.dim, self.codebook.dtype)
        with full_precision(x.device.type):
            quantized, indices, loss = self._learn(rows) if self.training else self._look_up(rows)
        return Quantized.of(x, quantized, indices, loss)

    def get_output_from_indices(self, indices: Tensor) -> Tensor:
        """Return the codes with given indices, in the shape that `forward` returns.

        Parameters
        ----------
        indices : Tensor (n,), (b, n) or (b, h, w) of int64
            Indices of codes.

        Returns
        -------
        Tensor (n, d), (b, n, d) or (b, d, h, w)
            The codes.

        Examples
        --------
        >>> codebook = SoftCodebook(3, 8, kmeans_init=False, random_state=0)
        >>> codebook.get_output_from_indices(torch.zeros(2, 5, 5, dtype=torch.int64)).shape
        torch.Size([2, 3, 5, 5])
        """
        self._require_codes()
        codes = self.codebook[indices]
        return codes.movedim(-1, 1) if indices.ndim == 3 else codes

    def _look_up(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the nearest codes of rows (m, d), their indices (m,), and the loss."""
        self._require_codes()
        if not (records_graph() or rows.is_meta or rows.isfinite().all()):
            raise InputError("contains NaN or infinity", parameter="x", hint="check the layers before the codebook")
        indices = nearest_codes(rows, self.codebook)
        quantized = self.codebook[indices]
        return quantized, indices, self.commitment_weight * mse_loss(rows, quantized.detach())

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # passes over data, and exchanges between processes
    def _learn(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return quantized rows (m, d), the indices (m,) of the nearest codes, and the loss; then update the codes."""
        self._start_step(rows)
        codes, temperature = (
            self.codebook.clone(),
            self.temperature,
        )  # a copy: the codes change before the backward pass
        indices, sums = assign_batch(rows, codes, temperature)
        if self.straight_through:
            quantized = codes.detach()[indices] + (rows - rows.detach())
        else:
            quantized = code_means(rows, codes, temperature)
        loss = self.commitment_weight * mse_loss(rows, quantized.detach())
        if not self.ema_update:
            loss = loss + functional.free_energy(rows.detach(), codes, temperature) / self.dim
        self._update(rows, sums)
        return quantized, indices, loss

    @torch.no_grad()
    def _start_step(self, rows: Tensor) -> None:
        """Set the temperature of the step, and choose codes from the first rows."""
        if self._temperatures[1:]:
            self._set_temperature(self._temperatures[min(int(self.step), len(self._temperatures) - 1)])
        if not self._notice_codes() or self._first_rows is not None:
            self._choose_codes(rows)
        elif self.step == 0:
            source = rows_of_ranks(rows)
            self._begin(evaluate_codes(source, self.codebook), source.n_rows)

    def _choose_codes(self, rows: Tensor) -> None:
        """Choose codes from all rows so far, if their number has doubled since the last time."""
        first = rows if self._first_rows is None else torch.cat([self._first_rows.to(rows), rows])
        source = rows_of_ranks(first)
        if source.n_rows >= self._n_to_choose or not self._has_codes:
            given, seed = float(self.temperature) if self._temperatures else None, int(self.seed) + int(self.step)
            chosen = choose_codes(source, self.codebook_size, given, self.kmeans_iters, seed)
            self._begin(chosen, rows_of_ranks(rows).n_rows)
            self._n_to_choose = min(2 * source.n_rows, ROWS_PER_CODE * self.codebook_size)
        self._first_rows = first if source.n_rows < ROWS_PER_CODE * self.codebook_size else None

    def _begin(self, first: FirstCodes, n_rows: int) -> None:
        """Begin with given codes, and with running averages that belong to batches of n rows."""
        self.codebook.copy_(first.codes)
        for sizes in (self.cluster_size, self.embed_weight):
            sizes.copy_(first.share * n_rows)
        self.embed_avg.copy_(self.embed_weight[:, None] * self.codebook)
        self.distortion.fill_(first.distortion)
        self._follow_distortion()
        self.initted.fill_(True)
        self._has_codes = True

    @torch.no_grad()
    def _update(self, rows: Tensor, sums: BatchSums) -> None:
        """Update the running averages, and from these the codes and the temperature; then replace dead codes."""
        averages = self.cluster_size, self.embed_weight, self.embed_avg, self.distortion
        batch = sums.size, sums.weight, sums.weighted_sum, sums.distortion / sums.n_rows
        for average, value in zip(averages, batch, strict=True):
            average.lerp_(value.to(average), 1 - self.decay)
        if self.ema_update:
            weight = self.embed_weight[:, None]
            has_weight = weight > torch.finfo(weight.dtype).tiny / torch.finfo(weight.dtype).eps
            self.codebook.copy_(torch.where(has_weight, self.embed_avg / weight, self.codebook))
        self._follow_distortion()
        dead = (self.cluster_size < self.threshold_ema_dead_code).nonzero()[:, 0]
        if len(dead):
            self._replace(dead, rows, sums.n_rows / self.codebook_size)
        self.step += 1

    def _follow_distortion(self) -> None:
        """Set the temperature if it is "auto"."""
        if not self._temperatures:
            self.log_temperature.copy_((self.distortion / self.dim).clamp_min(MIN_TEMPERATURE).log())

    def _replace(self, dead: Tensor, rows: Tensor, size: Tensor) -> None:
        """Replace codes by rows of the batch; each counts as used by ``size`` rows, the mean of all codes."""
        new = draw_new_codes(rows, self.codebook, len(dead), int(self.seed) + int(self.step))
        dead = dead[: len(new)]  # fewer if all other rows coincide with codes
        self.codebook[dead] = new.to(self.codebook)
        self.cluster_size[dead] = self.embed_weight[dead] = size.to(self.cluster_size)
        self.embed_avg[dead] = self.codebook[dead] * size.to(self.codebook)

    def _notice_codes(self) -> bool:
        """Return whether there are codes; they may have been loaded, or copied from another process."""
        if not self._has_codes and bool(self.initted):
            self._has_codes, self._first_rows = True, None
        return self._has_codes

    def _require_codes(self) -> None:
        """Raise an InputError if there are no codes yet."""
        if not self._notice_codes():
            hint = Message("call it in training mode first, or set ", Setting("kmeans_init", False))
            raise InputError("the codebook has no codes yet: the first training batch chooses them", hint=hint)

    @override
    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        """Load codes and running averages; without codes, the next batches choose them."""
        super()._load_from_state_dict(*arguments, **options)
        self._has_codes, self._first_rows = False, None
        self._notice_codes()

    @override
    def extra_repr(self) -> str:
        """Return the arguments that the module's representation shows.

        Examples
        --------
        >>> SoftCodebook(4, 16, straight_through=True)
        SoftCodebook(4, 16, temperature='auto', straight_through=True)
        """
        shown = f"Schedule({len(self._temperatures)} values)" if self._temperatures else "'auto'"
        if len(self._temperatures) == 1:
            shown = "..." if self.codebook.is_meta else f"{float(self.temperature):.4g}"
        parts = [str(self.dim), str(self.codebook_size), f"temperature={shown}"]
        parts += ["straight_through=True"] * self.straight_through + ["ema_update=False"] * (not self.ema_update)
        return ", ".join(parts)
