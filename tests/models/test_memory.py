"""How much memory a process may take: of the machine, and of the control groups it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models._memory import Memory, available_memory, read_memory

GB = 10**9
V2 = "0::/tenant/job\n"
V1 = "5:cpu:/\n4:memory:/tenant/job\n0::/\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 32 GB, of which 20 are free."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(
        f"MemTotal: {32 * GB // 1024} kB\nMemAvailable:  {20 * GB // 1024} kB\nHugePages_Total:       0\n"
    )
    return tmp_path


def group(root: Path, cgroup: str, folder: str, **files: str) -> None:
    (root / "proc/self/cgroup").write_text(cgroup)
    path = root / "sys/fs/cgroup" / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)


def test_without_a_container_it_is_what_the_machine_has(root: Path) -> None:
    assert read_memory(root) == Memory(32 * GB, 20 * GB, None)
    group(root, V2, "tenant/job", memory__max="max\n", memory__current="5\n")
    assert read_memory(root).limit is None
    group(root, V1, "memory", memory__limit_in_bytes="9223372036854771712\n", memory__usage_in_bytes="5\n")
    assert read_memory(root).limit is None


@pytest.mark.parametrize("folder", ["tenant/job", "tenant", ""])
def test_a_container_has_what_its_group_or_one_above_leaves_and_read_files_do_not_count(
    root: Path, folder: str
) -> None:
    stat = f"anon 1\ninactive_file {2 * GB}\n"
    group(root, V2, folder, memory__max=f"{8 * GB}\n", memory__current=f"{5 * GB}\n", memory__stat=stat)
    assert read_memory(root) == Memory(32 * GB, 5 * GB, 8 * GB)


def test_the_older_version_of_control_groups_is_read_too(root: Path) -> None:
    files = {"memory__limit_in_bytes": f"{4 * GB}", "memory__usage_in_bytes": f"{5 * GB}"}
    group(root, V1, "memory/tenant/job", **files)
    assert read_memory(root) == Memory(32 * GB, 0, 4 * GB)


def test_a_machine_that_is_fuller_than_the_container_decides(root: Path) -> None:
    group(root, V2, "tenant", memory__max=f"{30 * GB}", memory__current="0")
    assert read_memory(root) == Memory(32 * GB, 20 * GB, 30 * GB)


def test_this_machine_has_memory() -> None:
    found = available_memory()
    assert found is None or found > 10_000_000
