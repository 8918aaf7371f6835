"""The cache of machine code: what it keeps, what makes it stale, and whom it trusts."""

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import platformdirs
import pytest

from helpers.waiting import HANG_SECONDS
from softkmeans.errors import PerformanceWarning
from softkmeans.kernels import compiler, cpu
from softkmeans.kernels.compiler import FLOAT, Arguments, Kernel, Output, cache, fingerprint, loading

PACKAGE = cpu.__name__
OTHER_USER = 54321


class OneArguments(Arguments):
    out = Output(FLOAT, lambda _: (1,), "a number")


def write_one(code, t):
    t.out[0] = 1.0


write_one.__module__ = f"{PACKAGE}.kernels"  # only kernels of the package are kept
KERNEL = Kernel("one", write_one, OneArguments)  # small, so that it is compiled fast

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files to another user"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of an empty cache, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path / "cache" / "softkmeans" / "kernels"


@pytest.fixture
def compilations(monkeypatch):
    """Return a list that records the kernels that are compiled."""
    compiled, compile_kernel = [], loading.compile_kernel

    def record(kernel, bits):
        compiled.append((kernel.name, bits))
        return compile_kernel(kernel, bits)

    monkeypatch.setattr(loading, "compile_kernel", record)
    return compiled


def load():
    """Load a kernel as a new process does."""
    return loading._load_kernel.__wrapped__(KERNEL, 32, PACKAGE)


# What is kept


def test_objects_are_kept(folder):
    assert cache.read_object("a-1.o") is None
    cache.write_object("a-1.o", b"one\ntwo\n", "1")
    cache.write_object("a-2.o", b"", "2")
    assert cache.read_object("a-1.o") == b"one\ntwo\n"
    assert cache.read_object("a-2.o") == b""
    cache.write_object("a-1.o", b"three", "1")
    assert cache.read_object("a-1.o") == b"three"
    assert sorted(path.name for path in folder.iterdir()) == ["a-1.o", "a-2.o"]


@posix
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_only_the_user_may_write_what_is_kept(folder, umask):
    folder.parents[1].mkdir(parents=True)
    before = os.umask(umask)
    try:
        cache.write_object("a-1.o", b"image", "1")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / "a-1.o")]
    assert modes == [0o700, 0o700, 0o600]
    assert cache.read_object("a-1.o") == b"image"


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[80:], lambda b: b + b"\n"])
def test_damaged_files_are_not_used(folder, damage):
    cache.write_object("a-1.o", b"image" * 50, "1")
    (folder / "a-1.o").write_bytes(damage((folder / "a-1.o").read_bytes()))
    assert cache.read_object("a-1.o") is None


def test_a_kernel_is_compiled_once(folder, compilations):
    load()
    load()
    assert compilations == [("one", 32)]
    (kept,) = folder.iterdir()
    assert kept.name == f"one-32-{fingerprint.fingerprint(PACKAGE)}.o"


def test_an_object_that_can_not_be_linked_is_compiled_again(folder, compilations):
    name = f"one-32-{fingerprint.fingerprint(PACKAGE)}.o"
    cache.write_object(name, b"\x7fELF" + b"x" * 64, "1")
    load()
    assert len(compilations) == 1
    load()  # it was replaced
    assert len(compilations) == 1


