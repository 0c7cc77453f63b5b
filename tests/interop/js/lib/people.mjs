// People of a story, each a matrix-js-sdk client of their own, and the words in which a story expects things.
//
// HS_URL is the server everybody is on; PEER_URL, where given, the server that the second person is on.

import "./prepare.mjs";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as sdk from "matrix-js-sdk";

export { sdk };
export const HOME = process.env.HS_URL ?? "http://127.0.0.1:8008";
export const PEER = process.env.PEER_URL ?? HOME;
export const PASSWORD = "a long enough phrase";

const run = randomBytes(3).toString("hex");

/// A name that no earlier run on the same server has taken.
export function named(name) {
    return `${name}-${run}`;
}

/// Waits until `look` gives something, asking again and again; fails in words.
export async function eventually(words, look, { seconds = 15, everyMs = 25 } = {}) {
    const deadline = Date.now() + seconds * 1000;
    let last;
    for (;;) {
        last = await look();
        if (last) return last;
        if (Date.now() > deadline) assert.fail(`expected within ${seconds} s that ${words}; saw ${String(last)}`);
        await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
}

/// The error that a promise ends with, which must be the server's refusal with this status and (one of) this errcode.
export async function refused(promise, status, errcode, words) {
    const codes = [errcode].flat();
    let answer;
    try {
        answer = await promise;
    } catch (error) {
        assert.equal(error.httpStatus, status, `${words}: status`);
        assert.ok(codes.includes(error.errcode), `${words}: expected ${codes.join(" or ")}, was refused with ${error.errcode}`);
        return error;
    }
    assert.fail(`${words}: expected ${status} ${codes.join(" or ")}, was answered ${JSON.stringify(answer)}`);
}

/// Registers with the dummy stage, walking the interactive authentication as Element does.
export async function registers(name, { baseUrl = HOME, password = PASSWORD } = {}) {
    const door = sdk.createClient({ baseUrl });
    const wish = { username: named(name), password, initial_device_display_name: `${name}'s first device` };
    let session;
    try {
        await door.registerRequest(wish);
        assert.fail("registration without any stage is expected to be answered 401 with the flows");
    } catch (error) {
        if (error.httpStatus !== 401) throw error;
        assert.ok(error.data.flows.some((flow) => flow.stages.includes("m.login.dummy")), "a flow with the dummy stage is expected");
        session = error.data.session;
    }
    const answer = await door.registerRequest({ ...wish, auth: { type: "m.login.dummy", session } });
    return client(baseUrl, answer);
}

export async function logsIn(userId, { baseUrl = HOME, password = PASSWORD, ...more } = {}) {
    const answer = await sdk.createClient({ baseUrl }).loginRequest({
        type: "m.login.password", identifier: { type: "m.id.user", user: userId }, password, ...more,
    });
    return client(baseUrl, answer);
}

export function client(baseUrl, { user_id, access_token, device_id }, more = {}) {
    return sdk.createClient({ baseUrl, userId: user_id, accessToken: access_token, deviceId: device_id, timelineSupport: true, ...more });
}

/// Starts syncing and waits for the first answer.
export async function starts(person, options = {}) {
    await person.startClient({ initialSyncLimit: 20, threadSupport: true, lazyLoadMembers: true, ...options });
    await eventually(`${person.getUserId()} has synced once`, () => person.isInitialSyncComplete(), { seconds: 30 });
    return person;
}

/// The room as the person's client knows it, once it does and once the membership is so.
export function knows(person, roomId, membership = "join") {
    return eventually(`${person.getUserId()} knows room ${roomId} as ${membership}`, () => {
        const room = person.getRoom(roomId);
        return room?.getMyMembership() === membership && room;
    });
}

/// The event in the person's live timeline or threads, as it came over sync (no local echo).
export function sees(person, roomId, eventId, words = `sees ${eventId}`) {
    return eventually(`${person.getUserId()} ${words}`, () => {
        const event = person.getRoom(roomId)?.findEventById(eventId);
        return event && !event.status && event;
    });
}

export async function says(person, roomId, body, more = {}) {
    const { event_id } = await person.sendEvent(roomId, "m.room.message", { msgtype: "m.text", body, ...more });
    return event_id;
}

export function ends(...people) {
    for (const person of people) person?.stopClient();
}
