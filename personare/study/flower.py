"""The network between sites and their server: Flower, with TLS and a key for each site.

Flower 1.42 answers everybody at one port: its sites, and whoever runs programs at the server or names sites. So its
SuperLink listens on this machine alone, and only what sites ask is let through from outside. A site asks Flower for
messages and answers them itself: the program that comes with a run is never loaded there.
"""

import datetime
import ipaddress
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from personare.core.atomic import make_folder, replacing, write_json, write_text
from personare.core.errors import ClusterError, DataError, OptionError, data_errors
from personare.study.federating import FederatedPlan, Message, Node, Server

_HERE = ipaddress.ip_address("127.0.0.1")
_FLEET = "/v1/fleet/"  # of Flower's addresses, those of sites
_DAYS = 825  # that a certificate is valid
_POLL_S = 0.2
_ANSWER_S = 60  # in which Flower must start
_APP = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "personare-federate"
version = "1.0.0"
license = "Apache-2.0"
dependencies = []
[tool.flwr.app]
publisher = "personare"
[tool.flwr.app.components]
serverapp = "conducted:server"
clientapp = "conducted:client"
[tool.flwr.app.config]
plan = ""
out = ""
"""
_CODE = """\
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from personare.study.flower import conduct

server = ServerApp()
client = ClientApp()
server.main()(conduct)
"""


def _check_installed() -> None:
    if not find_spec("flwr"):
        raise OptionError("Flower is not installed. Run: pip install 'personare[federated]'.")


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment in which Flower keeps its files in a folder and tells nobody anything."""
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": str(folder / "flower")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, **quiet, "PATH": path}


def site_key(path: Path) -> Path:
    """Make the key by which a server knows a site, unless it is there; return its public half, for the server."""
    public = path.with_name(path.name + ".pub")
    if not path.exists():
        make_folder(path.parent)
        key = ec.generate_private_key(ec.SECP384R1())
        _write_key(path, key)
        encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        write_text(public, key.public_key().public_bytes(encoding, form).decode())
    return public


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    form = serialization.PrivateFormat.PKCS8
    with replacing(path, private=True) as part:
        part.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def certificate(folder: Path, host: str) -> Path:
    """Make a server's key and certificate for a host, unless they are there; return what sites need, ``server.pem``."""
    file = make_folder(folder) / "server.pem"
    if file.exists():
        return file
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = datetime.datetime.now(datetime.UTC)
    try:
        outside: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        outside = x509.DNSName(host)
    hosts = x509.SubjectAlternativeName([outside, x509.DNSName("localhost"), x509.IPAddress(_HERE)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)  # it is its own authority
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / "server.key", key)
    write_text(file, made.public_bytes(serialization.Encoding.PEM).decode())
    return file


@contextmanager
def superlink(folder: Path, sites: Sequence[Path]) -> Iterator[int]:
    """Run Flower's SuperLink on this machine alone, which knows the public keys of ``sites``; give its port.

    Raises:
        ClusterError: It did not start.
    """
    _check_installed()
    with socket.socket() as free:
        free.bind((str(_HERE), 0))
        port = free.getsockname()[1]
    pem, home = folder / "server.pem", make_folder(folder / "flower")
    where = f'address = "{_HERE}:{port}"\nroot-certificates = {json.dumps(str(pem.resolve()))}'
    write_text(home / "config.toml", f'[superlink]\ndefault = "here"\n[superlink.here]\n{where}\n')
    words: list[str | Path] = ["flower-superlink", "--host", str(_HERE), "--port", str(port), "--enable-supernode-auth"]
    words += ["--ssl-certfile", pem, "--ssl-ca-certfile", pem, "--ssl-keyfile", folder / "server.key"]
    words += ["--disable-runtime-dependency-installation"]
    log = (home / "output.log").open("wb")
    with log, subprocess.Popen(words, env=_environment(folder), stdout=log, stderr=log, start_new_session=True) as link:
        try:
            _wait_for(port, link, log.name)
            for public in sites:
                _flwr(folder, "supernode", "register", str(public), "here")
            yield port
        finally:
            with suppress(ProcessLookupError):  # its children too
                os.killpg(link.pid, signal.SIGTERM)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: str) -> None:
    until = time.monotonic() + _ANSWER_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection((str(_HERE), port), 1):
            return
        time.sleep(_POLL_S)
    raise ClusterError(f"Flower's SuperLink did not start. What it said is in {log}.")


