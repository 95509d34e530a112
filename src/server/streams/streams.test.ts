import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isControl, renderControl } from "../../shared/wire/control-lines.ts";
import { encodeText, toByteStream } from "./byte-stream.ts";
import { followFile } from "./follow-file.ts";
import { withHeartbeats } from "./heartbeats.ts";
import { toHtml } from "./html.ts";
import { withoutControls } from "./plain.ts";
import { chooseFormat } from "./responses.ts";
import { readTail } from "./tail.ts";

const HEARTBEAT = renderControl({ kind: "heartbeat" });

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "streams-"));
  path = join(directory, "log");
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString("utf8");
}

async function* pieces(...texts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield typeof text === "string" ? encodeText(text) : text;
}

describe("followFile", () => {
  /** Each wait runs the next step of a story. */
  function follow(story: (() => void)[], options: { readonly offset?: number; readonly heartbeatMs?: number } = {}) {
    let now = 0;
    const steps = [...story];
    return followFile({
      path,
      offset: options.offset ?? 0,
      isComplete: () => steps.length === 0,
      waitForChange: (timeoutMs) => {
        now += timeoutMs;
        steps.shift()?.();
        return Promise.resolve();
      },
      heartbeatMs: options.heartbeatMs,
      now: () => now,
      signal: new AbortController().signal,
    });
  }

  test("a file that comes later and grows is sent whole and once", async () => {
    const story = [
      (): void => writeFileSync(path, "one\n"),
      (): void => appendFileSync(path, "two"),
      (): void => undefined,
    ];
    expect(await collect(follow(story))).toBe("one\ntwo");
  });

  test("an offset leaves out exactly what is before it", async () => {
    writeFileSync(path, "0123456789");
    expect(await collect(follow([], { offset: 4 }))).toBe("456789");
    expect(await collect(follow([], { offset: 99 }))).toBe("");
  });

  test("silence brings heartbeats, but never within a line", async () => {
    writeFileSync(path, "whole line\n");
    const idle = (): void => undefined;
    const text = await collect(
      follow(
        [
          idle,
          idle,
          (): void => appendFileSync(path, "half"),
          idle,
          idle,
          (): void => appendFileSync(path, "\n"),
          idle,
        ],
        {
          heartbeatMs: 15_000,
        },
      ),
    );
    expect(text.replaceAll(HEARTBEAT, "")).toBe("whole line\nhalf\n");
    expect(text).toContain(HEARTBEAT);
    expect(text).not.toContain(`half${HEARTBEAT}`);
    for (const line of text.split("\n")) if (line.includes("sky-payload")) expect(isControl(line)).toBe(true);
  });

  test("a stream that begins within a line waits for its end before a heartbeat", async () => {
    writeFileSync(path, "abcdef");
    const idle = (): void => undefined;
    expect(await collect(follow([idle, idle, idle], { offset: 6, heartbeatMs: 10 }))).toBe("");
  });

  test("an aborted reader ends", async () => {
    const stop = new AbortController();
    const chunks = followFile({
      path,
      offset: 0,
      isComplete: () => false,
      waitForChange: () => {
        stop.abort();
        return Promise.resolve();
      },
      heartbeatMs: undefined,
      now: () => 0,
      signal: stop.signal,
    });
    expect(await collect(chunks)).toBe("");
  });
});

