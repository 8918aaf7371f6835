"""The `anneal` command: follow clusters along falling temperatures."""

from __future__ import annotations

__all__ = ["anneal"]

from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import softkmeans as sk

from ..errors import InputError
from ..settings import Settings
from .column_warnings import warn_of_columns
from .options import Data, Scale, output_option
from .outputs import PICTURES, TABLES, check_outputs, figure_writer, write_and_report
from .progress import progress
from .row_checks import check_rows, report_rows, standardize
from .row_options import RowOptions, with_row_options

TRANSITION_HEADERS = ("event", "temperature", "T / T_c", "clusters after", "lasts until T is")
# A number of clusters lasts if T can fall to less than this fraction without a change. In samples of one normal or
# uniform distribution (of 2 to 30 features; 100 and 1000 rows), T fell to 0.59 at the lowest.
MAX_FRACTION = 0.5
CLEAR_FRACTION = 0.15  # clear clusters last until T is about a tenth
N_EVENTS = 8  # printed, unless a later number of clusters lasts


@with_row_options
def anneal(
    file: Data,
    row_options: RowOptions,
    max_clusters: Annotated[int, typer.Option(help="Maximum number of distinct clusters.")] = 32,
    n_temperatures: Annotated[int, typer.Option(help="Number of temperatures, unless --temperatures is given.")] = 50,
    temperatures: Annotated[
        str | None,
        typer.Option(
            help="Decreasing temperatures, for example 10,5,2; by default from just above the critical temperature T_c "
            "to T_c / 1000.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None, output_option("Write one row per cluster and temperature to this file", TABLES)
    ] = None,
    picture: Annotated[Path | None, output_option("Plot the clusters as a tree to this file", PICTURES)] = None,
    energies: Annotated[
        Path | None, output_option("Plot free energy F, distortion E and entropy H to this file", PICTURES)
    ] = None,
    scale: Scale = "none",
    distance: str = Settings.distance,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print all splits, not only the first ones.")
    ] = False,
) -> None:
    """Follow clusters from the critical temperature down to lower ones, and report where they split."""
    check_outputs(file, [(table, TABLES), (picture, PICTURES), (energies, PICTURES)])
    schedule = _parse_temperatures(temperatures)
    n_levels = n_temperatures if schedule is None else len(schedule)
    if picture and n_levels == 1:
        raise InputError("is not supported with one temperature", parameter="picture", hint="give two or more")
    data = sk.data.read_table(file, **row_options.for_rows(file))
    check_rows(data.x, 1)
    scaler, rows = standardize(data, scale)
    with progress(n_levels, "temperatures", "level") as bar:
        path = sk.annealing_path(
            rows,
            schedule,
            n_temperatures=n_temperatures,
            max_clusters=max_clusters,
            distance=distance,
            sample_weight=data.weights,
            on_level=lambda _: bar.update(),
        )

    def print_results() -> None:
        report_rows(data)
        warn_of_columns(data.x, data.columns, scale)
        if events := _events(path):
            _print_events(events if verbose else _first_events(events), len(events))
        words = sk.estimators.units(scaler)
        sk.selection.summary.print_figures(_summary(path, f" (of {words})" if words else ""))

    write_and_report(
        {
            table: lambda file: sk.data.write_table(file, _level_table(path, scaler, data.columns)),
            picture: figure_writer(lambda: sk.plots.BifurcationDisplay.from_path(path)),
            energies: figure_writer(lambda: sk.plots.EnergyDisplay.from_path(path)),
        },
        print_results,
    )


