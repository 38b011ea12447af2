"""What this machine has: disk, processor features, GPU."""

import re
import shutil
import subprocess
from pathlib import Path

from competition.errors import UserError

# What makes training fast on a CPU, as Linux names it in /proc/cpuinfo.
PROCESSOR_FEATURES = {"AVX-512": "avx512f", "AMX bf16": "amx_bf16"}


def free_bytes(folder: Path) -> int:
    """Returns how much fits on the disk of a folder, which need not be there yet."""
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    return shutil.disk_usage(existing).free


def require_space(folder: Path, needed: int) -> None:
    """Raises UserError if fewer bytes than `needed` are free on the disk of a folder."""
    free = free_bytes(folder)
    if free < needed:
        raise UserError(
            f"{folder}/ needs {needed / 1e6:.0f} MB of free disk, but there are only "
            f"{free / 1e6:.0f}; free some space"
        )


def processor_features() -> dict[str, bool]:
    """Returns which of `PROCESSOR_FEATURES` the processor has; none where Linux does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    flags = set(re.findall(r"\w+", " ".join(re.findall(r"^flags\s*:(.*)$", text, re.MULTILINE))))
    return {name: flag in flags for name, flag in PROCESSOR_FEATURES.items()}


def gpu_names() -> list[str]:
    """Returns the NVIDIA GPUs of this machine, by `nvidia-smi`, which comes with their driver."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.strip().splitlines() if listed.returncode == 0 else []
