"""Helpers that do not depend on clustering: parameter checks, atomic files, reductions, forks and signals."""