def _flwr(folder: Path, *words: str) -> str:
    """Run Flower's own command against the SuperLink of a folder, and return what it said."""
    done = subprocess.run(["flwr", *words], env=_environment(folder), capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"Flower refused '{words[0]} {words[1]}': {(done.stderr or done.stdout).strip()}")
    return done.stdout


def reverse_proxy(folder: Path, port: int) -> Any:
    """Return an ASGI app that lets through to a SuperLink what sites ask, and nothing else.

    **Guarantee**: a request whose path, as it would be passed on, is not one of Flower's fleet gets 404.
    """
    import httpx
    from fastapi import FastAPI, Request, Response

    trusted = ssl.create_default_context(cafile=folder / "server.pem")
    inside = httpx.AsyncClient(base_url=f"https://{_HERE}:{port}", verify=trusted, timeout=_ANSWER_S)
    app = FastAPI(openapi_url=None)

    @app.post("/{path:path}")
    async def pass_on(path: str, request: Request) -> Response:
        if not re.fullmatch(_FLEET + "[a-z-]+", request.url.path):
            return Response(status_code=404)
        kept = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        answer = await inside.post(request.url.path, content=await request.body(), headers=kept)
        return Response(answer.content, answer.status_code, {"content-type": answer.headers.get("content-type", "")})

    return app


def serve(folder: Path, host: str, port: int, sites: Sequence[Path], tell: Callable[[str], object]) -> None:
    """Let sites in until Ctrl-C, and whoever may use this machine run plans with them."""
    import uvicorn

    pem = certificate(folder, host)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Flower's processes are ended, too
    with superlink(folder, sites) as inner:
        tell(f"Give each site {pem}. It joins with: personare federate join COHORT --server {host}:{port}")
        uvicorn.run(
            reverse_proxy(folder, inner),
            host=host,
            port=port,
            ssl_certfile=pem,
            ssl_keyfile=folder / "server.key",
            log_level="warning",
        )


def run(folder: Path, plan: Path, out: Path) -> Mapping[str, Any]:
    """Run a plan on the server of a folder; return what is in ``federation.json`` beside the model.

    Raises:
        ClusterError: Nothing was learned, and why.
    """
    _check_installed()
    with data_errors(f"The plan {plan} cannot be read", "Give a file as docs/federation.md shows one."):
        asked = FederatedPlan.read(plan.read_text(encoding="utf-8"))
    if not (folder / "flower" / "config.toml").is_file():
        raise DataError(
            f"{folder} must be the folder of a server on this machine. Start one: personare federate serve."
        )
    if out.exists():
        raise DataError(f"{out} must not be there yet. Name another folder.")
    with tempfile.TemporaryDirectory() as app:
        write_text(Path(app) / "pyproject.toml", _APP)
        write_text(Path(app) / "conducted.py", _CODE)
        config = f'plan="{plan.resolve()}" out="{out.resolve()}"'
        said = _flwr(folder, "run", app, "here", "--run-config", config, "--stream")
    record = out / "federation.json"
    if not record.is_file():
        raise ClusterError(f"{asked.model.name} was not learned. Flower said: {said[-2000:]}")
    content: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return content


