"""Environment variables of the processes that torchrun starts."""

import socket


def rank_environments(size):
    """Return the environment variables that torchrun sets in each of several processes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    return [common | {"RANK": str(rank)} for rank in range(size)]
