"""This machine: cores, memory, disk, GPUs, worker processes, and installed versions.

Limits of containers are taken into account.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from joblib import Parallel, cpu_count, parallel_config
from joblib.externals.loky.backend import resource_tracker

from competition.console import bytes_text
from competition.errors import UserError

ROOT = Path("/")

# Processor features that speed up training, the best last, by their flag in Linux's /proc/cpuinfo.
PROCESSOR_FEATURES = {
    "AVX-512": "avx512f",
    "AVX-512 bf16": "avx512_bf16",
    "AMX bf16": "amx_bf16",
}


@dataclass(frozen=True)
class Machine:
    """What this process may use; memory is in bytes, the available one is free or can be freed."""

    cores: int
    memory: int
    available_memory: int
    gpus: int


def this_machine() -> Machine:
    """Returns what this process may use now."""
    return Machine(core_count(), memory(), available_memory(), gpu_count())


def machine_name() -> str:
    """Returns one line with the processor, its usable cores and the GPUs.

    Clouds hide the processor's model, so the best of `PROCESSOR_FEATURES` is named, too.
    """
    processor = _processor_field("model name") or "unknown processor"
    features = [name for name, is_there in processor_features().items() if is_there]
    gpus = gpu_names() if gpu_count() else []
    return ", ".join([processor, f"{core_count()} cores", *features[-1:], *gpus])


def processor_features() -> dict[str, bool]:
    """Returns which of `PROCESSOR_FEATURES` the processor has, by Linux's `/proc/cpuinfo`."""
    flags = set(_processor_field("flags").split())
    return {name: flag in flags for name, flag in PROCESSOR_FEATURES.items()}


def multiplies_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; without them it is slower than float32."""
    features = processor_features()
    return features["AVX-512 bf16"] or features["AMX bf16"]


def _processor_field(name: str) -> str:
    """Returns a field of the first processor in `/proc/cpuinfo`, or an empty text."""
    lines = _text(ROOT / "proc/cpuinfo").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def core_count() -> int:
    """Returns how many cores this process may use, within its container's limit."""
    return cpu_count()


def memory() -> int:
    """Returns the bytes of memory of the machine, or its container's limit if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for limit, _ in _container_memory())])


def available_memory() -> int:
    """Returns the bytes that are free or can be freed; all of them if the system does not tell."""
    kibibytes = _number(_text(ROOT / "proc/meminfo"), "MemAvailable:")
    machine = memory() if kibibytes is None else 1024 * kibibytes
    unused = (limit - used for limit, used in _container_memory())
    return max(0, min([memory(), machine, *unused]))


def _container_memory() -> Iterator[tuple[int, int]]:
    """Yields limit and use, in bytes, of this process's control group (version 2) and its parents.

    Cached files do not count as used: the system frees them when memory is needed.
    """
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        if not line.startswith("0::"):
            continue
        group = PurePosixPath(line.removeprefix("0::"))
        for path in (group, *group.parents):
            folder = ROOT / "sys/fs/cgroup" / path.relative_to("/")
            limit = _text(folder / "memory.max").strip()
            if limit.isdigit():  # "max" means no limit
                used = int(_text(folder / "memory.current").strip() or 0)
                freeable = _number(_text(folder / "memory.stat"), "inactive_file") or 0
                yield int(limit), max(0, used - freeable)


def _number(text: str, name: str) -> int | None:
    """Returns the number after a name at the start of a line, or None without such a line."""
    lines = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [name]), None)


def _text(path: Path) -> str:
    """Returns a file's text, or an empty one where there is no such file, as outside of Linux."""
    try:
        return path.read_text()
    except OSError:
        return ""


@cache
def gpu_count() -> int:
    """Returns how many GPUs TensorFlow can use.

    TensorFlow is asked only if there is NVIDIA's driver, as its wheels support no other GPU; in a
    child process, as it would keep some of the GPU's memory; and only once, as it takes seconds.
    """
    if not Path("/proc/driver/nvidia/gpus").exists():
        return 0
    code = "import tensorflow; print(len(tensorflow.config.list_physical_devices('GPU')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return int(done.stdout or 0)


