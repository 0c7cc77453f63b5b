"""Starts the servers that a scenario talks to, on loopback and free ports, and ends them by their own process id.

Two kinds: `Lyceum` (the built binary) and `Synapse` (from PyPI, in a virtual environment). Both give every scenario
the same: a plain client listener, a TLS listener that federates under the name `localhost:PORT`, the shared secret
`SECRET` for registration, open registration with the dummy stage, no rate limits. One `Authority` signs the certificates.
What a scenario asks of a running server lives in `client.py`.
"""

import hashlib
import hmac
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

SECRET = "interop"
START_SECONDS = 60
STOP_SECONDS = 20


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Authority:
    """A certificate authority of this run alone, and the one certificate for `localhost` that it signed."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.certificate, self.key = folder / "ca.crt", folder / "tls.crt", folder / "tls.key"
        ca_key, request, names = folder / "ca.key", folder / "tls.csr", folder / "tls.ext"
        run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 7, "-subj", "/CN=Interop CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", ca_key, "-out", self.ca)
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n")
        run("x509", "-req", "-days", 7, "-in", request, "-extfile", names, "-CA", self.ca, "-CAkey", ca_key,
            "-set_serial", int(time.time()), "-out", self.certificate)


class Server:
    """A homeserver as a process of ours: started, stopped, killed, started again on the same ports and data."""

    kind = "server"

    def __init__(self, folder, authority, appservices=(), room_version=None):
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority, self.appservices, self.room_version = authority, list(appservices), room_version
        self.client_port, self.tls_port = free_port(), free_port()
        self.name = f"localhost:{self.tls_port}"
        self.url = f"http://127.0.0.1:{self.client_port}"
        self.log = self.folder / "server.log"
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        command, environment = self.command()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.folder, env={**os.environ, **environment})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended at its start with {self.process.returncode}:\n{self.tail()}")
            try:
                with urllib.request.urlopen(self.url + "/_matrix/client/versions", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"{self.kind} did not answer within {START_SECONDS} s:\n{self.tail()}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"# {self.kind} did not stop within {STOP_SECONDS} s and was killed", file=sys.stderr)
            self.kill()

    def kill(self):
        """As a power cut would: no warning."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Lyceum(Server):
    kind = "lyceum"

    def __init__(self, folder, authority, binary=None, engine="sled", extra="", **more):
        super().__init__(folder, authority, **more)
        self.binary = binary or os.environ.get("LYCEUM_BIN")
        if not self.binary:
            raise RuntimeError("LYCEUM_BIN must name the lyceum binary")
        self.binary = str(pathlib.Path(self.binary).resolve())
        self.config = self.folder / "config.toml"
        self.config.write_text(self.toml(engine) + extra)

    def toml(self, engine):
        q, authority = json.dumps, self.authority
        apis = 'apis = ["client", "federation", "admin"]'
        return f"""[server]
name = {q(self.name)}
data_dir = {q(str(self.folder / "data"))}

[storage]
engine = {q(engine)}

[[listeners]]
address = {q(f"127.0.0.1:{self.client_port}")}
{apis}

[[listeners]]
address = {q(f"127.0.0.1:{self.tls_port}")}
{apis}
tls = {{ certificate = {q(str(authority.certificate))}, key = {q(str(authority.key))} }}

[registration]
mode = "open"
shared_secret = {q(SECRET)}

[rate_limits]
enabled = false

[federation]
enabled = true
allow_private_networks = true
trusted_ca_files = [{q(str(authority.ca))}]

[rooms]
default_version = {q(self.room_version or "12")}

[appservices]
files = {q([str(f) for f in self.appservices])}
"""

    def command(self):
        return [self.binary, "serve", "--config", str(self.config)], {"RUST_BACKTRACE": "1"}


