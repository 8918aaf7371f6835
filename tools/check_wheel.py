"""Check the wheel and the sdist in a folder, and try the wheel in a new environment: `make wheel`.

The wheel is installed without extras, then with each extra alone, then with all, and `use_package.py` uses it. The
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

EXTRAS = ["", "files", "excel", "plot", "onnx", "dask", "all"]


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
    assert {"files", "excel", "plot", "onnx", "dask", "all"} <= set(metadata.get_all("Provides-Extra"))


def check_sdist(sdist: Path) -> None:
    """Check that the sdist has what building and reading need."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/softkmeans/__init__.py"} <= names


class Environment:
    """A new environment in a folder, outside the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.constraints = folder / "constraints.txt"
        self.constraints.write_text("\n".join(pin for file in FILES for pin in read(file)))
        venv.create(folder / "env", with_pip=True)
        self.python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(self, *arguments: str | Path) -> str:
        """Run Python, and return what it prints."""
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True).stdout

    def pip(self, *arguments: str) -> set[str]:
        """Run pip, and return the lines that it prints."""
        return set(self.run("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments).splitlines())

    def try_wheel(self, wheel: Path, extra: str) -> None:
        """Install the wheel with an extra, use it, and uninstall what came with the extra."""
        before = self.pip("freeze")
        self.pip("install", f"--constraint={self.constraints}", f"{wheel}[{extra}]" if extra else str(wheel))
        self.run("-I", ROOT / "tools" / "use_package.py", *extra.split())
        if extra:
            self.pip("uninstall", "--yes", *(line.split("==")[0] for line in self.pip("freeze") - before))


def main() -> None:
    """Check what is in the folder that the command line names."""
    dist = Path(sys.argv[1]).resolve()
    wheel = only(dist, "*.whl")
    check_wheel(wheel)
    check_sdist(only(dist, "*.tar.gz"))
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder))
        for extra in EXTRAS:
            start = time.monotonic()
            environment.try_wheel(wheel, extra)
            print(f"{wheel.name} works with extra {extra or 'none'} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
