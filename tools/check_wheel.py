"""Check the wheel and the sdist in a folder, and try the wheel in new environments: `make wheel`.

The wheel is installed without extras, with each extra, and with all of them; each time, `use_package.py` uses it. The
pins of the requirements files are constraints, so that the versions are those of the tests.
"""

import email
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

from pins import FILES, ROOT, read

EXTRAS = ["", "files", "plot", "onnx", "dask", "all"]


def only(folder: Path, pattern: str) -> Path:
    """Return the only file that matches a pattern."""
    found = list(folder.glob(pattern))
    assert len(found) == 1, f"{folder} has {len(found)} files {pattern}, not 1"
    return found[0]


def check_wheel(wheel: Path) -> None:
    """Check that the wheel has the package, whole, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    files = {name for name in names if not name.startswith(f"{info}/")}
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "softkmeans").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == source, f"only in the wheel or only in src: {sorted(files ^ source)}"
    assert "softkmeans/py.typed" in files
    assert {f"{info}/entry_points.txt", f"{info}/licenses/LICENSE"} <= names
    assert wheel.name == f"softkmeans-{metadata['Version']}-py3-none-any.whl"
    assert {"files", "plot", "onnx", "dask", "all"} <= set(metadata.get_all("Provides-Extra"))


def check_sdist(sdist: Path) -> None:
    """Check that the sdist has what building and reading need."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/softkmeans/__init__.py"} <= names


def try_wheel(wheel: Path, extra: str, constraints: Path, folder: Path) -> None:
    """Install the wheel with an extra into a new environment in a folder, and use it."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"--constraint={constraints}"]
    subprocess.run([*pip, wanted], cwd=folder, check=True)
    use = [python, "-I", ROOT / "tools" / "use_package.py"]
    subprocess.run([*use, extra] if extra else use, cwd=folder, check=True)


def main() -> None:
    """Check what is in the folder that the command line names."""
    dist = Path(sys.argv[1]).resolve()
    wheel = only(dist, "*.whl")
    check_wheel(wheel)
    check_sdist(only(dist, "*.tar.gz"))
    for extra in EXTRAS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder, "constraints.txt")
            constraints.write_text("\n".join(pin for file in FILES for pin in read(file)))
            try_wheel(wheel, extra, constraints, Path(folder))
        print(f"{wheel.name} works with extra {extra or 'none'} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
