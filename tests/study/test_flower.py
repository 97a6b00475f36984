"""Flower under a federation: keys, certificates, what is let through, and a plan over real processes."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from cryptography import x509

from personare.core.errors import OptionError
from personare.study.flower import certificate, reverse_proxy, run, site_key
from personare.study.kinds.models import load_model

PLAN = """\
expires = 2999-12-31
classes = ["anger", "happiness"]
wait_s = 120
[model]
name = "wards"
method = "private_head"
label = "emotion"
modalities = ["eda"]
sites = 3
rounds = 2
secure = true
options = { steps = 2, epsilon = 8.0, delta = 0.01 }
"""


def test_a_key_and_a_certificate_are_made_once_and_their_secrets_are_their_owners(tmp_path):
    public, pem = site_key(tmp_path / "north.key"), certificate(tmp_path / "server", "10.0.0.7")
    before = [path.read_bytes() for path in (public, pem)]
    assert (site_key(tmp_path / "north.key"), certificate(tmp_path / "server", "10.0.0.7")) == (public, pem)
    assert [path.read_bytes() for path in (public, pem)] == before
    assert before[0].startswith(b"ecdsa-sha2-nistp384 ")
    assert [path.stat().st_mode & 0o77 for path in (tmp_path / "north.key", tmp_path / "server" / "server.key")] == [
        0,
        0,
    ]
    names = x509.load_pem_x509_certificate(before[1]).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(name.value) for name in names.value} == {"10.0.0.7", "127.0.0.1", "localhost"}
    ssl.create_default_context(cafile=str(pem))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/runtime/pull-task-input",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet",
        "/",
    ],
)
def test_guarantee_nobody_outside_reaches_what_runs_programs_at_the_server(tmp_path, path):
    from fastapi.testclient import TestClient

    certificate(tmp_path, "localhost")
    assert TestClient(reverse_proxy(tmp_path, 1)).post(path).status_code == 404


@pytest.mark.skipif(find_spec("flwr") is not None, reason="Flower is installed here")
def test_without_flower_what_to_install_is_said(tmp_path):
    with pytest.raises(OptionError, match=r"personare\[federated\]"):
        run(tmp_path, tmp_path / "plan.toml", tmp_path / "out")


@pytest.fixture
def started():
    """Start the command line in processes of their own, and end them."""
    processes = []

    def start(*words):
        command = [sys.executable, "-m", "personare", "federate", *map(str, words)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return processes[-1]

    yield start
    for process in reversed(processes):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("flwr") is None, reason="Flower is not installed (the extra federated)")
def test_three_sites_learn_over_flower_and_a_stranger_is_not_let_in(tmp_path, speakers, started):
    keys = [site_key(tmp_path / f"site{n}.key") for n in range(3)]
    folder, port = tmp_path / "server", 20000 + os.getpid() % 20000
    server = started("serve", folder, "--port", port, *(word for key in keys for word in ("--site", key)))
    assert "Give each site" in server.stdout.readline()
    join = ["--server", f"localhost:{port}", "--certificate", folder / "server.pem", "--key"]
    for n in range(3):
        speakers(tmp_path / f"cohort{n}", people=4 + n, each=4, tracks=("eda",))
        terms = ["--secure-only", "--epsilon", 10, "--delta", 0.01]
        site = started("join", tmp_path / f"cohort{n}", *join, tmp_path / f"site{n}.key", *terms)
        assert "Joined" in site.stdout.readline()
    site_key(tmp_path / "stranger.key")
    stranger = started("join", tmp_path / "cohort0", *join, tmp_path / "stranger.key")
    forged = started(
        "join",
        tmp_path / "cohort0",
        *join[:3],
        certificate(tmp_path / "other", "localhost"),
        *join[4:],
        keys[0].with_suffix(""),
    )
    for refused in (stranger, forged):
        assert "did not let this site in" in refused.communicate(timeout=120)[0] and refused.returncode == 2

    (tmp_path / "plan.toml").write_text(PLAN)
    time.sleep(1)
    words = [sys.executable, "-m", "personare", "federate", "run", tmp_path / "plan.toml"]
    words += ["--server", folder, "--out", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Sites: " in done.stdout and "Epsilon: " in done.stdout
    record = json.loads((tmp_path / "out" / "federation.json").read_text())
    assert sorted(record["sites"]) == ["site0", "site1", "site2"] and record["cost"][0] == pytest.approx(8, rel=0.02)
    assert load_model(tmp_path / "out" / "model.safetensors")[0].classes == ("anger", "happiness")
