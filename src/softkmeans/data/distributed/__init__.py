"""Rows that are spread over processes: ranks of torchrun, and Dask's workers."""