def conduct(grid: Any, context: Any) -> None:
    """Be the program that Flower runs at the server: wait for sites, learn with them, and write the model."""
    plan = FederatedPlan.read(Path(context.run_config["plan"]).read_text(encoding="utf-8"))
    out, until = Path(context.run_config["out"]), time.monotonic() + plan.wait_s
    while len(sites := list(grid.get_node_ids())) < plan.model.sites and time.monotonic() < until:
        time.sleep(_POLL_S)
    server = Server(plan=plan, exchange=partial(_exchange, grid), run=uuid4().hex, tell=print)
    learned = server(sites)
    with replacing(out / "model.safetensors") as part:
        part.write_bytes(learned.model)
    write_text(out / "plan.toml", plan.text)
    write_json(out / "federation.json", {**learned._asdict(), "model": "model.safetensors"})


def _exchange(grid: Any, messages: Mapping[int, Message], wait_s: float) -> dict[int, Message]:
    from flwr.app import Message as FlowerMessage

    there = {*grid.get_node_ids()}
    sent = [FlowerMessage(_record(message), site, "query") for site, message in messages.items() if site in there]
    waiting, answers, until = {*grid.push_messages(sent)} - {None}, dict[int, Message](), time.monotonic() + wait_s
    while waiting and time.monotonic() < until:
        for reply in grid.pull_messages(waiting):
            waiting.discard(reply.metadata.reply_to_message_id)
            if reply.has_content():
                answers[reply.metadata.src_node_id] = _unpacked(reply)
        time.sleep(_POLL_S)
    return answers


def _record(message: Message) -> Any:
    from flwr.app import ConfigRecord, RecordDict

    numbers = {"type": message.numbers.dtype.str, "numbers": np.ascontiguousarray(message.numbers).tobytes()}
    return RecordDict({"message": ConfigRecord({"facts": json.dumps(message.facts), **numbers})})


def _unpacked(message: Any) -> Message:
    record = message.content["message"]
    kind = np.dtype(record["type"])
    if kind.kind not in "fiub":
        raise DataError("A message holds numbers alone.")
    return Message(json.loads(record["facts"]), np.frombuffer(record["numbers"], dtype=kind))


def join(node: Node, server: str, pem: Path, key: Path) -> None:
    """Answer a server's messages until Ctrl-C, with the key by which it knows this site.

    Raises:
        ClusterError: It cannot be reached, its certificate is another one, or it does not know the key.
    """
    _check_installed()
    os.environ.update({name: value for name, value in _environment(key.parent).items() if name.startswith("FLWR_")})
    from flwr.app import Message as FlowerMessage
    from flwr.supercore.inflatable.inflatable_object import (
        get_all_nested_objects,
        get_object_tree,
        no_object_id_recompute,
    )
    from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree, push_objects
    from flwr.supernode.fleet_http_connection import http_request_response

    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    keys: Any = (private, private.public_key())
    try:
        with http_request_response(server, False, str(pem), keys, max_retries=3) as connection:
            _, receive, send, _, _, pull, push, confirm = connection
            node.tell(f"Joined {server} as {node.name}. End with Ctrl-C.")
            while True:
                if (received := receive()) is None:
                    time.sleep(_POLL_S)
                    continue
                number, tree = received[0].metadata.run_id, received[1]
                message = pull_and_inflate_object_from_tree(
                    tree, partial(pull, number), partial(confirm, number), return_type=FlowerMessage
                )
                message.metadata.__dict__["_message_id"] = tree.object_id  # as Flower's own sites do
                started = time.monotonic()
                reply = FlowerMessage(_record(node(_unpacked(message))), reply_to=message)
                reply.metadata.__dict__["_message_id"] = reply.object_id
                with no_object_id_recompute():
                    wanted, session = send(reply, get_object_tree(reply), time.monotonic() - started)
                    push_objects(
                        get_all_nested_objects(reply), partial(push, number, session), object_ids_to_push=wanted
                    )
    except SystemExit as error:  # Flower's way to end
        raise ClusterError(
            f"The server {server} did not let this site in; Flower said why above. Check the address, that {pem} is "
            f"its certificate, and that it was given {key}.pub."
        ) from error
