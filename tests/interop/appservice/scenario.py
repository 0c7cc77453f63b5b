"""A relay on mautrix, the library of the mautrix bridges: people in a Matrix room and ghosts of a make-believe network talk both ways.

INTEROP_SERVER names the kind of server, INTEROP_PLACE where it keeps its data. The registration file is written here.
"""

import asyncio
import json
import logging
import os
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Person, Refused, call, quoted  # noqa: E402
from servers import Authority, free_port, started  # noqa: E402
from story import Story, Unmet, equal, expect  # noqa: E402

from mautrix.appservice import AppService, ASStateStore  # noqa: E402
from mautrix.client.state_store.memory import MemoryStateStore  # noqa: E402
from mautrix.types import EventType, RoomCreatePreset  # noqa: E402

RUN = secrets.token_hex(3)
AS_TOKEN, HS_TOKEN = secrets.token_hex(16), secrets.token_hex(16)


class States(ASStateStore, MemoryStateStore):
    """What mautrix remembers of rooms, in memory."""

    def __init__(self):
        ASStateStore.__init__(self)
        MemoryStateStore.__init__(self)


def registration(folder, port):
    file = folder / "relay.yaml"
    file.write_text(json.dumps({  # JSON is YAML
        "id": "relay", "url": f"http://127.0.0.1:{port}", "as_token": AS_TOKEN, "hs_token": HS_TOKEN,
        "sender_localpart": "relaybot", "rate_limited": False, "receive_ephemeral": True, "de.sorunome.msc2409.push_ephemeral": True,
        "protocols": ["relaynet"],
        "namespaces": {"users": [{"exclusive": True, "regex": "@relay_.*"}], "aliases": [{"exclusive": True, "regex": "#relay_.*"}], "rooms": []}}))
    return file


class Relay:
    """The application service: what it was asked, what it heard, and the means to go away and come back."""

    def __init__(self, server, port):
        self.server, self.port = server, port
        self.heard, self.ephemeral, self.asked_users, self.asked_aliases = [], [], [], []

    async def start(self):
        self.service = AppService(
            server=self.server.url, domain=self.server.name, as_token=AS_TOKEN, hs_token=HS_TOKEN, bot_localpart="relaybot", id="relay",
            state_store=States(), ephemeral_events=True, query_user=self.user, query_alias=self.alias)
        self.service.matrix_event_handler(self.hears)
        await self.service.start("127.0.0.1", self.port)
        return self

    async def stop(self):
        await self.service.stop()

    def ghost(self, name):
        return self.service.intent.user(f"@relay_{name}:{self.server.name}")

    async def user(self, user_id):
        self.asked_users.append(user_id)
        if not user_id.startswith("@relay_known"):
            return None
        await self.service.intent.user(user_id).ensure_registered()
        return {"ok": True}

    async def alias(self, alias):
        self.asked_aliases.append(alias)
        if not alias.startswith("#relay_known"):
            return None
        local = alias[1:].split(":", 1)[0]
        await self.service.intent.create_room(alias_localpart=local, preset=RoomCreatePreset.PUBLIC, name="Made on demand")
        return {"ok": True}

    async def hears(self, event):
        (self.ephemeral if event.type.is_ephemeral else self.heard).append(event)

    def ids(self, room):
        return [e.event_id for e in self.heard if e.room_id == room and e.type == EventType.ROOM_MESSAGE]


async def until(words, look, seconds=20):
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := look()):
        if asyncio.get_running_loop().time() > deadline:
            raise Unmet(f"expected within {seconds} s that {words}")
        await asyncio.sleep(0.05)
    return found


