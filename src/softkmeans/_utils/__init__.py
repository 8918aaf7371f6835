"""Small helpers without knowledge of clustering: checks, atomic files, reductions, forks, signals."""
