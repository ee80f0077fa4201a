"""What main memory is left: of the machine, and of the control groups around a process; here as files in a folder."""

from pathlib import Path

import pytest

from lad.extraction.main_memory import available_bytes

MACHINE = 8_000 * 1024


@pytest.fixture
def root(tmp_path) -> Path:
    """A machine with 8,000 KiB available and no control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  16000 kB\nMemFree:  100 kB\nMemAvailable:   8000 kB\n")
    return tmp_path


def write(folder: Path, **files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_control_groups_it_is_what_the_machine_has_available(root):
    assert available_bytes(root) == MACHINE


def test_version_two_leaves_the_limit_less_what_is_used_and_not_a_cache_of_files(root):
    (root / "proc/self/cgroup").write_text("0::/slurm/job_7/step_0\n")
    groups = root / "sys/fs/cgroup"
    write(groups / "slurm/job_7/step_0", memory__max="max", memory__current=900)
    assert available_bytes(root) == MACHINE
    write(groups / "slurm/job_7", memory__max=5_000, memory__current=2_000)
    assert available_bytes(root) == 3_000, "the limit lies further up"
    stat = "anon 800\nfile 1200\ninactive_file 700\nactive_file 400\nshmem 100"
    write(groups / "slurm/job_7", memory__stat=stat)
    assert available_bytes(root) == 4_100
    write(groups / "slurm", memory__max=1_000, memory__current=1_500)
    assert available_bytes(root) == 0


def test_version_one_has_other_names_and_no_limit_is_a_vast_one(root):
    (root / "proc/self/cgroup").write_text("9:cpu,cpuacct:/job\n4:memory:/outside/of/the/container\n0::/\n")
    group = root / "sys/fs/cgroup/memory"
    write(group, memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=2_000)
    assert available_bytes(root) == MACHINE
    write(group, memory__limit_in_bytes=5_000, memory__stat="inactive_file 1\ntotal_inactive_file 600\ntotal_cache 9")
    assert available_bytes(root) == 3_600
    write(group / "outside", memory__limit_in_bytes=4_000, memory__usage_in_bytes=1_000)
    assert available_bytes(root) == 3_000
