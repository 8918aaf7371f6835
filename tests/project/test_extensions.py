"""Toys registered from outside the package, one of each kind, through estimators, files and the command line."""

import importlib.util
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from scipy.optimize import approx_fprime, minimize
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris

from helpers.commands import COMMAND
from softkmeans import FuzzyCMeans, InputError, SoftKMeans, fit, load, save, select_n_clusters, write_assignments
from softkmeans.callbacks import Recorder
from softkmeans.data import FORMATS, Format, read_table, scan, write_table
from softkmeans.distances import DISTANCES, Distance, Euclidean
from softkmeans.fitting.results import NotConvergedWarning
from softkmeans.model import ASSIGNMENTS, Assignment, AssignmentRule, Softmax
from softkmeans.plots import SelectionDisplay
from softkmeans.registries import REGISTRIES
from softkmeans.selection import CRITERIA
from softkmeans.solvers import SOLVERS, Adam, PlainState, Solver
from softkmeans.temperature import PARAMETRIC, TemperatureRule

TOYS = Path(__file__).parents[1] / "helpers" / "programs" / "toys.py"
IRIS = load_iris().data

# Parameters of SoftKMeans by which each toy is used.
MEMBERS = {
    "distance": {"distance": "cauchy"},
    "distance, T given": {"distance": "cauchy", "temperature": 0.3},
    "distance without update": {"distance": "manhattan", "temperature": 0.5},
    "assignment rule": {"assignment": "sparsemax", "temperature": 2.0},
    "temperature": {"temperature": "half-start"},
    "temperature with a number": {"temperature": "start:0.2"},
    "solver": {"solver": "gradient-descent"},
    "seeding": {"init": "first-rows"},
}


@pytest.fixture
def toys():
    """Import the toys, as a user's program does; they are not registered for other tests."""
    before = [(registry, set(registry)) for registry in REGISTRIES]
    spec = importlib.util.spec_from_file_location("toys", TOYS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for registry, names in before:
        for name in set(registry) - names:
            registry.unregister(name)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", MEMBERS)
def test_an_estimator_takes_a_toy(name):
    model = SoftKMeans(3, random_state=0, **MEMBERS[name]).fit(IRIS)
    assert model.converged_
    assert model.n_iter_ > 1
    values = [step.objective for step in model.history_]
    assert values[-1] < values[0]
    np.testing.assert_allclose(model.predict_proba(IRIS).sum(1), 1)
    np.testing.assert_array_equal(model.predict(IRIS), model.labels_)
    assert SoftKMeans(3, random_state=0, **MEMBERS[name]).fit(IRIS).objective_ == model.objective_


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", MEMBERS)
def test_a_model_with_a_toy_is_saved_and_loaded(name, tmp_path):
    model = SoftKMeans(3, random_state=0, **MEMBERS[name]).fit(IRIS)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))


@pytest.mark.parametrize("as_object", [False, True])
def test_a_model_file_never_imports_a_toy(as_object, toys, tmp_path):
    named = {"distance": "cauchy", "solver": "gradient-descent", "temperature": "half-start"}
    objects = {"distance": toys.Cauchy(), "solver": toys.GradientDescent(0.7), "temperature": toys.FractionOfStart()}
    for parameter in named:
        values = objects if as_object else named
        path = tmp_path / f"{parameter}.safetensors"
        save(SoftKMeans(3, random_state=0, **{parameter: values[parameter]}).fit(IRIS), path)
    for registry in REGISTRIES:
        for name in set(registry) - set(registry._paths):
            registry.unregister(name)
    for parameter in named:
        with pytest.raises(InputError, match=f"needs {parameter}='.*', which is not registered: import the module"):
            load(tmp_path / f"{parameter}.safetensors")


def free_energy(centers, t, distances):
    """Return F at centers (k * d,), by SciPy."""
    d = distances(centers.reshape(3, -1))
    smallest = d.min(1, keepdims=True)
    return float((smallest[:, 0] - t * np.log(np.exp((smallest - d) / t).sum(1))).sum())


