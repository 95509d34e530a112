import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { EventClock } from "../../../test/fakes/event-clock.ts";
import type { Preemption } from "../../shared/agent/protocol.ts";
import { EventLog } from "../jobs/job-events.ts";
import { ec2Notices, type ReadNotice } from "./ec2-notices.ts";
import { Preemptions } from "./preemptions.ts";
import { watchNotices } from "./watch.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Instance metadata with these values, and tokens that hold for `uses` questions. */
async function metadata(values: Readonly<Record<string, unknown>>, uses = Infinity): Promise<ReadNotice> {
  let tokens = 0;
  let left = 0;
  const made = createServer((request, response) => {
    if (request.method === "PUT") {
      left = uses;
      response.end(`token-${++tokens}`);
      return;
    }
    const isKnown = request.headers["x-aws-ec2-metadata-token"] === `token-${tokens}` && left-- > 0;
    const value = values[(request.url ?? "").replace("/latest/meta-data/", "")];
    if (!isKnown) response.writeHead(401).end();
    else if (value === undefined) response.writeHead(404).end();
    else response.end(JSON.stringify(value));
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return ec2Notices(`http://127.0.0.1:${(made.address() as AddressInfo).port}`);
}

const { signal } = new AbortController();
const at = "2026-11-29T12:00:00Z";

describe("EC2's notices", () => {
  test("are none, a warning, or an interruption, which comes first", async () => {
    expect(await (await metadata({}))(signal)).toBeUndefined();
    const warning = { "events/recommendations/rebalance": { noticeTime: at } };
    expect(await (await metadata(warning))(signal)).toEqual({ kind: "rebalance", atMs: Date.parse(at) });
    const both = { ...warning, "spot/instance-action": { action: "terminate", time: at } };
    expect(await (await metadata(both))(signal)).toEqual({ kind: "interruption", atMs: Date.parse(at) });
  });

  test("are read with a new token when the old one holds no more", async () => {
    const read = await metadata({ "spot/instance-action": { action: "stop", time: at } }, 1);
    expect(await read(signal)).toMatchObject({ kind: "interruption" });
    await expect(read(signal)).rejects.toThrow("instance metadata answered 401 for spot/instance-action");
    expect(await read(signal)).toMatchObject({ kind: "interruption" });
  });

  test("that nobody answers for are an error which says why", async () => {
    await expect(ec2Notices("http://127.0.0.1:9")(signal)).rejects.toThrow(
      /http:\/\/127\.0\.0\.1:9\/latest\/api\/token does not answer: /u,
    );
  });
});

test("each announcement is told once, until the node's end is announced", async () => {
  const clock = new EventClock();
  const rebalance: Preemption = { kind: "rebalance", atMs: 1 };
  const answers = [
    undefined,
    new Error("off"),
    new Error("off"),
    rebalance,
    rebalance,
    { kind: "interruption", atMs: 2 },
  ];
  const told: unknown[] = [];
  const read: ReadNotice = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer as Preemption | undefined;
  };
  const options = {
    read,
    clock,
    onNotice: (notice: Preemption) => told.push(notice),
    onError: () => told.push("error"),
  };
  await clock.runUntil(watchNotices(options, signal));
  expect(told).toEqual(["error", rebalance, { kind: "interruption", atMs: 2 }]);
  expect(answers).toEqual([]);
});

test("the head tells of each announcement once, and forgets those of nodes that came back without", () => {
  const events = new EventLog();
  const preemptions = new Preemptions(events);
  const interruption: Preemption = { kind: "interruption", atMs: Date.parse(at) };
  preemptions.note(1, { kind: "rebalance", atMs: 0 });
  expect(preemptions.endOf(1, 0)).toBeUndefined();
  preemptions.note(1, interruption);
  preemptions.note(1, interruption);
  expect(events.after(0, 10).map((event) => event.type)).toEqual(["preempting", "preempting"]);
  expect(preemptions.endOf(1, Date.parse(at) - 5000)).toEqual({
    reason: "it was preempted: its provider had announced to take it back at 12:00:00 UTC",
    inMs: 5000,
  });
  preemptions.note(1, undefined);
  expect(preemptions.of(1)).toBeUndefined();
});
