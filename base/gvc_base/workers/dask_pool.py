"""Workers by dask.distributed: a scheduler knows them, an actor a camera decodes on one of them.

Units and frames go straight between base and worker; the scheduler only tells who is there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import dask
import distributed

from gvc_base.workers import Place, PlaceLostError, WorkersSpec
from gvc_base.workers.preload import THREADS
from gvc_base.workers.session import Batch, DecoderPlan, Stepper
from gvc_protocol.codec import DecodedFrame, ReceivedUnit, UnitSpan
from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["NO_PAGES", "DaskPlace", "DaskPool", "child_environ", "prepare", "security_of"]

_CONNECT_S = 5.0
_LOOK_S = 1.0
_WAITS_S = (1.0, 2.0, 5.0, 10.0)
"Between attempts to reach the scheduler."
_OPEN_S = 60.0
"A worker that loads torch and a network for the first time, on a busy computer."
_STEP_S = 0.01
_MOST_MISSES = 6

_CONFIG = {
    # Decoders hold what they need: nothing is spilled, paused or killed for its memory.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.worker-ttl": "60s",
    # Dask looks at itself many times a second, for charts that nobody sees here.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.work-stealing": False,
    # Web pages that tell of us without TLS: nobody needs them.
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": ["distributed.http.health"],
    # A killed process is started again: on a busy computer that takes longer than the usual 15 s.
    "distributed.deploy.lost-worker-timeout": "120s",
}


NO_PAGES = "127.0.0.1:0"
"Where dask's web server listens, since it cannot be left out."


class DaskPool:
    """See `WorkerPool`. A thread of its own looks for the scheduler and its workers."""

    def __init__(self, spec: WorkersSpec, say: Callable[[str], None]) -> None:
        self._spec, self._say = spec, say
        self._mutex = threading.Lock()
        self._client: Any = None
        self._cluster: Any = None
        self._workers: frozenset[str] = frozenset()
        self._refused: dict[tuple[str, DecoderPlan], str] = {}
        "What a worker cannot decode, and why; another camera may have another codec."
        self._places: WeakSet[DaskPlace] = WeakSet()
        self._opening: Counter[str] = Counter()
        self._misses = 0
        self._problem = ""
        self._met = False
        self._began = time.monotonic()
        self._closed = threading.Event()
        self.looked = threading.Event()
        "Set once the scheduler was found, with workers or without, or was not."
        prepare()
        self._thread = threading.Thread(target=self._loop, name="workers", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """See `WorkerPool.problem`."""
        refused = [f"worker {a} {why}" for (a, _), why in list(self._refused.items())]
        return self._problem or (refused[0] if refused else "")

    @property
    def workers(self) -> frozenset[str]:
        """Addresses of those that can be reached now."""
        return self._workers

    def place(self, plan: DecoderPlan, checkpoint: bytes | None) -> Place | None:
        """See `WorkerPool.place`."""
        client = self._client
        if client is None:
            return None
        tried: set[str] = set()
        while (address := self._reserve(plan, tried)) is not None:
            tried.add(address)
            try:
                place = DaskPlace(self, client, address, plan, checkpoint)
                with self._mutex:
                    self._places.add(place)
                return place
            except PlaceLostError:
                continue
            except UserError as error:
                self._refused[address, plan] = str(error)
                self._say(f"worker {address} {error}")
            finally:
                with self._mutex:
                    self._opening[address] -= 1
        return None

    def leave(self, place: Place) -> bool:
        """See `WorkerPool.leave`."""
        with self._mutex:
            load = self._load()
            usable = [load[a] for a in self._workers if (a, place.plan) not in self._refused]
            if not usable or min(usable) + 2 > load[place.name]:
                return False
            place.open = False
        return True

    def forget(self, address: str) -> None:
        """A worker broke off: nobody is sent there before the scheduler has named it again."""
        self._workers -= {address}

    def close(self) -> None:
        """See `WorkerPool.close`."""
        self._closed.set()
        self._thread.join(2 * _CONNECT_S)
        self._let_go()

    def _reserve(self, plan: DecoderPlan, tried: set[str]) -> str | None:
        """The worker with the fewest cameras, those counted that are on their way to it."""
        with self._mutex:
            load = self._load()
            usable = [a for a in self._workers - tried if (a, plan) not in self._refused]
            if not usable:
                return None
            chosen = min(usable, key=lambda address: (load[address], address))
            self._opening[chosen] += 1
            return chosen

    def _load(self) -> Counter[str]:
        return Counter(place.name for place in self._places if place.open) + self._opening

    # --- its thread

    def _loop(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                if self._client is None:
                    self._connect()
                self._look()
                failures = 0
            except Exception as error:  # whatever it is, the mission goes on without workers
                self._lost(f"{error or type(error).__name__}")
                self._let_go()
                failures += 1
            self.looked.set()
            self._closed.wait(_WAITS_S[min(failures, len(_WAITS_S)) - 1] if failures else _LOOK_S)

    def _connect(self) -> None:
        spec = self._spec
        if spec.local and self._cluster is None:
            self._cluster = _local_cluster(spec.local)
        where = spec.address if self._cluster is None else self._cluster.scheduler_address
        secret = security_of(spec) if self._cluster is None else self._cluster.security
        self._client = distributed.Client(  # type: ignore[no-untyped-call]
            where, security=secret, timeout=_CONNECT_S, direct_to_workers=True, name="gvc-base"
        )

    def _look(self) -> None:
        client = self._client
        if client.status == "closed":
            raise OSError("the scheduler is gone")
        if client.status != "running":
            self._lost("the connection to the scheduler broke")
            return
        try:
            found = frozenset(client.sync(client.scheduler.ncores, callback_timeout=_CONNECT_S))
        except TimeoutError:  # a busy computer; what was known holds for a while
            self._misses += 1
            if self._misses < _MOST_MISSES:
                return
            raise
        self._misses = 0
        if not found:
            self._lost("the scheduler has no workers")
            return
        self._refused = {key: why for key, why in self._refused.items() if key[0] in found}
        self._workers = found
        if self._cluster is not None and len(found) < self._spec.local:
            self._cluster.scale(self._spec.local)  # where a process could not be started again
        if self._problem or not self._met:
            self._problem, self._met = "", True
            self._say(f"decode workers at {self._spec.url} are reached ({len(found)} now)")

    def _lost(self, why: str) -> None:
        self._workers = frozenset()
        young = time.monotonic() - self._began < _OPEN_S
        if self._spec.local and not self._met and young and why.endswith("no workers"):
            return  # they have just been started
        if not self._problem:
            self._problem = (
                f"no decode worker at {self._spec.url} ({why}); this base decodes itself"
            )
            self._say(f"{self._problem} until one is reached")

    def _let_go(self) -> None:
        self._workers = frozenset()
        client, self._client = self._client, None
        cluster, self._cluster = self._cluster, None
        for one in (client, cluster):
            if one is not None:
                with suppress(Exception):  # what is broken already cannot be closed
                    one.close(timeout=_CONNECT_S)


class DaskPlace:
    """See `Place`.

    Raises:
        PlaceLostError: the worker is gone. UserError: it cannot decode this.
    """

    def __init__(
        self, pool: DaskPool, client: Any, address: str, plan: DecoderPlan,
        checkpoint: bytes | None,
    ) -> None:  # fmt: skip
        self.name, self.label, self.checkpoint = address, "", checkpoint or b""
        self.plan = plan
        self.open = True
        self._pool = pool
        until = time.monotonic() + _OPEN_S
        try:
            made = client.submit(
                Stepper, actor=True, workers=[address], allow_other_workers=False, pure=False
            )
            self._actor = self._wait(made, until)
            self._wait(self._actor.open(plan, checkpoint), until)
        except (UserError, PlaceLostError):
            raise
        except Exception as error:
            if client.status != "running" or address not in pool.workers:
                raise PlaceLostError(f"worker {address} was lost") from None
            raise UserError(f"takes no work ({error!r}); is gvc-field installed there?") from None

    def frames(self, unit: ReceivedUnit, span: UnitSpan, *, skip: int) -> Iterator[DecodedFrame]:
        """See `Place.frames`. The next batch is decoded while one is shown."""
        try:
            coming = self._actor.start(unit, span, skip)
            while True:
                batch: Batch = self._wait(coming)
                if batch.checkpoint is None:
                    coming = self._actor.more()
                self.label = batch.label
                # Built anew, which checks its marks: pickle does not.
                yield from [replace(frame) for frame in batch.frames]
                if batch.checkpoint is not None:
                    self.checkpoint = batch.checkpoint
                    return
        except PlaceLostError:
            self.open = False
            raise
        except LocalProtocolError as error:
            self.open = False
            raise PlaceLostError(f"worker {self.name} gave what is no frame ({error})") from None
        except GeneratorExit:
            raise
        except Exception as error:
            # Of the worker, its decoder or dask: another place may do better.
            self.open = False
            if "Actor was lost" in str(error):
                raise self._gone() from None
            raise PlaceLostError(f"worker {self.name} failed ({error!r})") from None

    def _wait(self, coming: Any, until: float | None = None) -> Any:
        """What comes, unless the worker goes first."""
        # Asked again and again, not waited for with a limit: dask's own limits can cancel what comes.
        while not coming.done():
            if self.name not in self._pool.workers:
                raise PlaceLostError(f"worker {self.name} was lost")
            if until is not None and time.monotonic() > until:
                raise PlaceLostError(f"worker {self.name} does not answer")
            time.sleep(_STEP_S)
        try:
            return coming.result(timeout=_OPEN_S)
        except OSError:
            raise self._gone() from None

    def _gone(self) -> PlaceLostError:
        self._pool.forget(self.name)
        return PlaceLostError(f"worker {self.name} was lost")


def _local_cluster(count: int) -> Any:
    """Processes of this computer that nobody else can talk to: TLS with a certificate of this run."""
    temporary: Any = distributed.Security.temporary
    with dask.config.set({"distributed.nanny.pre-spawn-environ": child_environ(count)}):
        return distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=count, threads_per_worker=1, processes=True, host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": NO_PAGES}, memory_limit=0,
            security=temporary(), silence_logs=logging.CRITICAL,
            preload="gvc_base.workers.preload",
        )  # fmt: skip


def child_environ(processes: int) -> dict[str, str]:
    """The cores are shared out between the processes of this computer; what fails the base tells."""
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    shared = dict.fromkeys((THREADS, "OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    return {**shared, "DASK_LOGGING__DISTRIBUTED": "critical"}


def security_of(spec: WorkersSpec) -> Any:
    """Dask's own, of the folder of certificates; None without one."""
    if spec.tls is None:
        return None
    ca, cert, key = (str(spec.tls / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    roles = {f"tls_{role}_{what}": path for role in ("client", "scheduler", "worker")
             for what, path in (("cert", cert), ("key", key))}  # fmt: skip
    return distributed.Security(  # type: ignore[no-untyped-call]
        tls_ca_file=ca, require_encryption=True, **roles
    )


def prepare() -> None:
    """Dask's settings for this process; it logs what we tell in lines of our own."""
    dask.config.set(_CONFIG)
    for name in ("distributed", "distributed.client", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