def gpu_names() -> list[str]:
    """Returns the names of this machine's NVIDIA GPUs, from the driver's `nvidia-smi`."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.strip().splitlines() if listed.returncode == 0 else []


def free_bytes(folder: Path) -> int:
    """Returns the free space on the disk of a folder, which need not exist yet."""
    real = folder.resolve()  # it may be a link to another disk
    existing = next(path for path in (real, *real.parents) if path.exists())
    return shutil.disk_usage(existing).free


def require_space(folder: Path, needed: int) -> None:
    """Refuses to go on if fewer bytes than `needed` are free on the disk of a folder."""
    free = free_bytes(folder)
    if free < needed:
        raise UserError(
            f"{folder}/ needs {bytes_text(needed)} of free disk, but there are only "
            f"{bytes_text(free)}; free some space"
        )


SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_A_SAFE_PLACE = 2.0
SECONDS_BETWEEN_INTERRUPTS = 0.5

MORE_MEMORY = "run it again where more memory is free"


def side_by_side(workers: int, threads: int, in_this_process: bool = True) -> Parallel:
    """Returns a joblib pool that runs calls in parallel and yields results as they finish.

    joblib reuses its workers, and what they have imported, only if all calls ask for them in the
    same way, as here. Another number of threads means new workers, because TensorFlow cannot change
    its own later. Pass paths and not arrays: joblib would share arrays through temporary files,
    which leak when a command is interrupted.

    Args:
        threads: per worker.
        in_this_process: whether a single worker is this process or another one.
    """
    if workers == 1 and in_this_process:
        return Parallel(1, return_as="generator_unordered")
    if trouble := no_workers():
        raise UserError(f"{trouble} One job at a time needs none: JOBS=1")
    # Whatever ends all processes of a terminal must not end what removes their semaphores.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # joblib replaces a worker whose memory grew after its job: nothing is lost, so no warning.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", module="joblib")
    # A worker watches its command from its start: one that gets no task would outlive a kill.
    watching = {"initializer": end_with, "initargs": (os.getpid(),)}
    with parallel_config("loky", inner_max_num_threads=threads, **watching):
        if workers == 1:  # joblib starts at least two, so one waits
            return Parallel(2, pre_dispatch=1, return_as="generator_unordered", max_nbytes=None)
        return Parallel(workers, return_as="generator_unordered", max_nbytes=None)


@cache
def no_workers() -> str:
    """Returns why joblib can start no worker processes here; empty if it can."""
    try:
        multiprocessing.Lock()
    except (ImportError, OSError) as error:
        return (
            f"worker processes need semaphores, which this system refuses ({error}): is /dev/shm "
            "missing, or read-only?"
        )
    return ""


@contextmanager
def workers_may_end(advice: str) -> Iterator[None]:
    """Turns a worker's sudden end into a UserError with `advice`: what is kept, what to do."""
    try:
        yield
    except BrokenProcessPool:
        raise UserError(
            f"the system ended a worker process, most likely as the memory ran out; {advice}"
        ) from None


@dataclass(frozen=True)
class Command:
    """The command that a worker process works for; joblib reuses workers for later commands."""

    pid: int = field(default_factory=os.getpid)
    folder: str = field(default_factory=os.getcwd)

    def join(self) -> None:
        """Makes this process work in the command's folder and end with the command."""
        end_with(self.pid)
        os.chdir(self.folder)


@cache
def end_with(command_pid: int) -> None:
    """Ends this process soon after its parent, the command, is gone.

    joblib's workers would wait minutes for more work after their command was killed, or continue.
    What they write is complete or absent, so they may end at any moment.
    """
    if os.getpid() != command_pid:
        # What ends a terminal's or a service's processes reaches the workers, too, but only the
        # command handles it.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        threading.Thread(target=_watch, args=(command_pid,), daemon=True).start()


def _watch(command_pid: int) -> None:
    while os.getppid() == command_pid:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


@contextmanager
def interruptible(
    report: Callable[[float], None] = lambda done: None,
) -> Iterator[Callable[[float], None]]:
    """Makes sure that Ctrl-C ends the block as KeyboardInterrupt: raises it until the block ends.

    Python drops it during a callback of the garbage collector, which is frequent in TensorFlow's
    tracing, and a library may turn it into an error of its own. In the middle of TensorFlow's work
    it may damage memory (seen once in a hundred times), so a safe place comes first: where progress
    is told. Yields `report`, which then raises it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield report  # a worker, which ignores Ctrl-C, or a program that handles it itself
        return
    interrupts: list[int] = []

    def interrupt(number: int, _) -> None:
        wait_for_a_safe_place = not interrupts
        interrupts.append(number)
        if wait_for_a_safe_place:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_A_SAFE_PLACE)
        else:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_BETWEEN_INTERRUPTS)
            raise KeyboardInterrupt

    def end_if_interrupted() -> None:
        if interrupts:
            raise KeyboardInterrupt

    def report_or_end(done: float) -> None:
        report(done)
        end_if_interrupted()

    signal.signal(signal.SIGINT, interrupt)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield report_or_end
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_if_interrupted()


def code_version() -> str:
    """Returns the checkout's commit, with `+changes` if files differ from it, or `unknown`."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return commit + ("+changes" if _git("status", "--porcelain", "--", "competition") else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent.parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def library_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that a result depends on."""
    return {name: version(name) for name in ("tensorflow", "keras", "numpy", "albumentations")}


@cache
def augmenting_versions() -> list[str]:
    """Returns the installed versions of the packages that compute augmented images."""
    return [version(name) for name in ("numpy", "albumentations", "opencv-python-headless")]
