"""Two people on matrix-nio, the engine of nheko's relatives and of many bots: its own surface, from login to encryption.

HS_URL names the server. Encryption runs where nio finds its crypto library, and is named as skipped where not.
"""

import asyncio
import io
import logging
import os
import pathlib
import secrets
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from story import Story, Unmet, equal, expect  # noqa: E402

import nio  # noqa: E402
from nio.crypto import ENCRYPTION_ENABLED  # noqa: E402

logging.disable(logging.ERROR)  # nio tells of each refusal that a step asked for
HOME = os.environ["HS_URL"]
PASSWORD = "a long enough phrase"
RUN = secrets.token_hex(3)
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763686868000003040181e4ba4e0b0000000049454e44ae426082")


def good(answer, wanted, words):
    expect(isinstance(answer, wanted), f"{words} to be answered with {wanted.__name__}", answer)
    return answer


async def settles(person, words, look, seconds=15):
    """Syncs until `look` gives something."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        if found := look():
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise Unmet(f"expected within {seconds} s that {words}")
        good(await person.sync(timeout=500), nio.SyncResponse, "a sync")


def heard(person, kind):
    """A list that fills with (room, event) of one kind as this person syncs."""
    found = []
    person.add_event_callback(lambda room, event: found.append((room.room_id, event)), kind)
    return found


async def newcomer(name, store):
    config = nio.AsyncClientConfig(store_sync_tokens=True, encryption_enabled=ENCRYPTION_ENABLED)
    person = nio.AsyncClient(HOME, f"{name}-{RUN}", store_path=store, config=config)
    good(await person.register(f"{name}-{RUN}", PASSWORD, device_name="nio"), nio.RegisterResponse, f"{name}'s registration")
    return person


async def signs_in(user_id, store):
    config = nio.AsyncClientConfig(store_sync_tokens=True, encryption_enabled=ENCRYPTION_ENABLED)
    person = nio.AsyncClient(HOME, user_id, store_path=store, config=config)
    good(await person.login(PASSWORD, device_name="second"), nio.LoginResponse, "a login")
    return person


async def tell(story, alice, bob, store):
    with story.step("login information, whoami, a wrong password"):
        info = good(await alice.login_info(), nio.LoginInfoResponse, "the login flows")
        expect("m.login.password" in info.flows, "password login among the flows", info.flows)
        equal(good(await alice.whoami(), nio.WhoamiResponse, "whoami").user_id, alice.user_id, "whoami")
        stranger = nio.AsyncClient(HOME, alice.user_id)
        refused = good(await stranger.login("wrong"), nio.LoginError, "a wrong password")
        equal(refused.status_code, "M_FORBIDDEN", "the errcode")
        await stranger.close()
    with story.step("first sync"):
        for person in (alice, bob):
            good(await person.sync(timeout=0, full_state=True), nio.SyncResponse, "the first sync")
    with story.step("profile: display name and avatar"):
        good(await alice.set_displayname("Alice of nio"), nio.ProfileSetDisplayNameResponse, "setting the name")
        equal(good(await bob.get_displayname(alice.user_id), nio.ProfileGetDisplayNameResponse, "the name").displayname, "Alice of nio", "the name")
        equal(good(await bob.get_profile(alice.user_id), nio.ProfileGetResponse, "the profile").displayname, "Alice of nio", "the profile's name")
    room = None
    with story.step("create, invite, join"):
        answer = good(await alice.room_create(name="nio room", topic="talk", invite=[bob.user_id],
                                              preset=nio.RoomPreset.private_chat), nio.RoomCreateResponse, "creating a room")
        room = answer.room_id
        await settles(bob, "bob is invited", lambda: room in bob.invited_rooms)
        equal(bob.invited_rooms[room].name, "nio room", "the invite's room name")
        good(await bob.join(room), nio.JoinResponse, "joining")
        await settles(bob, "bob is in", lambda: room in bob.rooms)
        await settles(alice, "alice sees bob in the room", lambda: room in alice.rooms and bob.user_id in alice.rooms[room].users)
        equal(sorted(m.user_id for m in (await alice.joined_members(room)).members), sorted([alice.user_id, bob.user_id]), "the members")
        expect(room in (await bob.joined_rooms()).rooms, "the room among bob's joined rooms")
    messages = heard(bob, nio.RoomMessageText)
    event = None
    with story.step("send and receive"):
        answer = good(await alice.room_send(room, "m.room.message", {"msgtype": "m.text", "body": "hello from nio"}), nio.RoomSendResponse, "sending")
        event = answer.event_id
        await settles(bob, "bob receives it", lambda: any(e.event_id == event for _, e in messages))
        equal(messages[-1][1].body, "hello from nio", "the text")
        got = good(await bob.room_get_event(room, event), nio.RoomGetEventResponse, "the single event")
        equal(got.event.sender, alice.user_id, "its sender")
    with story.step("reaction, redaction"):
        reactions, gone = heard(alice, nio.ReactionEvent), heard(alice, nio.RedactionEvent)
        answer = await bob.room_send(room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "👍"}})
        good(answer, nio.RoomSendResponse, "reacting")
        await settles(alice, "alice sees the reaction", lambda: any(e.reacts_to == event for _, e in reactions))
        good(await bob.room_redact(room, answer.event_id, reason="oops"), nio.RoomRedactResponse, "redacting")
        await settles(alice, "alice sees the redaction", lambda: any(e.redacts == answer.event_id for _, e in gone))
    with story.step("receipts and the read marker"):
        receipts = []
        alice.add_ephemeral_callback(lambda r, e: receipts.extend(e.receipts), nio.ReceiptEvent)
        good(await bob.room_read_markers(room, event, event), nio.RoomReadMarkersResponse, "the read markers")
        await settles(alice, "alice sees how far bob has read", lambda: any(r.user_id == bob.user_id and r.event_id == event for r in receipts))
        good(await bob.update_receipt_marker(room, event), nio.UpdateReceiptMarkerResponse, "a receipt")
    with story.step("typing"):
        typing = []
        alice.add_ephemeral_callback(lambda r, e: typing.append(list(e.users)), nio.TypingNoticeEvent)
        good(await bob.room_typing(room, True, timeout=10_000), nio.RoomTypingResponse, "typing")
        await settles(alice, "alice sees bob typing", lambda: typing and typing[-1] == [bob.user_id])
        good(await bob.room_typing(room, False), nio.RoomTypingResponse, "no longer typing")
        await settles(alice, "alice sees that he stopped", lambda: typing[-1] == [])
    with story.step("presence"):
        good(await bob.set_presence("unavailable", "away"), nio.PresenceSetResponse, "setting presence")
        got = good(await alice.get_presence(bob.user_id), nio.PresenceGetResponse, "presence")
        equal(got.status_msg, "away", "the status message")
    with story.step("state: put, get one, get all"):
        good(await alice.room_put_state(room, "m.room.topic", {"topic": "new topic"}), nio.RoomPutStateResponse, "setting the topic")
        got = good(await bob.room_get_state_event(room, "m.room.topic"), nio.RoomGetStateEventResponse, "one state event")
        equal(got.content["topic"], "new topic", "the topic")
        everything = good(await bob.room_get_state(room), nio.RoomGetStateResponse, "the state")
        expect(any(e["type"] == "m.room.create" for e in everything.events), "the create event among the state")
        refused = await bob.room_put_state(room, "m.room.topic", {"topic": "mine"})
        equal(good(refused, nio.RoomPutStateError, "setting it without the power to").status_code, "M_FORBIDDEN", "the errcode")
    with story.step("history and context"):
        page = good(await bob.room_messages(room, start="", limit=50), nio.RoomMessagesResponse, "history")
        expect(any(e.event_id == event for e in page.chunk), "the message in the history")
        around = good(await bob.room_context(room, event, limit=4), nio.RoomContextResponse, "the context")
        equal(around.event.event_id, event, "the context's event")
    with story.step("alias and directory"):
        alias = f"#nio-{RUN}:{alice.user_id.split(':', 1)[1]}"
        good(await alice.room_put_alias(alias, room), nio.RoomPutAliasResponse, "an alias")
        equal(good(await bob.room_resolve_alias(alias), nio.RoomResolveAliasResponse, "resolving it").room_id, room, "the alias's room")
        good(await alice.room_delete_alias(alias), nio.RoomDeleteAliasResponse, "deleting it")
        good(await bob.room_resolve_alias(alias), nio.RoomResolveAliasError, "resolving a deleted alias")
        good(await alice.room_get_visibility(room), nio.RoomGetVisibilityResponse, "the directory visibility")
    with story.step("kick, ban, unban, leave, forget"):
        good(await alice.room_kick(room, bob.user_id, "out"), nio.RoomKickResponse, "kicking")
        expect(room not in (await bob.joined_rooms()).rooms, "the room to be gone from bob's joined rooms")
        good(await alice.room_ban(room, bob.user_id), nio.RoomBanResponse, "banning")
        good(await bob.join(room), nio.JoinError, "joining while banned")
        good(await alice.room_unban(room, bob.user_id), nio.RoomUnbanResponse, "unbanning")
        good(await alice.room_invite(room, bob.user_id), nio.RoomInviteResponse, "inviting again")
        good(await bob.join(room), nio.JoinResponse, "joining again")
        good(await bob.room_leave(room), nio.RoomLeaveResponse, "leaving")
        good(await bob.room_forget(room), nio.RoomForgetResponse, "forgetting")
    with story.step("media: upload, download, thumbnail"):
        answer, _ = await alice.upload(io.BytesIO(PICTURE), content_type="image/png", filename="dot.png", filesize=len(PICTURE))
        uri = good(answer, nio.UploadResponse, "uploading").content_uri
        got = good(await bob.download(uri), nio.DownloadResponse, "downloading")
        equal(got.body, PICTURE, "the bytes")
        equal(got.content_type, "image/png", "the type")
        equal(got.filename, "dot.png", "the name")
        good(await bob.content_repository_config(), nio.ContentRepositoryConfigResponse, "the upload limit")
    with story.step("push rules and pushers' neighbours: filters, openid"):
        good(await alice.upload_filter(room={"timeline": {"limit": 3}}), nio.UploadFilterResponse, "a filter")
        good(await alice.get_openid_token(alice.user_id), nio.GetOpenIDTokenResponse, "an openid token")
    with story.step("devices: list, rename, delete with the password"):
        second = await signs_in(alice.user_id, store)
        listed = good(await alice.devices(), nio.DevicesResponse, "the devices")
        expect(second.device_id in [d.id for d in listed.devices], "the second device in the list")
        good(await alice.update_device(second.device_id, {"display_name": "renamed"}), nio.UpdateDeviceResponse, "renaming")
        asked = good(await alice.delete_devices([second.device_id]), nio.DeleteDevicesAuthResponse, "deleting without authentication")
        auth = {"type": "m.login.password", "session": asked.session, "password": PASSWORD,
                "identifier": {"type": "m.id.user", "user": alice.user_id}}
        good(await alice.delete_devices([second.device_id], auth), nio.DeleteDevicesResponse, "deleting with the password")
        good(await second.whoami(), nio.WhoamiError, "the deleted device's token")
        await second.close()
    if not ENCRYPTION_ENABLED:
        story.skip("encryption", "nio found no crypto library")
        return
    with story.step("encryption: keys are uploaded, an encrypted room is read by the other"):
        secret = heard(bob, nio.RoomMessageText)
        for person in (alice, bob):
            if person.should_upload_keys:
                good(await person.keys_upload(), nio.KeysUploadResponse, "uploading keys")
        answer = await alice.room_create(invite=[bob.user_id], preset=nio.RoomPreset.trusted_private_chat, is_direct=True, initial_state=[
            {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}])
        sealed = good(answer, nio.RoomCreateResponse, "creating an encrypted room").room_id
        await settles(bob, "bob is invited", lambda: sealed in bob.invited_rooms)
        good(await bob.join(sealed), nio.JoinResponse, "joining")
        await settles(bob, "bob is in", lambda: sealed in bob.rooms)
        await settles(alice, "alice sees bob in", lambda: sealed in alice.rooms and bob.user_id in alice.rooms[sealed].users)
        expect(alice.rooms[sealed].encrypted, "the room to be known as encrypted")
        if alice.should_query_keys:
            good(await alice.keys_query(), nio.KeysQueryResponse, "querying keys")
        expect(list(alice.device_store.active_user_devices(bob.user_id)), "bob's device to be known to alice")
        answer = await alice.room_send(sealed, "m.room.message", {"msgtype": "m.text", "body": "sealed"}, ignore_unverified_devices=True)
        good(answer, nio.RoomSendResponse, "sending encrypted")
        await settles(bob, "bob reads it", lambda: any(e.event_id == answer.event_id and e.body == "sealed" for _, e in secret))


async def main():
    story = Story("nio")
    with tempfile.TemporaryDirectory() as store:
        people = []
        try:
            with story.step("registration"):
                people += [await newcomer("alice", store)]
                people += [await newcomer("bob", store)]
            if len(people) == 2:
                await tell(story, *people, store)
                with story.step("logout"):
                    good(await people[1].logout(), nio.LogoutResponse, "logging out")
                    good(await people[1].whoami(), nio.WhoamiError, "the token after logout")
        finally:
            for person in people:
                await person.close()
    return story.end()


if __name__ == "__main__":
    sys.exit(asyncio.run(asyncio.wait_for(main(), 180)))
