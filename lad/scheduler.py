"""A fault of Snakemake's scheduler, mended from outside.

Whenever the scheduler has looked for jobs to start, it asks a timer to wake it a second later, lest it miss that its
limit on jobs per second allows more. Every job that ends wakes it as well, and is answered by one more timer, which
from then on comes back every second: after 400 jobs the scheduler looks 400 times a second, each time at the size of
every input. Of the demo's 35 CPU minutes that took 9 (measured with 9.27.1; snakemake/snakemake pull request 3744 is
about the same). One timer at a time does all that is needed.
"""

import threading
from typing import Any
from weakref import WeakSet


def wake_once() -> None:
    """Let the scheduler have one waking timer at a time. A Snakemake that has another scheduler is left as it is."""
    try:
        from snakemake.scheduling.job_scheduler import JobScheduler
    except ImportError:
        return
    if not hasattr(JobScheduler, "_schedule_reevalutation"):
        return
    waiting: WeakSet[Any] = WeakSet()

    def wake(scheduler: Any) -> None:
        waiting.discard(scheduler)  # first, as it asks for the next one at once
        scheduler._open_jobs.release()

    def schedule_one(scheduler: Any, delay: float) -> None:
        if scheduler in waiting:
            return
        waiting.add(scheduler)
        timer = threading.Timer(delay, wake, [scheduler])
        timer.daemon = True  # a run that is over does not wait for it
        timer.start()

    JobScheduler._schedule_reevalutation = schedule_one
