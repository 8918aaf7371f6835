"""The command that follows clusters from hot to cold."""

from __future__ import annotations

__all__ = ["anneal"]

from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import softkmeans as sk

from ..errors import InputError
from .inputs import check_rows, report_rows, standardized
from .options import Columns, Data, DistanceName, Scale, WeightColumn, split_names
from .outputs import PICTURES, TABLES, check_outputs, picture_of, write_and_say
from .progress import progress

HEADS = ("what happens", "temperature", "T / T_c", "clusters then", "lifetime in log T")


def anneal(
    file: Data,
    max_clusters: Annotated[int, typer.Option(help="Distinct clusters, at most.")] = 32,
    n_temperatures: Annotated[int, typer.Option(help="Temperatures, if they are not given.")] = 50,
    temperatures: Annotated[
        str | None,
        typer.Option(
            help="Falling temperatures, as 10,5,2; by default from just above the critical one to a thousandth of it.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Write a row for each cluster at each temperature here (CSV, TSV or Parquet).", show_default=False
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the clusters as a tree here (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    energies: Annotated[
        Path | None, typer.Option(help="Draw F, E and H here (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    scale: Scale = "none",
    distance: DistanceName = "sqeuclidean",
) -> None:
    """Follow clusters from above the critical temperature down, and say where they split."""
    check_outputs(file, [(table, TABLES), (picture, PICTURES), (energies, PICTURES)])
    schedule = _numbers(temperatures)
    n_levels = n_temperatures if schedule is None else len(schedule)
    if picture and n_levels == 1:
        raise InputError("--picture with one temperature: a tree grows over two or more")
    read = sk.data.read_table(file, columns=split_names(columns), weight_column=weight_column)
    check_rows(read.x, 1)
    scaler, rows = standardized(read, scale)
    with progress(n_levels, "temperatures", "level") as bar:
        path = sk.annealing_path(
            rows,
            schedule,
            n_temperatures=n_temperatures,
            max_clusters=max_clusters,
            distance=distance,
            sample_weight=read.weights,
            on_level=lambda _: bar.update(),
        )
    report_rows(read)
    if path.transitions:
        sk.selection.summary.print_columns(_transitions(path))
    sk.selection.summary.print_figures(_findings(path, "" if scaler is None else " (of standardized data)"))
    write_and_say(
        {
            table: lambda file: sk.data.write_table(file, _levels(path, scaler, read.columns)),
            picture: picture_of(lambda: sk.plots.BifurcationDisplay.from_path(path)),
            energies: picture_of(lambda: sk.plots.EnergyDisplay.from_path(path)),
        }
    )


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--temperatures {text!r}: give numbers that fall, as 10,5,2") from None


def _transitions(path: Any) -> dict[str, list[str]]:
    """What happens at which temperature; beside it how many clusters there are then, and for how long."""
    rows, lifetimes, critical = list[tuple[str, ...]](), path.lifetimes(), path.critical_temperature
    events = zip(path.transitions, _counts(path), strict=True)
    for (t, kind), group in groupby(events, lambda event: (event[0].temperature, event[0].kind)):
        found = list(group)
        k = found[-1][1]
        lifetime = f"{lifetimes[k]:.2f}" if kind == "split" and k in lifetimes else ""
        said = _said(kind, [event.cluster for event, _ in found])
        rows.append((said, f"{t:.4g}", f"{t / critical:.4f}", str(k), lifetime))
    return dict(zip(HEADS, map(list, zip(*rows, strict=True)), strict=True))


def _said(kind: str, clusters: list[int]) -> str:
    numbers = ", ".join(map(str, sorted(set(clusters))))
    return f"cluster {numbers} {kind}s" if len(set(clusters)) == 1 else f"clusters {numbers} {kind}"


def _counts(path: Any) -> list[int]:
    """How many clusters there are after each transition; splits on the way to one level share its new ones."""
    found = list[int]()
    for level, group in groupby(path.transitions, lambda t: t.level):
        splits = np.cumsum([t.kind == "split" for t in group])
        before, after = path.n_clusters[level - 1] if level else 1, path.n_clusters[level]
        found += np.round(before + (after - before) * splits / max(splits[-1], 1)).astype(int).tolist()
    return found


def _findings(path: Any, units: str) -> dict[str, str]:
    hot, cold = path.temperatures[0], path.temperatures[-1]
    found = {
        "critical temperature": f"{path.critical_temperature:.6g}{units}",
        "levels": f"{len(path.levels)}, from {hot:.4g} to {cold:.4g}",
        "clusters at the end": f"{path.n_clusters[-1]} (a row is spread over {path.perplexity[-1]:.2f})",
    }
    lifetimes = path.lifetimes()
    if lifetimes:
        longest = max(lifetimes, key=lambda k: lifetimes[k])
        found["longest-lived"] = f"{longest} clusters, while T fell to 1 / {np.exp(lifetimes[longest]):.3g}"
    return found


def _levels(path: Any, scaler: Any, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Columns with a row for each cluster at each level; centers in the data's units."""
    levels = path.levels
    sizes = [len(level.centers) for level in levels]
    centers = np.concatenate([level.centers for level in levels])
    centers = centers if scaler is None else scaler.inverse_transform(centers)
    energies = ("free_energy", "distortion", "entropy")
    return {
        "level": np.repeat(np.arange(len(levels)), sizes),
        "temperature": np.repeat(path.temperatures, sizes),
        "cluster": np.concatenate([np.arange(size) for size in sizes]),
        "parent": np.concatenate([level.parents for level in levels]),
        "mass": np.concatenate([level.priors for level in levels]),
        "instability": np.concatenate([level.instability for level in levels]),
        **{name: np.repeat([getattr(level, name) for level in levels], sizes) for name in energies},
        **{f"center_{name}": column for name, column in zip(names or range(centers.shape[1]), centers.T, strict=True)},
    }
