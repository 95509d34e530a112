import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClusterStatus } from "../../db/queries/clusters.ts";
import {
  AUTOSTOP_GRACE_MS,
  CREATION_GRACE_MS,
  decide,
  mayMove,
  next,
  statesBefore,
  type ClusterState,
  type Observation,
} from "./state.ts";

const states = ["INIT", "UP", "STOPPED", "AUTOSTOPPING"] as const satisfies readonly ClusterStatus[];
const instance = fc.record({
  index: fc.nat(3),
  state: fc.constantFrom("pending", "running", "stopping", "stopped", "terminated" as const),
});
const observation = fc.record({
  instances: fc.array(instance, { maxLength: 5 }),
  agent: fc.constantFrom("healthy", "autostopping", "unreachable", "not asked" as const),
  liveNodes: fc.nat(4),
}) as fc.Arbitrary<Observation>;

function facts(status: ClusterStatus, numNodes = 2) {
  return { status, phase: "ready", numNodes, toDown: false, statusUpdatedAt: 0 };
}

function nodes(...list: readonly ("running" | "stopped" | "terminated" | "pending")[]) {
  return list.map((state, index) => ({ index, state }));
}

describe("the table", () => {
  test("no run of observations leaves it", () => {
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.array(fc.tuple(observation, fc.nat(200_000))), (first, steps) => {
        let status: ClusterState = first;
        for (const [seen, now] of steps) {
          if (status === "TERMINATED") break;
          const transition = decide(facts(status), seen, now);
          if (transition === undefined) continue;
          expect(mayMove(status, transition.to), `${status} → ${transition.to}`).toBe(true);
          status = transition.to;
        }
      }),
    );
  });

  test("every state but TERMINATED has a way out, and to TERMINATED", () => {
    for (const [state, targets] of Object.entries(next)) {
      if (state === "TERMINATED") expect(targets).toEqual([]);
      else expect(targets).toContain("TERMINATED");
    }
  });

  test("a state can be moved to only from the states before it", () => {
    expect(statesBefore("UP")).toEqual(["INIT", "UP", "AUTOSTOPPING", "STOPPED"]);
    expect(statesBefore("AUTOSTOPPING")).toEqual(["INIT", "UP", "AUTOSTOPPING", "STOPPED"]);
  });
});

describe("decide", () => {
  const cases: readonly (readonly [string, ClusterStatus, Observation, ClusterState | undefined, string])[] = [
    ["all healthy", "INIT", { instances: nodes("running", "running"), agent: "healthy" }, "UP", "ready"],
    [
      "unreachable while up",
      "UP",
      { instances: nodes("running", "running"), agent: "unreachable" },
      "UP",
      "unreachable",
    ],
    [
      "unreachable while starting",
      "INIT",
      { instances: nodes("running", "running"), agent: "unreachable" },
      "INIT",
      "degraded",
    ],
    [
      "autostopping",
      "UP",
      { instances: nodes("running", "running"), agent: "autostopping" },
      "AUTOSTOPPING",
      "stopping",
    ],
    ["all stopped", "UP", { instances: nodes("stopped", "stopped"), agent: "not asked" }, "STOPPED", "ready"],
    ["one stopped", "UP", { instances: nodes("running", "stopped"), agent: "not asked" }, "INIT", "degraded"],
    ["one gone", "UP", { instances: nodes("running", "terminated"), agent: "not asked" }, "INIT", "degraded"],
    ["one pending", "UP", { instances: nodes("running", "pending"), agent: "not asked" }, "INIT", "degraded"],
    [
      "one stopped of those that stop",
      "AUTOSTOPPING",
      { instances: nodes("running", "stopped"), agent: "not asked" },
      undefined,
      "",
    ],
    [
      "one too many",
      "UP",
      { instances: nodes("running", "running", "running"), agent: "not asked" },
      "INIT",
      "degraded",
    ],
    ["all gone", "UP", { instances: [], agent: "not asked" }, "TERMINATED", "terminating"],
    ["all gone while young", "INIT", { instances: [], agent: "not asked" }, undefined, ""],
    ["worker lost", "UP", { instances: nodes("running", "running"), agent: "healthy", liveNodes: 1 }, "UP", "degraded"],
    ["not asked", "UP", { instances: nodes("running", "running"), agent: "not asked" }, undefined, ""],
  ];
  test.each(cases)("%s: %s", (_, status, seen, to, phase) => {
    const transition = decide(facts(status), seen, CREATION_GRACE_MS - 1);
    expect(transition?.to).toBe(to);
    expect(transition?.phase ?? "").toBe(phase);
  });

  test("what was announced of nodes is the reason, an interruption before a warning", () => {
    const seen = (preemptions: Observation["preemptions"] = []): Observation => ({
      instances: nodes("running", "running"),
      agent: "healthy",
      liveNodes: 2,
      preemptions,
    });
    const atMs = Date.parse("2026-11-29T12:00:00Z");
    const warning = { index: 0, kind: "rebalance", atMs } as const;
    expect(decide(facts("UP"), seen([warning]), 0)).toEqual({
      to: "UP",
      phase: "ready",
      reason: "Node 0 may soon be preempted (rebalance recommendation of 2026-11-29 12:00:00 UTC).",
    });
    const notices = [warning, { index: 1, kind: "interruption", atMs } as const];
    expect(decide(facts("UP"), seen(notices), 0)).toEqual({
      to: "UP",
      phase: "preempting",
      reason: "Node 1 will be preempted at 2026-11-29 12:00:00 UTC (spot interruption notice).",
    });
  });

  test("keys that cannot be renewed are the reason for as long as that is so, unless a node is about to go", () => {
    const healthy = { instances: nodes("running", "running"), agent: "healthy", liveNodes: 2 } as const;
    const refusals = ["The keys of ~/a cannot be renewed: no.", "The keys of ~/b cannot be renewed: no."];
    expect(decide(facts("UP"), { ...healthy, refusals }, 0)).toEqual({
      to: "UP",
      phase: "ready",
      reason: "The keys of ~/a cannot be renewed: no. The keys of ~/b cannot be renewed: no.",
    });
    const preemptions = [{ index: 1, kind: "interruption", atMs: 0 } as const];
    expect(decide(facts("UP"), { ...healthy, refusals, preemptions }, 0)?.phase).toBe("preempting");
  });

  test("an INIT cluster without instances is gone after the grace", () => {
    expect(decide(facts("INIT"), { instances: [], agent: "not asked" }, CREATION_GRACE_MS)?.to).toBe("TERMINATED");
  });

  test("a cluster that does not finish stopping itself is abnormal", () => {
    const seen: Observation = { instances: nodes("running", "stopped"), agent: "not asked" };
    expect(decide(facts("AUTOSTOPPING"), seen, AUTOSTOP_GRACE_MS)?.to).toBe("INIT");
  });

  test("a healthy running cluster never becomes INIT", () => {
    fc.assert(
      fc.property(fc.constantFrom("healthy", "unreachable", "autostopping" as const), fc.nat(2), (agent, liveNodes) => {
        const seen: Observation = { instances: nodes("running", "running"), agent, liveNodes };
        expect(decide(facts("UP"), seen, 1e9)?.to).not.toBe("INIT");
      }),
    );
  });
});
