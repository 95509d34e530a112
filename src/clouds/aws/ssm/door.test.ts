import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SessionGoneError, type Stream } from "../../../session-manager/carry.ts";
import { DoorClient } from "../../../session-manager/door-client.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import { Door } from "./door.ts";

const STREAM: Stream = { sessionId: "s-1", url: "wss://stream", token: "t", headers: {} };

describe("the door", () => {
  let root: string;
  let path: string;
  let ended: string[];

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "door-"));
    path = join(root, "private", "door");
    ended = [];
    const door = new Door(path, {
      start: (instance) =>
        instance === "i-1"
          ? Promise.resolve(STREAM)
          : Promise.reject(new OperationFailedError("No.", { hint: "Do this." })),
      resume: () => Promise.reject(new SessionGoneError("Over.")),
      end: async (_instance, _region, id) => void ended.push(id),
    });
    await door.open();
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const client = (instance: string): DoorClient => new DoorClient({ door: path, instance, region: "us-east-1" });

  it("is open to this user alone", () => {
    expect(statSync(join(root, "private")).mode & 0o777).toBe(0o700);
  });

  it("hands sessions over, and ends those whose proxy is gone", async () => {
    const proxy = client("i-1");
    expect(await proxy.start()).toEqual(STREAM);
    proxy.close();
    await expect.poll(() => ended).toEqual(["s-1"]);
    const polite = client("i-1");
    await polite.start();
    await polite.end("s-1");
    expect(ended).toEqual(["s-1", "s-1"]);
  });

  it("says what is wrong, with the hint, and what is over", async () => {
    const proxy = client("i-2");
    await expect(proxy.start()).rejects.toMatchObject({ message: "No.", hint: "Do this." });
    await expect(proxy.resume("s-1")).rejects.toBeInstanceOf(SessionGoneError);
    proxy.close();
  });

  it("throws out who speaks another language", async () => {
    const stranger = createConnection(path);
    stranger.write("GET / HTTP/1.1\n");
    await new Promise((resolve) => stranger.once("close", resolve));
  });
});
