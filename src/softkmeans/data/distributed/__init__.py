"""Rows distributed over several processes: the ranks of torch.distributed, and Dask workers."""
