"""A private Slurm on this machine: one node, two pretend GPUs, accounting; for tests, and gone with them.

All daemons are Debian's, run in the foreground as this process's children, with configuration, keys, ports and database
in a folder of their own, reached through SLURM_CONF. Nothing outside the folder is written: a Slurm, MariaDB or munge
that this machine has already is neither read nor changed. Neither root nor systemd nor cgroups are needed. The pretend
GPUs are two device files that every Linux has: Slurm wants names of devices, hands them out as it does real GPUs, each
with an id, and touches neither.

`python tests/slurm/cluster.py` starts one and prints how to talk to it, until Ctrl-C; `--check` says what is missing.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGES = ("slurm-wlm", "slurmdbd", "mariadb-server", "munge")
PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "sbatch", "sacctmgr", "mariadbd", "mariadb-install-db", "munged")
SEARCHED = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Debian puts daemons where a user's PATH does not look."""

SRUN = """\
#!/bin/sh
# Jobs of Snakemake's Slurm plugin start srun without the variables of Slurm, SLURM_CONF among them.
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""

SLURM_CONF = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld_port}
SlurmdPort={slurmd_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued job starts again when its old credential has expired: after two minutes, if nothing else is said.
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# What would need cgroups or root is left to plainer plugins.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
MpiDefault=none
MailProg=/bin/true
# Quick to act, for the sake of short tests.
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=2
ReturnToService=2
EnforcePartLimits=ALL
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={slurmdbd_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000000 Gres=gpu:pretend:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=24:00:00 DefMemPerCPU=1000 State=UP
PartitionName=gpu Nodes={host} MaxTime=24:00:00 DefMemPerCPU=1000 State=UP
"""

GRES_CONF = """\
Name=gpu Type=pretend File=/dev/zero
Name=gpu Type=pretend File=/dev/full
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={slurmdbd_port}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=accounting
PidFile={folder}/slurmdbd.pid
"""


