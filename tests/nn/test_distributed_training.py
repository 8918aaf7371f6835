"""The modules in DistributedDataParallel: two processes compute what one does with all rows."""

import subprocess
import sys

import pytest

CODE = """
import copy, math, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from softkmeans import InputError, SoftCodebook, SoftKMeansLayer

class Loss(torch.nn.Module):
    def __init__(self, layer, objective):
        super().__init__()
        self.layer, self.objective = layer, objective
    def forward(self, x):
        return self.layer.loss(x, self.objective)

def train_layers(rank):
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    for objective in ("free_energy", "distortion", "nll"):
        layer = SoftKMeansLayer(4, 3, centroids=x[:4], learn_priors=objective == "nll")
        model = DistributedDataParallel(Loss(layer, objective))
        model(x[200 * rank : 200 * (rank + 1)]).backward()
        alone = SoftKMeansLayer(4, 3, centroids=x[:4], learn_priors=objective == "nll")
        alone.loss(x, objective).backward()
        for one, other in zip(layer.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad)

class Net(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        # With so high a threshold, codes are replaced in every step.
        self.codebook = SoftCodebook(3, 5, threshold_ema_dead_code=35, random_state=seed, dtype=torch.float64)
    def forward(self, x):
        quantized, indices, loss = self.codebook(x * self.scale)
        return (quantized ** 2).mean() + loss

def train_codebook():
    # Return batches, and after each the gradient and the state of one process that has them all.
    alone = Net(0)
    batches = [torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    expected = []
    for batch in batches:
        alone.zero_grad()
        alone(batch).backward()
        expected.append((alone.scale.grad.clone(), copy.deepcopy(alone.state_dict())))
    alone.codebook(batches[0])
    given = SoftCodebook(3, 5, kmeans_init=False, random_state=0, dtype=torch.float64)
    given(batches[0])
    return batches, expected, (alone.codebook.state_dict(), given.state_dict())

def train_codebooks(rank, batches, expected, last):
    model = DistributedDataParallel(Net(rank))  # all processes take the seed of the first
    for batch, (gradient, state) in zip(batches, expected):
        model.zero_grad()
        model(batch[100 * rank : 100 * (rank + 1)]).backward()
        torch.testing.assert_close(model.module.scale.grad, gradient)
        torch.testing.assert_close(model.module.state_dict(), state)
    uneven = [batches[0][:130], batches[0][130:]][rank]  # statistics are sums over rows, not means of ranks
    given = SoftCodebook(3, 5, kmeans_init=False, random_state=0, dtype=torch.float64)
    for codebook, state in zip((model.module.codebook, given), last):
        codebook(uneven)
        torch.testing.assert_close(codebook.state_dict(), state)
    bad = batches[1].clone()
    bad[0] = math.nan  # of rank 0 only
    for codebook in (model.module.codebook, SoftCodebook(3, 5, dtype=torch.float64)):
        try:
            codebook(bad[100 * rank : 100 * (rank + 1)])
        except InputError as error:
            assert "NaN" in str(error), error
        else:
            raise AssertionError("no error")

def work(rank, folder):
    expected = train_codebook()
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    train_layers(rank)
    train_codebooks(rank, *expected)
    dist.barrier()  # a process that ends first would close connections that the other still reads
    dist.destroy_process_group()

if __name__ == "__main__":
    torch.multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
    print("done")
"""


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="gloo's store is a file of POSIX")
def test_two_processes_compute_what_one_does(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "done", done.stderr
