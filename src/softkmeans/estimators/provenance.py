"""How a model was made: the command, the versions, the data, and what set its clusters apart there."""

from __future__ import annotations

__all__ = ["Provenance", "hash_files", "installed_versions", "provenance_of"]

import hashlib
import math
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from .._utils.brief import with_brief_repr
from .pipeline import Model, split_pipeline

PACKAGES = ("softkmeans", "numpy", "scikit-learn", "torch")  # that may change the result of a fit
MAX_TEXT = 20_000  # characters of a text in a file; more is no command
NUMBERS = ("mean", "rest_mean", "effect_size")  # of a feature that sets a cluster apart


@dataclass(frozen=True)
@with_brief_repr
class Provenance:
    """How a model was made. Empty values are not recorded.

    Attributes
    ----------
    command : str
        The command that fitted the model.
    versions : dict of str to str
        Versions of Python and of packages, by name.
    data : str
        Name of the data's file, folder or pattern, without the folders that it is in.
    data_hash : str
        SHA-256 of the data's files.
    n_rows : int
        Number of rows that were fitted.
    strongest : list of list of dict
        For each cluster, the features that set it most apart, as `selection.description.strongest` returns them.
    """

    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    data: str = ""
    data_hash: str = ""
    n_rows: int = 0
    strongest: list[list[dict[str, Any]]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the record as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any, n_clusters: int) -> Self:
        """Return the record that `to_json` made, after checking it.

        Raises
        ------
        TypeError or ValueError
            If it is not such a record.
        """
        made = cls(**value)
        texts = [made.command, made.data, made.data_hash, *made.versions, *made.versions.values()]
        if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts):
            raise ValueError("how the model was made must be texts")
        if type(made.n_rows) is not int or made.n_rows < 0:
            raise ValueError("the number of rows is wrong")
        if made.strongest and len(made.strongest) != n_clusters:
            raise ValueError("the features of another number of clusters")
        for entry in (entry for entries in made.strongest for entry in entries):
            if set(entry) != {"feature", *NUMBERS} or not isinstance(entry["feature"], str):
                raise ValueError("the features that set clusters apart are wrong")
            if not all(isinstance(entry[name], float) for name in NUMBERS) or math.isnan(entry["effect_size"]):
                raise ValueError("an effect size is wrong")
        return made


def provenance_of(model: Model) -> Provenance:
    """Return how a model was made, as far as it is recorded.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> provenance_of(SoftKMeans(1).fit([[0.0], [2.0]])).command
    ''
    """
    found = vars(split_pipeline(model)[1]).get("_provenance")
    return found if isinstance(found, Provenance) else Provenance()


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that may change the result of a fit.

    Examples
    --------
    >>> sorted(installed_versions())
    ['numpy', 'python', 'scikit-learn', 'softkmeans', 'torch']
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # imported from a folder
            found[name] = "unknown"
    return found


def hash_files(paths: Iterable[Path]) -> str:
    r"""Return the SHA-256 of a file's content; of several files, that of the list of their names and hashes.

    Parameters
    ----------
    paths : iterable of Path
        The files, in order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rows.csv"
    ...     _ = path.write_text("x\n1\n")
    ...     hash_files([path])[:16]
    'daff832f802000e6'
    """
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    if len(hashes) == 1:
        return hashes[0][1]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in hashes).encode()).hexdigest()
