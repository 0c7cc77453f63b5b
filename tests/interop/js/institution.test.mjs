// A school as Element Web's engine meets it: roles, refusals, cases, posts that wait, exams, enrolments. The institution's own
// side is told with the program's commands, as its operator would; everything else happens in ordinary clients.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ends, eventually, knows, refused, registers, says, sdk, sees, starts } from "./lib/people.mjs";

const run = promisify(execFile);
const { EventStatus } = sdk;

/// Gives the running server an order.
async function lyceum(...words) {
    const { stdout } = await run(process.env.LYCEUM_BIN, ["--config", process.env.HS_CONFIG, ...words]);
    return stdout;
}

const soon = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

/// The sentence of a refusal, which names its rule.
async function refusedBy(rule, promise, words) {
    const error = await refused(promise, 403, "M_FORBIDDEN", words);
    assert.equal(error.data.rule, rule, `${words}: the rule`);
    assert.match(error.data.error, / .*\(rule: /, `${words}: a sentence and the rule's name`);
    return error.data.error;
}

/// What the server's account said in a room, once it has said something like this.
function told(person, roomId, words) {
    return eventually(`${person.getUserId()} is told ${words}`, () => {
        const events = person.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
        const fits = (event) => event.getSender().startsWith("@lyceum:") && event.getContent().body?.includes(words);
        return events.find(fits)?.getContent().body;
    }, { seconds: 30 });
}

describe("a school", { timeout: 300_000 }, () => {
    let ann, ben, tess, theo, mia, dora, chat, group, desk;
    const direct = (other) => ({ is_direct: true, preset: "trusted_private_chat", invite: [other.getUserId()] });

    before(async () => {
        [ann, ben, tess, theo, mia, dora] = [
            await registers("ann"), await registers("ben"), await registers("tess"),
            await registers("theo"), await registers("mia"), await registers("dora"),
        ];
        await lyceum("unit", "set", "college", "--kind", "institution", "--name", "College");
        await lyceum("unit", "set", "alg", "--kind", "course", "--in", "college", "--name", "Algebra");
        await lyceum("unit", "set", "geo", "--kind", "course", "--in", "college", "--name", "Geometry");
        for (const [person, role] of [[ann, "student"], [ben, "student"], [tess, "teacher"], [theo, "teacher"], [mia, "moderator"], [dora, "dos"]]) {
            await lyceum("person", "set", person.getUserId(), "--role", role);
        }
        for (const person of [ann, ben, tess]) await lyceum("enrol", "add", person.getUserId(), "alg");
        for (const person of [ann, ben, tess, mia, dora]) await starts(person);
    });

    after(() => ends(ann, ben, tess, theo, mia, dora));

    it("a student asks their teacher, and is refused somebody else's in a sentence", async () => {
        chat = (await ann.createRoom(direct(tess))).room_id;
        await knows(tess, chat, "invite");
        await tess.joinRoom(chat);
        await knows(ann, chat);
        const id = await says(ann, chat, "What is a group?");
        await sees(tess, chat, id, "sees the question");
        await sees(ann, chat, await says(tess, chat, "A set with an operation."), "sees the answer");
        const sentence = await refusedBy("contact", ann.createRoom(direct(theo)), "a chat with another course's teacher");
        assert.match(sentence, /^You can only start a chat with a teacher of your own courses/);
    });

    it("a student is refused the staff room, which a teacher makes with any client", async () => {
        const staff = { preset: "public_chat", name: "Staff", creation_content: { "org.lyceum.kind": "staff" } };
        await refusedBy("creation", ann.createRoom(staff), "a student makes a staff room");
        const { room_id } = await tess.createRoom(staff);
        const sentence = await refusedBy("entry", ann.joinRoom(room_id), "a student joins a staff room");
        assert.match(sentence, /^A student cannot be in a staff room/);
        await refusedBy("entry", tess.invite(room_id, ann.getUserId()), "a teacher invites a student there");
    });

    it("a report becomes a case, is looked at unseen, acted on, and its reporter is told", async () => {
        group = (await ben.createRoom({ name: "Study group", invite: [ann.getUserId()] })).room_id;
        await knows(ann, group, "invite");
        await ann.joinRoom(group);
        const insult = await says(ben, group, "not with a fool like you");
        await sees(ann, group, insult);
        desk = await eventually("mia has the moderation room", async () =>
            (await mia.getRoomIdForAlias(`#moderation:${mia.getDomain()}`).catch(() => undefined))?.room_id, { seconds: 30 });
        await Promise.all([knows(mia, desk), knows(dora, desk)]);
        await ann.reportEvent(group, insult, -100, "an insult");
        assert.match(await told(mia, desk, "Case 1 is new"), /an insult/);

        await says(dora, desk, "!context 1");
        assert.match(await told(dora, desk, "fool like you"), /fool like you/, "the Director of Studies reads the context");
        const { joined } = await ann.getJoinedRoomMembers(group);
        assert.deepEqual(Object.keys(joined).sort(), [ann.getUserId(), ben.getUserId()].sort(), "nobody in the room sees that somebody looks");
        await says(mia, desk, "!delete 1 an insult");
        await eventually("the message is gone for everybody", () => ann.getRoom(group).findEventById(insult)?.isRedacted());
        await says(mia, desk, "!block 1 7d an insult");
        await told(mia, desk, "blocked in that room until");
        await refusedBy("blocked", says(ben, group, "so what"), "who is blocked writes");
        await says(mia, desk, "!done 1 talked to both");
        const notices = await eventually("ann is asked into the room of notices", () =>
            ann.getRooms().find((room) => room.getMyMembership() === "invite"), { seconds: 30 });
        await ann.joinRoom(notices.roomId);
        assert.match(await told(ann, notices.roomId, "Your report of a message"), /the message was deleted/);
    });

    it("a post waits, is sent for its author, and keeps its id for both when it is approved", async () => {
        const room = (await ann.createRoom({ name: "Links", invite: [ben.getUserId()] })).room_id;
        await knows(ben, room, "invite");
        await ben.joinRoom(room);
        await knows(ann, room);
        const id = await says(ann, room, "look at https://games.example");
        const own = ann.getRoom(room).findEventById(id);
        assert.equal(own?.status, EventStatus.SENT, "the author's client shows it as sent, and not as failed");
        await sees(ben, room, await says(ann, room, "no link"), "sees what need not wait");
        assert.equal(ben.getRoom(room).findEventById(id), undefined, "others do not see what waits");
        await told(mia, desk, "games.example");
        await says(mia, desk, `!approve ${id.slice(0, 10)}`);
        await sees(ben, room, id, "sees the post under the id it was sent with");
        await sees(ann, room, id, "sees it come back under the same id");
    });

    it("an exam makes the course's chats fall silent, and ends by itself", async () => {
        const mates = (await ann.createRoom(direct(ben))).room_id;
        await knows(ben, mates, "invite");
        await ben.joinRoom(mates);
        await says(ann, mates, "good luck");
        await lyceum("exam", "set", "alg", "--until", soon(8));
        const sentence = await refusedBy("exam", says(ann, mates, "what is the answer?"), "writing during an exam");
        assert.match(sentence, /^There is an exam until/);
        await says(tess, chat, "ten minutes left");
        const last = await eventually("the exam is over", () => says(ann, mates, "at last").catch(() => undefined), { seconds: 20, everyMs: 500 });
        await sees(ben, mates, last);
    });

    it("an enrolment that ends takes a person out of the course's room", async () => {
        await lyceum("enrol", "add", ben.getUserId(), "geo", "--until", soon(12));
        const alias = `#geo:${ben.getDomain()}`;
        const room = await eventually("the course has a room", async () =>
            (await ben.getRoomIdForAlias(alias).catch(() => undefined))?.room_id, { seconds: 30 });
        await eventually("ben is in it", () => ben.getRoom(room)?.getMyMembership() === "join", { seconds: 12 });
        await eventually("ben is out of it", () => ben.getRoom(room)?.getMyMembership() === "leave", { seconds: 80 });
        await lyceum("enrol", "add", ben.getUserId(), "geo");
        await eventually("ben is back", () => ben.getRoom(room)?.getMyMembership() === "join", { seconds: 30 });
    });

    it("everybody is told truly what they may do", async () => {
        const campus = async (person) => (await person.getCapabilities(true))["org.lyceum.campus"];
        assert.equal((await campus(ann)).role, "student");
        assert.ok(!(await campus(ann)).may_make.includes("staff") && (await campus(tess)).may_make.includes("staff"));
    });
});
