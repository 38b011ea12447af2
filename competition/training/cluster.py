"""Jobs on a Dask cluster: one at a time on each worker, and again elsewhere if that one ends."""

import hashlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import Empty, Queue, SimpleQueue
from typing import Any, ClassVar
from uuid import uuid4

import competition
from competition import paths, storage
from competition.config.base import SHORT
from competition.console import count_of
from competition.data.augmented_epochs import AugmentedEpochs, make_pool, require_room
from competition.data.run import Run
from competition.digits import DataSet
from competition.errors import UserError, is_out_of_memory
from competition.system import core_count, end_with, library_versions
from competition.training.resources import Plan, Runner, Workers
from competition.training.worker import Task, build, explain

LOCAL = re.compile("local:([1-9][0-9]{0,2})")
SCHEDULER = re.compile(r"(tcp|tls)://[^\s/]+:[0-9]+")

SECONDS_TO_CONNECT, SECONDS_FOR_A_WORKER = 10, 60
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_REPORTS = 1.0, 0.5
SECONDS_TO_END = 30  # of a job that is no longer wanted: a step, or an augmented epoch
MOST_ENDS = 3  # of workers with the same job, which may take more memory than they have

# As joblib's for the worker processes of one machine.
THREADS_OF_LIBRARIES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"
)  # fmt: skip

START = "in a checkout there, `.venv/bin/python -m dask worker {}`"


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Workers]:
    """Yields the cluster at an address, or `workers` of this machine without one.

    When the block ends, whatever still waits or runs on the cluster for it is cancelled.

    Args:
        address: `tcp://host:port` of a Dask scheduler, or `local:N` for N workers of this machine.

    Raises:
        UserError: when the cluster cannot be reached, has no worker, or has other versions.
    """
    if address is None:
        yield workers
        return
    local = LOCAL.fullmatch(address)
    if not local and not SCHEDULER.fullmatch(address):
        raise UserError(
            f"CLUSTER is {SHORT.repr(address)}, expected tcp://host:port of a Dask scheduler, or "
            "local:N for N workers of this machine"
        )
    if workers is not None:
        raise UserError("JOBS is for trainings without CLUSTER, whose workers are as many as join")
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise UserError(
            f"CLUSTER needs the package {error.name}; "
            "`.venv/bin/pip install -r requirements-cluster.txt` installs it"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we say what happened ourselves
    with ExitStack() as stack:
        scheduler: Any = address
        if local:
            scheduler = stack.enter_context(
                LocalCluster(
                    host="127.0.0.1", n_workers=int(local[1]), memory_limit=0,
                    threads_per_worker=max(1, core_count() // int(local[1])),
                    dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
                )
            )  # fmt: skip
        try:
            client = Client(scheduler, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except OSError as error:
            raise UserError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}); start one with "
                "`.venv/bin/python -m dask scheduler`"
            ) from None
        cluster = Cluster(stack.enter_context(client), address)
        stack.callback(cluster.stop)
        cluster.wait_for_worker()
        yield cluster


