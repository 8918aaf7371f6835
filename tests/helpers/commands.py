"""Helpers that read the output of commands."""

import re
import sys
from pathlib import Path

from PIL import Image

from softkmeans.errors import Message

COMMAND = Path(sys.executable).with_name("softkmeans")


def succeeds(result):
    """Return the standard output of a command that succeeded without warnings, except of columns of the data."""
    status, out, err = result
    assert (status, without_column_warnings(err)) == (0, "")
    return out


def without_column_warnings(text):
    """Return errors of a command without the warnings that tell of the data, such as of a dwarfing scale."""
    return re.sub(r"^warning: columns? '.*\n", "", text, flags=re.MULTILINE)


def as_options(text):
    """Return a text of the library with its parameters as options."""
    return Message(text).render(
        lambda setting: f"--{setting.name.replace('_', '-')}" + (f" {setting.value!r}" if setting.has_value else "")
    )


def figure(out, name):
    """Return the value of a name in the printed table of figures."""
    return re.search(rf"^{re.escape(name)} +(\S.*?) *$", out, re.MULTILINE).group(1)


def number(out, name):
    """Return the number, as text, with which the value of a name begins."""
    return figure(out, name).split()[0]


def colors(file):
    """Count the distinct colors of an image."""
    with Image.open(file) as picture:
        return len(picture.convert("RGB").getcolors(2**24))


def listing(*folders):
    """Return the content of every file in folders, by path; False for a folder."""
    return {str(p): p.is_file() and p.read_bytes() for folder in folders for p in folder.rglob("*")}
