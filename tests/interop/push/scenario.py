"""A push gateway stand-in: the server under test is given pushers that point here, and every field of what it sends is checked.

HS_URL and HS_PORT name the server. The gateway answers 200, or fails, or rejects a pushkey, as the step asks.
"""

import json
import os
import pathlib
import secrets
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Person, quoted  # noqa: E402
from story import Story, equal, eventually, expect  # noqa: E402

RUN = secrets.token_hex(3)


class Gateway:
    """What was pushed, newest last; `answers` is what the next pushes are answered with, then 200 again."""

    def __init__(self):
        gateway = self
        self.pushed, self.answers = [], []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = gateway.answers.pop(0) if gateway.answers else (200, {"rejected": []})
                gateway.pushed.append(types.SimpleNamespace(path=self.path, type=self.headers["Content-Type"],
                                                            notification=json.loads(body)["notification"], status=status))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/_matrix/push/v1/notify"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, event, key=None):
        return [p for p in self.pushed if p.notification.get("event_id") == event
                and (key is None or p.notification["devices"][0]["pushkey"] == key)]


def sets_pusher(person, gateway, key, data=None, **more):
    person.post("/pushers/set", {
        "kind": "http", "app_id": "org.example.app", "app_display_name": "App", "device_display_name": "Phone", "lang": "en",
        "pushkey": key, "data": {"url": gateway.url, **(data or {})}, **more})