DISTANCES_BY_SCIPY = {
    "cauchy": lambda c: np.log1p(cdist(IRIS, c, "sqeuclidean")),
    "manhattan": lambda c: cdist(IRIS, c, "cityblock"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", DISTANCES_BY_SCIPY)
def test_a_toy_distance_reaches_the_optimum(name):
    distances = DISTANCES_BY_SCIPY[name]
    result = fit(IRIS, 3, temperature=0.5, distance=name, random_state=0, tol=1e-10, max_iter=3000)
    found = result.centers.numpy().ravel()
    assert result.free_energy == pytest.approx(free_energy(found, 0.5, distances), rel=1e-10)
    assert minimize(free_energy, found, (0.5, distances)).fun > result.free_energy - 1e-3
    if name == "cauchy":  # F has no kinks
        assert np.abs(approx_fprime(found, free_energy, 1e-6, 0.5, distances)).max() < 1e-2


class Mahalanobis(Distance):
    """The squared Mahalanobis distance for a given matrix L: ‖(x - c) L‖²."""

    name = "mahalanobis"
    power = 2
    constant_slope = 1.0

    def __init__(self, factor):
        self.factor = torch.as_tensor(factor)

    def of_squared(self, squared):
        return squared

    def embed(self, x):
        return x @ self.factor

    def unembed(self, c):
        return torch.linalg.solve(self.factor.mT, c.mT).mT


def test_a_distance_of_rows_that_are_transformed_linearly():
    """Check that a fit is that of the squared Euclidean distance to transformed rows."""
    factor = np.linalg.cholesky(np.linalg.inv(np.cov(IRIS.T)))
    settings = {"temperature": 1.0, "tol": 1e-10, "max_iter": 2000}
    own = SoftKMeans(3, distance=Mahalanobis(factor), init=IRIS[[0, 60, 120]], **settings).fit(IRIS)
    plain = SoftKMeans(3, init=IRIS[[0, 60, 120]] @ factor, **settings).fit(IRIS @ factor)
    np.testing.assert_allclose(own.cluster_centers_ @ factor, plain.cluster_centers_, atol=1e-5)
    np.testing.assert_allclose(own.predict_proba(IRIS), plain.predict_proba(IRIS @ factor), atol=1e-6)
    assert own.objective_ == pytest.approx(plain.objective_, rel=1e-9)
    with pytest.raises(InputError, match="distance='mahalanobis' has no known density"):
        own.score(IRIS)
    with pytest.raises(InputError, match="the distance 'mahalanobis' has no known density"):
        SoftKMeans(3, distance=Mahalanobis(factor)).fit(IRIS)


@pytest.mark.usefixtures("toys")
def test_a_toy_assignment_rule_is_the_projection_onto_the_simplex():
    logits = torch.tensor([[0.1, 0.3, -2.0, 0.2], [5.0, 1.0, 0.0, 4.5]], dtype=torch.float64)
    resp = ASSIGNMENTS["sparsemax"](logits).resp.numpy()
    for row, z in zip(resp, logits.numpy(), strict=True):
        constraint = {"type": "eq", "fun": lambda p: p.sum() - 1}
        start, bounds = np.full(4, 0.25), [(0, 1)] * 4
        projection = minimize(lambda p, z=z: ((p - z) ** 2).sum(), start, bounds=bounds, constraints=constraint).x
        np.testing.assert_allclose(row, projection, atol=1e-6)
    model = SoftKMeans(3, temperature=2.0, assignment="sparsemax", tol=0, random_state=0).fit(IRIS)
    resp = model.predict_proba(IRIS)
    assert ((resp == 0).sum(1) == 1).any()  # which a softmax never gives
    np.testing.assert_allclose(model.cluster_centers_, resp.T @ IRIS / resp.sum(0)[:, None], atol=1e-6)
    values = np.array([step.objective for step in model.history_])
    assert (np.diff(values) <= 1e-9 * abs(values[0])).all()  # EM never raises the free energy


@pytest.mark.usefixtures("toys")
def test_a_toy_temperature_solver_and_seeding_do_what_they_say():
    start = IRIS[[0, 60, 120]]
    nearest = cdist(IRIS, start, "sqeuclidean").min(1).mean()
    assert SoftKMeans(3, temperature="half-start", init=start).fit(IRIS).temperature_ == pytest.approx(nearest / 2)
    assert SoftKMeans(3, temperature="start:2", init=start).fit(IRIS).temperature_ == pytest.approx(2 * nearest)
    descent = SoftKMeans(3, temperature=0.5, solver="gradient-descent", init=start, tol=1e-10, max_iter=3000).fit(IRIS)
    em = SoftKMeans(3, temperature=0.5, solver="em", init=start, tol=1e-10, max_iter=3000).fit(IRIS)
    np.testing.assert_allclose(descent.cluster_centers_, em.cluster_centers_, atol=1e-4)
    recorder = Recorder()
    SoftKMeans(3, init="first-rows", callbacks=[recorder]).fit(IRIS)
    np.testing.assert_allclose(recorder.steps[0].centers.numpy(), IRIS[:3], atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("toys")
def test_a_toy_criterion_is_in_tables_and_plots():
    selection = select_n_clusters(IRIS, range(1, 5), criterion="elbow", cv=0, path=False, random_state=0)
    inertia = [selection.models[k].inertia_ for k in range(1, 5)]
    assert selection.n_clusters == 2 + int(np.argmax(np.diff(inertia, 2)))
    assert "elbow" in selection.scores
    display = SelectionDisplay.from_selection(selection)
    assert f"elbow: {selection.n_clusters}" in [text.get_text() for text in display.figure_.findobj(Text)]


WRONG = {
    "a distance without a function": (
        lambda: type("D", (Distance,), {"name": "d", "power": 1}),
        TypeError,
        "of_squared",
    ),
    "a map without inverse": (
        lambda: type("D", (Distance,), {"name": "d", "power": 2, "of_squared": abs, "embed": lambda self, x: 2 * x}),
        TypeError,
        "the distance D does not define unembed",
    ),
    "another distance of the library": (
        lambda: type("D", (Euclidean,), {"of_squared": lambda self, squared: squared}),
        TypeError,
        "the distance D redefines Euclidean: derive it from Distance",
    ),
    "another rule of the library": (
        lambda: type("R", (Softmax,), {"__call__": lambda self, logits, dim=-1: None}),
        TypeError,
        "the assignment rule R redefines another rule: derive it from AssignmentRule",
    ),
    "no name": (lambda: type("D", (Distance,), {"between": print}), TypeError, "does not define name and power"),
    "a function": (lambda: DISTANCES.register("d", lambda x, c: x), InputError, "is of type function, expected a Dis"),
    "another kind": (lambda: DISTANCES.register("d", SOLVERS["em"]), InputError, "is of type Em, expected a Distance"),
    "a taken name": (lambda: SOLVERS.register("em", SOLVERS["em"]), InputError, "solver='em' is registered already"),
    "a bad name": (lambda: SOLVERS.register("my em", SOLVERS["em"]), InputError, "solver can't be called 'my em'"),
    "an abstract class": (
        lambda: SOLVERS.register("mine", type("Mine", (Solver,), {})),
        InputError,
        r"can't be made from the class Mine \(.*abstract methods? .*init.*\): define its abstract methods",
    ),
    "a taken suffix": (
        lambda: FORMATS.register("mine", Format((".mine", ".csv"), print)),
        InputError,
        "format='mine' has '.csv', which belongs to 'csv': use another one",
    ),
    "a suffix without a dot": (
        lambda: Format(("csv",), print),
        InputError,
        r"suffixes=\('csv',\): expected a tuple of",
    ),
    "a suffix in capitals": (lambda: Format((".CSV",), print), InputError, "lower-case text that begins with a dot"),
    "a suffix that is no tuple": (lambda: Format(".csv", print), InputError, "suffixes='.csv': expected a tuple"),
    "no suffix": (lambda: Format((), print), InputError, r"suffixes=\(\): expected a tuple"),
    "a format without reading": (lambda: Format((".a",), None), InputError, "read=None: expected a function"),
    "a scan that is no function": (lambda: Format((".a",), print, "a"), InputError, "scan='a': expected a function"),
    "an object for a class": (lambda: PARAMETRIC.register("half", 0.5), InputError, "expected a subclass of"),
    "a name of the library": (lambda: SOLVERS.unregister("em"), InputError, "belongs to the library"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_extensions_are_refused(case):
    register, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        register()


# What a toy does not support is said in words.
UNSUPPORTED = {
    "learned T without density": ({"distance": "manhattan"}, "the distance 'manhattan' has no known density"),
    "EM without update": (
        {"distance": "manhattan", "temperature": 1.0, "solver": "em"},
        "distance='manhattan', which EM",
    ),
    "search without update": ({"distance": "manhattan", "temperature": 1.0, "local_search": True}, "supports only"),
    "an equation without update": (
        {"distance": "manhattan", "temperature": "perplexity:1.5"},
        "temperature needs an EM update, which the distance 'manhattan' does not have: set it to a number",
    ),
    "annealing without update": (
        {"distance": "manhattan", "temperature": 1.0, "init": "annealing"},
        "has no EM update, which annealing needs",
    ),
    "learned T without mixture": ({"assignment": "sparsemax"}, "sparsemax memberships belong to no mixture model"),
    "priors without mixture": (
        {"assignment": "sparsemax", "temperature": 1.0, "priors": "learned"},
        "priors='learned' is not supported with sparsemax memberships",
    ),
    "noise": (
        {"assignment": "sparsemax", "temperature": 1.0, "noise_distance": 1.0},
        "noise_distance=1.0 is not supported with sparsemax memberships",
    ),
    "variances": ({"distance": "cauchy", "temperature": "calibrated"}, "needs squared Euclidean distances"),
    "a number that is none": ({"temperature": "start:fast"}, "temperature='start:fast': give a finite number"),
}


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_combinations_are_refused(case):
    settings, message = UNSUPPORTED[case]
    with pytest.raises(InputError, match=message):
        SoftKMeans(3, random_state=0, **settings).fit(IRIS)


@pytest.mark.usefixtures("toys")
def test_methods_that_need_a_likelihood_are_refused():
    model = SoftKMeans(3, temperature=1.0, assignment="sparsemax", random_state=0).fit(IRIS)
    for method in (model.score, model.score_samples, model.bic, model.aic, lambda x: model.sample(3)):
        with pytest.raises(InputError, match="assignment='sparsemax' has no likelihood"):
            method(IRIS)
    with pytest.raises(InputError, match="whose memberships are a softmax"):
        model.to_layer()
    with pytest.raises(InputError, match="distance='manhattan' has no known density"):
        SoftKMeans(3, temperature=1.0, distance="manhattan", random_state=0).fit(IRIS).score(IRIS)


@pytest.mark.usefixtures("toys")
def test_fuzzy_memberships_of_soft_k_means_are_those_of_fuzzy_c_means():
    one = SoftKMeans(3, assignment="fuzzy", random_state=0).fit(IRIS)
    other = FuzzyCMeans(3, random_state=0).fit(IRIS)
    np.testing.assert_array_equal(one.cluster_centers_, other.cluster_centers_)
    np.testing.assert_array_equal(one.predict_proba(IRIS), other.predict_proba(IRIS))
    assert not hasattr(one, "temperature_")


@pytest.mark.usefixtures("toys")
def test_toys_learn_from_batches():
    for settings in ({"distance": "cauchy"}, {"assignment": "sparsemax", "temperature": 1.0}):
        model = SoftKMeans(3, random_state=0, **settings)
        for batch in np.array_split(np.random.default_rng(0).permutation(IRIS), 5):
            model.partial_fit(batch)
        whole = SoftKMeans(3, random_state=0, **settings).fit(IRIS)
        assert cdist(model.cluster_centers_, whole.cluster_centers_).min(1).max() < 0.5


@pytest.mark.usefixtures("toys")
def test_a_toy_format_is_read_scanned_and_written(tmp_path):
    write_table(tmp_path / "iris.lines", dict(zip("abcd", IRIS.T, strict=True)) | {"kind": ["x"] * 150})
    table, rows = read_table(tmp_path / "iris.lines"), scan(tmp_path / "iris.lines")
    np.testing.assert_array_equal(table.x, IRIS)
    assert table.columns == rows.columns == ("a", "b", "c", "d")
    assert table.ignored == rows.ignored == ("kind",)
    model = SoftKMeans(3, random_state=0).fit(rows)
    write_table(tmp_path / "iris.csv", dict(zip("abcd", IRIS.T, strict=True)))
    same = SoftKMeans(3, random_state=0).fit(scan(tmp_path / "iris.csv"))
    np.testing.assert_array_equal(model.cluster_centers_, same.cluster_centers_)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    write_assignments(model, rows, tmp_path / "labels.lines")
    labels = read_table(tmp_path / "labels.lines", columns=["label"]).x[:, 0]
    np.testing.assert_array_equal(labels, model.predict(table.frame()))
    with pytest.raises(InputError, match=r"must be one of .*\.lines, \.blank$"):
        read_table(written(tmp_path / "t.other", "1"))


@pytest.mark.usefixtures("toys")
def test_what_a_toy_format_lacks_is_said_in_words(tmp_path):
    path = written(tmp_path / "t.blank", "1 2\n3 4\n")
    table = read_table(path)
    assert (table.x.tolist(), table.columns) == ([[1, 2], [3, 4]], None)
    with pytest.raises(InputError, match=r"t\.blank: files with the extension '\.blank' can't be read in blocks"):
        scan(path)
    with pytest.raises(InputError, match=r"this folder has no file whose name ends in .*, \.lines$|; give a folder"):
        scan(tmp_path)
    with pytest.raises(InputError, match=r"'\.blank' can be read but not written; .* \.lines$"):
        write_table(tmp_path / "out.blank", {"a": [1]})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["t.blank"]


def written(path, text):
    path.write_text(text)
    return path


def run(*arguments, cwd):
    done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.process
def test_the_command_line_takes_every_toy(tmp_path):
    write_table(tmp_path / "iris.csv", dict(zip("abcd", IRIS.T, strict=True)))
    options = {
        "--distance": ["cauchy"],
        "--assignment": ["sparsemax", "--temperature", "2"],
        "--temperature": ["start:0.2"],
        "--solver": ["gradient-descent"],
        "--init": ["first-rows"],
        "--callback": ["pass-printer"],
    }
    for option, values in options.items():
        arguments = ["fit", "iris.csv", "-k", "3", "--plugin", TOYS, option, *values, "--out", "model.safetensors"]
        status, out, err = run(*arguments, cwd=tmp_path)
        assert (status, err) == (0, ""), option
        assert ("pass 1\n" in out) == (option == "--callback")
        status, out, err = run("predict", "model.safetensors", "iris.csv", "--plugin", TOYS, cwd=tmp_path)
        assert (status, err) == (0, "")
        assert len(out.splitlines()) == 151
        (tmp_path / "model.safetensors").unlink()
    status, out, err = run("select", "iris.csv", "--k-range", "1-4", "--cv", "0", "--no-path", "--plugin", TOYS,
                           "--criterion", "elbow", cwd=tmp_path)  # fmt: skip
    assert (status, err) == (0, "")
    assert "by elbow" in out


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("stream", ["--stream", pytest.param("--no-stream", marks=pytest.mark.thorough)])
def test_the_command_line_takes_a_toy_format(stream, tmp_path, toys):
    write_table(tmp_path / "iris.lines", dict(zip("abcd", IRIS.T, strict=True)))
    expected = SoftKMeans(3, random_state=0).fit(IRIS)
    arguments = ["iris.lines", "--plugin", TOYS, stream]
    status, out, err = run(
        "fit", *arguments, "-k", "3", "--out", "m.safetensors", "--assignments", "a.lines", cwd=tmp_path
    )
    assert (status, err) == (0, "")
    assert ("read in blocks" in out) == (stream == "--stream")
    assert run("predict", "m.safetensors", *arguments, "--out", "b.lines", cwd=tmp_path) == (0, "", "")
    assert (tmp_path / "a.lines").read_text() == (tmp_path / "b.lines").read_text()
    np.testing.assert_array_equal(read_table(tmp_path / "b.lines", columns=["label"]).x[:, 0], expected.labels_)


@pytest.mark.thorough
@pytest.mark.process
def test_the_command_line_says_what_a_toy_format_lacks(tmp_path):
    (tmp_path / "t.blank").write_text("1 2\n3 4\n5 7\n")
    for words, message in {
        ("t.blank", "--stream"): "t.blank: files with the extension '.blank' can't be read in blocks, but only whole",
        ("t.blank", "--assignments", "a.blank"): "can't write a.blank: the file name must end with one of .csv, ",
    }.items():
        status, out, err = run("fit", *words, "-k", "2", "--plugin", TOYS, cwd=tmp_path)
        assert (status, out) == (2, "")
        assert err.startswith(f"error: {message}")
        assert err.endswith(".lines\n")
        assert err.count("\n") == 1
    assert run("fit", "t.blank", "-k", "2", "--plugin", TOYS, cwd=tmp_path)[0] == 0


@pytest.mark.process
def test_the_command_line_without_the_plugin_names_the_remedy(tmp_path, toys):
    write_table(tmp_path / "iris.csv", dict(zip("abcd", IRIS.T, strict=True)))
    save(SoftKMeans(3, distance="cauchy", random_state=0).fit(IRIS), tmp_path / "model.safetensors")
    status, out, err = run("predict", "model.safetensors", "iris.csv", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "distance='cauchy', which is not registered" in err
    assert "--plugin" in err


def test_abstract_rules_cannot_be_used():
    with pytest.raises(TypeError, match="abstract"):
        AssignmentRule()


@pytest.mark.usefixtures("toys")
def test_names_are_listed_from_the_registries():
    with pytest.raises(InputError, match=r"choose one of sqeuclidean, euclidean, cosine, cauchy, manhattan$"):
        SoftKMeans(3, distance="taxi").fit(IRIS)


# Mistakes in extensions, found on a few rows before a fit.


def distance_of(**methods):
    """Return an object of a new distance class."""
    return type("Mine", (Distance,), {"name": "mine", "power": None} | methods)()


def huber_with_a_root_at_0(self, squared):
    r = squared.sqrt()
    return torch.where(r < 1, squared / 2, r - 0.5)


WRONG_DISTANCES = {
    "a root at 0": (
        distance_of(of_squared=huber_with_a_root_at_0),
        "has a derivative that is not a number where a row",
    ),
    "a root of powers": (
        distance_of(between=lambda self, z, c: ((z[..., :, None, :] - c).abs() ** 4).sum(-1) ** 0.25),
        "has a derivative that is not a number where a row equals a center",
    ),
    "a wrong power": (
        distance_of(power=2, of_squared=lambda self, s: s.log1p()),
        "is not multiplied by 4 if the rows are",
    ),
    "a sum": (distance_of(of_squared=lambda self, s: s.sum()), r"returned torch.float64 \(\) for 8 rows"),
    "negative": (distance_of(of_squared=lambda self, s: -s), "is negative or not finite for some rows"),
    "not a tensor": (distance_of(between=lambda self, z, c: 0.0), "returned a float for 8 rows"),
    "not the inverse": (
        distance_of(of_squared=lambda self, s: s, embed=lambda self, x: 2 * x, unembed=lambda self, c: c),
        "has an unembed that is not the inverse of embed",
    ),
}


@pytest.mark.parametrize("case", WRONG_DISTANCES)
def test_wrong_distances_are_refused_before_a_fit(case):
    distance, message = WRONG_DISTANCES[case]
    with pytest.raises(InputError, match=f"^distance='mine' {message}"):
        SoftKMeans(3, temperature=1.0, distance=distance, random_state=0).fit(IRIS)


def rule_of(call):
    return type("Mine", (AssignmentRule,), {"name": "mine", "__call__": call})()


WRONG_RULES = {
    "a tensor": (lambda self, logits, dim=-1: logits.softmax(dim), "returned a Tensor: return an Assignment"),
    "dim ignored": (
        lambda self, z, dim=-1: Assignment(z.softmax(-1), z.softmax(-1), z.logsumexp(-1)),
        r"returned shapes \[\(3, 5\), \(3, 5\), \(3,\)\] for logits \(3, 5\) with dim=0",
    ),
    "another objective": (
        lambda self, z, dim=-1: Assignment(z.softmax(dim), z.softmax(dim), z.amax(dim)),
        "has an objective that does not belong to its memberships",
    ),
    "not a distribution": (
        lambda self, z, dim=-1: Assignment(z.exp(), z.exp(), z.exp().sum(dim)),
        "returned memberships below 0 or with a sum above 1",
    ),
}


@pytest.mark.parametrize("case", WRONG_RULES)
def test_wrong_assignment_rules_are_refused_before_a_fit(case):
    call, message = WRONG_RULES[case]
    with pytest.raises(InputError, match=f"^assignment='mine' {message}"):
        SoftKMeans(3, temperature=1.0, assignment=rule_of(call), random_state=0).fit(IRIS)


class Descent(Solver):
    """Gradient descent with a given step size."""

    def __init__(self, lr):
        self.lr = lr

    def init(self, objective, params):
        return PlainState(params)

    def step(self, objective, state, sums):
        step = self.lr * objective.preconditioner(state.params, sums) * objective.gradient(state.params, sums)
        return PlainState(objective.unpack(objective.pack(state.params) - step, state.params))


@pytest.mark.parametrize("lr", [30.0, float("nan")])
def test_a_step_that_raises_the_objective_is_told(lr):
    with pytest.warns(NotConvergedWarning, match="a step of the fit raised the objective instead of lowering it"):
        model = SoftKMeans(3, temperature=1.0, solver=Descent(lr), random_state=0).fit(IRIS)
    assert not model.converged_
    assert np.isfinite(model.cluster_centers_).all()


class Stateless(Descent):
    def step(self, objective, state, sums):
        return None


class Negative(TemperatureRule):
    def start(self, scaling, mean_distortion):
        return -1.0


MISTAKES = {
    "a state": ({"solver": Stateless(1.0)}, "returned a NoneType as its state: return an object with params"),
    "a temperature": ({"temperature": Negative()}, "starts with -1.0: return a finite number above 0 from start"),
    "a class": ({"solver": Descent}, r"solver is the class Descent: give an object of it, such as Descent\(\)"),
    "a name": ({"callbacks": ["loud"]}, "callbacks='loud' is not known: choose one of early-stopping, loss-printer"),
    "no callback": ({"callbacks": [3]}, "callbacks contains an object of type int, expected Callback objects or"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_other_mistakes_are_one_line(case):
    settings, message = MISTAKES[case]
    with pytest.raises(InputError, match=message) as caught:
        SoftKMeans(3, random_state=0, **{"temperature": 1.0} | settings).fit(IRIS)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("toys")
def test_callbacks_by_name(capsys):
    SoftKMeans(3, callbacks=["pass-printer"], random_state=0).fit(IRIS)
    assert capsys.readouterr().out.startswith("pass 1\npass 2\n")


@pytest.mark.filterwarnings("ignore:.*centers coincide")
def test_a_distance_that_cannot_be_saved_is_refused(tmp_path):
    distance = distance_of(of_squared=lambda self, squared: squared.log1p())
    model = SoftKMeans(3, distance=distance, temperature=1.0, random_state=0).fit(IRIS)
    with pytest.raises(InputError, match=r"^distance=.* can't be saved, as it is neither registered nor"):
        save(model, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_class_may_be_registered_again(toys):
    """Check that a cell of a notebook can be run twice; the new version of a class replaces the old one."""
    before = DISTANCES["cauchy"]
    DISTANCES.register("cauchy", toys.Cauchy)
    assert DISTANCES["cauchy"] is not before
    with pytest.raises(InputError, match="distance='cauchy' is registered already: use another name, or unregister it"):
        DISTANCES.register("cauchy", toys.Manhattan)


@pytest.mark.filterwarnings("ignore:the fit did not converge")
def test_adam_returns_the_centers_that_its_statistics_belong_to():
    """Check that the best parameters are not changed by the steps after them."""
    model = SoftKMeans(3, temperature=0.5, solver=Adam(0.5), max_iter=10, random_state=0).fit(IRIS)
    d = cdist(IRIS, model.cluster_centers_, "sqeuclidean")
    assert model.objective_ == pytest.approx(-0.5 * np.log(np.exp(-d / 0.5).sum(1)).sum(), rel=1e-9)


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.usefixtures("toys")
def test_correct_distances_pass_the_check_at_any_scale(scale):
    SoftKMeans(2, temperature=1.0, distance="cauchy", random_state=0, max_iter=3, tol=1.0).fit(IRIS * scale)


def test_centers_of_a_distance_that_depends_on_the_origin_keep_their_units():
    def log_distance(self, z, c):
        return (z[..., :, None, :].log1p() - c.log1p()).square().sum(-1)

    distance, rows = distance_of(translates=False, between=log_distance), 100 * IRIS + 1
    model = SoftKMeans(2, temperature=0.2, distance=distance, init=rows[[0, 99]], frozen=[True, True]).fit(rows)
    np.testing.assert_allclose(model.cluster_centers_, rows[[0, 99]])


def test_a_distance_redefined_by_a_mixin_is_refused():
    mixin = type("Mixin", (), {"of_squared": lambda self, squared: squared.log1p()})
    with pytest.raises(TypeError, match="the distance D redefines Euclidean: derive it from Distance"):
        type("D", (mixin, Euclidean), {})


def test_other_objects_do_not_take_a_name(toys):
    criterion = replace(toys.ELBOW, label="another")
    with pytest.raises(InputError, match="criterion='elbow' is registered already"):
        CRITERIA.register("elbow", criterion)


def test_a_frozen_dataclass_can_have_mean_updates():
    kind = dataclass(frozen=True)(type("Mine", (Distance,), {"name": "mine", "power": 1, "of_squared": root_of}))
    model = SoftKMeans(3, temperature=0.3, distance=kind(), update="mean", random_state=0).fit(IRIS)
    other = SoftKMeans(3, temperature=0.3, distance="euclidean", update="mean", random_state=0).fit(IRIS)
    np.testing.assert_allclose(model.cluster_centers_, other.cluster_centers_, atol=1e-9)


def root_of(self, squared):
    positive = squared > 0
    return torch.where(positive, squared, 1.0).sqrt() * positive
