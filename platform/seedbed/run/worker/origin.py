"""By what a trial was trained: code, device and layout, which change its last bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from seedbed.run.worker.process import fp32_products


def made_by(
    code_version: Mapping[str, str], device: torch.device, num_workers: int, threads: int
) -> str:
    """`device=cpu; workers=1; threads=2; seedbed=...; git_commit=...`, the same for the same; of a
    GPU also how it multiplies fp32 numbers.

    Sums are taken in another order by other devices, more ranks or more threads, and other code
    may do anything: trials that differ in one of these differ by more than their recipes.
    """
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    parts = {"device": kind, "workers": num_workers, "threads": threads, **code_version}
    if device.type == "cuda":
        parts["fp32_products"] = fp32_products(device)
    return "; ".join(f"{name}={value}" for name, value in parts.items())
