"""SLURM on this machine alone, for tests: `python tests/cluster/slurm_machine.py` runs it until
it is interrupted.

The controller, the node, the accounting with its database, and munge run as root, without systemd
and without cgroups, in a folder of their own: other ports, keys and files than an installation of
the machine has, so nothing outside the folder is touched. The packages are Debian's (SLURM 22.05
in Debian 12). Without cgroups, memory is reserved but its limit is not enforced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
}
"""Program, and the package of Debian that has it."""

ACCOUNT = "laboratory"
PARTITION = "main"

CONTROLLER = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# Neither cgroups nor systemd.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
# Named so for historical reasons, this too is munge's socket.
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
# A finished job stays in squeue for as long as somebody may ask.
MinJobAge=3600
# What the node cannot give is refused at once; else it would wait for ever.
EnforcePartLimits=ALL
ReturnToService=2
KillWait=2
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# The node has as many cores as are asked for, not as many as are found.
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageTRES=gres/gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} CoresPerSocket={cpus} \\
RealMemory={memory} Gres=gpu:{gpus}
PartitionName={partition} Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

# Version 22.05 loads a plugin of cgroups even where none is used; this one loads unmounted.
CGROUPS = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"

# Files in the place of devices: a job that asks for a GPU is given one, and computes without.
GPUS = "AutoDetect=off\nName=gpu File={folder}/gpu[1-{gpus}]\n"

DATABASE = """
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
"""


INSTALL = "MINE_INSTALL_SLURM"
"""Variable of the environment that lets what is missing be installed, where it is set to 1."""


class Unavailable(Exception):
    """SLURM's packages are not here; the message says why, and how they come to be."""


def install_packages() -> None:
    """Install what is missing by apt, where the environment allows it.

    Raises Unavailable, with the reason, where that may not or cannot be done.
    """
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if os.geteuid() != 0:
        raise Unavailable("SLURM's daemons are started by root alone, and this is another user")
    if not missing:
        return
    install = ["install", "-y", "--no-install-recommends", *missing]
    if os.environ.get(INSTALL) != "1":
        raise Unavailable(f"run `apt-get {' '.join(install)}`, or set {INSTALL}=1")
    if shutil.which("apt-get") is None:
        raise Unavailable(f"no apt-get to install {', '.join(missing)} with")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], install):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, env=quiet)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unavailable(f"apt-get {command[0]} failed: {last}")


@dataclass
class Machine:
    """A running SLURM: what to give to the processes that talk to it."""

    folder: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def call(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def start(self, name: str, *arguments: str, answers: list[str]) -> None:
        """Start a daemon and wait until `answers`, a command, succeeds."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as stream:
            # An interrupt reaches the daemons by `stop` alone; where a test is killed they end too.
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", shutil.which(name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self.environment,
                start_new_session=True,
            )
        self.daemons[name] = daemon
        for _ in range(600):
            done = subprocess.run(answers, capture_output=True, env=self.environment)
            if done.returncode == 0:
                return
            if daemon.poll() is not None:
                raise RuntimeError(f"{name} ended: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        raise RuntimeError(f"{name} does not answer: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Cancel all jobs and end the daemons, the last one first."""
        if "slurmd" in self.daemons:
            self.call("scancel", "--user=root")
            for _ in range(100):
                if not self.call("squeue", "--noheader").strip():
                    break
                time.sleep(0.1)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def write_srun(folder: Path) -> None:
    """Write an srun that knows its SLURM: the executor takes SLURM_CONF from the jobs' steps."""
    path = folder / "bin/srun"
    path.parent.mkdir()
    path.write_text(
        f'#!/bin/sh\nexport SLURM_CONF={folder}/slurm.conf\nexec {shutil.which("srun")} "$@"\n'
    )
    path.chmod(0o755)


def write_configuration(folder: Path, *, cpus: int, memory: int, gpus: int) -> None:
    """Write what the daemons read: SLURM's files and munge's key."""
    controller, node, accounting = free_ports(3)
    values = {
        "host": socket.gethostname().partition(".")[0],
        "folder": folder,
        "controller": controller,
        "node": node,
        "accounting": accounting,
        "cpus": cpus,
        "memory": memory,
        "gpus": gpus,
        "partition": PARTITION,
    }
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number in range(gpus):
        (folder / f"gpu{number + 1}").touch()
    for name, text in (
        ("slurm.conf", CONTROLLER),
        ("cgroup.conf", CGROUPS),
        ("gres.conf", GPUS),
    ):
        (folder / name).write_text(text.format(**values))
    for name, content in (
        ("slurmdbd.conf", DATABASE.format(**values).encode()),
        ("munge.key", os.urandom(128)),
    ):
        path = folder / name
        path.touch(0o600)
        path.write_bytes(content)


def start_daemons(machine: Machine) -> None:
    """Start munge, the database, the accounting, the controller and the node, in this order."""
    folder = machine.folder
    munge, database = f"--socket={folder}/munge.socket", f"{folder}/database.socket"
    machine.start(
        "munged",
        "--foreground",
        munge,
        f"--key-file={folder}/munge.key",
        f"--pid-file={folder}/munged.pid",
        f"--seed-file={folder}/munge.seed",
        answers=["munge", "--no-input", munge],
    )
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={folder}/database",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
    )
    machine.start(
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={folder}/database",
        "--skip-networking",
        f"--socket={database}",
        f"--pid-file={folder}/mariadbd.pid",
        "--innodb-lock-wait-timeout=900",
        answers=["mariadb", "--no-defaults", f"--socket={database}", "--execute=select 1"],
    )
    machine.start("slurmdbd", "-D", answers=["sacctmgr", "--noheader", "show", "cluster"])
    for entity in (
        ("cluster", "test"),
        ("account", ACCOUNT, "cluster=test"),
        ("user", "root", f"account={ACCOUNT}"),
    ):
        machine.call("sacctmgr", "--immediate", "add", *entity)
    machine.start("slurmctld", "-D", answers=["sh", "-c", "scontrol ping | grep -q UP"])
    machine.start("slurmd", "-D", answers=["sh", "-c", "sinfo -h -o %t | grep -q idle"])


@contextlib.contextmanager
def run_machine(*, cpus: int = 8, memory: int = 200_000, gpus: int = 2) -> Iterator[Machine]:
    """Run SLURM with one node while the context lasts.

    Args:
        cpus: cores that the node offers, however many the machine has.
        memory: megabytes that it offers.
        gpus: GPUs that it offers, none of which is there.

    Raises:
        Unavailable: its packages are missing and may not, or cannot, be installed.
        RuntimeError: a daemon does not come up; the message has the end of its log.
    """
    install_packages()
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        # Munge wants to be reached by every user.
        folder.chmod(0o755)
        write_configuration(folder, cpus=cpus, memory=memory, gpus=gpus)
        write_srun(folder)
        # The database's socket is where its client library looks, for slurmdbd cannot be told.
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/usr/bin",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "MYSQL_UNIX_PORT": f"{folder}/database.socket",
        }
        machine = Machine(folder, environment)
        try:
            start_daemons(machine)
            yield machine
        finally:
            machine.stop()


if __name__ == "__main__":
    with run_machine() as running:
        print(f"export SLURM_CONF={running.environment['SLURM_CONF']}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
