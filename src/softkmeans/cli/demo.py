"""The `demo` command: cluster synthetic data and plot the result."""

from __future__ import annotations

__all__ = ["demo"]

import time
from pathlib import Path
from typing import Annotated

import typer

import softkmeans as sk  # its parts load lazily, which keeps --help fast

from ..errors import InputError, Message, Setting
from ..settings import Settings
from .options import Clusters, Seed
from .outputs import PICTURES, TABLES, check_folder, figure_writer, write_all


def demo(
    n_samples: Annotated[int, typer.Option(help="Number of samples.")] = 600,
    n_features: Annotated[int, typer.Option(help="Number of features.")] = 2,
    n_clusters: Clusters = 4,
    cluster_std: Annotated[float, typer.Option(help="Standard deviation of each blob.")] = 1.0,
    temperature: Annotated[
        float | None, typer.Option(help="Temperature; by default twice the variance of a blob.", show_default=False)
    ] = None,
    objective: Annotated[
        str | None, typer.Option(show_default="distortion for the solver adam, free_energy otherwise")
    ] = None,
    solver: str = "adam",
    max_iter: int = Settings.max_iter,
    log_every: Annotated[int, typer.Option(help="Number of steps between printed losses.", min=1)] = 20,
    seed: Seed = 0,
    out_dir: Annotated[Path, typer.Option(help="Folder for the data, plots, model and assignments.")] = Path("demo"),
) -> None:
    """Generate Gaussian blobs, train the PyTorch module on them and plot the clusters."""
    x, y = sk.make_blobs(n_samples, n_features, n_clusters, cluster_std, random_state=seed)
    if temperature is None and not cluster_std:
        raise InputError(
            Message("is not supported without ", Setting("temperature")),
            parameter="cluster_std",
            value=0,
            hint=Message("set ", Setting("temperature")),
        )
    layer = sk.SoftKMeansLayer(n_clusters, n_features, 2 * cluster_std**2 if temperature is None else temperature)
    objective = objective or ("distortion" if solver == "adam" else "free_energy")
    check_folder(out_dir)
    TABLES.check_packages(out_dir / "blobs.csv")
    PICTURES.check_packages(out_dir / "clusters.png")
    typer.echo(f"data: n_samples={n_samples}, n_features={n_features}, n_clusters={n_clusters}")
    typer.echo(f"training: {solver} on the {objective}, temperature {float(layer.temperature):.4g}")
    typer.echo(f"loss: the {objective.replace('_', ' ')} per row, which the training lowers")
    start = time.perf_counter()
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
    seconds = time.perf_counter() - start
    model = sk.SoftKMeans.from_layer(layer, result)
    out_dir.mkdir(parents=True, exist_ok=True)
    blobs = {f"x{j}": column for j, column in enumerate(x.numpy().T)} | {"blob": [f"blob {label}" for label in y]}
    outputs = {
        out_dir / "blobs.csv": lambda path: sk.data.write_table(path, blobs),
        out_dir / "assignments.csv": lambda path: sk.write_assignments(model, x, path),
        out_dir / "clusters.png": figure_writer(
            lambda: sk.ClusterDisplay.from_estimator(model, x, regions=n_features == 2)
        ),
        out_dir / "loss.png": figure_writer(
            lambda: sk.LossDisplay.from_estimator(model, name=f"{objective.replace('_', ' ')} per row")
        ),
        out_dir / "model.safetensors": lambda path: sk.save(model, path),
    }
    write_all(outputs)
    sk.selection.summary.print_centers(model)
    sk.selection.summary.print_figures(
        sk.selection.summary.figures(model)
        | sk.selection.summary.fit_figures(model)
        | {"seconds": f"{seconds:.2f}"}
        | sk.selection.summary.agreement(y, model.predict(x))
    )
    typer.echo(f"wrote {', '.join(path.name for path in outputs)} to {out_dir}")