class Cluster:
    """The workers of a Dask scheduler, and the jobs that they have.

    The jobs are calls in threads of this process. A thread takes a free worker for each call, and
    another one if that worker ends.
    """

    def __init__(self, client: Any, address: str):
        self._client, self._address = client, address
        self._workers: dict[str, int] = {}  # their threads by their address
        self._free: Queue[str] = Queue()
        self._refused: set[str] = set()
        self._mine = threading.local()
        self._events: dict[str, SimpleQueue] = {}
        self._scattered: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._is_stopped = False
        self._topic = f"competition-{uuid4()}"
        client.subscribe_topic(self._topic, self._receive)

    def __str__(self) -> str:
        dashboard = self._client.dashboard_link
        return f"{self._address}, dashboard {dashboard}" if dashboard else self._address

    def plan(self) -> "ClusterPlan":
        return ClusterPlan(len(self._workers), max(self._workers.values()), self)

    def wait_for_worker(self) -> None:
        """Waits until there is a worker; refuses all if one has other versions than this command.

        Raises:
            UserError: when there is none in time, or one with other versions.
        """
        deadline = time.monotonic() + SECONDS_FOR_A_WORKER
        while not (workers := self._known()):
            if time.monotonic() > deadline:
                how = START.format(self._address)
                raise UserError(f"the cluster {self._address} has no worker; start one: {how}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if problems := self._other_versions([*workers]):
            raise UserError("\n".join(problems.values()))
        self._look()

    def stop(self) -> None:
        """Cancels what waits or runs; calls end with KeyboardInterrupt."""
        self._is_stopped = True

    def run_all(self, calls: Iterable[Any]) -> Iterator[Any]:
        """Yields the results of joblib's delayed calls as they finish, as its `Parallel` does."""
        waiting, outcomes = deque(calls), SimpleQueue[tuple[Any, BaseException | None]]()
        left, threads = len(waiting), list[threading.Thread]()
        try:
            while left:
                self._look()
                while waiting and len(threads) < min(len(self._workers), left):
                    threads.append(threading.Thread(target=self._work, args=(waiting, outcomes)))
                    threads[-1].start()
                try:
                    result, error = outcomes.get(timeout=SECONDS_BETWEEN_LOOKS)
                except Empty:
                    continue
                left -= 1
                if error:
                    raise error
                yield result
        except BaseException:
            self.stop()
            raise
        finally:
            waiting.clear()
            for thread in threads:
                thread.join()

    def _work(self, waiting: deque, outcomes: SimpleQueue) -> None:
        """Makes one call after the other, each with a free worker, until none waits."""
        while waiting:
            try:
                self._take_worker()
                try:
                    function, positional, named = waiting.popleft()
                except IndexError:  # another thread has the last one
                    return
                outcomes.put((function(*positional, **named), None))
            except BaseException as error:  # raised again where the results are read
                outcomes.put((None, error))
            finally:
                self._free.put(self._mine.worker)

    def _take_worker(self) -> None:
        """Waits for a free worker that is still there, and makes it the one of this thread."""
        self._mine.worker = ""
        while self._mine.worker not in self._workers:
            self._refuse_if_stopped()
            try:
                self._mine.worker = self._free.get(timeout=SECONDS_BETWEEN_LOOKS)
            except Empty:
                self._mine.worker = ""

    def call(self, function: Callable[[Any, Any], Any], task: Task, tell: Callable) -> Any:
        """Returns `function(task, tell)` of this thread's worker, or of another one if that ends.

        Raises:
            UserError: when each of several workers ended with this job.
        """
        for _ in range(MOST_ENDS):
            try:
                return self._call_once(function, task, tell)
            except WorkerEndedError:
                self._take_worker()
        raise UserError(
            f"its worker ended {MOST_ENDS} times, most likely as the memory ran out there; start "
            "fewer workers on that machine"
        )

    def _call_once(self, function: Callable, task: Task, tell: Callable) -> Any:
        from distributed import CancelledError, KilledWorker

        plan = Plan(len(self._workers), task.plan.threads)
        sent = replace(task, plan=plan)
        key = f"{function.__name__}-{uuid4()}"
        events = self._events[key] = SimpleQueue()
        future = self._client.submit(
            call_here, function, sent, self._digits(task.run), self._topic,
            key=key, workers=[self._mine.worker], pure=False,
        )  # fmt: skip
        future.add_done_callback(lambda _: events.put(None))
        try:
            while (event := self._next(events)) is not None:
                tell(event)
            return future.result()
        except (CancelledError, KilledWorker):  # it, or what had the digits, ended
            self._refuse_if_stopped()
            raise WorkerEndedError from None
        finally:
            future.cancel()
            del self._events[key]

    def _next(self, events: SimpleQueue) -> Any:
        """Returns a job's next event, None when it is done."""
        while True:
            self._refuse_if_stopped()
            try:
                return events.get(timeout=SECONDS_BETWEEN_LOOKS)
            except Empty:
                if self._mine.worker not in self._workers:
                    raise WorkerEndedError from None

    def _refuse_if_stopped(self) -> None:
        if self._is_stopped:
            raise KeyboardInterrupt

    def _receive(self, event: tuple[float, tuple[str, Any]]) -> None:
        _, (key, told) = event
        if (events := self._events.get(key)) is not None:  # the job may have ended otherwise
            events.put(told)

    def _digits(self, run: Run) -> Any:
        """Returns the digits of a run on the cluster, where they are sent once."""
        with self._lock:
            kept = self._scattered.get(run.fingerprint)
            if kept is None or kept.status != "finished":  # whoever had them ended
                kept = self._client.scatter(run.data_set, hash=False)
                self._scattered[run.fingerprint] = kept
            return kept

    def _known(self) -> dict[str, int]:
        """Returns the threads of all workers by their address."""
        try:
            return self._client.nthreads()
        except OSError:
            raise UserError(
                f"the scheduler {self._address} is gone; finished work is kept, run it again when "
                "it is back"
            ) from None

    def _look(self) -> None:
        """Learns which workers joined or ended; one that joins with other versions gets no job."""
        known = self._known()
        joined = known.keys() - self._workers.keys() - self._refused
        problems = self._other_versions([*joined]) if joined else {}
        for problem in problems.values():
            print(f"{problem}; it gets no jobs")
        self._refused |= problems.keys()
        if self._workers.keys() - known.keys():
            print(f"a worker ended, {count_of(len(known), 'is', 'are')} left; its job runs again")
        self._workers = {each: known[each] for each in known if each not in self._refused}
        for address in joined - problems.keys():
            self._free.put(address)

    def _other_versions(self, workers: list[str]) -> dict[str, str]:
        """Returns what to say of each worker whose results would be others than this command's."""
        here, problems = versions(), {}
        told = self._client.run(versions, workers=workers, on_error="return")
        for worker, there in told.items():
            if isinstance(there, BaseException):
                reason = f"cannot use this package ({there})"
            elif names := [name for name in here if there.get(name) != here[name]]:
                has, expected = (
                    ", ".join(f"{name} {each.get(name)}" for name in names)
                    for each in (there, here)
                )
                reason = f"has {has}; this command has {expected}"
            else:
                continue
            problems[worker] = f"the worker {worker} {reason}"
        return problems


@dataclass(frozen=True)
class ClusterPlan(Plan):
    """The plan of a cluster: a job at a time on each worker, with the worker's threads."""

    cluster: Cluster

    def __str__(self) -> str:
        return f"{count_of(self.workers, 'worker')}, one job at a time on each"

    @property
    def place(self) -> str:  # type: ignore[override]
        return str(self.cluster)

    def parallel(self) -> Runner:
        return self.cluster.run_all

    def call(self, function: Callable, task: Any, tell: Callable) -> Any:
        return self.cluster.call(function, task, tell)

    def epochs_at_hand(
        self, epochs: dict[AugmentedEpochs, int], data_set: DataSet
    ) -> AbstractContextManager[None]:
        return nullcontext()  # each worker's machine makes what its jobs need

    def fewer(self) -> str:
        return "fewer workers per machine"


class WorkerEndedError(Exception):
    """The worker of a call ended, so that the call has to be made again."""


class JobCancelledError(Exception):
    """Ends a job whose command is gone, or does not want its result any more."""


@cache  # of the code as it is when a worker has its first job
def versions() -> dict[str, str]:
    """Returns on what results depend here: a hash of this package's files, and its libraries."""
    digest, folder = hashlib.sha256(), Path(competition.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return {"competition": digest.hexdigest()[:12], **library_versions()}


# What the process of jobs sends, each with a value.
EVENT, RESULT, ERROR = "event", "result", "error"

# A worker with several threads could be sent several jobs.
ONE_AT_A_TIME = threading.Lock()


def call_here(function: Callable[[Any, Any], Any], task: Task, data_set: DataSet, topic: str):
    """Has a job's function called in the process of this worker's jobs; reports what it tells."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state == "executing"

    with ONE_AT_A_TIME:
        threads = worker.state.nthreads
        task = replace(task, plan=Plan(task.plan.workers, threads))
        report = partial(worker.log_event, topic)
        return JobProcess.at_hand(threads).call(
            function, task, data_set, lambda event: report([key, event]), is_wanted
        )


class JobProcess:
    """A process for a worker's jobs alone, which keeps its libraries and digits from job to job.

    In Dask's own process, jobs would share random numbers and threads with Dask, and one that is no
    longer wanted could not be ended.
    """

    kept: ClassVar[list["JobProcess"]] = []

    def __init__(self, threads: int):
        self.connection, other = Pipe()
        numbers = dict.fromkeys(THREADS_OF_LIBRARIES, str(threads))
        places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        words = (str(other.fileno()), str(os.getpid()))
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *words],
            pass_fds=[other.fileno()], env={**os.environ, **numbers, **places},
        )  # fmt: skip
        other.close()
        self._digits_of = ""

    @classmethod
    def at_hand(cls, threads: int) -> "JobProcess":
        """Returns the process of this worker, a new one if the last has ended."""
        if not cls.kept or cls.kept[0]._process.poll() is not None:
            cls.kept[:] = [cls(threads)]
        return cls.kept[0]

    def call(
        self,
        function: Callable[[Any, Any], Any],
        task: Task,
        data_set: DataSet,
        report: Callable[[Any], None],
        is_wanted: Callable[[], bool],
    ) -> Any:
        """Returns the function's result, or raises what it raised."""
        sent = None if self._digits_of == task.run.fingerprint else data_set
        try:
            self.connection.send((function, task, sent))
            self._digits_of = task.run.fingerprint
            while is_wanted():
                if self.connection.poll(SECONDS_BETWEEN_REPORTS):
                    kind, value = self.connection.recv()
                    if kind == RESULT:
                        return value
                    if kind == ERROR:
                        raise value
                    report(value)
            self._end_job()
        except (EOFError, ConnectionError, BrokenPipeError):
            raise UserError(
                "its process ended, most likely as the memory ran out there; start fewer workers "
                "on that machine"
            ) from None
        raise JobCancelledError

    def _end_job(self) -> None:
        """Asks for the job's end at its next step; without it, ends the process."""
        self.connection.send(None)
        while self.connection.poll(SECONDS_TO_END):
            if self.connection.recv()[0] != EVENT:
                return
        self._process.kill()
        self._process.wait()


SERVE = "import sys; from competition.training.cluster import serve; serve(*map(int, sys.argv[1:]))"


def serve(descriptor: int, worker_pid: int) -> None:
    """Calls the functions that a worker sends, one after the other, until the worker ends."""
    end_with(worker_pid)
    connection: Connection = Connection(descriptor)
    data_set: Any = None
    with suppress(EOFError, ConnectionError):  # the worker has ended
        while True:
            message = connection.recv()
            if message is None:  # the end of a job that had just ended by itself
                continue
            function, task, sent = message
            data_set = sent or data_set
            try:
                done = call_with_data(function, task, data_set, connection)
                connection.send((RESULT, done))
            except Exception as error:
                connection.send((ERROR, sendable(error, task.plan)))


def call_with_data(
    function: Callable, task: Task, data_set: DataSet, connection: Connection
) -> Any:
    """Calls a job's function with the digits, and the augmented epochs that it reads."""
    last = 0.0

    def tell(event: Any) -> None:
        nonlocal last
        if connection.poll():
            connection.recv()
            raise JobCancelledError
        if not isinstance(event, int | float):
            connection.send((EVENT, [*event]))
        elif time.monotonic() - last >= SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            connection.send((EVENT, float(event)))

    needed = {} if function is build else task.epochs()
    with storage.shared(paths.POOLS_LOCK):
        with storage.in_turn(paths.POOLS_MAKING):  # other workers of this machine read them, too
            require_room(needed, data_set)
            for pool, epochs in needed.items():
                make_pool(pool, epochs, data_set, before_each=lambda: tell(0.0))
        return function(replace(task, run=replace(task.run, data_set=data_set)), tell)


def sendable(error: Exception, plan: Plan) -> Exception:
    """Returns an error that other processes can read, and that is explained there as here."""
    if is_out_of_memory(error):
        return MemoryError(str(error))
    return error if isinstance(error, UserError | OSError) else UserError(explain(error, plan))
