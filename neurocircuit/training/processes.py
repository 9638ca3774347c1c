"""Several processes training one model: what ``torchrun`` started, who writes, and who takes which samples."""

from __future__ import annotations

import atexit
import os
import warnings
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neurocircuit.training.config import resolve_device

__all__ = ["Processes", "join_processes"]


@dataclass(frozen=True)
class Processes:
    """One process among those that train together."""

    rank: int
    """Number of this process, from 0."""
    count: int
    """Number of processes."""
    device: torch.device
    """Where this process computes."""

    @property
    def writes(self) -> bool:
        """Whether this process writes files and shows progress: only the first does."""
        return self.rank == 0

    def share(self, positions: range) -> range:
        """Return this process's contiguous share of the positions of a batch; shares differ by at most one in length.

        Examples
        --------
        >>> Processes(rank=1, count=2, device=torch.device("cpu")).share(range(10, 15))
        range(12, 15)
        """
        first, last = (len(positions) * end // self.count for end in (self.rank, self.rank + 1))
        return positions[first:last]

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values.cpu()

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.count > 1:
            dist.barrier()

    def agree(self, model: nn.Module) -> None:
        """Give every process the buffers of the first, such as the running statistics of batch norm."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model so that its gradients are means over all processes; the same model if there is one process.

        On GPUs batch norm is replaced by `torch.nn.SyncBatchNorm`, whose statistics are those of the whole batch. torch
        has no such layer for CPUs: there every process normalises by its own share, and a warning says so.
        """
        if self.count == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
            return DistributedDataParallel(model, device_ids=[self.device.index])
        if self.writes and any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in model.modules()):
            warnings.warn(
                f"Batch norm on the CPU takes its statistics per process, here from 1/{self.count} of each batch, and "
                "keeps the running ones of the first process: the result differs from one process's. Train on GPUs for "
                "statistics over the whole batch, or freeze batch norm.",
                RuntimeWarning,
                stacklevel=2,
            )
        return DistributedDataParallel(model)


def join_processes(device: str) -> Processes:
    """Join the processes that ``torchrun`` started, until this one ends; alone without ``torchrun``.

    Raises
    ------
    ValueError
        If `device` is not a name that torch knows, or one GPU for several processes.
    BackendUnavailableError
        If CUDA was asked for and is absent.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count > 1 and device.startswith("cuda:"):
        raise ValueError(f"`device` is {device!r} for {count} processes; use 'cuda', which is one GPU per process.")
    where = resolve_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    if count > 1 and not dist.is_initialized():
        if where.type == "cuda":
            torch.cuda.set_device(where)
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
        # Not at the end of each run: a process that leaves and joins again can meet one that has not left yet.
        atexit.register(dist.destroy_process_group)
    if dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size(), where)
    return Processes(0, 1, where)