class Synapse(Server):
    kind = "synapse"

    def __init__(self, folder, authority, python=None, **more):
        super().__init__(folder, authority, **more)
        self.python = python or os.environ.get("SYNAPSE_PYTHON")
        if not self.python:
            raise RuntimeError("SYNAPSE_PYTHON must name the python of a virtual environment with matrix-synapse")
        self.config = self.folder / "homeserver.yaml"
        self.config.write_text(json.dumps(self.settings(), indent=1))  # JSON is YAML

    def settings(self):
        logs = self.folder / "log.yaml"
        logs.write_text(json.dumps({
            "version": 1, "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"level": os.environ.get("SYNAPSE_LOG_LEVEL", "WARNING"), "handlers": ["console"]}}))
        free = {"per_second": 100_000, "burst_count": 100_000}
        return {
            "server_name": self.name, "public_baseurl": self.url + "/", "report_stats": False,
            "pid_file": str(self.folder / "pid"), "log_config": str(logs),
            "signing_key_path": str(self.folder / "signing.key"),
            "media_store_path": str(self.folder / "media"),
            "macaroon_secret_key": "macaroon", "form_secret": "form", "registration_shared_secret": SECRET,
            "tls_certificate_path": str(self.authority.certificate), "tls_private_key_path": str(self.authority.key),
            "listeners": [
                {"port": self.client_port, "type": "http", "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["client", "federation"]}]},
                {"port": self.tls_port, "type": "http", "tls": True, "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["client", "federation"]}]}],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "app_service_config_files": [str(f) for f in self.appservices],
            "default_room_version": self.room_version or "12",
            "trusted_key_servers": [], "federation_custom_ca_list": [str(self.authority.ca)],
            "ip_range_blacklist": [], "federation_ip_range_blacklist": [],
            "allow_public_rooms_over_federation": True, "allow_public_rooms_without_auth": True,
            "allow_device_name_lookup_over_federation": True,
            "room_list_publication_rules": [{"action": "allow"}],
            "enable_registration": True, "enable_registration_without_verification": True, "bcrypt_rounds": 4,
            "user_directory": {"search_all_users": True},
            "rc_message": free, "rc_registration": free, "rc_admin_redaction": free, "rc_joins_per_room": free,
            "rc_room_creation": free, "rc_user_directory": free, "rc_delayed_event_mgmt": free,
            "rc_login": {"address": free, "account": free, "failed_attempts": free},
            "rc_joins": {"local": free, "remote": free}, "rc_presence": {"per_user": free},
            "rc_invites": {"per_room": free, "per_user": free, "per_issuer": free},
            "rc_federation": {"window_size": 1000, "sleep_limit": 1000, "sleep_delay": 10, "reject_limit": 100_000,
                              "concurrent": 50},
            "rc_key_requests": free, "max_event_delay_duration": "24h",
            "federation": {"destination_min_retry_interval": "1s", "destination_max_retry_interval": "2s",
                           "destination_retry_multiplier": 2},
            "experimental_features": {"msc4222_enabled": True, "msc3874_enabled": True,
                                      "msc4155_enabled": True, "msc3391_enabled": True,
                                      "msc2409_to_device_messages_enabled": True, "msc3202_transaction_extensions": True,
                                      "msc3202_device_masquerading": True},
        }

    def command(self):
        key = self.folder / "signing.key"
        if not key.exists():
            subprocess.run([self.python, "-m", "synapse._scripts.generate_signing_key", "-o", str(key)], check=True)
        return [self.python, "-m", "synapse.app.homeserver", "-c", str(self.config)], {"SYNAPSE_CACHE_FACTOR": "1"}


def started(kind, folder, authority, **more):
    """A server of the kind named by a suite's `--server`: `lyceum` or `synapse`."""
    return {"lyceum": Lyceum, "synapse": Synapse}[kind](folder, authority, **more)


def register_by_secret(server, user, password, admin):
    """The shared-secret registration that both servers offer under Synapse's path."""
    path = server.url + "/_synapse/admin/v1/register"
    with urllib.request.urlopen(path, timeout=10) as answer:
        nonce = json.load(answer)["nonce"]
    mac = hmac.new(SECRET.encode(), digestmod=hashlib.sha1)
    mac.update("\0".join([nonce, user, password, "admin" if admin else "notadmin"]).encode())
    body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac.hexdigest()}
    request = urllib.request.Request(path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def trusting(authority):
    """A TLS context that believes this run's authority."""
    return ssl.create_default_context(cafile=str(authority.ca))
