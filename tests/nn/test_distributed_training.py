"""The module in DistributedDataParallel: averaged gradients of two processes are those of all rows."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from softkmeans import SoftKMeansLayer

class Loss(torch.nn.Module):
    def __init__(self, layer, objective):
        super().__init__()
        self.layer, self.objective = layer, objective
    def forward(self, x):
        return self.layer.loss(x, self.objective)

def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    for objective in ("free_energy", "distortion", "nll"):
        layer = SoftKMeansLayer(4, 3, centroids=x[:4], learn_priors=objective == "nll")
        model = DistributedDataParallel(Loss(layer, objective))
        model(x[200 * rank : 200 * (rank + 1)]).backward()
        alone = SoftKMeansLayer(4, 3, centroids=x[:4], learn_priors=objective == "nll")
        alone.loss(x, objective).backward()
        for one, other in zip(layer.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad)
    dist.barrier()  # a process that ends first would close connections that the other still reads
    dist.destroy_process_group()

if __name__ == "__main__":
    torch.multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
    print("done")
"""


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="gloo's store is a file of POSIX")
def test_gradients_of_two_processes_are_averaged(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "done", done.stderr
