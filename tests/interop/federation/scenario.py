"""Two servers that talk to each other over TLS and signatures: the one under test and Synapse (or two of the same kind).

Each act is done in both directions: a room made here and joined from there, and the other way round. INTEROP_SERVER names
the kind under test, FEDERATION_PEER the other one's (Synapse by default); INTEROP_PLACE is where they keep their data.
"""

import json
import os
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Person, Refused, quoted, raw  # noqa: E402
from servers import Authority, started  # noqa: E402
from story import Story, equal, eventually, expect  # noqa: E402

RUN = secrets.token_hex(3)
VERSIONS = ["6", "9", "10", "11", "12"]
SLOW = 30  # seconds that the other server may take to be tried again after an absence


def refused(act, status, words):
    try:
        answer = act()
    except Refused as why:
        expect(why.status == status, f"{words} to be refused with {status}", str(why))
        return why
    expect(False, f"{words} to be refused", answer)


def sees(person, room, event, words="the event", seconds=15):
    return eventually(f"{person.id} sees {words}", lambda: person.event(room, event), seconds)


def is_member(watcher, room, who, membership, seconds=15):
    eventually(f"{watcher.id} sees {who.id} as {membership}", lambda: watcher.membership(room, who.id) == membership, seconds)


def has_state(person, room, kind, content):
    """Whether the state is so by now; not there yet is no error."""
    try:
        return person.state(room, kind) == content
    except Refused as why:
        if why.status != 404:
            raise
        return False


def public_room(host, **more):
    return host.creates(preset="public_chat", **more)


def both_in(host, guest, **more):
    """A public room of `host` that `guest` has joined through the host's server."""
    room = public_room(host, **more)
    guest.joins(room, via=host.server.name)
    is_member(host, room, guest, "join")
    return room


def syncs_until(person, words, look, seconds=15):
    """Syncs on until `look(answer)` gives something."""
    return eventually(f"{person.id} {words}", lambda: look(person.syncs(timeout_ms=500)), seconds, every=0)


def joined_part(answer, room):
    return answer.get("rooms", {}).get("join", {}).get(room, {})


def tell_versions(story, host, guest, way):
    for version in VERSIONS:
        with story.step(f"{way}: a room of version {version} is joined by id, both speak and hear"):
            room = public_room(host, room_version=version)
            guest.joins(room, via=host.server.name)
            is_member(host, room, guest, "join")
            equal(guest.state(room, "m.room.create").get("room_version"), version, "the version at the guest")
            sees(guest, room, host.says(room, f"from the host in {version}"), "the host's message")
            sees(host, room, guest.says(room, f"from the guest in {version}"), "the guest's message")


