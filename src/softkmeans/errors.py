"""The exceptions of the package: each message says what came, what was expected and what to do."""

__all__ = ["FitInterrupted", "InputError", "MissingExtraError"]

from typing import Any


class InputError(ValueError):
    """Something given to the library can't be used; the message says what came, what was expected, and what to do."""


class MissingExtraError(ImportError):
    """A feature needs a package that is not installed; the message names the extra to install."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(f"{feature} needs {package}: pip install 'softkmeans[{extra}]'")


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C came during a fit. ``result`` holds the best centres found until then."""

    def __init__(self, result: Any) -> None:
        super().__init__("the fit was interrupted; the best centres so far are kept")
        self.result = result
