"""The order of the examples in the gallery."""

ORDER = [
    "blobs.py",
    "temperature.py",
    "number_of_clusters.py",
    "annealing_tree.py",
    "photograph.py",
    "digits.py",
    "uncertainty.py",
    "calibrated.py",
    "noise.py",
    "report.py",
    "larger_than_memory.py",
    "drifting_stream.py",
    "autoencoder.py",
]


class ReadingOrder:
    """The key by which Sphinx-Gallery sorts the examples of a folder; those that are not listed are an error."""

    def __init__(self, source_folder: str) -> None:
        self.source_folder = source_folder

    def __call__(self, filename: str) -> int:
        """Return the position of an example."""
        return ORDER.index(filename)
