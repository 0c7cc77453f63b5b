// Everyday messaging as Element Web's engine does it: two people, real sockets, one story told in order.

import { after, describe, it } from "node:test";
import assert from "node:assert/strict";
import { HOME, PASSWORD, client, ends, eventually, knows, logsIn, named, refused, registers, says, sdk, sees, starts } from "./lib/people.mjs";

const { ReceiptType, NotificationCountType, Direction, EventTimeline } = sdk;

describe("everyday messaging", { timeout: 240_000 }, () => {
    let alice, bob, room;

    after(() => ends(alice, bob));

    describe("people", () => {
        it("registration walks the dummy stage and signs in", async () => {
            alice = await registers("alice");
            assert.deepEqual((await alice.whoami()).user_id, alice.getUserId(), "whoami names the person registered");
        });
        it("a taken name is refused, a free one is available", async () => {
            const door = sdk.createClient({ baseUrl: HOME });
            assert.equal(await door.isUsernameAvailable(named("nobody")), true, "an unused name is available");
            assert.equal(await door.isUsernameAvailable(named("alice")), false, "alice's name is taken");
            await refused(door.registerRequest({ username: named("alice"), password: PASSWORD, auth: { type: "m.login.dummy" } }),
                400, "M_USER_IN_USE", "registering a taken name");
        });
        it("login by password, by full id and by localpart; a wrong password is refused", async () => {
            const { flows } = await sdk.createClient({ baseUrl: HOME }).loginFlows();
            assert.ok(flows.some((flow) => flow.type === "m.login.password"), "password login is offered");
            const registered = await registers("bob");
            bob = await logsIn(registered.getUserId());
            assert.notEqual(bob.getDeviceId(), registered.getDeviceId(), "a second login makes a second device");
            const short = await logsIn(named("bob"));
            assert.equal(short.getUserId(), bob.getUserId(), "the localpart alone signs in the same person");
            await refused(logsIn(bob.getUserId(), { password: "wrong" }), 403, "M_FORBIDDEN", "a wrong password");
        });
        it("devices are listed, named and signed out", async () => {
            const spare = await logsIn(alice.getUserId(), { initial_device_display_name: "spare" });
            await alice.setDeviceDetails(spare.getDeviceId(), { display_name: "spare phone" });
            const { devices } = await alice.getDevices();
            assert.equal(devices.find((d) => d.device_id === spare.getDeviceId())?.display_name, "spare phone", "the new name is listed");
            await spare.logout();
            await refused(spare.whoami(), 401, "M_UNKNOWN_TOKEN", "a token after logout");
            assert.ok(!(await alice.getDevices()).devices.some((d) => d.device_id === spare.getDeviceId()), "the signed-out device is gone");
        });
        it("deleting a device asks for the password again", async () => {
            const spare = await logsIn(alice.getUserId());
            const asked = await alice.deleteDevice(spare.getDeviceId()).catch((error) => error);
            assert.equal(asked.httpStatus, 401, "interactive authentication is asked for");
            await alice.deleteDevice(spare.getDeviceId(), {
                type: "m.login.password", session: asked.data.session, password: PASSWORD,
                identifier: { type: "m.id.user", user: alice.getUserId() },
            });
            await refused(spare.whoami(), 401, "M_UNKNOWN_TOKEN", "the deleted device's token");
        });
        it("refresh tokens renew a session once", async () => {
            const answer = await sdk.createClient({ baseUrl: HOME }).loginRequest({
                type: "m.login.password", identifier: { type: "m.id.user", user: alice.getUserId() }, password: PASSWORD, refresh_token: true,
            });
            assert.ok(answer.refresh_token, "a refresh token is handed out when asked for");
            const fresh = await client(HOME, answer).refreshToken(answer.refresh_token);
            assert.notEqual(fresh.access_token, answer.access_token, "a new access token");
            const renewed = client(HOME, { ...answer, access_token: fresh.access_token });
            assert.equal((await renewed.whoami()).user_id, alice.getUserId(), "the new token works");
            await renewed.logout();
        });
        it("the profile is set and seen", async () => {
            await alice.setDisplayName("Alice of Alpha");
            await bob.setDisplayName("Bob of Beta");
            const profile = await bob.getProfileInfo(alice.getUserId());
            assert.equal(profile.displayname, "Alice of Alpha", "bob sees alice's display name");
        });
        it("both sync", async () => {
            await Promise.all([starts(alice), starts(bob)]);
        });
        it("presence is seen by who shares a room (set later), and can be asked for", async () => {
            await alice.setPresence({ presence: "unavailable", status_msg: "in a lecture" });
            const presence = await alice.getPresence(alice.getUserId());
            assert.equal(presence.status_msg, "in a lecture", "the status message is kept");
        });
    });

    describe("rooms", () => {
        it("create with name, topic and alias, and find the room by its alias", async () => {
            const answer = await alice.createRoom({
                name: "Algebra", topic: "Rings and fields", room_alias_name: named("algebra"), preset: "private_chat", visibility: "private",
            });
            room = answer.room_id;
            const known = await knows(alice, room);
            await eventually("the name has arrived over sync", () => known.name === "Algebra");
            const { room_id } = await bob.getRoomIdForAlias(`#${named("algebra")}:${alice.getDomain()}`);
            assert.equal(room_id, room, "the alias leads to the room");
        });
        it("an invite arrives with the room's name, and joining works", async () => {
            await refused(bob.joinRoom(room), 403, "M_FORBIDDEN", "joining uninvited");
            await alice.invite(room, bob.getUserId());
            const invited = await knows(bob, room, "invite");
            assert.equal(invited.name, "Algebra", "the stripped state names the room");
            assert.equal(invited.getDMInviter?.() ?? alice.getUserId(), alice.getUserId());
            await bob.joinRoom(room);
            await knows(bob, room);
            await eventually("alice sees bob joined, by his display name", () =>
                alice.getRoom(room).getMember(bob.getUserId())?.membership === "join" &&
                alice.getRoom(room).getMember(bob.getUserId()).name === "Bob of Beta");
        });
        it("joined_rooms and joined_members agree", async () => {
            assert.ok((await bob.getJoinedRooms()).joined_rooms.includes(room), "bob's joined rooms hold it");
            const { joined } = await bob.getJoinedRoomMembers(room);
            assert.deepEqual(Object.keys(joined).sort(), [alice.getUserId(), bob.getUserId()].sort(), "two members");
        });
        it("leave, and come back by a new invite", async () => {
            await bob.leave(room);
            await knows(bob, room, "leave");
            await eventually("alice sees him gone", () => alice.getRoom(room).getMember(bob.getUserId())?.membership === "leave");
            await alice.invite(room, bob.getUserId());
            await knows(bob, room, "invite");
            await bob.joinRoom(room);
            await knows(bob, room);
        });
        it("kick, with the reason seen by the one kicked", async () => {
            await refused(bob.kick(room, alice.getUserId()), 403, "M_FORBIDDEN", "kicking without the power to");
            await alice.kick(room, bob.getUserId(), "come back calmer");
            await knows(bob, room, "leave");
            assert.equal(bob.getRoom(room).getMember(bob.getUserId()).events.member.getContent().reason, "come back calmer", "the reason");
        });
        it("ban keeps out until unban", async () => {
            await alice.ban(room, bob.getUserId(), "enough");
            await eventually("bob is banned", () => bob.getRoom(room).getMyMembership() === "ban");
            await refused(alice.invite(room, bob.getUserId()), 403, ["M_FORBIDDEN", "M_BAD_STATE"], "inviting somebody banned");
            await alice.unban(room, bob.getUserId());
            await alice.invite(room, bob.getUserId());
            await bob.joinRoom(room);
            await knows(bob, room);
        });
        it("power levels: given, used", async () => {
            await alice.setPowerLevel(room, bob.getUserId(), 50);
            await eventually("bob holds 50", () => bob.getRoom(room).getMember(bob.getUserId())?.powerLevel === 50);
            await bob.setRoomTopic(room, "Rings, fields and modules");
            await eventually("alice sees the topic", () =>
                alice.getRoom(room).getLiveTimeline().getState(EventTimeline.FORWARDS).getStateEvents("m.room.topic", "")?.getContent().topic === "Rings, fields and modules");
        });
        it("knocking is seen by who may let in", async () => {
            const { room_id } = await alice.createRoom({ initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }] });
            await bob.knockRoom(room_id, { reason: "may I?" });
            await knows(bob, room_id, "knock");
            await eventually("alice sees the knock", () => alice.getRoom(room_id)?.getMember(bob.getUserId())?.membership === "knock");
            await alice.invite(room_id, bob.getUserId());
            await knows(bob, room_id, "invite");
            await bob.joinRoom(room_id);
            await knows(bob, room_id);
        });
        it("a left room can be forgotten", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat" });
            await bob.joinRoom(room_id);
            await knows(bob, room_id);
            await bob.leave(room_id);
            await bob.forget(room_id);
            await refused(bob.createMessagesRequest(room_id, null, 5, Direction.Backward), 403, "M_FORBIDDEN", "reading a forgotten room");
        });
    });

    describe("messages", () => {
        let first;

        it("a message sent is seen by the other, and by the sender with its transaction id", async () => {
            const txn = `m${Date.now()}.txn`;
            const { event_id } = await alice.sendMessage(room, { msgtype: "m.text", body: "hello, Bob" }, txn);
            first = event_id;
            const seen = await sees(bob, room, first);
            assert.equal(seen.getContent().body, "hello, Bob", "the text");
            assert.equal(seen.getSender(), alice.getUserId(), "the sender");
            const own = await sees(alice, room, first);
            assert.equal(own.getUnsigned().transaction_id, txn, "one's own event carries unsigned.transaction_id");
            assert.equal(seen.getUnsigned().transaction_id, undefined, "somebody else's does not");
            const again = await fetch(`${HOME}/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${txn}`, {
                method: "PUT", headers: { authorization: `Bearer ${alice.getAccessToken()}` }, body: JSON.stringify({ msgtype: "m.text", body: "hello, Bob" }),
            });
            assert.equal((await again.json()).event_id, first, "the same transaction id answers with the same event");
        });
        it("a reply refers to what it answers", async () => {
            const reply = await says(bob, room, "hello, Alice", { "m.relates_to": { "m.in_reply_to": { event_id: first } } });
            const seen = await sees(alice, room, reply);
            assert.equal(seen.replyEventId, first, "the reply's target");
        });
        it("reactions aggregate at the client, and twice the same is refused", async () => {
            const content = { "m.relates_to": { rel_type: "m.annotation", event_id: first, key: "👍" } };
            const { event_id } = await bob.sendEvent(room, "m.reaction", content);
            await sees(alice, room, event_id);
            await eventually("alice counts one thumb", () =>
                alice.getRoom(room).relations.getChildEventsForEvent(first, "m.annotation", "m.reaction")?.getSortedAnnotationsByKey()?.[0]?.[1].size === 1);
            await refused(bob.sendEvent(room, "m.reaction", content), 400, "M_DUPLICATE_ANNOTATION", "the same reaction again");
        });
        it("an edit replaces the text, over sync and bundled", async () => {
            const { event_id } = await alice.sendEvent(room, "m.room.message", {
                "msgtype": "m.text", "body": "* hello, dear Bob",
                "m.new_content": { msgtype: "m.text", body: "hello, dear Bob" },
                "m.relates_to": { rel_type: "m.replace", event_id: first },
            });
            await sees(bob, room, event_id);
            await eventually("bob's client shows the edit", () => bob.getRoom(room).findEventById(first).getContent().body === "hello, dear Bob");
            const raw = await bob.fetchRoomEvent(room, first);
            assert.equal(raw.unsigned?.["m.relations"]?.["m.replace"]?.event_id, event_id, "the edit is bundled with the original");
            const { chunk } = await bob.fetchRelations(room, first, "m.replace", "m.room.message");
            assert.deepEqual(chunk.map((e) => e.event_id), [event_id], "the edit history");
        });
        it("a redaction empties the event for both", async () => {
            const slip = await says(alice, room, "a slip of the tongue");
            await sees(bob, room, slip);
            const { event_id } = await alice.redactEvent(room, slip, undefined, { reason: "slip" });
            await eventually("bob's client shows it removed", () => bob.getRoom(room).findEventById(slip)?.isRedacted());
            const raw = await bob.fetchRoomEvent(room, slip);
            assert.deepEqual(raw.content, {}, "nothing is left of the content");
            assert.equal(raw.unsigned?.redacted_because?.event_id, event_id, "it says what redacted it");
        });
        it("a thread: replies, its summary bundled, the list of threads", async () => {
            const root = await says(alice, room, "who takes the seminar?");
            await sees(bob, room, root);
            const replies = [];
            for (const [person, text] of [[bob, "I would"], [alice, "good"], [bob, "on Tuesday"]]) {
                replies.push(await says(person, room, text, {
                    "m.relates_to": { "rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": { event_id: replies.at(-1) ?? root } },
                }));
            }
            // Not the client's own `length`: it adds a reply that comes over sync to a bundled count that had it already.
            const thread = await eventually("alice's client has the thread with three replies", () => {
                const found = alice.getRoom(room).getThread(root);
                return replies.every((reply) => found?.findEventById(reply)?.status === null) && found;
            });
            assert.equal(thread.rootEvent.getId(), root, "the root");
            const raw = await alice.fetchRoomEvent(room, root);
            const summary = raw.unsigned?.["m.relations"]?.["m.thread"];
            assert.equal(summary?.count, 3, "the bundled count");
            assert.equal(summary.latest_event.event_id, replies[2], "the bundled latest event");
            assert.equal(summary.current_user_participated, true, "alice took part");
            const { chunk } = await bob.createThreadListMessagesRequest(room, null, 10);
            assert.deepEqual(chunk.map((e) => e.event_id), [root], "the list of threads");
            const relations = await bob.fetchRelations(room, root, "m.thread", null, { dir: Direction.Forward });
            assert.deepEqual(relations.chunk.map((e) => e.event_id), replies, "the thread's events in order");
        });
        it("an emote, a notice, and an event of a type nobody knows", async () => {
            for (const content of [{ msgtype: "m.emote", body: "waves" }, { msgtype: "m.notice", body: "beep" }]) {
                const { event_id } = await bob.sendEvent(room, "m.room.message", content);
                assert.equal((await sees(alice, room, event_id)).getContent().msgtype, content.msgtype, "the msgtype");
            }
            const { event_id } = await bob.sendEvent(room, "org.example.custom", { deep: { list: [1, "two", null, { three: true }] } });
            assert.deepEqual((await sees(alice, room, event_id)).getContent(), { deep: { list: [1, "two", null, { three: true }] } }, "the content as sent");
        });
        it("a poll: start, answer, end as relations", async () => {
            const poll = await bob.sendEvent(room, "org.matrix.msc3381.poll.start", {
                "org.matrix.msc3381.poll.start": { question: { "org.matrix.msc1767.text": "tea?" }, kind: "org.matrix.msc3381.poll.disclosed", max_selections: 1,
                    answers: [{ "id": "y", "org.matrix.msc1767.text": "yes" }, { "id": "n", "org.matrix.msc1767.text": "no" }] },
                "org.matrix.msc1767.text": "tea?",
            });
            await sees(alice, room, poll.event_id);
            const answer = await alice.sendEvent(room, "org.matrix.msc3381.poll.response", {
                "m.relates_to": { rel_type: "m.reference", event_id: poll.event_id }, "org.matrix.msc3381.poll.response": { answers: ["y"] },
            });
            await sees(bob, room, answer.event_id);
            await eventually("the answer is among the poll's references", async () => {
                const { chunk } = await alice.fetchRelations(room, poll.event_id, "m.reference", "org.matrix.msc3381.poll.response");
                return chunk.length === 1 && chunk[0].content["org.matrix.msc3381.poll.response"]?.answers[0] === "y";
            });
        });
        it("context, single event and the event at a time", async () => {
            const timeline = await bob.getEventTimeline(bob.getRoom(room).getUnfilteredTimelineSet(), first);
            assert.ok(timeline.getEvents().some((e) => e.getId() === first), "the context holds the event");
            const { event_id } = await bob.timestampToEvent(room, (await bob.fetchRoomEvent(room, first)).origin_server_ts, Direction.Forward);
            assert.equal(event_id, first, "jump to date finds it");
        });
    });

    describe("receipts, counts, typing, presence", () => {
        it("unread counts grow with messages and mentions, and a public receipt clears them", async () => {
            const before = await says(bob, room, "caught up");
            await alice.sendReadReceipt(await sees(alice, room, before), ReceiptType.Read);
            await eventually("alice has nothing unread", () => alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total) === 0);
            await says(bob, room, "one");
            const last = await says(bob, room, "Alice, two", { "m.mentions": { user_ids: [alice.getUserId()] } });
            await eventually("alice has two unread, one of them a highlight", () =>
                alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total) === 2 &&
                alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Highlight) === 1);
            await alice.sendReadReceipt(await sees(alice, room, last), ReceiptType.Read);
            await eventually("bob sees how far alice has read", () => bob.getRoom(room).getEventReadUpTo(alice.getUserId(), true) === last);
            await eventually("alice's counts are back to nothing", () => alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total) === 0);
        });
        it("a private receipt clears the count and is seen by nobody else", async () => {
            const event = await says(bob, room, "read me quietly");
            await eventually("one unread", () => alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total) === 1);
            const seenBefore = bob.getRoom(room).getEventReadUpTo(alice.getUserId(), true);
            await alice.sendReadReceipt(await sees(alice, room, event), ReceiptType.ReadPrivate);
            await eventually("nothing unread", () => alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total) === 0);
            await sees(bob, room, await says(alice, room, "a mark after the private receipt"));
            assert.equal(bob.getRoom(room).getEventReadUpTo(alice.getUserId(), true), seenBefore, "bob's view of alice's reading has not moved");
        });
        it("a thread's unread count is its own, cleared by a threaded receipt", async () => {
            const root = await says(alice, room, "second thread");
            await sees(bob, room, root);
            const reply = await says(bob, room, "in the thread", { "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
            const counts = () => [alice.getRoom(room).getThreadUnreadNotificationCount(root, NotificationCountType.Total),
                alice.getRoom(room).getRoomUnreadNotificationCount(NotificationCountType.Total)].join();
            await eventually("alice has one unread in the thread and none in the room", () => counts() === "1,0").catch((error) =>
                assert.fail(`${error.message}; thread and room count ${counts()}`));
            const seen = await sees(alice, room, reply);
            await alice.sendReadReceipt(seen, ReceiptType.Read);
            await eventually("the thread is read", () => alice.getRoom(room).getThreadUnreadNotificationCount(root, NotificationCountType.Total) === 0);
        });
        it("the fully-read marker comes back over sync", async () => {
            const mark = await says(bob, room, "up to here");
            const event = await sees(alice, room, mark);
            await alice.setRoomReadMarkers(room, mark, event);
            await eventually("m.fully_read is room account data", () => alice.getRoom(room).getAccountData("m.fully_read")?.getContent().event_id === mark);
        });
        it("typing starts and stops", async () => {
            await bob.sendTyping(room, true, 20_000);
            await eventually("alice sees bob typing", () => alice.getRoom(room).getMember(bob.getUserId())?.typing);
            await bob.sendTyping(room, false, 0);
            await eventually("alice sees bob no longer typing", () => !alice.getRoom(room).getMember(bob.getUserId()).typing);
        });
        it("presence reaches who shares a room", async () => {
            await bob.setPresence({ presence: "unavailable", status_msg: "at lunch" });
            await eventually("alice sees bob's status", () => alice.getUser(bob.getUserId())?.presenceStatusMsg === "at lunch");
        });
        it("a changed display name reaches the room", async () => {
            await bob.setDisplayName("Bob the Builder");
            await eventually("alice sees the new name", () => alice.getRoom(room).getMember(bob.getUserId())?.name === "Bob the Builder");
        });
    });

    describe("one's own settings", () => {
        it("tags are kept and synced", async () => {
            await alice.setRoomTag(room, "m.favourite", { order: 0.25 });
            await eventually("the tag arrives", () => alice.getRoom(room).tags["m.favourite"]?.order === 0.25);
            await alice.deleteRoomTag(room, "m.favourite");
            await eventually("the tag goes", () => !alice.getRoom(room).tags["m.favourite"]);
        });
        it("account data, global and per room", async () => {
            await alice.setAccountData("org.example.settings", { theme: "dark" });
            assert.deepEqual(alice.getAccountData("org.example.settings").getContent(), { theme: "dark" }, "global account data over sync");
            await alice.setRoomAccountData(room, "org.example.room", { colour: "blue" });
            await eventually("room account data over sync", () => alice.getRoom(room).getAccountData("org.example.room")?.getContent().colour === "blue");
        });
        it("a direct chat is marked by its invite and by m.direct", async () => {
            const { room_id } = await alice.createRoom({ is_direct: true, preset: "trusted_private_chat", invite: [bob.getUserId()] });
            const invited = await knows(bob, room_id, "invite");
            assert.equal(invited.getDMInviter(), alice.getUserId(), "the invite says is_direct");
            await bob.joinRoom(room_id);
            await alice.setAccountData("m.direct", { [bob.getUserId()]: [room_id] });
            assert.deepEqual(alice.getAccountData("m.direct").getContent()[bob.getUserId()], [room_id], "m.direct is kept");
        });
        it("an ignored person's messages no longer come", async () => {
            const { room_id } = await alice.createRoom({ preset: "private_chat", invite: [bob.getUserId()] });
            await bob.joinRoom(room_id);
            await alice.setIgnoredUsers([bob.getUserId()]);
            await eventually("the list is synced", () => alice.isUserIgnored(bob.getUserId()));
            const hidden = await says(bob, room_id, "can you hear me?");
            const mark = await says(alice, room_id, "a mark after it");
            await sees(alice, room_id, mark);
            assert.equal(alice.getRoom(room_id).findEventById(hidden), undefined, "the ignored message is not in the timeline");
            await alice.setIgnoredUsers([]);
            await eventually("nobody is ignored", () => !alice.isUserIgnored(bob.getUserId()));
        });
        it("push rules: muting a room stops its counts", async () => {
            const { room_id } = await alice.createRoom({ preset: "private_chat", invite: [bob.getUserId()] });
            await bob.joinRoom(room_id);
            await knows(alice, room_id);
            await alice.addPushRule("global", "room", room_id, { actions: [] });
            const event = await says(bob, room_id, "quiet please");
            await sees(alice, room_id, event);
            assert.equal(alice.getRoom(room_id).getRoomUnreadNotificationCount(NotificationCountType.Total), 0, "a muted room counts nothing");
            const rules = await alice.getPushRules();
            assert.ok(rules.global.room.some((rule) => rule.rule_id === room_id), "the rule is listed");
            await alice.deletePushRule("global", "room", room_id);
        });
        it("capabilities, filters and an openid token are served", async () => {
            const capabilities = await alice.getCapabilities();
            assert.ok(capabilities["m.room_versions"]?.available, "room versions are named");
            assert.ok((await alice.getOpenIdToken()).access_token, "an openid token");
            const filter = await alice.createFilter({ room: { timeline: { limit: 7 } } });
            assert.equal((await alice.getFilter(alice.getUserId(), filter.filterId, false)).getDefinition().room.timeline.limit, 7, "the filter as stored");
        });
    });

    describe("finding rooms and people", () => {
        it("a published room is found in the directory by words", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat", visibility: "public", name: `Chess club ${named("x")}`, topic: "every Friday" });
            const { chunk } = await bob.publicRooms({ limit: 10, filter: { generic_search_term: `Chess club ${named("x")}` } });
            assert.deepEqual(chunk.map((r) => r.room_id), [room_id], "the search finds it and nothing else");
            assert.equal(chunk[0].num_joined_members, 1, "its members are counted");
            await alice.setRoomDirectoryVisibility(room_id, "private");
            const gone = await bob.publicRooms({ limit: 10, filter: { generic_search_term: `Chess club ${named("x")}` } });
            assert.deepEqual(gone.chunk, [], "unpublished, it is no longer found");
        });
        it("the directory is paged", async () => {
            const wanted = [];
            for (let n = 0; n < 3; n++) {
                wanted.push((await alice.createRoom({ preset: "public_chat", visibility: "public", name: `Paged ${named("p")} ${n}` })).room_id);
            }
            const found = [];
            let since;
            do {
                const page = await bob.publicRooms({ limit: 2, since, filter: { generic_search_term: `Paged ${named("p")}` } });
                found.push(...page.chunk.map((r) => r.room_id));
                since = page.next_batch;
            } while (since && found.length < 10);
            assert.deepEqual(found.sort(), wanted.sort(), "each room once over the pages");
        });
        it("people are found by name", async () => {
            const finds = async (seeker, term, sought) =>
                (await seeker.searchUserDirectory({ term, limit: 5 })).results.some((r) => r.user_id === sought.getUserId());
            await eventually("bob is found by his localpart", () => finds(alice, named("bob"), bob));
            await eventually("alice is found by her display name", () => finds(bob, "Alice of Alpha", alice));
        });
        it("a space lists its rooms", async () => {
            const space = (await alice.createRoom({ preset: "public_chat", name: "Mathematics", creation_content: { type: "m.space" } })).room_id;
            const child = (await alice.createRoom({ preset: "public_chat", name: "Analysis" })).room_id;
            await alice.sendStateEvent(space, "m.space.child", { via: [alice.getDomain()], order: "a", suggested: true }, child);
            await alice.sendStateEvent(child, "m.space.parent", { via: [alice.getDomain()], canonical: true }, space);
            await bob.joinRoom(space);
            const { rooms } = await bob.getRoomHierarchy(space, 10, 3);
            assert.deepEqual(rooms.map((r) => r.room_id), [space, child], "the space first, then its child");
            assert.equal(rooms[0].room_type, "m.space", "the space says that it is one");
            assert.equal(rooms[0].children_state[0].state_key, child, "its children's state");
        });
        it("a restricted room lets members of its space in", async () => {
            const space = (await alice.createRoom({ preset: "public_chat", name: "Faculty", creation_content: { type: "m.space" } })).room_id;
            const { room_id } = await alice.createRoom({
                preset: "private_chat", initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "restricted", allow: [{ type: "m.room_membership", room_id: space }] } }],
            });
            await refused(bob.joinRoom(room_id), 403, "M_FORBIDDEN", "joining from outside the space");
            await bob.joinRoom(space);
            await bob.joinRoom(room_id);
            await knows(bob, room_id);
        });
        it("a room's summary is shown before joining", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat", name: "Open lecture" });
            const summary = await bob.getRoomSummary(room_id, [alice.getDomain()]);
            assert.equal(summary.name, "Open lecture", "the summary's name");
            assert.equal(summary.num_joined_members, 1, "the summary's count");
        });
    });

    describe("a room's life", () => {
        it("history is paged back to the room's creation", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat", name: "Long" });
            const sent = [];
            for (let n = 0; n < 60; n++) sent.push(await says(alice, room_id, `line ${n}`));
            await bob.joinRoom(room_id);
            const long = await knows(bob, room_id);
            let rounds = 0;
            while (long.getLiveTimeline().getPaginationToken(EventTimeline.BACKWARDS) && rounds++ < 20) await bob.scrollback(long, 30);
            const events = long.getLiveTimeline().getEvents();
            assert.equal(events[0].getType(), "m.room.create", "the oldest event is the creation");
            assert.deepEqual(events.filter((e) => e.getType() === "m.room.message").map((e) => e.getId()), sent, "every message once, in order");
        });
        it("a gap is told as limited, and filled by paging", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat", name: "Gap" });
            await bob.joinRoom(room_id);
            await knows(bob, room_id);
            bob.stopClient();
            const sent = [];
            for (let n = 0; n < 40; n++) sent.push(await says(alice, room_id, `missed ${n}`));
            const back = client(HOME, { user_id: bob.getUserId(), access_token: bob.getAccessToken(), device_id: bob.getDeviceId() });
            bob = await starts(back, { initialSyncLimit: 5 });
            const gap = await knows(bob, room_id);
            await sees(bob, room_id, sent.at(-1));
            assert.ok(!gap.findEventById(sent[0]), "the first missed line is not in the short timeline");
            let rounds = 0;
            while (!gap.findEventById(sent[0]) && rounds++ < 10) await bob.scrollback(gap, 20);
            assert.deepEqual(gap.getLiveTimeline().getEvents().filter((e) => sent.includes(e.getId())).map((e) => e.getId()), sent, "nothing is missing or doubled");
        });
        it("an upgrade leaves a tombstone, and the new room names its predecessor", async () => {
            const { room_id } = await alice.createRoom({ preset: "public_chat", name: "Old hall", room_version: "11" });
            const { replacement_room } = await alice.upgradeRoom(room_id, "12");
            const old = await knows(alice, room_id);
            await eventually("the tombstone is synced", () =>
                old.getLiveTimeline().getState(EventTimeline.FORWARDS).getStateEvents("m.room.tombstone", "")?.getContent().replacement_room === replacement_room);
            const fresh = await knows(alice, replacement_room);
            await eventually("the name is carried over", () => fresh.name === "Old hall");
            assert.equal(fresh.findPredecessor()?.roomId, room_id, "the predecessor");
            assert.equal(fresh.getVersion(), "12", "the new version");
            await bob.joinRoom(replacement_room);
            await knows(bob, replacement_room);
        });
        it("each room version offered can be created, spoken in and joined", async () => {
            const { available } = (await alice.getCapabilities())["m.room_versions"];
            for (const version of ["6", "9", "10", "11", "12"].filter((v) => v in available)) {
                const { room_id } = await alice.createRoom({ preset: "public_chat", room_version: version });
                await bob.joinRoom(room_id);
                const event = await says(bob, room_id, `in version ${version}`);
                await sees(alice, room_id, event, `sees the message in a room of version ${version}`);
            }
        });
        it("reports are taken", async () => {
            const event = await says(bob, room, "something rude");
            await alice.reportEvent(room, event, -100, "rude");
        });
        it("the password is changed, the old one no longer signs in", async () => {
            const fresh = `${PASSWORD}, renewed`;
            const auth = { type: "m.login.password", identifier: { type: "m.id.user", user: bob.getUserId() }, password: PASSWORD };
            await bob.setPassword(auth, fresh, false);
            await refused(logsIn(bob.getUserId()), 403, "M_FORBIDDEN", "the old password");
            const again = await logsIn(bob.getUserId(), { password: fresh });
            await again.logout();
        });
        it("a deactivated account can no longer sign in", async () => {
            const carol = await registers("carol");
            const auth = { type: "m.login.password", identifier: { type: "m.id.user", user: carol.getUserId() }, password: PASSWORD };
            await carol.deactivateAccount(auth, true);
            await refused(logsIn(carol.getUserId()), 403, ["M_USER_DEACTIVATED", "M_FORBIDDEN"], "signing in after deactivation");
        });
    });
});
