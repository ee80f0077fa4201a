"""How far a run is and how long the rest takes. All times are in seconds."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean


@dataclass(frozen=True)
class Job:
    rule: str
    words: str  # the job's message
    began: float


@dataclass
class Progress:
    planned: dict[str, int] = field(default_factory=dict)  # jobs by rule
    total: int = 0
    done: int = 0
    failed: int = 0
    running: dict[int, Job] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=dict)  # seconds of finished jobs, by rule
    began: float = 0.0

    def start(self, jobid: int, job: Job) -> None:
        self.began = self.began or job.began
        self.running[jobid] = job

    def finish(self, jobid: int, now: float) -> None:
        if job := self.running.pop(jobid, None):
            self.took.setdefault(job.rule, []).append(max(now - job.began, 0.0))

    def left(self, now: float) -> float | None:
        """Seconds until the end, if each rule's jobs go on taking their mean so far, and as many run at once.

        A rule without a finished job is given the mean of all. None before the first job has finished.
        """
        everything = [seconds for each in self.took.values() for seconds in each]
        ages = [(job.rule, max(now - job.began, 0.0)) for job in self.running.values()]
        busy = sum(everything) + sum(age for _, age in ages)
        if not everything or busy <= 0:
            return None
        mean = {rule: fmean(self.took.get(rule, everything)) for rule in {*self.planned, *(rule for rule, _ in ages)}}
        begun = Counter(rule for rule, _ in ages) + Counter({rule: len(each) for rule, each in self.took.items()})
        ahead = sum(max(count - begun[rule], 0) * mean[rule] for rule, count in self.planned.items())
        ahead += sum(max(mean[rule] - age, 0.0) for rule, age in ages)
        return ahead * (now - self.began) / busy

    def line(self, now: float, opened: float, verb: str) -> str:
        """The progress line of a run that was opened then; `verb` says what jobs are that have not finished."""
        left = self.left(now)
        parts = [
            f"{self.done} of {self.total} jobs" + (f", {self.failed} failed" if self.failed else ""),
            clock(now - opened) + (f", about {about(left)} left" if left else ""),
        ]
        if self.running:
            first = min(self.running.values(), key=lambda job: job.began)
            parts.append(f"{len(self.running)} {verb}: {first.words}")
        return " | ".join(parts)


def clock(seconds: float) -> str:
    """75 seconds are 1:15; from an hour on, 1:02:05."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def about(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{max(1, round(seconds / 60))} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