def missing_programs() -> list[str]:
    """What a private Slurm needs and this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]


class Cluster:
    """A private Slurm in `folder`, which must be empty and have a short path (sockets lie in it).

    Attributes:
        environment: variables that lead Slurm's commands, and what they start, to this cluster.
        account: the only account; the user that started the cluster may use it.
        host: name of the only node.
    """

    account = "lab"
    host = socket.gethostname().partition(".")[0]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{folder / 'bin'}{os.pathsep}{SEARCHED}"
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self._database_socket = folder / "mariadb.socket"
        # libmariadb, by which slurmdbd reaches its database, looks there.
        self.environment["MYSQL_UNIX_PORT"] = str(self._database_socket)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self._configure()
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._spawn("munged", "--foreground", f"--socket={self.folder}/munge.socket", *munge)
        self._start_database()
        self._spawn("slurmdbd", "-D")
        wait_until(lambda: self._answers("sacctmgr", "--noheader", "show", "cluster"), "slurmdbd")
        self.run("sacctmgr", "--immediate", "add", "cluster", "private")
        self.run("sacctmgr", "--immediate", "add", "account", self.account, "Cluster=private")
        self.run("sacctmgr", "--immediate", "add", "user", _user(), f"Account={self.account}")
        self.start_controller()
        self._spawn("slurmd", "-D", "-N", self.host)
        wait_until(lambda: self.node_state() == "idle", "the node")

    def stop(self) -> None:
        """End the jobs and all daemons, the database last."""
        if "slurmctld" in self._daemons:
            subprocess.run(["scancel", "--user", _user()], env=self.environment, capture_output=True, check=False)
            with suppress(RuntimeError, TimeoutError):
                wait_until(lambda: not self.run("squeue", "--noheader"), "the jobs' end", seconds=60)
        for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._end(name)

    def start_controller(self) -> None:
        self._spawn("slurmctld", "-D")
        wait_until(lambda: self._answers("sinfo"), "slurmctld")

    def kill_controller(self) -> None:
        """As a crash would: without a chance to save its state."""
        daemon = self._daemons.pop("slurmctld")
        daemon.kill()
        daemon.wait()

    def run(self, *command: str) -> str:
        """What one of Slurm's commands prints.

        Raises:
            RuntimeError: it fails; the message has its own words.
        """
        outcome = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise RuntimeError(f"{' '.join(command)}: {outcome.stderr or outcome.stdout}")
        return outcome.stdout

    def node_state(self) -> str:
        return self.run("sinfo", "--noheader", "--format=%T").split()[0]

    def _configure(self) -> None:
        slurmctld_port, slurmd_port, slurmdbd_port = _free_ports(3)
        facts = {
            "folder": self.folder,
            "host": self.host,
            "user": _user(),
            # Jobs that pause (recorded/lad) leave this machine's cores to others.
            "cpus": max(4, os.cpu_count() or 1),
            "slurmctld_port": slurmctld_port,
            "slurmd_port": slurmd_port,
            "slurmdbd_port": slurmdbd_port,
        }
        for name in ("state", "spool", "database", "bin"):
            (self.folder / name).mkdir()
        texts = {"slurm.conf": SLURM_CONF, "gres.conf": GRES_CONF, "slurmdbd.conf": SLURMDBD_CONF}
        for name, text in texts.items():
            (self.folder / name).write_text(text.format(**facts))
        (self.folder / "bin" / "srun").write_text(SRUN.format(folder=self.folder, srun=shutil.which("srun")))
        (self.folder / "bin" / "srun").chmod(0o755)
        (self.folder / "slurmdbd.conf").chmod(0o600)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (self.folder / "munge.key").chmod(0o600)

    def _start_database(self) -> None:
        options = ["--no-defaults", f"--datadir={self.folder}/database", f"--user={_user()}"]
        login = f"--auth-root-socket-user={_user()}"
        self.run("mariadb-install-db", *options, "--auth-root-authentication-method=socket", login, "--skip-test-db")
        small = ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        self._spawn("mariadbd", *options, *small, "--skip-networking", f"--socket={self._database_socket}")
        client = ("mariadb", "--no-defaults", f"--socket={self._database_socket}", f"--user={_user()}", "--execute")
        wait_until(lambda: self._answers(*client, "select 1"), "mariadbd")
        self.run(*client, "create database accounting")

    def _spawn(self, name: str, *arguments: str) -> None:
        """Start a daemon that dies with this process, even if this process is killed."""
        with (self.folder / f"{name}.log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "TERM", name, *arguments]
            self._daemons[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _end(self, name: str) -> None:
        if daemon := self._daemons.pop(name, None):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _answers(self, *command: str) -> bool:
        return subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0


@contextmanager
def private_slurm() -> Iterator[Cluster]:
    """A cluster in a temporary folder; when something fails, its last words are shown."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o711)  # munged asks that everyone could reach its socket
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    except TimeoutError as error:
        logs = "".join(f"\n{log.name}: {log.read_text()[-1500:]}" for log in sorted(folder.glob("*.log")))
        raise RuntimeError(f"{error}{logs}") from None
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not.
    """
    last = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > last:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def refuse_missing_programs() -> None:
    """End with one line that says what to install, where something is missing."""
    if missing := missing_programs():
        raise SystemExit(
            f"A private Slurm needs {', '.join(missing)}. On Debian and Ubuntu, as root:\n"
            f"    apt-get install --no-install-recommends {' '.join(PACKAGES)}\n"
            "Elsewhere there is no such test: use a machine or container with Debian."
        )


if __name__ == "__main__":
    refuse_missing_programs()
    if sys.argv[1:] == ["--check"]:
        raise SystemExit
    with private_slurm() as running:
        print(
            f"export SLURM_CONF={running.environment['SLURM_CONF']}   # sinfo, squeue, sbatch -A {running.account} ..."
        )
        print("Ctrl-C ends it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass
