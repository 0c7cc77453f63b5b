"""A small Matrix client of the standard library alone, for scenarios that speak the client API directly.

`Person` is somebody signed in on a server; its methods are the acts of a story. It knows no more of Matrix than the
paths: what an answer should hold is the scenario's business.
"""

import http.client
import itertools
import json
import urllib.parse

REQUEST_SECONDS = 60


class Refused(Exception):
    def __init__(self, method, path, status, body):
        self.status, self.body = status, body
        self.errcode = body.get("errcode") if isinstance(body, dict) else None
        super().__init__(f"{method} {path} answered {status} {body}"[:500])


def quoted(part):
    return urllib.parse.quote(part, safe="")


class Person:
    _numbers = itertools.count(1)

    def __init__(self, server, user_id, token, device_id):
        self.server, self.id, self.token, self.device = server, user_id, token, device_id
        self.since = None

    @classmethod
    def registered(cls, server, localpart, password="a long enough phrase"):
        body = {"username": localpart, "password": password, "auth": {"type": "m.login.dummy"}}
        answer = call(server, None, "POST", "/_matrix/client/v3/register", body)
        return cls(server, answer["user_id"], answer["access_token"], answer["device_id"])

    def ask(self, method, path, body=None, seconds=REQUEST_SECONDS, **query):
        return call(self.server, self.token, method, path, body, seconds, query)

    def get(self, path, **query):
        return self.ask("GET", "/_matrix/client/v3" + path, **query)

    def put(self, path, body):
        return self.ask("PUT", "/_matrix/client/v3" + path, body)

    def post(self, path, body=None, **query):
        return self.ask("POST", "/_matrix/client/v3" + path, {} if body is None else body, **query)

    # Rooms.

    def creates(self, **options):
        return self.post("/createRoom", options)["room_id"]

    def joins(self, room, via=None):
        return self.post(f"/join/{quoted(room)}", {}, **({"server_name": via, "via": via} if via else {}))["room_id"]

    def does(self, room, act, **body):
        """`invite`, `leave`, `kick`, `ban`, `unban`, `forget`, `join`."""
        return self.post(f"/rooms/{quoted(room)}/{act}", body)

    def sends(self, room, kind, content):
        path = f"/rooms/{quoted(room)}/send/{quoted(kind)}/{self.device}.{next(self._numbers)}"
        return self.put(path, content)["event_id"]

    def says(self, room, text, **more):
        return self.sends(room, "m.room.message", {"msgtype": "m.text", "body": text, **more})

    def sets(self, room, kind, content, key=""):
        return self.put(f"/rooms/{quoted(room)}/state/{quoted(kind)}/{quoted(key)}", content)["event_id"]

    def state(self, room, kind, key=""):
        return self.get(f"/rooms/{quoted(room)}/state/{quoted(kind)}/{quoted(key)}")

    def redacts(self, room, event, reason=None):
        path = f"/rooms/{quoted(room)}/redact/{quoted(event)}/{self.device}.{next(self._numbers)}"
        return self.put(path, {"reason": reason} if reason else {})["event_id"]

    def membership(self, room, user=None):
        try:
            return self.state(room, "m.room.member", user or self.id).get("membership")
        except Refused as why:
            if why.status in (403, 404):
                return None
            raise

    def event(self, room, event):
        try:
            return self.get(f"/rooms/{quoted(room)}/event/{quoted(event)}")
        except Refused as why:
            if why.status in (403, 404):
                return None
            raise

    def recent(self, room, limit=50, **query):
        """The newest events of a room, newest first."""
        return self.get(f"/rooms/{quoted(room)}/messages", dir="b", limit=limit, **query)["chunk"]

    def history(self, room):
        """Every event of a room this person may see, newest first."""
        found, start = [], None
        for _ in range(200):
            page = self.get(f"/rooms/{quoted(room)}/messages", dir="b", limit=100, **({"from": start} if start else {}))
            found += page["chunk"]
            start = page.get("end")
            if not start:
                break
        return found

    def bodies(self, room):
        return [e["content"].get("body") for e in self.recent(room) if e["type"] == "m.room.message"]

    # Sync.

    def syncs(self, timeout_ms=0, **query):
        """One sync from where the last one ended."""
        if self.since:
            query["since"] = self.since
        answer = self.ask("GET", "/_matrix/client/v3/sync", seconds=REQUEST_SECONDS, timeout=timeout_ms, **query)
        self.since = answer["next_batch"]
        return answer


def call(server, token, method, path, body=None, seconds=REQUEST_SECONDS, query=None):
    content = None if body is None else json.dumps(body).encode()
    status, _, data = raw(server, token, method, path, content, {"Content-Type": "application/json"}, seconds, query)
    try:
        answer = json.loads(data) if data else {}
    except ValueError:
        answer = data.decode(errors="replace")
    if status >= 300:
        raise Refused(method, path, status, answer)
    return answer


def raw(server, token, method, path, content=None, headers=None, seconds=REQUEST_SECONDS, query=None):
    """Status, headers and bytes of one request."""
    if query:
        path += "?" + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection("127.0.0.1", server.client_port, timeout=seconds)
    try:
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
