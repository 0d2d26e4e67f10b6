"""The installer gets uv from any package index, by password too, and runs no file that the lock does not name."""

import base64
import hashlib
import http.server
import importlib.util
import io
import json
import platform
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
WHEEL = f"uv-9.9.9-py3-none-manylinux_2_17_{platform.machine()}.manylinux2014_{platform.machine()}.whl"
OTHERS = ["uv-9.9.9-py3-none-win_amd64.whl", "uv-9.9.8-py3-none-manylinux_2_17_x86_64.whl", "uv-9.9.9.tar.gz"]


def wheel_bytes():
    """A wheel whose uv program answers like one."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("uv-9.9.9.data/scripts/uv", "#!/bin/sh\necho uv 9.9.9\n")
    return data.getvalue()


@pytest.fixture
def index():
    """A package index on a loopback socket: `answers` maps a path to (content type, body); `password` closes it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            sent = self.headers.get("Authorization", "")
            wanted = server.password and "Basic " + base64.b64encode(server.password.encode()).decode()
            status = 401 if wanted and sent != wanted else 200 if self.path in server.answers else 404
            kind, body = server.answers[self.path] if status == 200 else ("text/plain", b"")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = {f"/files/{WHEEL}": ("application/zip", wheel_bytes())}
    server.password = ""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bootstrap(tmp_path, monkeypatch, index):
    """The script as a module, with folders and a lock of its own and the index as the machine's."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", SCRIPTS / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.TOOLS = tmp_path / "tools"
    module.TOOLS.mkdir()
    module.TOOLS_LOCK = tmp_path / "requirements-tools.lock"
    module.TOOLS_LOCK.write_text(f"uv==9.9.9 \\\n    --hash=sha256:{hashlib.sha256(wheel_bytes()).hexdigest()}\n")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple")
    return module


def as_html(names):
    links = "".join(f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in names)
    return "text/html", f"<html><body>{links}</body></html>".encode()


def as_json(names):
    files = [{"filename": name, "url": f"/files/{name}", "hashes": {}} for name in names]
    return "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()


def fetch(bootstrap, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    bootstrap._by_index(folder)
    return bootstrap._unpack_uv(folder)


@pytest.mark.parametrize("form", [as_html, as_json])
@pytest.mark.parametrize("password", ["", "reader:p@ss word"])
def test_the_wheel_for_this_machine_comes_from_the_configured_index(
    bootstrap, index, tmp_path, monkeypatch, form, password
):
    index.answers["/simple/uv/"] = form([*OTHERS, WHEEL])
    index.password = password
    login = "reader:p%40ss%20word@" if password else ""
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{login}127.0.0.1:{index.server_port}/simple/")
    uv = fetch(bootstrap, tmp_path)
    assert subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout == "uv 9.9.9\n"


def test_a_file_whose_hash_the_lock_does_not_name_is_never_run(bootstrap, index, tmp_path):
    index.answers["/simple/uv/"] = as_html([WHEEL])
    index.answers[f"/files/{WHEEL}"] = ("application/zip", wheel_bytes() + b" ")
    with pytest.raises(bootstrap.BootstrapError, match="hash is not in"):
        fetch(bootstrap, tmp_path)
    assert not (bootstrap.TOOLS / "uv").exists()


def test_an_index_without_a_wheel_for_this_machine_is_told(bootstrap, index, tmp_path):
    index.answers["/simple/uv/"] = as_html(OTHERS)
    with pytest.raises(bootstrap.BootstrapError, match=r"no uv 9\.9\.9 for manylinux"):
        fetch(bootstrap, tmp_path)


def test_pip_conf_tells_the_index_and_uv_is_told_in_turn(bootstrap, tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror.example/simple\ncert = /etc/ssl/mirror.pem\n")
    for name in ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    environment = bootstrap.uv_environment()
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert environment["SSL_CERT_FILE"] == "/etc/ssl/mirror.pem"
    assert bootstrap._configured_index() == "https://mirror.example/simple"


def test_when_nothing_works_every_way_and_every_remedy_is_named(bootstrap, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setattr(bootstrap.sys, "executable", "/nonexistent/python")
    with pytest.raises(bootstrap.BootstrapError) as failure:
        bootstrap.find_uv()
    for words in ("by pip", "from the package index", "from apt", "apt-get install python3-venv", "PIP_INDEX_URL"):
        assert words in str(failure.value)
