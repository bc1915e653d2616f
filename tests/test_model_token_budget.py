"""How much memory vision tokens may take: a share of what is free (machine, container, GPU), or what is asked for."""

import psutil
import pytest
import torch

from app.model import token_budget
from app.model.token_budget import SHARE_OF_GPU, SHARE_OF_RAM, TokenBudget, free_memory

GB = 1_000_000_000


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 100 GB free; control groups are what a test writes into the folder."""
    free = psutil.virtual_memory()._replace(available=100 * GB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(token_budget, "CGROUP", tmp_path)
    return tmp_path


def write_group(folder, version, most, used, files):
    names = {
        2: ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        1: (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    }[version]
    (folder / "memory").mkdir(exist_ok=True)
    (folder / names[0]).write_text(f"{most}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / names[2]).write_text(f"anon 1\n{names[3]} {files}\nslab 2\n")


def test_without_a_container_the_machine_counts(machine):
    assert free_memory("cpu") == 100 * GB == free_memory("mps")
    assert TokenBudget().on("cpu") == int(SHARE_OF_RAM * 100 * GB)
    assert TokenBudget(sharers=4).on("cpu") == int(SHARE_OF_RAM * 25 * GB)


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_s_bound_counts_and_files_in_memory_do_not(machine, version):
    write_group(machine, version, 8 * GB, 7 * GB, 3 * GB)
    assert free_memory("cpu") == 4 * GB
    write_group(machine, version, 8 * GB, 9 * GB, 0)
    assert free_memory("cpu") == 0 == TokenBudget().on("cpu")
    write_group(machine, version, 1 << 62, 9 * GB, 0)  # version 1 without a bound
    assert free_memory("cpu") == 100 * GB


@pytest.mark.parametrize("most", ["max", "", "lots"])
def test_a_container_without_a_bound_is_the_machine(machine, most):
    write_group(machine, 2, most, 7 * GB, 0)
    assert free_memory("cpu") == 100 * GB


def test_a_gpu_counts_by_itself(machine, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: asked.append(device) or (60 * GB, 80 * GB))
    assert TokenBudget(sharers=2).on("cuda:1") == int(SHARE_OF_GPU * 60 * GB / 2)
    assert asked == [torch.device("cuda:1")]


def test_what_is_asked_for_is_taken_as_it_is(machine):
    assert TokenBudget(0).on("cpu") == 0 and TokenBudget(5 * GB, sharers=3).on("cuda") == 5 * GB


def test_this_machine_has_memory_and_not_without_end():
    assert 0 < free_memory("cpu") <= psutil.virtual_memory().total
