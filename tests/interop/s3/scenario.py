"""Media in a bucket: the built server against moto's S3 service, which checks every signature.

INTEROP_PLACE names where the servers keep their data. What is in the bucket is looked at with boto3, as an operator would.
"""

import http.client
import json
import os
import pathlib
import secrets
import struct
import subprocess
import sys
import time
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Person, raw  # noqa: E402
from servers import Authority, Lyceum, free_port, register_by_secret  # noqa: E402
from story import Story, equal, eventually, expect  # noqa: E402

BUCKET, PREFIX = "campus-media", "lyceum/files-of-one"
START_SECONDS = 60
# Larger than what is sent in one piece.
LARGE_BYTES = 20 * 1024 * 1024 + 7
# Of these the key and its rights are made; whatever comes after must be signed.
CALLS_UNSIGNED = 3
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class Service:
    """moto's server on loopback, with one bucket and one key."""

    def __init__(self, place):
        self.url = f"http://127.0.0.1:{free_port()}"
        place.mkdir(parents=True, exist_ok=True)
        with open(place / "moto.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", self.url.rpartition(":")[2]], stdout=log, stderr=log,
                env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(CALLS_UNSIGNED)})
        self.wait()
        people = self.client("iam", "nobody", "nothing")
        people.create_user(UserName="lyceum")
        people.put_user_policy(UserName="lyceum", PolicyName="all", PolicyDocument=json.dumps(POLICY))
        key = people.create_access_key(UserName="lyceum")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.s3 = self.client("s3", self.key, self.secret)

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=2)
                connection.connect()
                connection.close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("moto did not start")

    def client(self, kind, key, secret):
        return boto3.client(kind, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
                            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))

    def names(self, below=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/{below}")
        return [found["Key"].removeprefix(PREFIX + "/") for page in pages for found in page.get("Contents", [])]

    def bytes_of(self, name):
        return self.s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")["Body"].read()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def settings(self, place, **other):
        secret = place / "s3-secret"
        secret.write_text(other.pop("secret", self.secret) + "\n")
        all_of_it = {"bucket": BUCKET, "endpoint": self.url, "access_key_id": self.key, "prefix": PREFIX, **other}
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in all_of_it.items())
        return (f'\n[media]\nstorage = "s3"\n\n[media.s3]\nallow_http = true\n{lines}'
                f"secret_access_key_file = {json.dumps(str(secret))}\n")


