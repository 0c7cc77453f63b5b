// What Element Web asks beyond everyday messaging: search, delayed events, media in the clear, pushers, profile fields,
// the SDK's sliding sync class.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { deflateSync, crc32 } from "node:zlib";
import { HOME, ends, eventually, knows, named, refused, registers, says, sdk, sees, starts } from "./lib/people.mjs";
import { SlidingSync, SlidingSyncEvent, SlidingSyncState } from "matrix-js-sdk/lib/sliding-sync.js";

/// A plain picture, written by hand so that no image library is needed.
function png(width, height) {
    const chunk = (type, data) => {
        const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
        const out = Buffer.alloc(8 + body.length);
        out.writeUInt32BE(data.length, 0);
        body.copy(out, 4);
        out.writeUInt32BE(crc(body), 4 + body.length);
        return out;
    };
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, 2, 0, 0, 0], 8);
    const rows = Buffer.alloc(height * (1 + width * 3), 0x7f);
    for (let y = 0; y < height; y++) rows[y * (1 + width * 3)] = 0;
    return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function crc(bytes) {
    if (crc32) return crc32(bytes);
    let value = ~0;
    for (const byte of bytes) {
        value ^= byte;
        for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    }
    return ~value >>> 0;
}

async function fetched(person, url) {
    return fetch(url, { headers: { authorization: `Bearer ${person.getAccessToken()}` } });
}

