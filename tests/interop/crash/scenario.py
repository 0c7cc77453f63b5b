"""Killed with -9 again and again while people, clients and an application service are at it: nothing that was acknowledged is
lost, and nothing is given twice that must be given once.

INTEROP_SERVER names the kind of server, INTEROP_PLACE where it keeps its data, CRASH_ROUNDS how often it is killed.
"""

import http.client
import json
import os
import pathlib
import random
import secrets
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Person, Refused, quoted, raw  # noqa: E402
from listener import Listener  # noqa: E402
from servers import Authority, started  # noqa: E402
from story import Story, equal, eventually, expect  # noqa: E402

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "8"))
# What the kill may do to a request: no answer, or half of one.
GONE = (OSError, http.client.HTTPException, ValueError)
AS_TOKEN, HS_TOKEN = secrets.token_hex(16), secrets.token_hex(16)
KEYS_AT_ONCE = 10
KEYS_WAITING_MAX = 300
DELAYS_MS = (200, 3_000)
CHANCE = random.Random(4)


def registration(folder, service):
    file = folder / "watcher.yaml"
    file.write_text(json.dumps({  # JSON is YAML
        "id": "watcher", "url": service.url, "as_token": AS_TOKEN, "hs_token": HS_TOKEN, "sender_localpart": "watcher",
        "rate_limited": False, "namespaces": {"users": [], "aliases": [], "rooms": [{"exclusive": False, "regex": "!.*"}]}}))
    return file


class Act:
    """Something that is done over and over. `done` is what was acknowledged; `attempt` raises when the server is gone."""

    def __init__(self, person):
        self.person, self.number, self.done = person, 0, []

    def attempt(self):
        raise NotImplementedError

    def until(self, stop):
        while not stop.is_set():
            try:
                self.attempt()
            except GONE:
                return


class Talks(Act):
    """Messages, each under its transaction id until it is acknowledged."""

    def __init__(self, person, room):
        super().__init__(person)
        self.room = room

    def attempt(self):
        path = f"/rooms/{quoted(self.room)}/send/m.room.message/t{self.number}"
        event = self.person.put(path, {"msgtype": "m.text", "body": f"line {self.number}"})["event_id"]
        self.done.append(event)
        self.number += 1
        time.sleep(0.01)  # so that the gateway keeps up with what is pushed one by one


class Whispers(Act):
    """Messages to a device."""

    def __init__(self, person, other):
        super().__init__(person)
        self.other = other

    def attempt(self):
        content = {"messages": {self.other.id: {self.other.device: {"number": self.number}}}}
        self.person.put(f"/sendToDevice/org.example.whisper/w{self.number}", content)
        self.done.append(self.number)
        self.number += 1


class Delays(Act):
    """Messages that are to be sent later."""

    def __init__(self, person, room):
        super().__init__(person)
        self.room = room

    def attempt(self):
        path = f"/_matrix/client/v3/rooms/{quoted(self.room)}/send/m.room.message/d{self.number}"
        delay = {"org.matrix.msc4140.delay": CHANCE.randint(*DELAYS_MS)}
        self.person.ask("PUT", path, {"msgtype": "m.text", "body": f"later {self.number}"}, **delay)
        self.done.append(f"later {self.number}")
        self.number += 1
        time.sleep(0.03)  # so that no more wait than one may have waiting


class Uploads(Act):
    """Files."""

    def attempt(self):
        content = f"file {self.number} ".encode() * 500
        self.number += 1
        status, _, answer = raw(self.person.server, self.person.token, "POST", "/_matrix/media/v3/upload", content,
                                {"Content-Type": "text/plain"})
        equal(status, 200, "an upload's status")
        self.done.append((json.loads(answer)["content_uri"], content))


class Brings(Act):
    """One-time keys, as many as are not waiting already."""

    def attempt(self):
        names = [f"signed_curve25519:K{self.number + n:06}" for n in range(KEYS_AT_ONCE)]
        self.number += KEYS_AT_ONCE
        keys = {name: {"key": secrets.token_hex(16), "signatures": {self.person.id: {f"ed25519:{self.person.device}": "sig"}}}
                for name in names}
        counts = self.person.post("/keys/upload", {"one_time_keys": keys})["one_time_key_counts"]
        self.done += names
        if counts["signed_curve25519"] > KEYS_WAITING_MAX:
            time.sleep(0.05)


class Claims(Act):
    """Claims one key at a time; `unanswered` claims may have taken one with them."""

    def __init__(self, person, other):
        super().__init__(person)
        self.other, self.unanswered = other, 0

    def attempt(self):
        try:
            if name := self.claim():
                self.done.append(name)
        except GONE:
            self.unanswered += 1
            raise

    def claim(self):
        wish = {"one_time_keys": {self.other.id: {self.other.device: "signed_curve25519"}}}
        given = self.person.post("/keys/claim", wish)["one_time_keys"].get(self.other.id, {}).get(self.other.device, {})
        return next(iter(given), None)


def storm(server, acts, rounds=ROUNDS):
    """All acts at once, until the server is killed; then it is started again."""
    for _ in range(rounds):
        stop = threading.Event()
        threads = [threading.Thread(target=act.until, args=(stop,)) for act in acts]
        for thread in threads:
            thread.start()
        time.sleep(CHANCE.uniform(0.3, 1.2))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        server.start()


