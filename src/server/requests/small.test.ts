import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OperationFailedError } from "../../shared/errors.ts";
import { redactCommandLine, toDisplayBody } from "./display-body.ts";
import { FinishedCache, toAnswer } from "./finished-cache.ts";
import { RequestEvents } from "./request-events.ts";
import { loadSealer } from "./sealer.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "requests-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("the sealer", () => {
  test("opens what it sealed, for the same request only, also after a restart", () => {
    const keyFile = join(directory, "server.key");
    const sealed = loadSealer(keyFile).seal("r1", "hunter2");
    expect(Buffer.from(sealed, "base64").includes("hunter2")).toBe(false);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(loadSealer(keyFile).open("r1", sealed)).toBe("hunter2");
    expect(() => loadSealer(keyFile).open("r2", sealed)).toThrow(OperationFailedError);
    expect(loadSealer(keyFile).seal("r1", "hunter2")).not.toBe(sealed);
  });

  test("refuses a text that was changed or cut", () => {
    const sealer = loadSealer(join(directory, "server.key"));
    const sealed = Buffer.from(sealer.seal("r1", "text"), "base64");
    sealed[14] = (sealed[14] ?? 0) ^ 1;
    expect(() => sealer.open("r1", sealed.toString("base64"))).toThrow(OperationFailedError);
    expect(() => sealer.open("r1", "")).toThrow(OperationFailedError);
  });

  test("replicas share a key that is given; a short one and a damaged file are refused", () => {
    const keyFile = join(directory, "none.key");
    const given = "correct horse battery staple";
    expect(loadSealer(keyFile, given).open("r", loadSealer(keyFile, given).seal("r", "x"))).toBe("x");
    expect(() => loadSealer(keyFile, "short")).toThrow("too short");
    writeFileSync(keyFile, "zz");
    expect(() => loadSealer(keyFile)).toThrow("damaged");
    expect(readFileSync(keyFile, "utf8")).toBe("zz");
  });
});

describe("the body for display", () => {
  test("keeps what identifies the request and nothing that may be secret", () => {
    const shown = toDisplayBody({
      task: "secrets: {A: hunter2}",
      cluster_name: "c1",
      dryrun: true,
      idle_minutes_to_autostop: 5,
      env_vars: { SKYPILOT_USER: "ann", AWS_SECRET_ACCESS_KEY: "hunter2" },
      override_skypilot_config: { docker: { password: "hunter2" } },
      entrypoint: "sky.launch",
      entrypoint_command: "sky launch --secret TOKEN=hunter2 -c c1 t.yaml",
      unset: undefined,
    });
    expect(JSON.parse(shown)).toEqual({
      cluster_name: "c1",
      dryrun: true,
      idle_minutes_to_autostop: 5,
      entrypoint: "sky.launch",
      entrypoint_command: "sky launch --secret TOKEN=<redacted> -c c1 t.yaml",
    });
  });

  test.each([
    ["sky launch --env A=b x.yaml", "sky launch --env A=<redacted> x.yaml"],
    ["sky launch --env=A=b --env C=d x", "sky launch --env=A=<redacted> --env C=<redacted> x"],
    ["sky launch --env HF_TOKEN x.yaml", "sky launch --env HF_TOKEN x.yaml"],
    ["sky launch --secret 'A=b c' x", "sky launch --secret A=<redacted> x"],
    [`sky launch --secret 'A=it'"'"'s' x`, "sky launch --secret A=<redacted> x"],
    ["sky launch --secret A='b c' x", "sky launch --secret A=<redacted> x"],
    ["sky api login --token sky_abc", "sky api login --token <redacted>"],
    ["sky launch --env-file .env x", "sky launch --env-file .env x"],
    ["sky launch -c env x", "sky launch -c env x"],
  ])("%s", (command, shown) => {
    expect(redactCommandLine(command)).toBe(shown);
  });
});

test("the cache of ended requests forgets the oldest, and never more than it must", () => {
  const entry = (size: number): Parameters<FinishedCache["set"]>[1] => ({
    head: "x".repeat(size),
    escaped: "",
    isFailed: false,
    userId: "u",
  });
  const cache = new FinishedCache(10);
  cache.set("a", entry(4));
  cache.set("b", entry(4));
  cache.set("c", entry(4));
  expect([cache.get("a"), cache.get("b") !== undefined, cache.get("c") !== undefined]).toEqual([undefined, true, true]);
  cache.set("huge", entry(11));
  expect(cache.get("huge")).toBeUndefined();
  expect(cache.get("b")).toBeDefined();
  cache.set("b", entry(1));
  cache.set("d", entry(5));
  expect(["b", "c", "d"].map((id) => cache.get(id) !== undefined)).toEqual([true, true, true]);
});

test("an answer is valid JSON, for success and failure", () => {
  const entry = { head: '{"a":1,"return_value":', escaped: Buffer.from('"[]"'), isFailed: false, userId: "u" };
  const text = (isFailed: boolean): unknown =>
    JSON.parse(
      toAnswer({ ...entry, isFailed })
        .map(String)
        .join(""),
    );
  expect(text(false)).toEqual({ a: 1, return_value: "[]" });
  expect(text(true)).toEqual({ detail: { a: 1, return_value: "[]" } });
});

test("events reach those who listen at that moment, and leave nothing behind", async () => {
  const events = new RequestEvents();
  events.notify("r1");
  const stop = new AbortController();
  const changes = events.watch("r1");
  const next = changes.next({ signal: stop.signal });
  expect(events.size).toBe(1);
  events.notify("r2");
  events.notify("r1");
  await next;
  await changes.next({ signal: stop.signal, timeoutMs: 0 });
  changes.close();
  expect(events.size).toBe(0);
});

test("a look that ends too late to see an event is repeated", async () => {
  const events = new RequestEvents();
  let looks = 0;
  const { signal } = new AbortController();
  const seen = await events.until(
    "r1",
    () => {
      looks += 1;
      if (looks === 2) return Promise.resolve("the end");
      // The request ends while its row is being read.
      events.notify("r1");
      return Promise.resolve(undefined);
    },
    { signal },
  );
  expect([seen, looks, events.size]).toEqual(["the end", 2, 0]);
});

test("looking ends with the signal, and when the time is over it looks again", async () => {
  const events = new RequestEvents();
  const stop = new AbortController();
  let looks = 0;
  const looking = events.until(
    "r1",
    () => {
      looks += 1;
      if (looks === 3) stop.abort(new Error("enough"));
      return Promise.resolve(undefined);
    },
    { signal: stop.signal, timeoutMs: 0 },
  );
  await expect(looking).rejects.toThrow("enough");
  expect([looks, events.size]).toEqual([3, 0]);
});

test("an event between two looks at a request is not missed", async () => {
  const events = new RequestEvents();
  const changes = events.watch("a");
  const { signal } = new AbortController();
  events.notify("a");
  // Taken at once: an hour would outlast the test.
  await changes.next({ signal, timeoutMs: 3_600_000 });
  const later = changes.next({ signal, timeoutMs: 3_600_000 });
  events.notify("a");
  await later;
  await changes.next({ signal: AbortSignal.abort(), timeoutMs: 3_600_000 });
  changes.close();
  expect(events.size).toBe(0);
});
