"""One pass over some rows: rows in, memberships or Stats out. Picks the backend; so far the reference serves all."""

__all__ = ["accumulate", "assign", "distances", "lognorm", "nearest", "tiles", "working_dtype"]

from .reference import accumulate, assign, distances, lognorm, nearest, tiles, working_dtype