async def tell(story, server, relay, alice):
    aside = asyncio.to_thread  # the plain client blocks; the relay must go on answering meanwhile
    room = None
    with story.step("the bot is registered, its whoami is its own, the ping comes round"):
        await relay.service.intent.ensure_registered()
        equal((await relay.service.intent.whoami()).user_id, relay.service.bot_mxid, "whoami")
        expect(await relay.service.ping_self("ping-1") >= 0, "the ping's duration")
    with story.step("a ghost is registered and given a name"):
        ghost = relay.ghost(f"ghost{RUN}")
        await ghost.ensure_registered()
        await ghost.set_displayname("Ghost of the relay")
        got = await aside(alice.get, f"/profile/{quoted(ghost.mxid)}")
        equal(got.get("displayname"), "Ghost of the relay", "the ghost's name")
    with story.step("an invited ghost hears of it, joins and speaks"):
        room = await aside(alice.creates, preset="private_chat", name="Bridged", invite=[ghost.mxid])
        await until("the relay hears the invite", lambda: any(
            e.type == EventType.ROOM_MEMBER and e.room_id == room and e.state_key == ghost.mxid for e in relay.heard))
        await ghost.join_room_by_id(room)
        event = await ghost.send_text(room, "hello from the other network")
        got = await aside(alice.event, room, event)
        equal((got["sender"], got["content"]["body"]), (ghost.mxid, "hello from the other network"), "the sender and the text")
    with story.step("what a person says reaches the relay once and in order"):
        sent = [await aside(alice.says, room, f"line {n}") for n in range(20)]
        await until("all twenty lines are relayed", lambda: len([i for i in relay.ids(room) if i in sent]) >= 20)
        equal([i for i in relay.ids(room) if i in sent], sent, "the lines relayed")
    with story.step("a ghost may set the time of what it relays"):
        event = await ghost.send_message_event(room, EventType.ROOM_MESSAGE, {"msgtype": "m.text", "body": "from long ago"}, timestamp=1_000_000_000_000)
        got = await aside(alice.event, room, event)
        equal(got["origin_server_ts"], 1_000_000_000_000, "the event's time")
    with story.step("typing and receipts reach the relay"):
        await aside(alice.put, f"/rooms/{quoted(room)}/typing/{quoted(alice.id)}", {"typing": True, "timeout": 20_000})
        await until("typing is heard", lambda: any(e.type == EventType.TYPING and alice.id in e.content.user_ids for e in relay.ephemeral))
        event = await ghost.send_text(room, "read me")
        await aside(alice.post, f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}")
        await until("the receipt is heard", lambda: any(e.type == EventType.RECEIPT and event in e.content for e in relay.ephemeral))
    with story.step("an unknown ghost is asked for when invited, and made on demand"):
        known = f"@relay_known{RUN}:{server.name}"
        await aside(alice.does, room, "invite", user_id=known)
        await until("the invited ghost exists", lambda: known in relay.asked_users or any(
            e.type == EventType.ROOM_MEMBER and e.state_key == known for e in relay.heard))
        await relay.ghost(f"known{RUN}").join_room_by_id(room)
        equal(await aside(alice.membership, room, known), "join", "the ghost's membership")
    with story.step("an alias of the namespace is asked for, and its room made on demand"):
        alias = f"#relay_known{RUN}:{server.name}"
        joined = await aside(alice.joins, alias)
        equal(relay.asked_aliases, [alias], "the aliases asked for")
        equal((await aside(alice.state, joined, "m.room.name"))["name"], "Made on demand", "the room's name")
        try:
            await aside(alice.get, f"/directory/room/{quoted('#relay_unheard:' + server.name)}")
            expect(False, "an alias that the relay does not know to be refused")
        except Refused as why:
            equal(why.status, 404, "the status of an alias that the relay does not know")
    with story.step("the namespace is the relay's alone"):
        for words, act in (
                ("registering in it", lambda: Person.registered(server, f"relay_squatter{RUN}")),
                ("making an alias in it", lambda: alice.put(f"/directory/room/{quoted(f'#relay_squat{RUN}:{server.name}')}", {"room_id": room}))):
            try:
                await aside(act)
                expect(False, f"{words} to be refused")
            except Refused as why:
                equal((why.status, why.errcode), (400, "M_EXCLUSIVE"), f"{words}: status and errcode")
        try:
            await aside(call, server, AS_TOKEN, "GET", "/_matrix/client/v3/account/whoami", query={"user_id": alice.id})
            expect(False, "acting as somebody outside the namespace to be refused")
        except Refused as why:
            equal((why.status, why.errcode), (403, "M_FORBIDDEN"), "acting as somebody outside the namespace: status and errcode")
    with story.step("a ghost signs in as an application service may, and uses its own token"):
        answer = await aside(call, server, AS_TOKEN, "POST", "/_matrix/client/v3/login", {
            "type": "m.login.application_service", "identifier": {"type": "m.id.user", "user": ghost.mxid}})
        equal(answer["user_id"], ghost.mxid, "the login's user")
        own = Person(server, answer["user_id"], answer["access_token"], answer["device_id"])
        equal((await aside(own.get, "/account/whoami"))["user_id"], ghost.mxid, "whoami with the ghost's own token")
    with story.step("a wrong token is refused"):
        try:
            await aside(call, server, "nonsense", "GET", "/_matrix/client/v3/account/whoami")
            expect(False, "a wrong token to be refused")
        except Refused as why:
            equal((why.status, why.errcode), (401, "M_UNKNOWN_TOKEN"), "status and errcode")
    with story.step("a redaction is relayed"):
        event = await aside(alice.says, room, "a slip")
        await aside(alice.redacts, room, event)
        await until("the redaction is relayed", lambda: any(e.type == EventType.ROOM_REDACTION and e.redacts == event for e in relay.heard))
    with story.step("while the relay is away nothing is lost, and it is told in order when it comes back"):
        await relay.stop()
        sent = [await aside(alice.says, room, f"while away {n}") for n in range(10)]
        await relay.start()
        await until("all that was missed is relayed", lambda: set(sent) <= set(relay.ids(room)), seconds=60)
        equal([i for i in relay.ids(room) if i in sent], sent, "the missed lines, once and in order")
    with story.step("while the server is away and comes back the relay goes on"):
        ghost = relay.ghost(f"ghost{RUN}")
        await aside(server.stop)
        await aside(server.start)
        event = await aside(alice.says, room, "after the restart")
        await until("the line after the restart is relayed", lambda: event in relay.ids(room), seconds=60)
        equal(relay.ids(room).count(event), 1, "how often it was relayed")
        back = await ghost.send_text(room, "and back")
        expect(await aside(alice.event, room, back), "the ghost's answer to be there")


async def main():
    logging.disable(logging.CRITICAL)
    place = pathlib.Path(os.environ["INTEROP_PLACE"])
    story, port = Story("appservice"), free_port()
    file = registration(place, port)
    server = started(os.environ["INTEROP_SERVER"], place / "home", Authority(place / "ca"), appservices=[file])
    relay = await Relay(server, port).start()
    try:
        await asyncio.to_thread(server.start)
        alice = await asyncio.to_thread(Person.registered, server, f"alice-{RUN}")
        await tell(story, server, relay, alice)
    finally:
        server.stop()
        await relay.stop()
    code = story.end()
    if code:
        print(f"# the end of {server.kind}'s log:\n{server.tail(15)}")
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
