"""How much starting costs: `import softkmeans` beside `import torch`, and `softkmeans --help`. Run by `make bench`."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import torch, softkmeans": ["-c", "import torch, softkmeans"],
    "import torch; from softkmeans import SoftKMeansLayer": [
        "-c",
        "import torch; from softkmeans import SoftKMeansLayer",
    ],
    "softkmeans --help": ["-m", "softkmeans", "--help"],
}
ROUNDS = 7


def seconds(arguments):
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- our own
    return time.perf_counter() - began


def main():
    taken = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):  # interleaved, so that all meet the same machine
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    for name, values in taken.items():
        print(f"{statistics.median(values):6.3f} s  {name}")
    added = [b - a for a, b in zip(taken["import torch"], taken["import torch, softkmeans"], strict=True)]
    print(f"{statistics.median(added):6.3f} s  added to `import torch` by `import softkmeans` (at most 0.3)")
    print(f"{statistics.median(taken['softkmeans --help']):6.3f} s  until `softkmeans --help` answers (at most 0.5)")


if __name__ == "__main__":
    main()
