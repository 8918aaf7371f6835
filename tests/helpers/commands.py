"""Read what commands print and write."""

import re
import sys
from pathlib import Path

from PIL import Image

COMMAND = Path(sys.executable).with_name("softkmeans")


def succeeds(result):
    status, out, err = result
    assert (status, err) == (0, "")
    return out


def figure(out, name):
    """What stands behind a name in the table of figures."""
    return re.search(rf"^{re.escape(name)} +(\S.*?) *$", out, re.MULTILINE).group(1)


def colors(file):
    with Image.open(file) as picture:
        return len(picture.convert("RGB").getcolors(2**24))


def listing(*folders):
    return {str(p): p.is_file() and p.read_bytes() for folder in folders for p in folder.rglob("*")}