def _parse_temperatures(text: str | None) -> list[float] | None:
    """Convert comma-separated numbers to a list, or return None for None."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        expected = "decreasing numbers, for example 10,5,2"
        raise InputError(parameter="temperatures", value=text, expected=expected) from None


def _events(path: Any) -> list[tuple[str, ...]]:
    """Return the rows of the printed table: each event, its temperature, and the number of clusters after it."""
    rows, lifetimes, critical = list[tuple[str, ...]](), path.lifetimes(), path.critical_temperature
    transitions = zip(path.transitions, _n_clusters_after(path), strict=True)
    for (t, kind), group in groupby(transitions, lambda item: (item[0].temperature, item[0].kind)):
        simultaneous = list(group)
        k = simultaneous[-1][1]
        fraction = np.exp(-lifetimes.get(k, 0.0)) if kind == "split" else 1.0
        lifetime = f"{fraction:.2f} times this" if fraction <= MAX_FRACTION else ""
        event = _describe_event(kind, [transition.cluster for transition, _ in simultaneous])
        rows.append((event, f"{t:.4g}", f"{t / critical:.4f}", str(k), lifetime))
    return rows


def _first_events(events: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the first events, to the last one after which a number of clusters lasts."""
    lasting = [i for i, row in enumerate(events, start=1) if row[-1]]
    return events[: max([N_EVENTS, *lasting])]


def _print_events(shown: list[tuple[str, ...]], n_events: int) -> None:
    """Print events as a table, and how many more there are."""
    table = dict(zip(TRANSITION_HEADERS, map(list, zip(*shown, strict=True)), strict=True))
    sk.selection.summary.print_columns({header: cells for header, cells in table.items() if any(cells)})
    if more := n_events - len(shown):
        typer.echo(f"and {more} more at lower temperatures, which --verbose prints")


def _describe_event(kind: str, clusters: list[int]) -> str:
    """Return a text such as "cluster 0 splits" or "clusters 1, 2 split"."""
    numbers = ", ".join(map(str, sorted(set(clusters))))
    return f"cluster {numbers} {kind}s" if len(set(clusters)) == 1 else f"clusters {numbers} {kind}"


def _n_clusters_after(path: Any) -> list[int]:
    """Return the number of clusters after each transition; splits before a level divide its new clusters evenly."""
    counts = list[int]()
    for level, group in groupby(path.transitions, lambda t: t.level):
        splits = np.cumsum([t.kind == "split" for t in group])
        before = path.n_clusters[level - 1] if level else 1
        after = path.n_clusters[level]
        counts += np.round(before + (after - before) * splits / max(splits[-1], 1)).astype(int).tolist()
    return counts


def _summary(path: Any, units: str) -> dict[str, str]:
    """Return names and values that describe a path."""
    hot, cold = path.temperatures[0], path.temperatures[-1]
    summary = {
        "critical temperature": f"{path.critical_temperature:.6g}{units}; above it (T_c), all centers coincide",
        "temperatures": f"{len(path.levels)}, from {hot:.4g} to {cold:.4g}",
        "clusters at the end": f"{path.n_clusters[-1]} (a row is spread over {path.perplexity[-1]:.2f} of them)",
        "longest lifetime": _longest_lifetime(path),
    }
    if any(transition.kind == "jump" for transition in path.transitions):
        summary["jump"] = "a center moved at once although its cluster was stable, as rows changed to other clusters"
    return summary


def _longest_lifetime(path: Any) -> str:
    """Return the number of clusters that lasts longest, or that none lasts."""
    lifetimes = path.lifetimes()
    longest = max(lifetimes, key=lambda k: lifetimes[k], default=0)
    fraction = np.exp(-lifetimes.get(longest, 0.0))
    if fraction > MAX_FRACTION:
        return f"none that counts: no number of clusters lasts until T is less than {MAX_FRACTION} times as high"
    verdict = "a clear answer" if fraction <= CLEAR_FRACTION else "no clear answer; clear ones last until about 0.1"
    return f"{longest} clusters, until T is {fraction:.2f} times as high: {verdict}"


def _level_table(path: Any, scaler: Any, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the columns of the output table, one row per cluster and level; centers in the data's units."""
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
        "prior": np.concatenate([level.priors for level in levels]),
        "instability": np.concatenate([level.instability for level in levels]),
        **{name: np.repeat([getattr(level, name) for level in levels], sizes) for name in energies},
        **{f"center_{name}": column for name, column in zip(names or range(centers.shape[1]), centers.T, strict=True)},
    }
