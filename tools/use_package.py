"""Use the installed package as a user would; the arguments are the extras that are installed.

`check_wheel.py` runs this file outside the repository, where only the wheel and its dependencies are installed.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

import softkmeans
from softkmeans import SoftKMeans

X, _ = softkmeans.make_blobs(n_samples=90, n_features=2, n_clusters=3, random_state=0)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command that the wheel installs."""
    program = Path(sys.executable).with_name("softkmeans")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def core() -> None:
    """Fit, save and load; print the help."""
    assert Path(softkmeans.__file__).is_relative_to(sys.prefix), "this is not the installed package"
    model = SoftKMeans(3, random_state=0).fit(X)
    probabilities = model.predict_proba(X)
    assert np.allclose(np.asarray(probabilities).sum(axis=1), 1)
    softkmeans.save(model, "model.safetensors")
    assert np.array_equal(softkmeans.load("model.safetensors").predict_proba(X), probabilities)
    shown = command("--help")
    assert shown.returncode == 0, shown
    assert "Usage: softkmeans" in shown.stdout, shown
    assert command("--version").stdout.split()[-1] == softkmeans.__version__


def demo(extras: set[str]) -> None:
    """Run the demo, which needs two extras; without them, one line names the first that is missing."""
    done = command("demo", "--n-samples", "60", "--max-iter", "20", "--out-dir", "demo")
    has = {"plot": "plot" in extras, "files": bool(extras & {"files", "excel"})}  # both of these install pyarrow
    missing = [extra for extra, is_installed in has.items() if not is_installed]
    if missing:
        assert (done.returncode, done.stdout) == (2, ""), done
        (line,) = done.stderr.splitlines()
        assert any(f"pip install 'softkmeans[{extra}]'" in line for extra in missing), line
        assert not Path("demo").exists()
    else:
        assert done.returncode == 0, done
        assert {"blobs.csv", "clusters.png", "model.safetensors"} <= {path.name for path in Path("demo").iterdir()}


def files() -> None:
    """Write a table, and read it."""
    for name in ("rows.csv", "rows.parquet"):
        softkmeans.data.write_table(name, {"a": X[:, 0].numpy(), "b": X[:, 1].numpy()})
        assert np.allclose(softkmeans.read_table(name).x, X)


def excel() -> None:
    """Read an XLSX file, of which this is the least that may be in it."""
    sheet = "".join(f"<row>{''.join(f'<c><v>{value!r}</v></c>' for value in row)}</row>" for row in X.tolist())
    start = '<?xml version="1.0"?><{} xmlns="http://schemas.openxmlformats.org/{}"'
    main = "spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = start.format("Relationships", "package/2006/relationships")
    relation = f'{relations}><Relationship Id="r1" Type="{office}/{{}}" Target="{{}}"/></Relationships>'
    sheets = '<sheets><sheet name="rows" sheetId="1" r:id="r1"/></sheets>'
    parts = {
        "_rels/.rels": relation.format("officeDocument", "xl/workbook.xml"),
        "xl/_rels/workbook.xml.rels": relation.format("worksheet", "worksheets/sheet1.xml"),
        "xl/workbook.xml": f'{start.format("workbook", main)} xmlns:r="{office}">{sheets}</workbook>',
        "xl/worksheets/sheet1.xml": f"{start.format('worksheet', main)}><sheetData>{sheet}</sheetData></worksheet>",
    }
    with zipfile.ZipFile("rows.xlsx", "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    assert np.allclose(softkmeans.read_table("rows.xlsx").x, X)


def plot() -> None:
    """Draw clusters."""
    import matplotlib as mpl

    mpl.use("agg")
    softkmeans.ClusterDisplay.from_estimator(SoftKMeans(3, random_state=0).fit(X), X).figure_.savefig("clusters.png")


def onnx() -> None:
    """Export a model, and check the file."""
    import onnx as package

    softkmeans.export_onnx(SoftKMeans(3, random_state=0).fit(X), "model.onnx")
    package.checker.check_model(package.load("model.onnx"))


def dask() -> None:
    """Fit a Dask array."""
    import dask.array as da

    model = SoftKMeans(3, random_state=0).fit(da.from_array(X.numpy(), chunks=(30, 2)))
    assert model.predict(da.from_array(X.numpy(), chunks=(30, 2))).compute().shape == (90,)


EXTRAS = {"files": files, "excel": excel, "plot": plot, "onnx": onnx, "dask": dask}


def main() -> None:
    """Use what is installed."""
    shutil.rmtree("demo", ignore_errors=True)  # of an earlier run
    extras = set(EXTRAS) if "all" in sys.argv else set(sys.argv[1:])
    core()
    demo(extras)
    for extra in sorted(extras):
        EXTRAS[extra]()


if __name__ == "__main__":
    main()
