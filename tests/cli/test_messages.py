"""Errors and warnings name the options of the command that runs."""

import warnings

import pytest
import typer
from typer.main import get_command

from helpers.ranks import rank_environments
from softkmeans import InputError, cli
from softkmeans.cli.messages import options_in_messages
from softkmeans.errors import Message, Setting, SharedError

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