describe("withoutControls", () => {
  test("drops control lines however they are cut, and nothing else", async () => {
    const control = renderControl({ kind: "init", message: "[bold]x[/]" });
    const line = fc.oneof(
      fc.constant(control),
      fc.constant("<sky-payload>broken\n"),
      fc.stringMatching(/^[a-z<]{0,6}$/).map((text) => `${text}\n`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(200)), fc.boolean(), async (lines, cuts, hasEnd) => {
        const text = lines.join("") + (hasEnd ? "" : "last");
        const borders = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted((a, b) => a - b);
        const parts = borders.slice(1).map((border, index) => text.slice(borders[index], border));
        const expected = text.replaceAll(control, "");
        expect(await collect(withoutControls(pieces(...parts)))).toBe(expected);
      }),
    );
  });

  test("passes bytes that are no UTF-8", async () => {
    const bytes = Uint8Array.from([0xff, 0x0a, 0x80]);
    const out: Uint8Array[] = [];
    for await (const chunk of withoutControls(pieces(bytes))) out.push(chunk);
    expect(Buffer.concat(out).toString("hex")).toBe("ff0a80");
  });

  test("holds no endless line back", async () => {
    const long = `<sky-payload>${"x".repeat(200_000)}`;
    const source = pieces(long.slice(0, 100_000), long.slice(100_000));
    const chunks = withoutControls(source);
    const first = await chunks.next();
    expect((first.value as Uint8Array).length).toBe(100_000);
    expect(await collect(chunks)).toHaveLength(long.length - 100_000);
  });
});

test("the last lines of a file, without control lines, however long it is", async () => {
  expect(await readTail(path, 3)).toEqual({ text: "", offset: 0 });
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`);
  writeFileSync(path, lines.join("") + renderControl({ kind: "exit" }) + "open end");
  const tail = await readTail(path, 3);
  expect(tail.text).toBe("line 19998\nline 19999\nopen end");
  expect((await readTail(path, 1_000_000)).text.split("\n")).toHaveLength(20_001);
});

test("a page escapes what it shows and drops colours", async () => {
  const page = await collect(toHtml(pieces("\u001b[32m<b>ok</b>\u001b[0m & more\n", HEARTBEAT)));
  expect(page).toContain("&lt;b&gt;ok&lt;/b&gt; &amp; more\n</pre>");
  expect(page).not.toContain("sky-payload");
});

test("`auto` means a page for browsers and text for programs", () => {
  expect(chooseFormat("auto", "Mozilla/5.0")).toBe("html");
  expect(chooseFormat("auto", "curl/8")).toBe("plain");
  expect(chooseFormat(undefined, undefined)).toBe("plain");
  expect(chooseFormat("console", "Mozilla/5.0")).toBe("console");
});

describe("withHeartbeats", () => {
  test("keeps a silent stream alive at line starts, and ends with its source", async () => {
    const gate = Promise.withResolvers<undefined>();
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield encodeText("line\n");
      await gate.promise;
      yield encodeText("end");
    };
    let text = "";
    const signal = new AbortController().signal;
    for await (const chunk of withHeartbeats(source(), { everyMs: 1, signal })) {
      text += Buffer.from(chunk).toString();
      if (text.includes(HEARTBEAT)) gate.resolve(undefined);
    }
    expect(text.replaceAll(HEARTBEAT, "")).toBe("line\nend");
  });

  test("ends at once when aborted, and passes errors on", async () => {
    const stop = new AbortController();
    const never = async function* (): AsyncGenerator<Uint8Array> {
      yield encodeText("cut");
      stop.abort();
      await new Promise(() => undefined);
    };
    expect(await collect(withHeartbeats(never(), { everyMs: 10_000, signal: stop.signal }))).toBe("cut");
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.reject(new Error("agent gone"));
    };
    const chunks = withHeartbeats(failing(), { everyMs: 10_000, signal: new AbortController().signal });
    await expect(collect(chunks)).rejects.toThrow("agent gone");
  });
});

test("a body reads no further than its reader, and tells its source when the reader goes", async () => {
  let produced = 0;
  let isStopped = false;
  const stream = toByteStream(
    async function* (signal) {
      signal.addEventListener("abort", () => (isStopped = true));
      for (;;) yield encodeText(String(produced++));
    },
    { onError: () => undefined },
  );
  const reader = stream.getReader();
  await reader.read();
  await new Promise((resolve) => setImmediate(resolve));
  expect(produced).toBeLessThan(4);
  await reader.cancel();
  expect(isStopped).toBe(true);
});
