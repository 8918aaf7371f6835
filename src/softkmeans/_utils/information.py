"""The Bayesian information criterion."""

from __future__ import annotations

__all__ = ["bic"]

from typing import Any


def bic(log_likelihood: Any, n_parameters: Any, log_weight: Any) -> Any:
    """Return the Bayesian information criterion; lower is better.

    Parameters
    ----------
    log_likelihood : float or Tensor
        Sum of the log-densities of the rows.
    n_parameters : int or Tensor
        Number of free parameters.
    log_weight : float or Tensor
        Logarithm of the number of rows, or of their total weight.

    Returns
    -------
    float or Tensor
        The criterion, for each entry if these are tensors.

    Examples
    --------
    >>> bic(-20.0, 3, 2.0)
    46.0
    """
    return n_parameters * log_weight - 2 * log_likelihood
