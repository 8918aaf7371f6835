"""Read the tensors and metadata of a model file, and check that it is one; this needs no PyTorch."""

from __future__ import annotations

__all__ = ["DAMAGE_ERRORS", "FORMAT", "VERSION", "damaged", "read_tensors"]

from pathlib import Path
from typing import Any

import safetensors

from ..errors import InputError

FORMAT = "softkmeans"
VERSION = 4
# Errors that reading an inconsistent file raises.
DAMAGE_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def read_tensors(path: Path, framework: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata of a model file, and its tensors as those of a framework of safetensors.

    Raises
    ------
    InputError
        If the file is missing or damaged, is not a model of this library, or was saved by a newer version.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", hint="give a model file in it")
    try:
        with safetensors.safe_open(path, framework=framework) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a dict
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file", hint="give a file that softkmeans saved") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} can't be read ({reason})", hint="give a file that you may read") from None
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{path} is not a model file, or is truncated or damaged ({error})", hint="save the model again"
        ) from None
    if metadata.get("format") != FORMAT:
        problem = f"{path} is a safetensors file, but not a softkmeans model"
        raise InputError(problem, hint="give a file that softkmeans saved")
    version = metadata.get("version", "")
    if not (version.isdecimal() and len(version) < 9 and int(version) <= VERSION):
        raise InputError(
            f"{path} has format version {version[:20]}",
            expected=f"{VERSION} or lower",
            hint="upgrade softkmeans to read it",
        )
    return metadata, tensors


def damaged(path: Path, error: Exception) -> InputError:
    """Return the error for a file whose content is inconsistent."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path} is damaged, with inconsistent content ({reason})", hint="save the model again")
