"""What a service manager hears, on a socket as systemd makes it."""

import asyncio
import os
import socket

import pytest

from chartwire.app.notify import ServiceManager


@pytest.fixture
def heard(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_ready_status_and_stopping_are_told_and_children_inherit_no_voice(heard):
    environ = {"NOTIFY_SOCKET": heard.getsockname(), "HOME": "/"}
    manager = ServiceManager(environ)
    manager.status("starting\nPostgreSQL")
    manager.ready("serving https://hub.example.org/")
    manager.stopping()
    told = [heard.recv(500).decode() for _ in range(3)]
    assert told == ["STATUS=starting PostgreSQL", "READY=1\nSTATUS=serving https://hub.example.org/", "STOPPING=1"]
    assert environ == {"HOME": "/"}


def test_an_abstract_socket_is_reached():
    name = f"chartwire-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        listening.settimeout(5)
        assert listening.recv(100) == b"STOPPING=1"


async def test_the_watchdog_hears_a_beat_thrice_a_term_for_our_process_only(heard):
    watched = {"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": "60000"}
    beating = asyncio.create_task(ServiceManager(watched | {"WATCHDOG_PID": str(os.getpid())}).keep_beating())
    for _ in range(3):
        assert await asyncio.to_thread(heard.recv, 100) == b"WATCHDOG=1"
    beating.cancel()
    await ServiceManager(watched | {"WATCHDOG_PID": "1"}).keep_beating()  # returns: it is for another


def test_without_a_service_manager_and_with_one_that_is_gone_nothing_happens(tmp_path):
    ServiceManager({}).ready("up")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).stopping()
