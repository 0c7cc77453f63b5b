// Prints what node's test runner found as the other suites do: a line a step, and a count at the end.

import { inspect } from "node:util";

export default async function* reporter(source) {
    let passed = 0, failed = 0, skipped = 0;
    for await (const { type, data } of source) {
        if (type === "test:stderr" || type === "test:stdout") yield data.message;
        if (type !== "test:pass" && type !== "test:fail") continue;
        if (data.details?.type === "suite") continue;
        const name = data.name.replace(/\s+/g, " ");
        if (data.skip !== undefined) {
            skipped += 1;
            yield `skip ${name}: ${data.skip}\n`;
        } else if (type === "test:pass") {
            passed += 1;
            yield `ok   ${name} (${Math.round(data.details.duration_ms)} ms)\n`;
        } else {
            failed += 1;
            const why = data.details.error?.cause ?? data.details.error;
            const place = String(why?.stack ?? "").split("\n").find((line) => /\.test\.mjs/.test(line)) ?? "";
            yield `FAIL ${name}\n     ${(typeof why?.message === "string" ? why.message : inspect(why, { depth: 2 })).split("\n").slice(0, 6).join("\n     ")}\n     ${place.trim()}\n`;
        }
    }
    yield `js: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}\n`;
}
