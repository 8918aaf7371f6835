"""Environments of the processes that torchrun starts."""

import socket


def places(size):
    """What torchrun says to each of some processes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    return [common | {"RANK": str(rank)} for rank in range(size)]
