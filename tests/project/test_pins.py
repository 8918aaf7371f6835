"""The requirements files pin what pyproject.toml asks for; files that name versions agree with them."""

import re
import tomllib
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS, GROUPS = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]

# What is installed together: the files, and the dependencies that pyproject.toml declares for them.
INSTALLED = {
    "demo": (["requirements.txt"], [*PROJECT["project"]["dependencies"], *EXTRAS["files"], *EXTRAS["plot"]]),
    "dev": (["requirements.txt", "requirements-dev.txt"], [*EXTRAS["dask"], *EXTRAS["onnx"], *GROUPS["dev"]]),
    "bench": (["requirements.txt", "requirements-bench.txt"], EXTRAS["benchmarks"]),
    "docs": (["requirements.txt", "requirements-docs.txt"], GROUPS["docs"]),
    "tools": (["requirements-tools.txt"], GROUPS["tools"]),
}
FILES = sorted({file for files, _ in INSTALLED.values() for file in files})


def name(requirement):
    return canonicalize_name(requirement.name)


def lines(file):
    return [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def pins(*files):
    return [Requirement(line) for file in files for line in lines(file) if not line.startswith("-")]


def version(pin):
    """The version of a pin, which has to be exact."""
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    assert "*" not in specifier.version
    return specifier.version


@pytest.mark.parametrize("part", INSTALLED)
def test_every_dependency_is_pinned_within_its_range(part):
    files, declared = INSTALLED[part]
    pinned = {name(pin): version(pin) for pin in pins(*files)}
    wanted = [r for r in map(Requirement, declared) if r.name != PROJECT["project"]["name"]]
    assert wanted
    for requirement in wanted:
        assert name(requirement) in pinned, f"run: make pins ({requirement})"
        assert requirement.specifier.contains(pinned[name(requirement)]), f"run: make pins ({requirement})"


@pytest.mark.parametrize("part", INSTALLED)
def test_no_pin_is_repeated(part):
    names = [name(pin) for pin in pins(*INSTALLED[part][0])]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("a", "b"), list(combinations(FILES, 2)))
def test_files_pin_the_same_versions(a, b):
    one, other = ({name(pin): version(pin) for pin in pins(file)} for file in (a, b))
    assert {n: one[n] for n in one.keys() & other.keys()} == {n: other[n] for n in one.keys() & other.keys()}


def test_files_install_the_package_and_each_other():
    others = {file: [line for line in lines(file) if line.startswith("-")] for file in FILES}
    on_base = ["-r requirements.txt"]
    assert others == {
        "requirements.txt": ["-e ."],
        "requirements-dev.txt": on_base,
        "requirements-bench.txt": on_base,
        "requirements-docs.txt": on_base,
        "requirements-tools.txt": [],
    }


def test_hooks_use_the_versions_of_the_pins():
    """The hooks of this project run from its own environment, and other hooks have fixed versions."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    for repo in config["repos"]:
        if repo["repo"] == "local":
            assert all(hook["language"] == "system" for hook in repo["hooks"])
        else:
            assert re.fullmatch(r"v\d+(\.\d+)+", repo["rev"])
            assert not re.search(r"ruff|mypy", repo["repo"])
