import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { StopNode } from "./cluster/worker-protocol.ts";
import { EventLog } from "./jobs/job-events.ts";
import { Teardown } from "./teardown.ts";

test("a cluster that takes itself down says last what is lost with which node", async () => {
  const root = mkdtempSync(join(tmpdir(), "teardown-"));
  const order: string[] = [];
  const note = (what: string) => (): number => order.push(what);
  const events = new EventLog();
  const worker = {
    index: 1,
    stopNode: (params: StopNode) => Promise.resolve(params.power === "down" ? { lost: ["b is not in s3://b."] } : {}),
  };
  const teardown = new Teardown({
    config: { index: 0, power: "leave" },
    paths: { state: join(root, "state.json"), hooks: join(root, "hooks") },
    container: { remove: () => Promise.resolve() },
    mounts: { end: () => Promise.resolve(["a is not in s3://b."]) },
    queue: { close: note("closed"), failUnfinished: note("failed") },
    autostop: { hooks: [] },
    log: { info: () => undefined, error: () => undefined },
    workers: new Map([[1, worker]]),
    events,
    exit: note("exit"),
  } as never);
  await teardown.stopSelf({ down: true, idleMinutes: 1 } as never);
  expect(events.after(0, 10)).toEqual([
    { seq: 1, type: "autostopping", down: true },
    { seq: 2, type: "lost", node: 0, what: "a is not in s3://b." },
    { seq: 3, type: "lost", node: 1, what: "b is not in s3://b." },
  ]);
  expect(order).toEqual(["closed", "failed", "exit"]);
  expect(JSON.parse(readFileSync(join(root, "state.json"), "utf8"))).toMatchObject({ state: "down" });
  rmSync(root, { recursive: true });
});
