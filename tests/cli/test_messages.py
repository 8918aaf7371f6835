"""Errors and warnings name the options of the command that runs."""

import pickle
import re
import warnings

import numpy as np
import pytest
import typer
from typer.main import get_command

from helpers.ranks import rank_environments
from softkmeans import InputError, cli
from softkmeans.cli.messages import options_in_messages
from softkmeans.errors import Message, PythonOnly, Setting, SharedError

COMMANDS = get_command(cli.app).commands

# Texts of parameters, by command.
TEXTS = [
    ("fit", Setting("n_clusters"), "--n-clusters"),
    ("fit", Setting("n_clusters", 0), "--n-clusters 0"),
    ("fit", Setting("init", "random"), "--init 'random'"),
    ("fit", Setting("callbacks", "x"), "--callback 'x'"),
    ("fit", Setting("resume", True), "--resume"),
    ("fit", Setting("resume"), "--resume"),
    ("fit", Setting("resume", False), "resume=False"),  # has no negative form
    ("fit", Setting("stream", False), "--no-stream"),
    ("fit", Setting("growing_sample", True), "--growing-sample"),
    ("fit", Setting("every", 0), "--checkpoint-every 0"),
    ("fit", Setting("random_state", -1), "--seed -1"),
    ("fit", Setting("temperature", "perplexity:9"), "--temperature 'perplexity:9'"),
    ("fit", Setting("file", "x.csv"), "file='x.csv'"),  # an argument, not an option
    ("fit", Setting("frozen", [True]), "frozen=[True]"),
    ("select", Setting("path", False), "--no-path"),
    ("select", Setting("n_init", 0), "n_init=0"),  # not an option of this command
    ("select", Setting("k_range", [1]), "--k-range [1]"),
    ("anneal", Setting("temperature", 1e-300), "--temperatures 1e-300"),
    ("anneal", Setting("temperatures"), "--temperatures"),
    ("predict", Setting("distance", "x"), "distance='x'"),
    ("info", Setting("plugin"), "--plugin"),
]


@pytest.mark.parametrize(("command", "setting", "expected"), TEXTS, ids=lambda value: str(value))
def test_errors_name_options(command, setting, expected):
    with pytest.raises(typer.TyperException) as raised, options_in_messages(COMMANDS[command]):
        raise InputError("is wrong", parameter=setting.name, value=setting.value, hint=Message("change ", setting))
    assert raised.value.format_message() == f"{expected} is wrong: change {expected}"


def test_warnings_name_options():
    before = warnings.formatwarning
    with options_in_messages(COMMANDS["fit"]):
        about_a_setting = UserWarning(Message("raise ", Setting("max_iter"), " or tol"))
        assert warnings.formatwarning(about_a_setting, UserWarning, "a.py", 1) == "warning: raise --max-iter or tol\n"
        assert warnings.formatwarning(OSError(2, "n_init"), UserWarning, "a.py", 1) == "warning: [Errno 2] n_init\n"
    assert warnings.formatwarning is before


@pytest.mark.parametrize(("rank", "expected"), [(0, typer.TyperException), (1, typer.Exit)])
def test_only_the_first_process_prints_an_error_of_all(rank, expected, monkeypatch):
    for name, value in rank_environments(2)[rank].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(expected) as raised, options_in_messages(COMMANDS["fit"]):
        raise SharedError("rank 1: nan.npy: 3 missing values")
    if rank:
        assert raised.value.exit_code == 2


def test_choices_of_python_are_not_shown_by_commands():
    message = Message("give a number", PythonOnly(" or an array"), PythonOnly(", see f()", ": --help"))
    assert message == "give a number or an array, see f()"
    assert message.render(str) == "give a number: --help"
    again = pickle.loads(pickle.dumps(InputError(parameter="x", value=1, hint=message)))  # noqa: S301 -- our own
    assert again.message.render(str).endswith("give a number: --help")
    assert str(again).endswith("give a number or an array, see f()")


ONLY_IN_PYTHON = re.compile(
    r"\b(array|callable|object|instance|tensor|each cluster|Schedule|dtype)\b|\(\)|\(k,|=\.\.\."
)
COMPLETE = {
    "demo": ["--max-iter", "1"],
    "fit": ["x.csv", "-k", "2"],
    "select": ["x.csv", "--k-range", "1-2", "--cv", "0", "--no-path"],
    "anneal": ["x.csv", "--n-temperatures", "2"],
    "predict": ["m.safetensors", "x.csv"],
    "plot": ["m.safetensors", "x.csv"],
    "report": ["m.safetensors", "x.csv"],
    "info": ["m.safetensors"],
}
TAKES_ANYTHING = ("checkpoint", "out_dir", "title", "plugin")
UNUSED_WITH_MODEL = ("exclude", "label_column", "weight_column")  # which names the columns that it reads
OPTIONS = [
    (name, option.opts[0])
    for name, command in COMMANDS.items()
    for option in command.params
    if option.opts[0].startswith("--") and not option.is_flag and option.name not in TAKES_ANYTHING
    if not (option.name in UNUSED_WITH_MODEL and "m.safetensors" in COMPLETE[name])
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda value: value)
def test_wrong_values_are_answered_with_choices_of_the_command_line(command, option, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("x.csv", np.random.default_rng(0).normal(size=(30, 2)), delimiter=",", header="a,b", comments="")
    if "m.safetensors" in COMPLETE[command]:
        run("fit", "x.csv", "-k", 2, "--out", "m.safetensors")
    status, _, err = run(command, *COMPLETE[command], option, "wrong")
    assert status == 2, "the option takes anything"
    (error,) = [line for line in err.splitlines() if line.startswith("error")]
    assert not ONLY_IN_PYTHON.search(error), error