def tell(story, alice, bob, gateway):
    room = alice.creates(name="Push", preset="public_chat", room_alias_name=f"push-{RUN}")
    bob.joins(room)
    bob.put(f"/profile/{quoted(bob.id)}/displayname", {"displayname": "Bob"})
    full, short = f"full-{RUN}", f"short-{RUN}"
    with story.step("a message is pushed with every field of the full format"):
        sets_pusher(alice, gateway, full, data={"brand": "example"})
        event = bob.says(room, "knock knock")
        push = eventually("the push arrives", lambda: gateway.of(event))[0]
        got = push.notification
        equal(push.path, "/_matrix/push/v1/notify", "the path")
        expect(push.type.startswith("application/json"), "JSON to be pushed", push.type)
        wanted = {"event_id": event, "room_id": room, "type": "m.room.message", "sender": bob.id, "sender_display_name": "Bob",
                  "room_name": "Push", "content": {"msgtype": "m.text", "body": "knock knock"}}
        for field, value in wanted.items():
            equal(got.get(field), value, field)
        expect(got.get("prio", "high") in ("high", "low"), "prio to be high or low", got.get("prio"))
        equal(got["counts"].get("unread"), 1, "counts.unread")
        equal(len(got["devices"]), 1, "the number of devices")
        device = got["devices"][0]
        equal((device["app_id"], device["pushkey"]), ("org.example.app", full), "app_id and pushkey")
        expect("url" not in device.get("data", {}), "the gateway's address not to be told in data", device.get("data"))
        equal(device.get("data", {}).get("brand"), "example", "the rest of data")
        expect(isinstance(device.get("pushkey_ts"), int), "pushkey_ts to be a number", device.get("pushkey_ts"))
        expect(isinstance(device.get("tweaks", {}), dict), "tweaks to be an object", device.get("tweaks"))
    with story.step("one's own messages are not pushed, nor to one who is reading along"):
        own = alice.says(room, "talking to myself")
        mark = bob.says(room, "a mark after it")
        eventually("the mark is pushed", lambda: gateway.of(mark))
        expect(not gateway.of(own), "no push of one's own message")
    with story.step("a mention is pushed with its highlight tweak and sound"):
        event = bob.says(room, "Alice!", **{"m.mentions": {"user_ids": [alice.id]}})
        device = eventually("the push arrives", lambda: gateway.of(event))[0].notification["devices"][0]
        expect(device["tweaks"].get("highlight", False) is not False, "the highlight tweak", device)
        equal(device["tweaks"].get("sound"), "default", "the sound tweak")
    with story.step("reading it pushes the lower count"):
        before = len(gateway.pushed)
        last = bob.says(room, "read up to here")
        eventually("the push arrives", lambda: gateway.of(last))
        alice.post(f"/rooms/{quoted(room)}/receipt/m.read/{quoted(last)}")
        quiet = eventually("a push without an event says that nothing is unread", lambda: [
            p for p in gateway.pushed[before:] if not p.notification.get("event_id") and p.notification["counts"].get("unread", 0) == 0])
        expect("content" not in quiet[0].notification, "no content in a push of counts", quiet[0].notification)
    with story.step("event_id_only tells no content"):
        sets_pusher(alice, gateway, short, data={"format": "event_id_only"}, append=True)
        event = bob.says(room, "a secret")
        push = eventually("the push arrives", lambda: gateway.of(event, short))[0].notification
        equal(push["room_id"], room, "room_id")
        equal([f for f in ("content", "sender", "type", "room_name", "sender_display_name") if f in push], [], "fields that tell too much")
        eventually("the other pusher gets its own", lambda: gateway.of(event, full))
    with story.step("an invite is pushed, and says that it is for the person"):
        private = bob.creates(preset="private_chat", invite=[alice.id])
        push = eventually("the invite is pushed", lambda: [
            p for p in gateway.pushed if p.notification.get("type") == "m.room.member" and p.notification.get("room_id") == private])[0].notification
        equal(push.get("user_is_target"), True, "user_is_target")
        equal(push.get("membership"), "invite", "membership")
    with story.step("a gateway that fails is tried again, and nothing is lost"):
        gateway.answers = [(500, {}), (500, {})]
        event = bob.says(room, "once more")
        eventually("the push is answered 200 in the end", lambda: any(p.status == 200 for p in gateway.of(event, full)), seconds=40)
    with story.step("a rejected pushkey is removed"):
        sets_pusher(bob, gateway, f"stale-{RUN}")
        gateway.answers = []
        event = alice.says(room, "to bob")
        eventually("bob's pusher gets it", lambda: gateway.of(event, f"stale-{RUN}"))
        bob.post(f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}")
        wait = alice.says(room, "this is refused by the gateway")
        del wait
        gateway.answers = [(200, {"rejected": [f"stale-{RUN}"]})] * 3
        alice.says(room, "and this")
        eventually("the pusher is gone", lambda: bob.get("/pushers")["pushers"] == [], seconds=30)
        gateway.answers = []
    with story.step("a removed pusher gets no more"):
        alice.post("/pushers/set", {"kind": None, "app_id": "org.example.app", "pushkey": full})
        equal([p["pushkey"] for p in alice.get("/pushers")["pushers"]], [short], "the pushers left")
        event = bob.says(room, "only one of you")
        eventually("the other one gets it", lambda: gateway.of(event, short))
        expect(not gateway.of(event, full), "no push to the removed one")
    with story.step("signing out removes that device's pushers"):
        alice.post("/logout")
        event = bob.says(room, "nobody home")
        again = Person(alice.server, *[(a := bob.post("/login", {"type": "m.login.password", "password": "a long enough phrase",
                       "identifier": {"type": "m.id.user", "user": alice.id}}))[k] for k in ("user_id", "access_token", "device_id")])
        equal(again.get("/pushers")["pushers"], [], "the pushers after signing out")
        expect(not gateway.of(event), "no push after signing out")


def main():
    server = types.SimpleNamespace(client_port=int(os.environ["HS_PORT"]))
    story, gateway = Story("push"), Gateway()
    try:
        tell(story, Person.registered(server, f"alice-{RUN}"), Person.registered(server, f"bob-{RUN}"), gateway)
    finally:
        gateway.server.shutdown()
    return story.end()


if __name__ == "__main__":
    sys.exit(main())
