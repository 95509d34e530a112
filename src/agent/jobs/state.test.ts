import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { JobStatus } from "../../shared/agent/protocol.ts";
import { canBecome, decideOnStart, isTerminal, nextJobStatuses } from "./state.ts";

const statuses = Object.keys(nextJobStatuses) as JobStatus[];

test("terminal states stay, every other state has a way out to every ending that fits it", () => {
  for (const status of statuses) {
    expect(nextJobStatuses[status].length === 0).toBe(isTerminal(status));
    if (isTerminal(status)) continue;
    expect(canBecome(status, "CANCELLED")).toBe(true);
    expect(canBecome(status, "FAILED_DRIVER")).toBe(true);
  }
});

test("no walk leaves the table or goes back", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...statuses), { maxLength: 12 }), (wishes) => {
      let status: JobStatus = "INIT";
      const seen = new Set<JobStatus>([status]);
      for (const wish of wishes) {
        if (!canBecome(status, wish)) continue;
        expect(seen.has(wish)).toBe(false);
        status = wish;
        seen.add(status);
      }
      expect(statuses).toContain(status);
    }),
  );
});

test("a starting agent resumes only what has a place", () => {
  expect(decideOnStart({ status: "PENDING", isPlaced: false })).toBe("enqueue");
  expect(decideOnStart({ status: "RUNNING", isPlaced: true })).toBe("resume");
  expect(decideOnStart({ status: "SETTING_UP", isPlaced: false })).toBe("fail");
  expect(decideOnStart({ status: "INIT", isPlaced: false })).toBe("fail");
  for (const status of statuses.filter(isTerminal)) expect(decideOnStart({ status, isPlaced: true })).toBe("none");
});
