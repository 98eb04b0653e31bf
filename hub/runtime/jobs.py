"""Jobs that any machine may take: Procrastinate, a queue in the store's PostgreSQL.

A job names a task and a connection, and nothing else that matters: what there is to do is asked of the store when it
runs. So a job that is lost, done twice or taken over does no harm; the locks here keep work in order, the leases and
intents of the store keep it correct.

A worker dies in the middle of a job: its heartbeat stops, another worker finds the job stalled and puts it back; the
lease of the dead worker's run is over by then, or the job waits until it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from hub.errors import HubError, RetryLater
from hub.runtime.log import logger

HEARTBEAT_S = 5.0
STALLED_S = 20.0  # without a heartbeat for so long, a worker is taken for dead
SWEEP_S = 5.0
POLL_S = 5.0  # for jobs that no notification told of
AGAIN_S = 5  # a job that must wait (its connection is another's) is put back for so long
STOP_S = 20.0  # for running jobs to reach the end of their page

Task = Callable[..., None]


class JobQueue:
    """The queue of one hub.

    Args:
        conninfo: of the database, as libpq takes it.
        tasks: name -> function of a connection's name and the job's arguments; RetryLater puts the job back.
    """

    def __init__(self, conninfo: str, tasks: Mapping[str, Task]) -> None:
        self._conninfo = conninfo
        self._app = App(connector=SyncPsycopgConnector(conninfo=conninfo, min_size=1, max_size=4))
        self._log = logger("jobs")
        for name, task in tasks.items():
            self._app.task(name=name)(partial(self._job, name, task))

    def open(self) -> None:
        """Connect; makes the queue's tables where they are missing. Raises RetryLater STORE-BUSY."""
        self._app.open()
        try:
            if not self._app.check_connection():
                self._make_tables()
        except ConnectorException as error:
            raise RetryLater("the job queue cannot be reached", code="STORE-BUSY", where="job queue") from error

    def _make_tables(self) -> None:
        try:
            self._app.schema_manager.apply_schema()
        except ConnectorException:
            if not self._app.check_connection():  # else another process was just as quick
                raise

    def close(self) -> None:
        self._app.close()

    def put(self, task: str, connection: str, *, after_s: int = 0, beside: str = "", **arguments: Any) -> bool:
        """A job for whoever is free. False: the same task waits for this connection already.

        Args:
            beside: which of several it is that may run beside the connection's other jobs; "": it waits for them.

        Raises:
            RetryLater: the database cannot be reached.
        """
        job = self._app.configure_task(
            task, lock=f"{connection}:{beside}" if beside else connection,
            queueing_lock=f"{task}:{connection}:{beside}" if beside else f"{task}:{connection}",
            schedule_in={"seconds": after_s} if after_s else None,
        )  # fmt: skip
        try:
            job.defer(connection=connection, **arguments)
        except AlreadyEnqueued:
            return False
        except ConnectorException as error:
            raise RetryLater("the job queue cannot be reached", code="STORE-BUSY", where="job queue") from error
        return True

    def work(self, stop: threading.Event, *, at_once: int) -> None:
        """Take jobs until told to stop; those that run then end by themselves, or are put back.

        Args:
            at_once: jobs that run side by side, each of another connection.
        """
        asyncio.run(self._work(stop, at_once))

    async def _work(self, stop: threading.Event, at_once: int) -> None:
        connector = PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4)
        app = self._app.with_connector(connector)  # jobs are put by threads, and taken by this loop
        async with app.open_async():
            worker = asyncio.create_task(
                app.run_worker_async(
                    concurrency=at_once, install_signal_handlers=False, delete_jobs="successful",
                    fetch_job_polling_interval=POLL_S, update_heartbeat_interval=HEARTBEAT_S,
                    stalled_worker_timeout=STALLED_S, shutdown_graceful_timeout=STOP_S,
                )
            )  # fmt: skip
            sweeper = asyncio.create_task(self._sweep(app.job_manager))
            await asyncio.to_thread(stop.wait)
            for each in (sweeper, worker):
                each.cancel()
            await asyncio.gather(sweeper, worker, return_exceptions=True)

    def _job(self, name: str, task: Task, connection: str, **arguments: Any) -> None:
        """One job. What went wrong is one line here: it is the hub's own error, and its run row tells the rest."""
        try:
            task(connection, **arguments)
        except RetryLater:
            self.put(name, connection, after_s=AGAIN_S, **arguments)
        except HubError as error:
            self._log.warning("job failed", task=name, connection=connection, code=error.code, error=str(error))

    async def _sweep(self, jobs: JobManager) -> None:
        """Jobs of dead workers go back to the queue."""
        while True:
            try:
                for job in await jobs.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
                    self._log.warning("job taken over", task=job.task_name, connection=job.lock)
                    await _put_back(jobs, job)
            except ConnectorException as error:  # the database is away, or another worker was quicker
                self._log.info("sweep put off", error=str(error))
            await asyncio.sleep(SWEEP_S)


async def _put_back(jobs: JobManager, job: Job) -> None:
    """Back into the queue; or away, where the same task waits already and will find the same work."""
    try:
        await jobs.retry_job(job)
    except UniqueViolation:
        await jobs.finish_job(job, Status.FAILED, delete_job=True)
