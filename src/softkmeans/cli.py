"""The command line: parse, call, print."""

from __future__ import annotations

__all__ = ["app", "main"]

import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import softkmeans as sk  # loads its parts when they are used, so that --help answers at once

from .atomic import atomic_write, check_writable
from .data.formats import arrow
from .errors import FitInterrupted, InputError, MissingExtraError

app = typer.Typer(
    help="Soft k-means clustering: a probability for every cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
MODELS = (".safetensors",)
PICTURES = (".png", ".pdf", ".svg", ".jpg")
OPTION = r"^(n_clusters|n_init|max_iter|tol|temperature|solver|init|distance|objective|scale|n_samples|n_features)="

Data = Annotated[Path, typer.Argument(metavar="FILE", help="Rows: CSV, TSV, Parquet, NPY or NPZ.", show_default=False)]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that fit or demo wrote.", show_default=False)]
Clusters = Annotated[int, typer.Option("--n-clusters", "-k", help="Number of clusters.")]
Solver = Annotated[str, typer.Option(help="auto, em, lbfgs or adam.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0, max=2**32 - 1)]
MaxIter = Annotated[int, typer.Option(help="Passes over the data, at most.")]
Regions = Annotated[bool, typer.Option("--regions", help="Shade the plane by cluster (two features only).")]


@app.command()
def demo(
    n_samples: Annotated[int, typer.Option(help="Number of points.")] = 600,
    n_features: Annotated[int, typer.Option(help="Number of features.")] = 2,
    n_clusters: Clusters = 4,
    cluster_std: Annotated[float, typer.Option(help="Standard deviation of every blob.")] = 1.0,
    temperature: Annotated[
        float | None, typer.Option(help="Temperature; by default twice the blobs' variance.", show_default=False)
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="distortion, free_energy or nll; by default what suits the solver.", show_default=False),
    ] = None,
    solver: Annotated[str, typer.Option(help="adam, auto, em or lbfgs.")] = "adam",
    max_iter: MaxIter = 300,
    log_every: Annotated[int, typer.Option(help="Steps between two printed losses.", min=1)] = 20,
    seed: Seed = 0,
    out_dir: Annotated[Path, typer.Option(help="Folder for data, pictures, model and assignments.")] = Path("demo"),
) -> None:
    """Make blobs, train the PyTorch module on them, draw the clusters."""
    x, y = sk.make_blobs(n_samples, n_features, n_clusters, cluster_std, random_state=seed)
    if temperature is None and not cluster_std:
        raise InputError("--cluster-std 0 leaves no temperature to choose: give --temperature")
    layer = sk.SoftKMeansLayer(n_clusters, n_features, 2 * cluster_std**2 if temperature is None else temperature)
    objective = objective or ("distortion" if solver == "adam" else "free_energy")
    _check_folder(out_dir)
    _require(PICTURES)
    _require(TABLES)
    typer.echo(f"data: n_samples={n_samples}, n_features={n_features}, n_clusters={n_clusters}")
    typer.echo(f"training: {solver} on the {objective}, temperature {float(layer.temperature):.4g}")
    began = time.perf_counter()
    result = sk.train_layer(
        layer,
        x,
        objective=objective,
        solver=solver,
        init="k-means++",
        max_iter=max_iter,
        random_state=seed,
        callbacks=[sk.LossPrinter(log_every, typer.echo)],
    )
    seconds = time.perf_counter() - began
    model = sk.SoftKMeans.from_layer(layer, result)
    out_dir.mkdir(parents=True, exist_ok=True)
    blobs = {f"x{j}": column for j, column in enumerate(x.numpy().T)} | {"blob": [f"blob {label}" for label in y]}
    outputs = {
        out_dir / "blobs.csv": lambda path: sk.data.write_table(path, blobs),
        out_dir / "assignments.csv": lambda path: _write_assignments(path, model, x),
        out_dir / "clusters.png": _picture(lambda: sk.ClusterDisplay.from_estimator(model, x, regions=n_features == 2)),
        out_dir / "loss.png": _picture(
            lambda: sk.LossDisplay.from_estimator(model, name=f"{objective.replace('_', ' ')} per row")
        ),
        out_dir / "model.safetensors": lambda path: sk.save(model, path),
    }
    _write_all(outputs)
    sk.summary.print_centers(model)
    sk.summary.print_figures(
        sk.summary.figures(model) | {"seconds": f"{seconds:.2f}"} | sk.summary.agreement(y, model.predict(x))
    )
    typer.echo(f"wrote {', '.join(path.name for path in outputs)} to {out_dir}")


@app.command()
def fit(
    file: Data,
    n_clusters: Clusters = 8,
    out: Annotated[Path | None, typer.Option(help="Write the model here (.safetensors).", show_default=False)] = None,
    assignments: Annotated[
        Path | None, typer.Option(help="Write labels and probabilities here (CSV, TSV or Parquet).", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the clusters here (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns to use, as a,b,c; by default all numeric ones.", show_default=False)
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Known classes, only compared with.", show_default=False)
    ] = None,
    weight_column: Annotated[str | None, typer.Option(help="Weights of the rows.", show_default=False)] = None,
    scale: Annotated[str, typer.Option(help="standard (mean 0, variance 1) or none.")] = "none",
    temperature: Annotated[str, typer.Option(help="A number above 0, auto, or per-cluster.")] = "auto",
    priors: Annotated[str, typer.Option(help="uniform or learned.")] = "uniform",
    fuzzifier: Annotated[
        float | None, typer.Option(help="Above 1: fuzzy c-means, without a temperature.", show_default=False)
    ] = None,
    noise_distance: Annotated[
        float | None, typer.Option(help="Rows farther than this from all centres are noise.", show_default=False)
    ] = None,
    distance: Annotated[str, typer.Option(help="sqeuclidean, euclidean or cosine.")] = "sqeuclidean",
    solver: Solver = "auto",
    init: Annotated[str, typer.Option(help="k-means++, k-means|| or random.")] = "k-means++",
    n_init: Annotated[int, typer.Option(help="Restarts, the best of which is kept.")] = 1,
    max_iter: MaxIter = 300,
    tol: Annotated[float, typer.Option(help="Relative improvement that still counts.")] = 1e-4,
    growing_sample: Annotated[bool, typer.Option(help="Look at samples of the rows first.")] = False,
    seed: Seed = 0,
) -> None:
    """Cluster the rows of a file."""
    _check_outputs(file, [(out, MODELS), (assignments, TABLES), (picture, PICTURES)])
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    table = sk.data.read_table(file, columns=names, label_column=label_column, weight_column=weight_column)
    _check_rows(table.x, n_clusters)
    settings: dict[str, Any] = {
        "solver": solver,
        "init": init,
        "n_init": n_init,
        "max_iter": max_iter,
        "tol": tol,
        "distance": distance,
        "noise_distance": noise_distance,
        "growing_sample": growing_sample,
        "random_state": seed,
        "verbose": int(sys.stderr.isatty()),
    }
    estimator: sk.SoftKMeans | sk.FuzzyCMeans
    if fuzzifier is None:
        estimator = sk.SoftKMeans(n_clusters, temperature=_number_or_name(temperature), priors=priors, **settings)
    elif (temperature, priors) == ("auto", "uniform"):
        estimator = sk.FuzzyCMeans(n_clusters, fuzzifier=fuzzifier, **settings)
    else:
        raise InputError("--fuzzifier goes with neither --temperature nor --priors: leave one of them out")
    model = sk.scaling.with_scaling(estimator, scale)
    interrupted = not _fit(model, table)
    if table.ignored:
        typer.echo(f"left out, not numeric: {', '.join(name or '(unnamed)' for name in table.ignored)}")
    typer.echo(f"rows: {len(table.x)}, features: {table.x.shape[1]}")
    sk.summary.print_centers(model)
    known = {} if table.labels is None else sk.summary.agreement(table.labels, model.predict(table.frame()))
    sk.summary.print_figures(sk.summary.figures(model) | known)
    outputs = {
        out: lambda path: sk.save(model, path),
        assignments: lambda path: _write_assignments(path, model, table.frame()),
        picture: _picture(lambda: _clusters(model, table)),
    }
    _write_all({path: write for path, write in outputs.items() if path})
    for path in filter(None, outputs):
        typer.echo(f"wrote {path}")
    if interrupted:
        raise typer.Exit(130)


@app.command()
def predict(
    model_file: ModelFile,
    file: Data,
    out: Annotated[
        Path | None, typer.Option(help="CSV, TSV or Parquet; standard output by default.", show_default=False)
    ] = None,
) -> None:
    """Write each row's label and its probability for every cluster."""
    _check_outputs(file, [(out, TABLES)])
    model = sk.load(model_file)
    _write_assignments(out or sys.stdout.buffer, model, _read_for(model, file).frame())


@app.command()
def plot(
    model_file: ModelFile,
    file: Data,
    out: Annotated[Path, typer.Option(help="PNG, PDF, SVG or JPG.")] = Path("clusters.png"),
    regions: Regions = False,
    loss: Annotated[Path | None, typer.Option(help="Draw the loss curve here, too.", show_default=False)] = None,
) -> None:
    """Draw the rows of a file as a model clusters them."""
    _check_outputs(file, [(out, PICTURES), (loss, PICTURES)])
    model = sk.load(model_file)
    table = _read_for(model, file)
    if regions and table.x.shape[1] != 2:
        raise InputError(f"--regions came with {table.x.shape[1]} features, expected 2: leave it out")
    outputs = {out: _picture(lambda: _clusters(model, table, regions=regions))}
    if loss:
        estimator = sk.scaling.parts(model)[1]
        if not hasattr(estimator, "history_"):
            raise InputError(f"{model_file} came from a module, without the loss of its training: leave --loss out")
        outputs[loss] = _picture(lambda: sk.LossDisplay.from_estimator(estimator))
    _write_all(outputs)


@app.command()
def info(model_file: ModelFile) -> None:
    """Say what is in a model."""
    model = sk.load(model_file)
    scaler, estimator = sk.scaling.parts(model)
    sk.summary.print_centers(model)
    about = {
        "features": str(estimator.n_features_in_),
        "scaling": "none" if scaler is None else "standard",
        "distance": str(estimator.distance),
    }
    sk.summary.print_figures(about | sk.summary.figures(model))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softkmeans {sk.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: errors are one line on standard error, with exit status 2."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        _fail(error.format_message() or "give a command: demo, fit, predict, plot or info")
    except (InputError, MissingExtraError, OSError) as error:
        _fail(re.sub(OPTION, _as_option, str(error)))
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted: nothing was written", err=True)
        sys.exit(130)


def _fail(message: str) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _as_option(match: re.Match[str]) -> str:
    """Call a parameter as the command line does."""
    return f"--{match[1].replace('_', '-')} "


def _fit(model: Any, table: Any) -> bool:
    """Fit, and tell whether the fit came to its end; interrupted, the model has the best centres so far."""
    weights = {}
    if table.weights is not None:
        step = "" if isinstance(model, sk.SoftKMeans | sk.FuzzyCMeans) else f"{model.steps[-1][0]}__"
        weights = {f"{step}sample_weight": table.weights}
        if step:
            weights["standardscaler__sample_weight"] = table.weights
    try:
        model.fit(table.frame(), **weights)
    except FitInterrupted as interrupted:
        typer.echo(f"interrupted: {interrupted}", err=True)
        return False
    return True


def _read_for(model: Any, file: Path) -> Any:
    """Read the columns that a model was fitted on, by name where both have names, else by place."""
    names, n_features = sk.scaling.feature_names(model), sk.scaling.parts(model)[1].n_features_in_
    if names is not None and file.suffix.lower() not in (".npy", ".npz"):
        return sk.data.read_table(file, columns=names)
    table = sk.data.read_table(file)
    if table.x.shape[1] != n_features:
        raise InputError(f"{file} has {table.x.shape[1]} numeric columns, but the model was fitted on {n_features}")
    return table._replace(columns=None if names is None else tuple(names))


def _write_assignments(target: Any, model: Any, rows: Any) -> None:
    probabilities = model.predict_proba(rows)
    columns = {"label": model.predict(rows)} | {f"p{k}": p for k, p in enumerate(probabilities.T)}
    sk.data.write_table(target, columns)


def _clusters(model: Any, table: Any, *, regions: bool = False) -> Any:
    """Draw one or two features in their own units, more by the principal axes of what the model saw."""
    scaler, estimator = sk.scaling.parts(model)
    rows, centers = table.x, sk.scaling.centers_in_units(model)  # (n, d), (k, d)
    if scaler is not None and rows.shape[1] > 2:
        rows, centers = scaler.transform(table.frame()), np.asarray(estimator.cluster_centers_)
    return sk.ClusterDisplay.from_predictions(
        rows,
        model.predict_proba(table.frame()),
        centers,
        feature_names=table.columns,
        regions=regions,
        predict_proba=lambda grid: model.predict_proba(table._replace(x=grid).frame()),
    )


def _picture(display: Callable[[], Any]) -> Callable[[Path], None]:
    return lambda path: display().figure_.savefig(path, dpi=150)


def _write_all(outputs: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write all files or, if anything goes wrong with one, none."""
    with ExitStack() as stack:
        for path, write in outputs.items():
            write(stack.enter_context(atomic_write(path)))


def _check_outputs(source: Path, outputs: Iterable[tuple[Path | None, tuple[str, ...]]]) -> None:
    """Refuse, before any work, what can't be written or would be written over."""
    taken = {source.resolve()}
    for path, endings in outputs:
        if path is None:
            continue
        if endings and not path.name.lower().endswith(endings):
            raise InputError(f"can't write {path}: its ending must be one of {', '.join(endings)}")
        if path.resolve() in taken:
            raise InputError(f"can't write {path}: it is the input, or another output; give it a name of its own")
        check_writable(path)
        taken.add(path.resolve())
        _require(endings)


def _require(endings: tuple[str, ...]) -> None:
    """Say before any work if the package that writes such files is missing."""
    if endings == PICTURES:
        _ = sk.plots
    elif endings == TABLES:
        arrow("csv")


def _check_folder(path: Path) -> None:
    """Refuse a folder for outputs that can't be made or written, without making it yet."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    check_writable(there / "model.safetensors")


def _check_rows(x: Any, n_clusters: int) -> None:
    if np.abs(x).max() > 1e150:
        raise InputError(f"the data holds values as large as {np.abs(x).max():.3g}, too large to square: rescale it")
    n_distinct = sk.sorting.count_distinct(x)
    if 1 <= n_distinct < n_clusters:
        raise InputError(f"the data has {n_distinct} distinct rows, fewer than --n-clusters {n_clusters}: lower it")


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
