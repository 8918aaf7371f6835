"""Numbers and texts as a page carries them: base64 in JSON, which no text can leave."""

from __future__ import annotations

__all__ = ["decode", "encode", "encode_columns", "to_json"]

import base64
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TYPES = {"float32": "f4", "uint16": "u2", "uint8": "u1", "uint32": "u4", "int32": "i4"}
MISSING = 65535  # code of a missing value in columns of 16 bits
MAX_EXACT_BYTES = 1_000_000  # above, columns take 16 bits a value
MAX_FLOAT32 = float(np.finfo(np.float32).max)


def encode(values: Any, kind: str = "float32") -> dict[str, Any]:
    """Return an array as the bytes of its numbers, little-endian, in base64, with its type.

    Parameters
    ----------
    values : array-like
        Numbers. Those beyond the range of float32 become its largest number.
    kind : {"float32", "uint8", "uint16", "uint32", "int32"}
        The type of the numbers in the page.

    Examples
    --------
    >>> encode([1.0, 2.0])
    {'type': 'float32', 'data': 'AACAPwAAAEA='}
    """
    array = np.asarray(values)
    if kind == "float32":
        array = np.clip(array.astype(np.float64), -MAX_FLOAT32, MAX_FLOAT32)
    data = np.ascontiguousarray(array, dtype=f"<{TYPES[kind]}")
    return {"type": kind, "data": base64.b64encode(data.tobytes()).decode("ascii")}


def decode(value: dict[str, Any]) -> Array:
    """Return the array (m,) that `encode` encoded.

    Parameters
    ----------
    value : dict
        What `encode` returned.

    Examples
    --------
    >>> decode(encode([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    return np.frombuffer(base64.b64decode(value["data"]), dtype=f"<{TYPES[value['type']]}")


def encode_columns(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return a matrix (n, d), column by column, relative to the range of each: as float32, or if it is large, 16 bits.

    With 16 bits, whole numbers of a range up to 65534 stay exact. Missing values are NaN, or the code 65535.

    Parameters
    ----------
    values : ndarray (n, d)
        The matrix.

    Returns
    -------
    dict
        The encoded matrix, and the least value and the step of each column.
    """
    seen = np.isfinite(values)
    low = np.where(seen, values, np.inf).min(0)
    high = np.where(seen, values, -np.inf).max(0)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    if values.size * 4 <= MAX_EXACT_BYTES:  # relative to the range of each column, so that a large mean costs no digits
        step = np.maximum(high - low, 1e-300)
        return encode(((values - low) / step).T) | {"low": low.tolist(), "step": step.tolist()}
    whole = (np.where(seen, values, 0.0) % 1 == 0).all(0) & (high - low < MISSING)
    step = np.where(whole, 1.0, (high - low) / (MISSING - 1))
    step = np.where(step > 0, step, 1.0)
    codes = np.where(seen, np.rint((np.where(seen, values, low) - low) / step), MISSING)
    return encode(codes.T, "uint16") | {"low": low.tolist(), "step": step.tolist()}


def to_json(content: Any) -> str:
    r"""Return a value as JSON that can stand in HTML: without ``<``, ``>``, ``&`` and the line ends of JavaScript.

    Parameters
    ----------
    content : object
        Dicts, lists, texts and numbers. NaN and infinite numbers become null.

    Examples
    --------
    >>> print(to_json({"name": "</script>", "value": float("nan")}))
    {"name":"\u003c/script\u003e","value":null}
    """
    text = json.dumps(_finite(content), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    """Return a value with None for numbers that are not finite, and Python's numbers for NumPy's."""
    if isinstance(value, dict):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