def tell_membership(story, host, guest, way):
    with story.step(f"{way}: join by alias"):
        room = public_room(host, room_alias_name=f"hall-{RUN}")
        alias = f"#hall-{RUN}:{host.server.name}"
        equal(guest.get(f"/directory/room/{quoted(alias)}")["room_id"], room, "the alias's room")
        guest.joins(alias)
        is_member(host, room, guest, "join")
    with story.step(f"{way}: the directory of the other server is listed"):
        name = f"Listed {way} {RUN}"
        listed = public_room(host, visibility="public", name=name)
        found = guest.ask("POST", "/_matrix/client/v3/publicRooms", {"filter": {"generic_search_term": name}}, server=host.server.name)
        expect(listed in [r["room_id"] for r in found["chunk"]], "the room in the other server's directory", found)
    with story.step(f"{way}: invite, seen with the room's name, accepted"):
        room = host.creates(preset="private_chat", name="Private")
        refused(lambda: guest.joins(room, via=host.server.name), 403, "joining uninvited")
        host.does(room, "invite", user_id=guest.id)
        invite = syncs_until(guest, "is invited", lambda a: a.get("rooms", {}).get("invite", {}).get(room))
        names = [e["content"].get("name") for e in invite["invite_state"]["events"] if e["type"] == "m.room.name"]
        equal(names, ["Private"], "the stripped state's room name")
        guest.joins(room)
        is_member(host, room, guest, "join")
        sees(guest, room, host.says(room, "welcome"), "a message after joining")
    with story.step(f"{way}: leave, and rejoin by a new invite"):
        guest.does(room, "leave")
        is_member(host, room, guest, "leave")
        host.does(room, "invite", user_id=guest.id)
        eventually("the guest is invited again", lambda: room in guest.syncs(timeout_ms=300).get("rooms", {}).get("invite", {}))
        guest.joins(room)
        is_member(host, room, guest, "join")
    with story.step(f"{way}: kick, ban, refusal while banned, unban"):
        host.does(room, "kick", user_id=guest.id, reason="pause")
        syncs_until(guest, "is kicked", lambda a: room in a.get("rooms", {}).get("leave", {}))
        hall = both_in(host, guest)
        host.does(hall, "ban", user_id=guest.id)
        syncs_until(guest, "is banned", lambda a: hall in a.get("rooms", {}).get("leave", {}))
        refused(lambda: guest.joins(hall, via=host.server.name), 403, "joining while banned")
        host.does(hall, "unban", user_id=guest.id)
        guest.joins(hall, via=host.server.name)
        is_member(host, hall, guest, "join")
    with story.step(f"{way}: an invite is declined"):
        room = host.creates(preset="private_chat", invite=[guest.id])
        syncs_until(guest, "is invited", lambda a: room in a.get("rooms", {}).get("invite", {}))
        guest.does(room, "leave")
        is_member(host, room, guest, "leave")
    with story.step(f"{way}: an invite is withdrawn"):
        room = host.creates(preset="private_chat", invite=[guest.id])
        syncs_until(guest, "is invited", lambda a: room in a.get("rooms", {}).get("invite", {}))
        host.does(room, "kick", user_id=guest.id)
        syncs_until(guest, "no longer holds the invite", lambda a: room in a.get("rooms", {}).get("leave", {}))
    with story.step(f"{way}: knock, seen by the host, let in; and a knock taken back"):
        rule = [{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]
        room = host.creates(preset="private_chat", initial_state=rule, name="Knock")
        guest.post(f"/knock/{quoted(room)}", {"reason": "please"}, via=host.server.name, server_name=host.server.name)
        is_member(host, room, guest, "knock")
        syncs_until(guest, "has knocked", lambda a: room in a.get("rooms", {}).get("knock", {}))
        host.does(room, "invite", user_id=guest.id)
        syncs_until(guest, "is invited", lambda a: room in a.get("rooms", {}).get("invite", {}))
        guest.joins(room)
        is_member(host, room, guest, "join")
        other = host.creates(preset="private_chat", initial_state=rule)
        guest.post(f"/knock/{quoted(other)}", {}, via=host.server.name, server_name=host.server.name)
        is_member(host, other, guest, "knock")
        guest.does(other, "leave")
        syncs_until(guest, "no longer knocks", lambda a: other in a.get("rooms", {}).get("leave", {}))
    with story.step(f"{way}: a restricted room lets members of its space in, and nobody else"):
        space = public_room(host, creation_content={"type": "m.space"})
        allow = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
        room = host.creates(preset="private_chat", initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": allow}])
        refused(lambda: guest.joins(room, via=host.server.name), 403, "joining from outside the space")
        guest.joins(space, via=host.server.name)
        is_member(host, space, guest, "join")
        guest.joins(room, via=host.server.name)
        is_member(host, room, guest, "join")
        signed = guest.state(room, "m.room.member", guest.id).get("join_authorised_via_users_server")
        expect(signed and signed.endswith(host.server.name), "the join to name who authorised it", signed)


def tell_messages(story, host, guest, way):
    room = None
    with story.step(f"{way}: edits and reactions"):
        room = both_in(host, guest)
        for writer, reader in ((host, guest), (guest, host)):
            first = writer.says(room, "a first form")
            sees(reader, room, first, "the message")
            edit = writer.says(room, "* second form", **{
                "m.new_content": {"msgtype": "m.text", "body": "a second form"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": first}})
            eventually(f"{reader.id} has the edit bundled", lambda: reader.event(room, first).get("unsigned", {})
                       .get("m.relations", {}).get("m.replace", {}).get("event_id") == edit)
            reaction = reader.sends(room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "👍"}})
            found = eventually(f"{writer.id} finds the reaction", lambda: writer.ask(
                "GET", f"/_matrix/client/v1/rooms/{quoted(room)}/relations/{quoted(first)}/m.annotation")["chunk"])
            equal([e["event_id"] for e in found], [reaction], "the reactions")
    with story.step(f"{way}: a thread across both"):
        root = host.says(room, "a thread")
        sees(guest, room, root, "the root")
        last = None
        for writer, reader in ((guest, host), (host, guest), (guest, host)):
            last = writer.says(room, "in the thread", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
            sees(reader, room, last, "the reply")
        for reader in (host, guest):
            thread = reader.event(room, root)["unsigned"]["m.relations"]["m.thread"]
            equal((thread["count"], thread["latest_event"]["event_id"]), (3, last), f"the thread as {reader.id} has it")
    with story.step(f"{way}: redactions"):
        for writer, reader in ((host, guest), (guest, host)):
            slip = writer.says(room, "a slip")
            sees(reader, room, slip, "the slip")
            writer.redacts(room, slip, "slip")
            eventually(f"{reader.id} sees it emptied", lambda: reader.event(room, slip)["content"] == {})
    with story.step(f"{way}: state set on either side agrees"):
        host.sets(room, "m.room.topic", {"topic": "from the host"})
        eventually("the guest has the topic", lambda: has_state(guest, room, "m.room.topic", {"topic": "from the host"}))
        powers = host.state(room, "m.room.power_levels")
        powers.setdefault("users", {})[guest.id] = 50
        host.sets(room, "m.room.power_levels", powers)
        eventually("the guest holds 50", lambda: guest.state(room, "m.room.power_levels")["users"].get(guest.id) == 50)
        guest.sets(room, "m.room.topic", {"topic": "from the guest"})
        eventually("the host has the topic", lambda: has_state(host, room, "m.room.topic", {"topic": "from the guest"}))
    with story.step(f"{way}: history from before the join is fetched when asked for"):
        old = public_room(host)
        sent = [host.says(old, f"line {n}") for n in range(30)]
        guest.joins(old, via=host.server.name)
        seen = eventually("the guest's history reaches the creation", lambda: (
            lambda events: events if any(e["type"] == "m.room.create" for e in events) else None)(guest.history(old)))
        equal([e["event_id"] for e in reversed(seen) if e["event_id"] in sent], sent, "every line once, in order")
    return room


def tell_ephemeral(story, host, guest, way):
    room = None
    with story.step(f"{way}: typing both ways"):
        room = both_in(host, guest)
        for typist, watcher in ((host, guest), (guest, host)):
            watcher.syncs()
            typist.put(f"/rooms/{quoted(room)}/typing/{quoted(typist.id)}", {"typing": True, "timeout": 20_000})
            syncs_until(watcher, f"sees {typist.id} typing", lambda a: any(
                typist.id in e["content"]["user_ids"] for e in joined_part(a, room).get("ephemeral", {}).get("events", [])
                if e["type"] == "m.typing"))
            typist.put(f"/rooms/{quoted(room)}/typing/{quoted(typist.id)}", {"typing": False})
    with story.step(f"{way}: receipts both ways, private ones never"):
        for reader, watcher in ((guest, host), (host, guest)):
            event = watcher.says(room, "read me")
            sees(reader, room, event)
            quiet = watcher.says(room, "read me quietly")
            sees(reader, room, quiet)
            reader.post(f"/rooms/{quoted(room)}/receipt/m.read.private/{quoted(quiet)}")
            reader.post(f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}")
            seen = syncs_until(watcher, f"sees {reader.id}'s receipt", lambda a: [
                e["content"] for e in joined_part(a, room).get("ephemeral", {}).get("events", [])
                if e["type"] == "m.receipt" and reader.id in e["content"].get(event, {}).get("m.read", {})])
            told = [users for content in seen for kinds in content.values() for kind, users in kinds.items() if kind == "m.read.private"]
            expect(not any(reader.id in users for users in told), "no private receipt to be told to others", seen)
    with story.step(f"{way}: a threaded receipt keeps its thread"):
        root = host.says(room, "root")
        sees(guest, room, root)
        reply = host.says(room, "reply", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
        sees(guest, room, reply)
        guest.post(f"/rooms/{quoted(room)}/receipt/m.read/{quoted(reply)}", {"thread_id": root})
        syncs_until(host, "sees the threaded receipt", lambda a: any(
            e["content"].get(reply, {}).get("m.read", {}).get(guest.id, {}).get("thread_id") == root
            for e in joined_part(a, room).get("ephemeral", {}).get("events", []) if e["type"] == "m.receipt"))
    with story.step(f"{way}: presence both ways"):
        for one, watcher in ((guest, host), (host, guest)):
            one.put(f"/presence/{quoted(one.id)}/status", {"presence": "unavailable", "status_msg": f"away {way}"})
            syncs_until(watcher, f"sees {one.id} away", lambda a: any(
                e["sender"] == one.id and e["content"].get("status_msg") == f"away {way}" for e in a.get("presence", {}).get("events", [])))


def tell_people(story, host, guest, way):
    with story.step(f"{way}: profiles are asked across, and a changed name reaches the room"):
        host.put(f"/profile/{quoted(host.id)}/displayname", {"displayname": f"Host {way}"})
        equal(guest.get(f"/profile/{quoted(host.id)}").get("displayname"), f"Host {way}", "the name")
        refused(lambda: guest.get(f"/profile/{quoted('@nobody-at-all:' + host.server.name)}"), 404, "a profile of nobody")
        room = both_in(host, guest)
        host.put(f"/profile/{quoted(host.id)}/displayname", {"displayname": f"Renamed {way}"})
        eventually("the guest sees the new name in the room", lambda: guest.state(room, "m.room.member", host.id).get("displayname") == f"Renamed {way}")
    with story.step(f"{way}: media is fetched from the other server"):
        content = secrets.token_bytes(20_000)
        path, headers = "/_matrix/media/v3/upload?filename=notes.bin", {"Content-Type": "application/octet-stream"}
        status, _, body = raw(host.server, host.token, "POST", path, content, headers)
        equal(status, 200, "the upload's status")
        place = json.loads(body)["content_uri"].removeprefix("mxc://")
        status, headers, got = raw(guest.server, guest.token, "GET", f"/_matrix/client/v1/media/download/{place}")
        equal((status, got == content), (200, True), "the download's status, and whether the bytes are the same")
        status, _, _ = raw(guest.server, guest.token, "GET", f"/_matrix/client/v1/media/download/{host.server.name}/nothinghere")
        equal(status, 404, "the status of unknown media")
    with story.step(f"{way}: device keys are asked across, one-time keys claimed once, messages to devices delivered"):
        device = {"user_id": host.id, "device_id": host.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
                  "keys": {f"curve25519:{host.device}": "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI",
                           f"ed25519:{host.device}": "lEuiRJBit0IG6nUf5pUzWTUEsRVVe/HJkoKuEww9ULI"},
                  "signatures": {host.id: {f"ed25519:{host.device}": "dSO80A01XiigH3uBiDVx/EjzaoycHcjq9lfQX0uWsqxl2giMIiSPR8a4d291W1ihKJL/a+myXS367WT6NAIcBA"}}}
        host.post("/keys/upload", {"device_keys": device, "one_time_keys": {"curve25519:AAAAAQ": "j3fR3HemM16M7CWhoI4Sk5ZsdmdfQHsKL1xuSft6MSw"}})
        room = both_in(host, guest)
        del room
        keys = eventually("the guest finds the host's device", lambda: guest.post("/keys/query", {"device_keys": {host.id: []}})
                          ["device_keys"].get(host.id, {}).get(host.device))
        equal(keys["keys"], device["keys"], "the device's keys")
        claim = lambda: guest.post("/keys/claim", {"one_time_keys": {host.id: {host.device: "curve25519"}}})["one_time_keys"]
        equal(list(claim().get(host.id, {}).get(host.device, {})), ["curve25519:AAAAAQ"], "the key claimed")
        equal(claim().get(host.id, {}).get(host.device, {}), {}, "a second claim")
        host.syncs()
        guest.put(f"/sendToDevice/org.example.ping/{secrets.token_hex(4)}", {"messages": {host.id: {host.device: {"way": way}}}})
        syncs_until(host, "gets the message to its device", lambda a: any(
            e["type"] == "org.example.ping" and e["content"] == {"way": way} and e["sender"] == guest.id for e in a.get("to_device", {}).get("events", [])))
    with story.step(f"{way}: a device signed out is told across"):
        room = both_in(host, guest)
        guest.syncs()
        answer = host.post("/login", {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": host.id}, "password": "a long enough phrase"})
        second = Person(host.server, answer["user_id"], answer["access_token"], answer["device_id"])
        second.post("/keys/upload", {"device_keys": {
            "user_id": second.id, "device_id": second.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"], "signatures": {second.id: {f"ed25519:{second.device}": "x"}},
            "keys": {f"curve25519:{second.device}": "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI", f"ed25519:{second.device}": "lEuiRJBit0IG6nUf5pUzWTUEsRVVe/HJkoKuEww9ULI"}}})
        syncs_until(guest, "is told that the host's devices changed", lambda a: host.id in a.get("device_lists", {}).get("changed", []))
        eventually("the new device is listed", lambda: second.device in guest.post("/keys/query", {"device_keys": {host.id: []}})["device_keys"].get(host.id, {}))
        second.post("/logout")
        eventually("the device is gone", lambda: second.device not in guest.post("/keys/query", {"device_keys": {host.id: []}})["device_keys"].get(host.id, {}))


def tell_spaces(story, host, guest, way):
    with story.step(f"{way}: a space's hierarchy is walked across, unjoined rooms included"):
        space = public_room(host, name="Campus", creation_content={"type": "m.space"})
        child = public_room(host, name="Course")
        deep = public_room(host, name="Subspace", creation_content={"type": "m.space"})
        leaf = public_room(host, name="Leaf")
        for parent, kid in ((space, child), (space, deep), (deep, leaf)):
            host.sets(parent, "m.space.child", {"via": [host.server.name]}, kid)
        guest.joins(space, via=host.server.name)
        found = eventually("all four rooms are listed", lambda: (lambda rooms: rooms if len(rooms) == 4 else None)(
            guest.ask("GET", f"/_matrix/client/v1/rooms/{quoted(space)}/hierarchy", limit=20)["rooms"]))
        equal({r["room_id"]: r.get("name") for r in found}, {space: "Campus", child: "Course", deep: "Subspace", leaf: "Leaf"}, "the rooms and names")
    with story.step(f"{way}: an upgrade is followed across"):
        room = both_in(host, guest, room_version="10", name="Before")
        fresh = host.post(f"/rooms/{quoted(room)}/upgrade", {"new_version": "11"})["replacement_room"]
        eventually("the guest sees the tombstone", lambda: any(
            e["type"] == "m.room.tombstone" and e["content"]["replacement_room"] == fresh for e in guest.recent(room)))
        guest.joins(fresh, via=host.server.name)
        is_member(host, fresh, guest, "join")
        equal(guest.state(fresh, "m.room.create")["predecessor"]["room_id"], room, "the predecessor")
    with story.step(f"{way}: jump to a date and a room's summary across"):
        room = public_room(host, name="Summary")
        event = host.says(room, "a dated line")
        found = guest.ask("GET", f"/_matrix/client/v1/room_summary/{quoted(room)}", via=host.server.name)
        equal((found["name"], found["num_joined_members"]), ("Summary", 1), "the summary's name and count")
        guest.joins(room, via=host.server.name)
        when = guest.history(room) and eventually("the event is known", lambda: guest.event(room, event))["origin_server_ts"]
        equal(guest.ask("GET", f"/_matrix/client/v1/rooms/{quoted(room)}/timestamp_to_event", ts=when, dir="f")["event_id"], event, "the event of that time")


def tell_absence(story, host, guest, way, how):
    """The guest's server goes away and comes back; both sides keep talking where they can."""
    with story.step(f"{way}: {how} for a while, and then timelines and state agree"):
        room = both_in(host, guest)
        quiet = both_in(host, guest)
        sees(guest, room, host.says(room, "before"), "a first message")
        getattr(guest.server, how)()
        away = [host.says(room, f"while you were away {n}") for n in range(25)]
        topic = host.sets(room, "m.room.topic", {"topic": "set while away"})
        guest.server.start()
        for event in (away[0], away[12], away[-1], topic):
            sees(guest, room, event, "what was said while away", SLOW)
        ours = [guest.says(room, f"back again {n}") for n in range(3)]
        sees(host, room, ours[-1], "the returned server's messages", SLOW)
        sees(host, quiet, guest.says(quiet, "the other room works too"), "the other room", SLOW)
        compare(host, guest, room, away + ours + [topic])


def tell_apart(story, host, guest, way):
    """Both keep talking while apart: the host is stopped first, then the guest."""
    with story.step(f"{way}: each talks alone while the other is gone, then state and timelines agree"):
        room = both_in(host, guest)
        powers = host.state(room, "m.room.power_levels")
        powers.setdefault("users", {})[guest.id] = 50
        host.sets(room, "m.room.power_levels", powers)
        eventually("the guest holds 50", lambda: guest.state(room, "m.room.power_levels")["users"].get(guest.id) == 50)
        host.server.stop()
        from_guest = [guest.says(room, f"guest alone {n}") for n in range(5)] + [guest.sets(room, "m.room.topic", {"topic": "guest's"})]
        guest.server.stop()
        host.server.start()
        from_host = [host.says(room, f"host alone {n}") for n in range(5)] + [host.sets(room, "m.room.name", {"name": "host's"})]
        guest.server.start()
        host.says(room, "anybody there?")
        guest.says(room, "yes")
        for event in from_host:
            sees(guest, room, event, "what the host said alone", SLOW)
        for event in from_guest:
            sees(host, room, event, "what the guest said alone", SLOW)
        compare(host, guest, room, from_host + from_guest)


def compare(host, guest, room, events):
    """State by key, and the presence of each event once in both timelines."""
    state = lambda person: {(e["type"], e["state_key"]): e["event_id"] for e in person.get(f"/rooms/{quoted(room)}/state")}
    eventually("both have the same state", lambda: state(host) == state(guest), SLOW)
    for person in (host, guest):
        seen = [e["event_id"] for e in person.history(room)]
        for event in events:
            equal(seen.count(event), 1, f"how often {event} is in the timeline of {person.id}")


def main():
    place = pathlib.Path(os.environ["INTEROP_PLACE"])
    kinds = os.environ["INTEROP_SERVER"], os.environ.get("FEDERATION_PEER", "synapse")
    authority = Authority(place / "ca")
    story = Story("federation")
    servers = []
    try:
        for number, kind in enumerate(kinds):
            servers.append(started(kind, place / f"{number}-{kind}", authority).start())
        here, there = (Person.registered(server, f"{name}-{RUN}") for server, name in zip(servers, ("anna", "ben")))
        names = kinds if kinds[0] != kinds[1] else ("the first", "the second")
        ways = [(here, there, f"room of {names[0]}"), (there, here, f"room of {names[1]}")]
        chosen = os.environ.get("FEDERATION_ONLY", "versions membership messages ephemeral people spaces absence").split()
        tales = dict(versions=tell_versions, membership=tell_membership, messages=tell_messages, ephemeral=tell_ephemeral,
                     people=tell_people, spaces=tell_spaces)
        for name, tell in tales.items():
            if name in chosen:
                for host, guest, way in ways:
                    tell(story, host, guest, way)
        if "absence" in chosen:
            for host, guest, way in ways:
                tell_absence(story, host, guest, way, "stop")
            tell_absence(story, there, here, ways[1][2], "kill")
            for host, guest, way in ways:
                tell_apart(story, host, guest, way)
    finally:
        for server in servers:
            server.stop()
    code = story.end()
    if code:
        for server in servers:
            print(f"# the end of {server.kind}'s log:\n{server.tail(12)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