def test_threads_that_need_a_kernel_at_once_compile_it_once(folder, compilations):
    kernel = Kernel("of_threads", write_one, OneArguments)
    workers = [threading.Thread(target=loading.load_kernel, args=(kernel, 32, PACKAGE)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert compilations == [("of_threads", 32)]


def _load_in_child():
    loading.load_kernel(KERNEL, 64, PACKAGE)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(folder):
    child = multiprocessing.get_context("fork").Process(target=_load_in_child)
    with loading._LOCK:
        child.start()
        child.join(HANG_SECONDS)
    assert child.exitcode == 0


# Old versions


def age(path, days):
    """Set the time of a file to some days ago."""
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_files_that_were_not_used_for_long_are_deleted(folder):
    names = [f"{version * 32}.o" for version in "abc"]
    killed = f"{names[2]}.1234.tmp"  # of a process that was killed while it wrote
    for name in names:
        cache.write_object(name, b"image", name)
    for name in ("notes.txt", killed):
        (folder / name).write_text("")
    for name in (names[0], names[2], "notes.txt", killed):
        age(folder / name, cache.MAX_UNUSED_DAYS + 1)
    age(folder / names[1], cache.MAX_UNUSED_DAYS - 1)
    cache.write_object(f"new-{'c' * 32}.o", b"image", "c" * 32)
    assert {path.name for path in folder.iterdir()} == {*names[1:], f"new-{'c' * 32}.o", "notes.txt"}


def test_files_in_use_stay_young(folder):
    cache.write_object("a-1.o", b"image", "1")
    age(folder / "a-1.o", 2)
    assert cache.read_object("a-1.o") == b"image"
    used = (folder / "a-1.o").stat().st_mtime
    assert time.time() - used < 3600
    assert cache.read_object("a-1.o") == b"image"
    assert (folder / "a-1.o").stat().st_mtime == used  # not written again within a day


RACES = {
    # the function that does not find the file any more: what the process was about to do
    "stat": lambda: (cache.write_object("b-2.o", b"image", "2"), cache.read_object("a-1.o")),
    "unlink": lambda: cache.write_object("b-2.o", b"image", "2"),
    "utime": lambda: cache.read_object("a-1.o"),
}


@pytest.mark.parametrize("function", RACES)
def test_another_process_may_delete_a_file_first(folder, monkeypatch, function):
    cache.write_object("a-1.o", b"image", "1")
    age(folder / "a-1.o", cache.MAX_UNUSED_DAYS + 1)
    plain, lost = getattr(os, function), []

    def lose(path, *args, **options):
        if str(path).endswith("a-1.o"):
            lost.append(path)
            raise FileNotFoundError(errno.ENOENT, "gone", path)
        return plain(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, lose)
        RACES[function]()
    assert lost


# Whom the cache trusts


def warnings_of(function, *args):
    """Return the result of a function and the texts of its warnings."""
    with pytest.WarningsRecorder(_ispytest=True) as caught:
        result = function(*args)
    assert all(warning.category is PerformanceWarning for warning in caught)
    return result, [str(warning.message) for warning in caught]


def replaced_by_link(path):
    """Move a file or folder elsewhere, and put a link to it in its place."""
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def replaced_by_pipe(path):
    path.unlink()
    os.mkfifo(path)


def given_away(path):
    os.chown(path, OTHER_USER, OTHER_USER)


FOLDERS = {
    # what is done with a folder: the remedy in the warning
    "world-writable": (lambda path: path.chmod(0o777), "run chmod go-w"),
    "group-writable": (lambda path: path.chmod(0o770), "run chmod go-w"),
    "sticky": (lambda path: path.chmod(0o1777), "run chmod go-w"),
    "a link": (replaced_by_link, "replace it by a folder"),
    "another user's": (given_away, "belongs to another user: set XDG_CACHE_HOME"),
}


@posix
@pytest.mark.parametrize("depth", [0, 1], ids=["kernels", "softkmeans"])
@pytest.mark.parametrize("case", [*list(FOLDERS)[:-1], pytest.param("another user's", marks=as_root)])
def test_a_folder_that_others_may_have_written_is_not_used(folder, compilations, case, depth):
    spoil, remedy = FOLDERS[case]
    load()
    (kept,) = folder.iterdir()
    content = kept.read_bytes()
    spoil((folder, folder.parent)[depth])
    _, (warning,) = warnings_of(load)
    assert remedy in warning
    assert str((folder, folder.parent)[depth]) in warning
    assert warnings_of(load)[1] == []  # once per process
    assert len(compilations) == 3
    assert [path.read_bytes() for path in folder.iterdir()] == [content]  # nothing is written either


FILES = {
    "world-writable": lambda path: path.chmod(0o666),
    "group-writable": lambda path: path.chmod(0o620),
    "a link": replaced_by_link,
    "a pipe": replaced_by_pipe,
    "another user's": given_away,
}


@posix
@pytest.mark.parametrize("case", [*list(FILES)[:-1], pytest.param("another user's", marks=as_root)])
def test_a_file_that_others_may_have_written_is_replaced(folder, compilations, case):
    load()
    (kept,) = folder.iterdir()
    FILES[case](kept)
    load()
    assert len(compilations) == 2
    (kept,) = folder.iterdir()
    status = kept.lstat()
    assert (stat.S_ISREG(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid) == (True, 0o600, os.geteuid())
    load()
    assert len(compilations) == 2


@posix
def test_a_folder_in_place_of_a_file_is_no_error(folder, compilations):
    load()
    (kept,) = folder.iterdir()
    kept.unlink()
    kept.mkdir()
    n_before = len(list(Path("/dev/fd").iterdir()))
    load()
    assert len(compilations) == 2
    assert len(list(Path("/dev/fd").iterdir())) == n_before  # it was closed


@posix
def test_a_shared_folder_above_is_no_danger(folder):
    """Nobody else can make a folder in it that belongs to the user."""
    folder.parents[1].mkdir()
    folder.parents[1].chmod(0o777)
    cache.write_object("a-1.o", b"image", "1")
    assert cache.read_object("a-1.o") == b"image"


@as_root
def test_a_cache_in_the_home_of_another_user_is_not_used(folder):
    """With sudo, HOME may be the home of the user who called it."""
    folder.parents[1].mkdir()
    given_away(folder.parents[1])
    _, (warning,) = warnings_of(cache.write_object, "a-1.o", b"image", "1")
    assert f"{folder.parents[1]} belongs to another user" in warning
    assert not folder.parent.exists()


@posix
def test_owners_are_compared_with_the_effective_user(folder, monkeypatch):
    cache.write_object("a-1.o", b"image", "1")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    image, (warning,) = warnings_of(cache.read_object, "a-1.o")
    assert image is None
    assert "belongs to another user" in warning


@posix
@pytest.mark.parametrize("depth", range(3), ids=["softkmeans", "kernels", "the file"])
def test_what_was_checked_is_what_is_read(folder, monkeypatch, depth):
    """Another folder or file that takes the place of one that was just checked is not read."""
    cache.write_object("a-1.o", b"image", "1")
    evil = folder.parents[2] / "evil" / "softkmeans" / "kernels"
    evil.mkdir(parents=True)
    (evil / "a-1.o").write_bytes(hashlib.sha256(b"evil").hexdigest().encode() + b"\nevil")
    path = (folder.parent, folder, folder / "a-1.o")[depth]
    replacement = (evil.parent, evil, evil / "a-1.o")[depth]
    fstat, checked = os.fstat, []

    def fstat_and_swap(descriptor):
        status = fstat(descriptor)
        checked.append(status.st_ino)
        if status.st_ino == path.stat().st_ino:
            path.rename(path.with_name("moved"))
            replacement.rename(path)
        return status

    monkeypatch.setattr(os, "fstat", fstat_and_swap)
    assert cache.read_object("a-1.o") == b"image"
    assert len(checked) == 4  # the folder above, the two folders of the cache, the file
    assert path.stat().st_ino not in checked


def test_without_owners_and_open_folders(folder, compilations, monkeypatch):
    """Windows has neither; all else is the same there."""
    monkeypatch.setattr(cache, "_HAS_OWNERS", False)
    monkeypatch.setattr(os, "supports_dir_fd", set())
    load()
    load()
    assert len(compilations) == 1
    (kept,) = folder.iterdir()
    age(kept, cache.MAX_UNUSED_DAYS + 1)
    cache.write_object("a-1.o", b"image", "another version")
    assert cache.read_object("a-1.o") == b"image"
    assert [path.name for path in folder.iterdir()] == ["a-1.o"]
    (folder / "a-1.o").write_bytes(b"damage")
    assert cache.read_object("a-1.o") is None


# Without a cache


def no_home(monkeypatch, tmp_path):
    def fail(*args, **options):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(platformdirs, "user_cache_path", fail)


def home(value):
    def set_home(monkeypatch, tmp_path):
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", value)

    return set_home


def full_disk(monkeypatch, tmp_path):
    def fail(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)


def read_only(monkeypatch, tmp_path):
    def fail(*args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", fail)


def file_in_place(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")


def of_another_package(monkeypatch, tmp_path):
    monkeypatch.setattr(write_one, "__module__", f"{PACKAGE}2.kernels")


def hidden_sources(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "fingerprint", lambda package: None)


WITHOUT = {
    "no home": no_home,
    "empty HOME": home(""),
    "relative HOME": home("home"),
    "full disk": full_disk,
    "read-only disk": read_only,
    "a file in place of the folder": file_in_place,
    "a kernel of another package": of_another_package,
    "hidden sources": hidden_sources,
}


@posix
@pytest.mark.parametrize("case", WITHOUT)
def test_without_a_cache_kernels_are_compiled(folder, compilations, monkeypatch, tmp_path, case):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        WITHOUT[case](patch, tmp_path)
        load()
        load()
    assert len(compilations) == 2
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".o", ".tmp")] == []


def in_a_process(code, **environment):
    """Run code that prints JSON in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


LARGE_FIT = """
    import json, numpy as np, sys
    from softkmeans.kernels.compiler import loading
    compile_kernel, calls = loading.compile_kernel, []
    loading.compile_kernel = lambda *args: (calls.append(args), compile_kernel(*args))[1]
    from softkmeans import SoftKMeans
    x = np.random.default_rng(0).normal(size=(30_000, 12)).astype(np.float32)
    model = SoftKMeans(8, random_state=0, tol=0.1).fit(x)
    print(json.dumps([len(calls), model.inertia_]))
"""


@pytest.mark.thorough
@pytest.mark.process
def test_fits_compile_once_and_do_not_use_damaged_files(tmp_path):
    first = in_a_process(LARGE_FIT, XDG_CACHE_HOME=str(tmp_path))
    kept = sorted(tmp_path.rglob("*.o"))
    second = in_a_process(LARGE_FIT, XDG_CACHE_HOME=str(tmp_path))
    assert len(kept) == first[0] > 1
    assert second == [0, first[1]]
    for number, path in enumerate(kept):
        damage = b"no digest at all\nand no object file" if number % 2 else b""
        path.write_bytes(damage + path.read_bytes()[80:])
    assert in_a_process(LARGE_FIT, XDG_CACHE_HOME=str(tmp_path)) == first
    assert in_a_process(LARGE_FIT, XDG_CACHE_HOME=str(tmp_path))[0] == 0  # they were written again


@pytest.mark.process
def test_an_unwritable_cache_is_no_error(tmp_path):
    (tmp_path / "file").write_text("a file where the folder should be")
    assert in_a_process(LARGE_FIT, XDG_CACHE_HOME=str(tmp_path / "file"))[0] > 0


# All modules are loaded before the user changes: another user may not be able to read them.
AS_ANOTHER_USER = """
    import json, os, warnings
    import numpy as np
    from softkmeans import accumulate
    from softkmeans.kernels.cpu import api
    x = np.random.default_rng(0).normal(size=(30_000, 9))
    accumulate(x[:50], x[:8], 1.0)
    os.setgroups([])
    os.setgid({user})
    os.setuid({user})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weight = accumulate(x, x[:8], 1.0).weight.sum().item()
    print(json.dumps([round(weight), [str(warning.message) for warning in caught]]))
"""


def as_another_user(**environment):
    """Run a large pass as another user; return the sum of weights, and the warnings."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AS_ANOTHER_USER.format(user=OTHER_USER))],
        capture_output=True, text=True, check=False, env=kept | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def public_folder():
    """Return a folder that all users can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@as_root
@pytest.mark.process
def test_as_a_user_without_a_home():
    assert as_another_user() == [30_000, []]


@as_root
@pytest.mark.thorough
@pytest.mark.process
def test_as_a_user_with_the_cache_of_another(public_folder):
    cache_home = public_folder / "cache"
    own = cache_home / "softkmeans" / "kernels"
    own.mkdir(parents=True)
    weight, (warning,) = as_another_user(XDG_CACHE_HOME=str(cache_home))
    assert (weight, list(own.iterdir())) == (30_000, [])
    assert f"{own.parent} belongs to another user" in warning
    for path in (own, own.parent):
        given_away(path)
    assert as_another_user(XDG_CACHE_HOME=str(cache_home)) == [30_000, []]
    assert [path.stat().st_uid for path in own.iterdir()] == [OTHER_USER]


# The fingerprint


def copied(tmp_path):
    """Return a copy of the kernels' package."""
    return shutil.copytree(Path(cpu.__file__).parent, tmp_path / "cpu", ignore=shutil.ignore_patterns("__pycache__"))


def write(name, text):
    def change(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


def change_a_constant(folder):
    text = (folder / "arguments.py").read_text()
    assert "TILE_ROWS = 384" in text
    (folder / "arguments.py").write_text(text.replace("TILE_ROWS = 384", "TILE_ROWS = 383"))


CHANGES = {
    # (change, whether the machine code may be another one)
    "nothing": (lambda folder: None, False),
    "a constant": (change_a_constant, True),
    "a new file": (write("largest.py", ""), True),
    "a new file in a new folder": (write("more/largest.py", ""), True),
    "another name": (lambda folder: (folder / "panels.py").rename(folder / "panel.py"), True),
    "a file less": (lambda folder: (folder / "panels.py").unlink(), True),
    "bytecode beside the source": (write("panels.pyc", "x"), True),
    "cached bytecode": (write("__pycache__/panels.cpython-311.pyc", "x"), False),
    "another kind of file": (write("README.md", "x"), False),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_hash_of_sources_changes_with_them(tmp_path, case):
    folder = copied(tmp_path)
    change, is_another = CHANGES[case]
    before = fingerprint.hash_sources(folder)
    change(folder)
    assert (fingerprint.hash_sources(folder) != before) == is_another


def test_every_module_counts(tmp_path):
    folder = copied(tmp_path)
    hashes = {fingerprint.hash_sources(folder)}
    modules = sorted(folder.glob("*.py"))
    for module in modules:
        module.write_text(module.read_text() + "\n")
        hashes.add(fingerprint.hash_sources(folder))
    assert len(hashes) == 1 + len(modules) > 10


def test_sources_in_an_archive(tmp_path):
    folder = copied(tmp_path)
    with zipfile.ZipFile(tmp_path / "cpu.zip", "w") as archive:
        for path in folder.glob("*.py"):
            archive.write(path, f"cpu/{path.name}")
    with zipfile.ZipFile(tmp_path / "cpu.zip") as archive:
        assert fingerprint.hash_sources(zipfile.Path(archive, "cpu/")) == fingerprint.hash_sources(folder)


def test_bytecode_alone_is_hashed(tmp_path):
    (tmp_path / "kernels.pyc").write_bytes(b"1")
    one = fingerprint.hash_sources(tmp_path)
    (tmp_path / "kernels.pyc").write_bytes(b"2")
    assert fingerprint.hash_sources(tmp_path) != one


def test_the_fingerprint_covers_both_packages_and_the_machine(monkeypatch):
    compute = fingerprint.fingerprint.__wrapped__
    plain, sources = compute(PACKAGE), fingerprint.hash_sources
    assert compute(PACKAGE) == plain
    found = {plain}
    for folder in (compiler, cpu):
        path = Path(folder.__file__).parent
        with monkeypatch.context() as patch:
            patch.setattr(
                fingerprint, "hash_sources", lambda files, path=path: "0" if Path(files) == path else sources(files)
            )
            found.add(compute(PACKAGE))
    for number, _ in enumerate(fingerprint.describe_machine()):
        with monkeypatch.context() as patch:
            other = fingerprint.describe_machine()
            other[number] += "1"
            patch.setattr(fingerprint, "describe_machine", lambda other=other: other)
            found.add(compute(PACKAGE))
    assert len(found) == 1 + 2 + 5


@pytest.mark.parametrize("missing", ["no files", "no folder"])
def test_there_is_no_fingerprint_without_sources(tmp_path, monkeypatch, missing):
    folder = tmp_path if missing == "no files" else tmp_path / "gone"
    monkeypatch.setattr(fingerprint.importlib.resources, "files", lambda package: folder)
    assert fingerprint.fingerprint.__wrapped__(PACKAGE) is None


def test_versions_are_kept_side_by_side(folder, compilations, monkeypatch):
    for version in ("1" * 32, "2" * 32, "1" * 32, "2" * 32):
        monkeypatch.setattr(loading, "fingerprint", lambda package, version=version: version)
        load()
    assert len(compilations) == 2
    assert sorted(path.name for path in folder.iterdir()) == [f"one-32-{v * 32}.o" for v in "12"]