describe("conveniences", { timeout: 180_000 }, () => {
    let alice, bob, room, mine;

    before(async () => {
        [alice, bob] = [await registers("alice"), await registers("bob")];
        await Promise.all([starts(alice), starts(bob)]);
        ({ room_id: room } = await alice.createRoom({ preset: "public_chat", name: "Library" }));
        await bob.joinRoom(room);
        await knows(bob, room);
    });
    after(() => ends(alice, bob, mine));

    it("search finds words in the rooms one is in, with context, and nobody else's", async () => {
        const word = `zymurgy${Date.now()}`;
        await says(alice, room, "what comes before");
        const event = await says(alice, room, `the last word is ${word}`);
        await says(alice, room, "what comes after");
        const elsewhere = (await alice.createRoom({ preset: "private_chat" })).room_id;
        await says(alice, elsewhere, `${word} in private`);
        const found = await eventually("bob's search finds it", async () => {
            const answer = await bob.search({ body: { search_categories: { room_events: {
                search_term: word, order_by: "recent", event_context: { before_limit: 1, after_limit: 1, include_profile: true },
            } } } });
            return answer.search_categories.room_events.results?.length && answer.search_categories.room_events;
        });
        assert.deepEqual(found.results.map((r) => r.result.event_id), [event], "the one message that bob may see");
        assert.equal(found.count, 1, "the count");
        assert.equal(found.results[0].context.events_before[0].content.body, "what comes before", "the context before");
        assert.equal(found.results[0].context.events_after[0].content.body, "what comes after", "the context after");
        assert.ok(found.highlights.includes(word), "the word is to be highlighted");
    });
    it("a delayed event is sent when its time comes, and not when it is cancelled", async () => {
        const cancelled = await alice._unstable_sendDelayedEvent(room, { delay: 60_000 }, null, "m.room.message", { msgtype: "m.text", body: "never" });
        const sent = await alice._unstable_sendDelayedEvent(room, { delay: 60_000 }, null, "m.room.message", { msgtype: "m.text", body: "now rather than later" });
        const soon = await alice._unstable_sendDelayedStateEvent(room, { delay: 500 }, "m.room.topic", { topic: "set by the clock" }, "");
        for (const answer of [cancelled, sent, soon]) assert.ok(answer.delay_id, "each is given a delay_id");
        await alice._unstable_updateDelayedEvent(cancelled.delay_id, "cancel");
        await alice._unstable_updateDelayedEvent(sent.delay_id, "send");
        await eventually("bob sees the one sent early", () => bob.getRoom(room).getLiveTimeline().getEvents().some((e) => e.getContent().body === "now rather than later"));
        await eventually("the topic is set after its delay", () =>
            bob.getStateEvent(room, "m.room.topic", "").then((content) => content.topic === "set by the clock", (error) => {
                if (error.errcode !== "M_NOT_FOUND") throw error;
            }));
        assert.ok(!bob.getRoom(room).getLiveTimeline().getEvents().some((e) => e.getContent().body === "never"), "the cancelled one was never sent");
        await refused(alice._unstable_updateDelayedEvent("nonsense", "send"), 404, "M_NOT_FOUND", "an unknown delay");
    });
    it("media: the limit is told, a picture is uploaded, downloaded and made small", async () => {
        assert.ok((await alice.getMediaConfig(true))["m.upload.size"] > 1_000_000, "the upload limit");
        const picture = png(640, 480);
        const { content_uri } = await alice.uploadContent(picture, { type: "image/png", name: "grey.png" });
        assert.match(content_uri, /^mxc:\/\//, "an mxc address");
        const download = await fetched(bob, bob.mxcUrlToHttp(content_uri, undefined, undefined, undefined, false, true, true));
        assert.equal(download.headers.get("content-type"), "image/png", "the type as uploaded");
        assert.match(download.headers.get("content-disposition") ?? "", /grey\.png/, "the name as uploaded");
        assert.deepEqual(Buffer.from(await download.arrayBuffer()), picture, "the bytes as uploaded");
        const small = await fetched(bob, bob.mxcUrlToHttp(content_uri, 96, 96, "scale", false, true, true));
        assert.equal(small.status, 200, "a thumbnail is made");
        assert.match(small.headers.get("content-type"), /^image\//, "it is a picture");
        assert.ok((await small.arrayBuffer()).byteLength > 0, "it is not empty");
        const missing = await fetched(bob, bob.mxcUrlToHttp(`mxc://${alice.getDomain()}/nothinghere`, undefined, undefined, undefined, false, true, true));
        assert.equal(missing.status, 404, "unknown media is not found");
        await bob.setAvatarUrl(content_uri);
        await eventually("alice sees bob's picture", () => alice.getRoom(room).getMember(bob.getUserId())?.getMxcAvatarUrl() === content_uri);
    });
    it("pushers are set, listed and removed", async () => {
        const pusher = { kind: "http", app_id: "org.example.app", pushkey: named("key"), app_display_name: "App", device_display_name: "Phone",
            lang: "en", data: { url: "https://push.example.org/_matrix/push/v1/notify", format: "event_id_only" } };
        await alice.setPusher(pusher);
        const listed = (await alice.getPushers()).pushers.find((p) => p.pushkey === pusher.pushkey);
        assert.equal(listed?.data.url, pusher.data.url, "the pusher as set");
        await alice.removePusher(pusher.pushkey, pusher.app_id);
        assert.equal((await alice.getPushers()).pushers.length, 0, "none is left");
    });
    it("notifications list what would have notified", async () => {
        const event = await says(bob, room, "Alice, look", { "m.mentions": { user_ids: [alice.getUserId()] } });
        await eventually("it is among alice's notifications", async () => {
            const { notifications } = await alice.http.authedRequest("GET", "/notifications", { limit: 10 });
            return notifications.some((n) => n.event.event_id === event && n.room_id === room);
        });
    });
    it("extended profile fields are set, read by others and removed", async () => {
        if (!(await alice.doesServerSupportExtendedProfiles())) assert.fail("extended profile fields are expected to be offered");
        await alice.setExtendedProfileProperty("m.tz", "Europe/Berlin");
        assert.equal(await bob.getExtendedProfileProperty(alice.getUserId(), "m.tz"), "Europe/Berlin", "the field");
        await alice.deleteExtendedProfileProperty("m.tz");
        // One field is read from the SDK's cache once it was seen; the whole profile is always asked for.
        await eventually("the removed field is no longer found", async () => !("m.tz" in (await bob.getExtendedProfile(alice.getUserId()))));
    });
    it("what Element asks and may not be served is refused cleanly", async () => {
        await refused(alice.http.authedRequest("GET", "/room_keys/version"), 404, "M_NOT_FOUND", "no key backup yet");
        await refused(alice.http.authedRequest("GET", "/no/such/path"), 404, "M_UNRECOGNIZED", "an unknown path");
        await alice.turnServer();
        await alice.getThirdpartyProtocols();
    });
    it("a browser's preflight is answered, on unknown paths too, and errors carry the headers", async () => {
        for (const path of ["/_matrix/client/v3/sync", "/_matrix/client/v3/no/such/path", "/_matrix/media/v3/upload"]) {
            const answer = await fetch(HOME + path, { method: "OPTIONS", headers: { origin: "https://app.example.org", "access-control-request-method": "GET" } });
            assert.ok(answer.ok, `OPTIONS ${path} is expected to be answered without a token, was ${answer.status}`);
            assert.equal(answer.headers.get("access-control-allow-origin"), "*", `OPTIONS ${path} allows every origin`);
        }
        const error = await fetch(`${HOME}/_matrix/client/v3/account/whoami`);
        assert.equal(error.status, 401, "no token");
        assert.equal(error.headers.get("access-control-allow-origin"), "*", "the refusal carries the header");
    });

    describe("sliding sync", () => {
        let sliding, extra;

        it("the first window has the rooms newest first, with name, members and timeline", async () => {
            extra = [];
            for (const name of ["first", "second", "third"]) extra.push((await alice.createRoom({ name, preset: "public_chat" })).room_id);
            const rooms = new Map();
            const lists = new Map([["all", { ranges: [[0, 19]], timeline_limit: 5, required_state: [["m.room.create", ""], ["m.room.name", ""], ["m.room.member", "$ME"]] }]]);
            sliding = new SlidingSync(HOME, lists, { timeline_limit: 20, required_state: [["*", "*"]] }, alice, 2_000);
            mine = { stopClient: () => sliding.stop() };
            const responses = [];
            sliding.on(SlidingSyncEvent.RoomData, (id, data) => rooms.set(id, [...(rooms.get(id) ?? []), data]));
            sliding.on(SlidingSyncEvent.Lifecycle, (state, response, error) => {
                if (state === SlidingSyncState.Complete && response) responses.push(response);
                if (error) responses.push(error);
            });
            sliding.heard = { rooms, responses };
            sliding.start();
            await eventually("the first answer has every room", () => extra.every((id) => rooms.has(id)) && rooms.has(room));
            const data = rooms.get(extra[0])[0];
            assert.equal(data.name, "first", "the room's name");
            assert.equal(data.initial, true, "it is said to be initial");
            assert.equal(data.joined_count, 1, "its members are counted");
            assert.ok(data.timeline.length > 0 && data.timeline.length <= 5, "its timeline is within the limit");
            assert.ok(data.required_state.some((e) => e.type === "m.room.name"), "the state asked for is there");
            assert.ok(sliding.getListData("all").joinedCount >= 4, "the list's count");
        });
        it("a new message arrives as an increment", async () => {
            await bob.joinRoom(extra[1]);
            const event = await says(bob, extra[1], "through the sliding window");
            await eventually("it arrives", () => sliding.heard.rooms.get(extra[1]).some((d) => d.timeline.some((e) => e.event_id === event)));
            const carrying = sliding.heard.rooms.get(extra[1]).find((d) => d.timeline.some((e) => e.event_id === event));
            assert.ok(!carrying.initial, "not initial again");
        });
        it("a room subscription brings the whole state", async () => {
            sliding.modifyRoomSubscriptions(new Set([extra[2]]));
            await eventually("power levels arrive, which the list did not ask for", () =>
                sliding.heard.rooms.get(extra[2]).some((d) => d.required_state?.some((e) => e.type === "m.room.power_levels")));
        });
        it("an unread mention is counted", { skip: process.env.HS_KIND === "synapse" && "Synapse is known not to count these" }, async () => {
            const event = await says(bob, extra[1], "Alice?", { "m.mentions": { user_ids: [alice.getUserId()] } });
            await eventually("with a highlight count of one", () => sliding.heard.rooms.get(extra[1]).some((d) => d.highlight_count === 1));
            assert.ok(sliding.heard.rooms.get(extra[1]).some((d) => d.timeline.some((e) => e.event_id === event)), "together with the message");
            sliding.stop();
        });
    });
});
