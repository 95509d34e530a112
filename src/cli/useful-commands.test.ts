import { describe, expect, it } from "vitest";
import type { LaunchOutcome } from "../client/cluster-verbs.ts";
import { hasSsh } from "./useful-commands.ts";

function outcomeOn(infra: string | undefined): LaunchOutcome {
  const launched = infra === undefined ? undefined : { infra };
  return {
    jobId: 1,
    cluster: { cluster_name: "c", ...(launched === undefined ? {} : { launched_resources: launched }) },
  };
}

describe("hasSsh", () => {
  it("is false only on this machine, whose clusters are directories", () => {
    expect(hasSsh(outcomeOn("ssh/local"))).toBe(false);
    expect(hasSsh(outcomeOn("ssh/rack"))).toBe(true);
    expect(hasSsh(outcomeOn("aws/us-east-1"))).toBe(true);
    expect(hasSsh(outcomeOn(undefined))).toBe(true);
  });
});
