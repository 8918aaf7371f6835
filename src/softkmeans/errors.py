"""The exceptions of the package: each message says what came, what was expected and what to do."""

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
    """Something given to the library can't be used; the message says what came, what was expected, and what to do."""


class SharedError(InputError):
    """An error of one rank that was raised on all of them."""


class RankLostError(RuntimeError):
    """Another rank ended, or did not answer in time."""

    def __str__(self) -> str:
        said = super().__str__()
        return f"another rank has ended, or did not answer within the time-out ({said}): start all of them again"


class MissingExtraError(ImportError):
    """A feature needs a package that is not installed; the message names the extra to install."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(feature, package, extra)

    def __str__(self) -> str:
        feature, package, extra = self.args
        return f"{feature} needs {package}: pip install 'softkmeans[{extra}]'"


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C came during a fit. ``result`` holds the best centers found until then."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "the fit was interrupted; the best centers so far are kept"


class CallbackError(RuntimeError):
    """A callback raised, which stopped the fit. ``__cause__`` is what it raised, ``result`` the best until then."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "a callback raised, which stopped the fit; the best centers so far are kept"


class PerformanceWarning(UserWarning):
    """Something is done, but more slowly than it might be; said once in a process."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn the caller of the library, however deep inside it the cause was found."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("softkmeans", "torch", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
