"""The exceptions and warnings of the package. A message names the value, what was expected, and what to do."""

__all__ = [
    "CallbackError",
    "FitInterrupted",
    "InputError",
    "MissingExtraError",
    "PerformanceWarning",
    "RankLostError",
    "SharedError",
    "warn",
]

import sys
import warnings
from typing import Any


class InputError(ValueError):
    """Invalid data or an invalid parameter; the message names the value, what was expected, and what to do."""


class SharedError(InputError):
    """An error of one rank that was raised on all ranks."""


class RankLostError(RuntimeError):
    """Another rank ended or did not answer in time."""

    def __str__(self) -> str:
        cause = super().__str__()
        return f"another rank has ended, or did not answer within the timeout ({cause}): restart all ranks"


class MissingExtraError(ImportError):
    """A feature needs a package that is not installed; the message names the extra to install."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(feature, package, extra)

    def __str__(self) -> str:
        feature, package, extra = self.args
        return f"{feature} needs {package}: pip install 'softkmeans[{extra}]'"


class FitInterrupted(KeyboardInterrupt):
    """A fit was interrupted by Ctrl-C; ``result`` holds the best centers so far."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "the fit was interrupted; the best centers so far are kept"


class CallbackError(RuntimeError):
    """A callback raised an exception, ``__cause__``, which stopped the fit; ``result`` is the best result so far."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "a callback raised an exception, which stopped the fit; the best centers so far are kept"


class PerformanceWarning(UserWarning):
    """An operation is slower than it could be; issued once per process."""


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that points to the line of the user's code that called the library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("softkmeans", "torch", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