def picture(width, height):
    """A PNG of noise, as no compression makes small."""
    rows = b"".join(b"\0" + secrets.token_bytes(width * 3) for _ in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def uploads(person, content, kind="application/octet-stream"):
    status, _, answer = raw(person.server, person.token, "POST", "/_matrix/media/v3/upload", content, {"Content-Type": kind})
    equal(status, 200, "the answer to the upload")
    return json.loads(answer)["content_uri"].removeprefix("mxc://")


def downloads(person, address, headers=None, kind="download", **query):
    return raw(person.server, person.token, "GET", f"/_matrix/client/v1/media/{kind}/{address}", headers=headers, query=query)


def refusal(place, authority, settings):
    """What a server says that does not start."""
    server = Lyceum(place, authority, extra=settings)
    try:
        server.start()
    except RuntimeError as why:
        return str(why)
    server.stop()
    return "it started"


def keeping(story, service, server, alice):
    small, large, shown = secrets.token_bytes(3000), secrets.token_bytes(LARGE_BYTES), picture(900, 700)
    kept = {}
    with story.step("a file goes into the bucket and comes back"):
        kept["small"] = uploads(alice, small)
        status, _, content = downloads(alice, kept["small"])
        equal((status, content == small), (200, True), "the file")
        files = service.names("files/")
        equal(len(files), 1, "the number of files in the bucket")
        equal(service.bytes_of(files[0]) == small, True, "the file in the bucket being the one that was sent")
        expect(not (server.folder / "data/media/files").exists(), "nothing to be kept on the disk")
        equal(list((server.folder / "data/media/incoming").iterdir()), [], "what is left of the upload")
    with story.step("the same bytes are kept once"):
        uploads(alice, small)
        equal(len(service.names("files/")), 1, "the number of files in the bucket")
    with story.step("an empty file is a file too"):
        status, _, content = downloads(alice, uploads(alice, b""))
        equal((status, content), (200, b""), "the file")
    with story.step("a large file is sent in parts and comes back"):
        kept["large"] = uploads(alice, large)
        status, _, content = downloads(alice, kept["large"])
        equal((status, content == large), (200, True), "the file")
        tags = [service.s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")["ETag"] for name in service.names("files/")]
        expect(any("-3" in tag for tag in tags), "a file of three parts", tags)
        equal(service.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [], "unfinished uploads")
    with story.step("a range of it is the same range"):
        status, headers, content = downloads(alice, kept["large"], {"Range": "bytes=9000000-9000099"})
        equal((status, content == large[9_000_000:9_000_100]), (206, True), "the range")
        equal(headers["Content-Range"], f"bytes 9000000-9000099/{LARGE_BYTES}", "Content-Range")
    with story.step("a thumbnail is made, kept in the bucket and given again"):
        kept["shown"] = uploads(alice, shown, "image/png")
        one, two = (downloads(alice, kept["shown"], kind="thumbnail", width=320, height=240, method="scale") for _ in range(2))
        equal((one[0], one[1]["Content-Type"]), (200, "image/jpeg"), "the answer")
        expect(one[2] == two[2], "the same thumbnail twice")
        equal([name.rpartition("/")[2] for name in service.names("thumbnails/")], ["320x240-scale"], "the thumbnails in the bucket")
        equal(list((server.folder / "data/media/incoming").iterdir()), [], "what is left of making it")
    return kept


def caring(story, service, server, admin, alice, kept):
    with story.step("what is quarantined is not given out, and is again when it is released"):
        admin.ask("POST", f"/_synapse/admin/v1/media/quarantine/{kept['small']}", {})
        equal(downloads(alice, kept["small"])[0], 404, "the answer")
        admin.ask("POST", f"/_synapse/admin/v1/media/unquarantine/{kept['small']}", {})
        equal(downloads(alice, kept["small"])[0], 200, "the answer")
    with story.step("what is deleted leaves the bucket, its thumbnails with it"):
        before = len(service.names("files/"))
        admin.ask("DELETE", f"/_synapse/admin/v1/media/{kept['shown']}")
        equal(downloads(alice, kept["shown"])[0], 404, "the answer")
        equal(len(service.names("files/")), before - 1, "the files in the bucket")
        equal(service.names("thumbnails/"), [], "the thumbnails in the bucket")
    with story.step("after a restart everything is there"):
        server.stop()
        server.start()
        for name in ("small", "large"):
            equal(downloads(alice, kept[name])[0], 200, name)
    with story.step("after a power cut in the middle of an upload nothing is left of it"):
        connection = http.client.HTTPConnection("127.0.0.1", server.client_port, timeout=20)
        connection.putrequest("POST", "/_matrix/media/v3/upload")
        for header in (("Authorization", f"Bearer {alice.token}"), ("Content-Length", str(LARGE_BYTES))):
            connection.putheader(*header)
        connection.endheaders(secrets.token_bytes(1_000_000))
        incoming = server.folder / "data/media/incoming"
        eventually("the upload begins", lambda: list(incoming.iterdir()))
        server.kill()
        connection.close()
        server.start()
        equal(list(incoming.iterdir()), [], "what is left of it")


def federating(story, service, server, alice, place, authority):
    with Lyceum(place / "other", authority) as other:
        with story.step("a file of another server is kept in the bucket, and given from there when that one is gone"):
            content = secrets.token_bytes(5000)
            address = uploads(Person.registered(other, "bob"), content)
            before = len(service.names("files/"))
            equal(downloads(alice, address)[2] == content, True, "the file")
            equal(len(service.names("files/")), before + 1, "the files in the bucket")
            other.stop()
            equal(downloads(alice, address)[2] == content, True, "the file once more")


def operating(story, service, server, place, authority):
    with story.step("the operator's commands know the bucket"):
        told = lambda *words: subprocess.run([server.binary, *words, "--config", str(server.config)], capture_output=True, text=True)
        doctor = told("doctor").stdout
        expect(any(line.startswith("well") and "media" in line and BUCKET in line for line in doctor.splitlines()), "doctor to be content", doctor)
        backup = told("backup", str(place / "backup"))
        expect(backup.returncode == 0 and f"in the bucket {BUCKET}" in backup.stdout, "backup to say where files are", backup)
    with story.step("another server is kept out of its place"):
        said = refusal(place / "second", authority, service.settings(place))
        expect(f"holds the files of {server.name}" in said, "it to be told whose it is", said)
    with story.step("a bucket that is not there is told at the start"):
        said = refusal(place / "no-bucket", authority, service.settings(place, bucket="no-such-bucket"))
        expect("there is no such bucket" in said, "it to be told", said)
    with story.step("a wrong secret is told at the start"):
        said = refusal(place / "no-secret", authority, service.settings(place / "no-secret", secret="wrong"))
        expect("does not allow it with this access key (SignatureDoesNotMatch)" in said, "it to be told", said)
    with story.step("a service that is not there is told at the start"):
        said = refusal(place / "no-service", authority, service.settings(place, endpoint=f"http://127.0.0.1:{free_port()}"))
        expect("media cannot be kept" in said and "refused" in said, "it to be told", said)


def main():
    place = pathlib.Path(os.environ["INTEROP_PLACE"])
    story, service, authority = Story("s3"), Service(place / "service"), Authority(place / "ca")
    (place / "no-secret").mkdir(parents=True, exist_ok=True)
    try:
        service.s3.create_bucket(Bucket=BUCKET)
        with Lyceum(place / "home", authority, extra=service.settings(place)) as server:
            alice = Person.registered(server, "alice")
            answer = register_by_secret(server, "head", "a long enough phrase", True)
            admin = Person(server, answer["user_id"], answer["access_token"], answer["device_id"])
            kept = keeping(story, service, server, alice)
            caring(story, service, server, admin, alice, kept)
            federating(story, service, server, alice, place, authority)
            operating(story, service, server, place, authority)
    finally:
        service.stop()
    return story.end()


if __name__ == "__main__":
    sys.exit(main())
