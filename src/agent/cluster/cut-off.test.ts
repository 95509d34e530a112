import { createServer } from "node:net";
import { expect, test } from "vitest";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { CutOff } from "./cut-off.ts";
import { connectPsk, HeadSilentError } from "./tls-psk.ts";

function createWorld() {
  const clock = new FakeClock();
  const ends: number[] = [];
  const onCutOff = (silentMs: number): Promise<void> => {
    ends.push(silentMs);
    return Promise.resolve();
  };
  const cutOff = new CutOff({ graceMs: 60_000, clock, onCutOff });
  const later = async (seconds: number, call: "heard" | "missed"): Promise<void> => {
    clock.advance(seconds * 1000);
    if (call === "heard") cutOff.heard();
    else await cutOff.missed();
  };
  return { ends, later };
}

test("is noticed once, later than the head gives the worker up", async () => {
  const { ends, later } = createWorld();
  for (let seconds = 0; seconds < 80; seconds += 10) await later(10, "missed");
  expect(ends).toEqual([]);
  await later(10, "missed");
  await later(10, "missed");
  expect(ends).toEqual([90_000]);
});

test("begins anew with each sign of life", async () => {
  const { ends, later } = createWorld();
  await later(80, "missed");
  await later(5, "heard");
  await later(80, "missed");
  expect(ends).toEqual([]);
  await later(10, "missed");
  await later(10, "heard");
  await later(90, "missed");
  expect(ends).toEqual([90_000, 90_000]);
});

const identity = { clusterNameOnCloud: "c-1", clusterToken: "00".repeat(32) };

test("a head that refuses, or breaks off, is not silent", async () => {
  const held = createServer((socket) => void socket.destroy()).listen(0, "127.0.0.1");
  const port = await new Promise<number>((resolve) => {
    held.once("listening", () => resolve((held.address() as { readonly port: number }).port));
  });
  const dial = (): Promise<unknown> => connectPsk(identity, { host: "127.0.0.1", port });
  await expect(dial()).rejects.not.toBeInstanceOf(HeadSilentError);
  await new Promise((resolve) => held.close(resolve));
  await expect(dial()).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
