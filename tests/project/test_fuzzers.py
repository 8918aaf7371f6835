"""The fuzzers run, and report a fault with the command that runs the case again."""

import re

import numpy as np
import pytest

from fuzz import NAMES, __main__, data_files, fits, load, model_files, options
from fuzz.runner import run_case
from softkmeans import SoftKMeans
from softkmeans.kernels import dispatch
from softkmeans.kernels.cpu import api

N_CASES = {"kernels": 12, "fits": 25, "model_files": 40, "data_files": 60, "options": 25}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_fuzzer_counts_its_cases(name, capsys):
    assert __main__.main([name, "--seed", "0", "--cases", str(N_CASES[name])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{name}: seed 0"
    assert re.match(rf"{name}: {N_CASES[name]} cases in \d+ s: ", lines[-1])
    assert "failed" not in lines[-1]


def test_a_new_seed_is_drawn_and_printed(monkeypatch, capsys):
    monkeypatch.setattr(__main__.secrets, "randbelow", lambda bound: 7)
    monkeypatch.setattr(model_files, "check", lambda rng: f"drew {rng.integers(1000)}")
    assert __main__.main(["model_files", "--cases", "1"]) == 0
    expected = np.random.default_rng(7_000_000).integers(1000)
    assert re.fullmatch(
        rf"model_files: seed 7\nmodel_files: 1 cases in 0 s: 1 drew {expected}\n", capsys.readouterr().out
    )


def heavier_by_a_thousandth(accumulate):
    """Return a broken kernel: the first cluster has too much weight."""

    def broken(*arguments, **more):
        stats = accumulate(*arguments, **more)
        stats.weight[0] *= 1.001
        return stats

    return broken


def slightly_other_labels(predict):
    def broken(*arguments):
        return np.roll(predict(*arguments), 1)

    return broken


def one_too_many(read):
    return lambda *arguments, **more: read(*arguments, **more) + 1


def raises_key_error(*arguments, **more):
    raise KeyError("cluster_centers_")


FAULTS = {
    "kernel": ("kernels", api, "accumulate", heavier_by_a_thousandth, "weight[0] is "),
    "labels": ("fits", SoftKMeans, "predict", slightly_other_labels, "labels_ differ from those of predict"),
    "fit": ("fits", fits.SoftKMeans, "fit", lambda fit: raises_key_error, "KeyError: 'cluster_centers_'"),
    "loader": ("model_files", model_files, "load", lambda load: raises_key_error, "KeyError: 'cluster_centers_'"),
    "reader": ("data_files", data_files, "read_whole", lambda read: one_too_many(read), "Not equal to tolerance"),
    "command": ("options", options.cli, "main", lambda main: raises_key_error, "KeyError: 'cluster_centers_'"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_its_command(fault, monkeypatch, capsys):
    name, owner, attribute, broken, message = FAULTS[fault]
    if name == "model_files":
        for model in model_files.MODELS:
            model_files.original(model)  # loads the files before the loader breaks
    monkeypatch.setattr(owner, attribute, broken(getattr(owner, attribute)))
    assert __main__.main([name, "--seed", "3", "--cases", "25"]) == 1
    output = capsys.readouterr().out
    assert message in output
    (case, *_) = re.findall(rf"^reproduce with: PYTHONPATH=tests python -m fuzz {name} --case (\d+)$", output, re.M)
    assert run_case(name, load(name), int(case)) == "failed"
    monkeypatch.undo()
    assert run_case(name, load(name), int(case)) != "failed"


@pytest.mark.parametrize("event", ["pickle.find_class", "os.system"])
def test_code_of_a_model_file_is_noticed(event, monkeypatch, tmp_path):
    model_files.watch_code()
    monkeypatch.setattr(model_files, "load", lambda path: model_files.sys.audit(event, "x"))
    with pytest.raises(AssertionError, match=f"loading ran code: .*{event}"):
        model_files.load_watched(tmp_path)


def test_kernels_are_compiled_for_any_amount_of_work(monkeypatch):
    """Check that the fuzzer tests compiled kernels, not the reference."""
    calls = []
    monkeypatch.setattr(
        api, "assign", lambda *arguments, assign=api.assign, **more: calls.append(1) or assign(*arguments, **more)
    )
    before = dispatch.COMPILED_MIN_WORK
    assert run_case("kernels", load("kernels"), 0) != "failed"
    assert calls
    assert before == dispatch.COMPILED_MIN_WORK