def once(saw, wanted, words):
    """Each of `wanted` is in `saw`, once."""
    counts = {}
    for one in saw:
        counts[one] = counts.get(one, 0) + 1
    missing = [one for one in wanted if one not in counts]
    expect(not missing, f"no {words} to be missing", missing[:5])
    twice = [one for one, count in counts.items() if count > 1]
    expect(not twice, f"no {words} to be there twice", twice[:5])


def transactions(service):
    """The transactions' ids in the order of their first coming, with what each held."""
    told = {}
    for call in service.calls():
        name = call.path.rpartition("/")[2]
        events = [event["event_id"] for event in call.body["events"]]
        expect(told.setdefault(name, events) == events, f"transaction {name} to hold the same whenever it comes", events[:5])
    return told


def tell(story, server, service, gateway):
    # Alice says nothing herself: who speaks has read what was said before, and is not notified of it.
    alice, bob, carol, dave = (Person.registered(server, name) for name in ("alice", "bob", "carol", "dave"))
    room = alice.creates(preset="public_chat")
    for person in (bob, dave):
        person.joins(room)
    alice.post("/pushers/set", {
        "kind": "http", "app_id": "org.example.app", "app_display_name": "App", "device_display_name": "Phone", "lang": "en",
        "pushkey": "phone", "data": {"url": gateway.url + "/_matrix/push/v1/notify"}})
    carol.syncs()
    talks, delays, uploads = Talks(bob, room), Delays(dave, room), Uploads(alice)
    whispers, brings = Whispers(alice, carol), Brings(carol)
    claims = [Claims(person, carol) for person in (alice, bob, alice)]
    acts = [talks, delays, uploads, whispers, brings, *claims]

    with story.step(f"killed {ROUNDS} times it starts again each time, and goes on"):
        storm(server, acts)
        for act in (talks, whispers):
            act.attempt()  # what was under way is asked for again, under its old transaction id
        for act in acts:
            expect(act.done, f"{type(act).__name__} to have come to something")
    history = None
    with story.step("messages that were acknowledged are there, each once, in the order in which they were said"):
        history = [event for event in reversed(alice.history(room)) if event["type"] == "m.room.message"]
        said = [event["event_id"] for event in history if event["sender"] == bob.id]
        equal(said, talks.done, "what bob said")
    with story.step("delayed messages are sent, each once"):
        sent = lambda: [body for body in (event["content"].get("body", "") for event in alice.history(room)) if body.startswith("later ")]
        eventually("all are sent", lambda: set(delays.done) <= set(sent()), seconds=20)
        once(sent(), delays.done, "delayed message")
    with story.step("messages to a device arrive, each once, in order"):
        arrived = []
        while new := carol.syncs().get("to_device", {}).get("events"):
            arrived += [event["content"]["number"] for event in new if event["type"] == "org.example.whisper"]
        equal(arrived, whispers.done, "what carol was told")
    with story.step("files that were acknowledged are there, whole"):
        for uri, content in uploads.done:
            path = "/_matrix/client/v1/media/download/" + uri.removeprefix("mxc://")
            status, _, got = raw(server, alice.token, "GET", path)
            equal((status, got), (200, content), f"status and content of {uri}")
    with story.step("no one-time key is given twice, and none that was acknowledged is lost"):
        given = [name for claim in claims for name in claim.done]
        while name := claims[0].claim():
            given.append(name)
        expect(len(given) == len(set(given)), "each key to be given once", [name for name in given if given.count(name) > 1][:5])
        lost, unanswered = set(brings.done) - set(given), sum(claim.unanswered for claim in claims)
        expect(len(lost) <= unanswered, f"no more than the {unanswered} keys of unanswered claims to be gone", sorted(lost)[:5])
    with story.step("the application service is told all, in order, each transaction the same under the same id"):
        flat = lambda: [event for events in transactions(service).values() for event in events]
        eventually("all is told", lambda: set(talks.done) <= set(flat()), seconds=30)
        once(flat(), talks.done, "event of a transaction")
        equal([event for event in flat() if event in set(talks.done)], talks.done, "the order in which it was told")
        names = [int(name) for name in transactions(service)]
        equal(names, sorted(names), "the order of transaction ids")
    with story.step("everything that was said is pushed"):
        pushed = lambda: {call.body["notification"].get("event_id") for call in gateway.calls()}
        eventually("all is pushed", lambda: set(talks.done) <= pushed(), seconds=60)
    print(f"# {len(talks.done)} messages, {len(delays.done)} delayed, {len(whispers.done)} to a device, {len(uploads.done)} files, "
          f"{len(brings.done)} keys", flush=True)


def main():
    place = pathlib.Path(os.environ["INTEROP_PLACE"])
    # It takes its time, so that the kill finds it with a transaction in hand.
    service, gateway = Listener(pause=0.05), Listener({"rejected": []})
    file = registration(place, service)
    server = started(os.environ["INTEROP_SERVER"], place / "home", Authority(place / "ca"), appservices=[file])
    story = Story("crash")
    try:
        tell(story, server.start(), service, gateway)
    except (Refused, *GONE) as why:
        story.failed += 1
        print(f"FAIL the story goes on: {why}", flush=True)
    finally:
        server.stop()
        service.stop()
        gateway.stop()
    code = story.end()
    if code:
        print(f"# the end of {server.kind}'s log:\n{server.tail(15)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
