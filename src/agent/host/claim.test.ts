import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ClaimParams, HostClaim, HostFacts } from "../../shared/agent/host.ts";
import { claim } from "./claim.ts";
import { readClaims } from "./claim-store.ts";
import { hostPaths, nodeFolder, type HostPaths } from "./host-paths.ts";

let home: string;
let paths: HostPaths;
let facts: HostFacts;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "host-"));
  paths = hostPaths(join(home, ".sky"));
  facts = {
    hostname: "h",
    user: "u",
    home,
    os: "Linux",
    arch: "x64",
    cpus: 4,
    memoryGib: 8,
    gpus: ["L4", "L4", "A100"],
    diskGib: 1,
    diskFreeGib: 1,
    addresses: [],
    bootId: "b",
    hasBash: true,
  };
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function params(name: string, wish: { readonly cpus?: number; readonly gpus?: Record<string, number> }): ClaimParams {
  const resources = { cpus: wish.cpus ?? 0, memoryGib: 0, accelerators: wish.gpus ?? {} };
  return {
    clusterName: name,
    nameOnCloud: `${name}-1`,
    index: 0,
    owner: "ann@laptop",
    reserved: resources,
    perNode: resources,
    authorizedKeys: [`ssh-ed25519 AAAA${name} c`],
  };
}

async function given(name: string, wish: Parameters<typeof params>[1] = {}): Promise<HostClaim> {
  const answer = await claim(params(name, wish), paths, facts);
  if (!answer.ok) throw new Error(JSON.stringify(answer.shortages));
  return answer.claim;
}

describe("a machine", () => {
  test("says whether a cluster had something there before", async () => {
    expect(await claim(params("a", {}), paths, facts)).toMatchObject({ isNew: true });
    expect(await claim(params("a", {}), paths, facts)).toMatchObject({ isNew: false });
  });

  test("gives each device to one cluster, and says who has what is missing", async () => {
    expect((await given("a", { gpus: { L4: 1 } })).gpus).toEqual([0]);
    expect((await given("b", { gpus: { L4: 0.5 } })).gpus).toEqual([1]);
    const shortage = { what: "L4", total: 2, free: 0, wanted: 1 };
    const holders = [
      { clusterName: "a", amount: 1 },
      { clusterName: "b", amount: 1 },
    ];
    const refusal = await claim(params("c", { gpus: { L4: 1 } }), paths, facts);
    expect(refusal).toEqual({ ok: false, shortages: [{ ...shortage, holders }] });
    expect(existsSync(nodeFolder(paths, "c-1"))).toBe(false);
  });

  test("never gives more CPUs than it has, however many ask at once", async () => {
    const names = Array.from({ length: 12 }, (_, index) => `c${index}`);
    const answers = await Promise.all(names.map((name) => claim(params(name, { cpus: 1 }), paths, facts)));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(4);
    expect(readClaims(paths)).toHaveLength(4);
  });

  test("answers a repeated claim with the same, and what ended by itself holds nothing", async () => {
    const first = await given("a", { cpus: 4 });
    expect(await given("a", { cpus: 4 })).toEqual(first);
    writeFileSync(join(first.agentRoot, "state.json"), JSON.stringify({ state: "down", at: 1 }));
    expect(readClaims(paths)[0]?.ended).toBe("down");
    expect((await given("b", { cpus: 4 })).home).toBe(home);
  });

  test("gives its HOME to the first cluster, and to none that would meet somebody's files there", async () => {
    expect((await given("a")).home).toBe(home);
    expect((await given("b")).home).toBe(join(paths.nodes, "b-1", "home"));
    rmSync(paths.nodes, { recursive: true });
    mkdirSync(join(home, "sky_logs"));
    expect((await given("c")).home).toBe(join(paths.nodes, "c-1", "home"));
  });

  test("lets a cluster's users in, and keeps the lines of others", async () => {
    mkdirSync(join(home, ".ssh"));
    writeFileSync(join(home, ".ssh/authorized_keys"), "ssh-ed25519 MINE me\n", { mode: 0o600 });
    await given("a");
    await given("a");
    expect(readFileSync(join(home, ".ssh/authorized_keys"), "utf8")).toBe(
      "ssh-ed25519 MINE me\nssh-ed25519 AAAAa c sky-cluster:a-1\n",
    );
  });

  test.each(["../x", "a/b", "", ".lock", "A"])("has no folder for a node named %j", (name) => {
    expect(() => nodeFolder(paths, name)).toThrow("is not a cluster's name");
  });
});
