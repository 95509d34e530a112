import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGateway, S3Gateway } from "../support/s3/gateway.ts";
import { rcloneEnv } from "../support/s3/rclone.ts";
import { filesBelow, findCanaries, ProcessWatch } from "./support/canaries.ts";
import { plainText } from "./support/plain-text.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";

const LONG_MS = 120_000;
const TASK = `
resources: {infra: local}
num_nodes: 2
file_mounts:
  ~/data: {source: s3://things}
  ~/part: {source: s3://things/models, config: {mount: {read_only: true}}}
  ~/ckpt: {source: s3://ckpt, mode: MOUNT_CACHED}
run: |
  cat ~/data/models/a.txt ~/part/a.txt
  echo "by $SKYPILOT_NODE_RANK" > "$HOME/data/ünï $SKYPILOT_NODE_RANK.txt"
  mkdir ~/ckpt/tmp-$SKYPILOT_NODE_RANK; head -c 40000000 /dev/zero > ~/ckpt/tmp-$SKYPILOT_NODE_RANK/weights
  mv ~/ckpt/tmp-$SKYPILOT_NODE_RANK ~/ckpt/step-$SKYPILOT_NODE_RANK; wc -c < ~/ckpt/step-$SKYPILOT_NODE_RANK/weights
`;

/** A server that can make no keys for a bucket alone: nodes get the server's own, once the config allows it. */
describe.skipIf(findGateway() === undefined)("mounts by the server's own keys (versitygw, SKY_S3_GATEWAY)", () => {
  let gateway: S3Gateway;
  let sandbox: Sandbox;

  beforeAll(async () => {
    [gateway, sandbox] = await Promise.all([S3Gateway.start(), Sandbox.create()]);
    mkdirSync(join(gateway.buckets, "things/models"), { recursive: true });
    mkdirSync(join(gateway.buckets, "ckpt"));
    writeFileSync(join(gateway.buckets, "things/models/a.txt"), "one\n");
    sandbox.write("task.yaml", TASK);
    sandbox.write("../home/.sky/config.yaml", "aws: {remote_identity: LOCAL_CREDENTIALS}\n");
    await sandbox.startServer(env());
  });

  afterAll(async () => {
    await sandbox?.dispose();
    gateway?.stop();
  });

  const env = (): Record<string, string> => ({ ...gateway.env, ...rcloneEnv(sandbox) });

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await sandbox.sky(args, { env: sandbox.env(env()) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  it("are read and written on every node, and no disk or command line has the keys", { timeout: LONG_MS }, async () => {
    const watch = new ProcessWatch(() => sandbox.processes());
    const { text, exitCode } = await sky("launch", "-y", "-c", "c", "task.yaml");
    watch.stop();
    expect(exitCode, text).toBe(0);
    expect(text.match(/\) one$/gmu)).toHaveLength(4);
    expect(text.match(/\) 40000000$/gmu)).toHaveLength(2);
    expect(
      readdirSync(join(gateway.buckets, "things"))
        .filter((name) => !name.startsWith("."))
        .sort(),
    ).toEqual(["models", "ünï 0.txt", "ünï 1.txt"]);
    expect(readFileSync(join(gateway.buckets, "things/ünï 1.txt"), "utf8")).toBe("by 1\n");
    for (const rank of [0, 1]) {
      expect(readFileSync(join(gateway.buckets, `ckpt/step-${rank}/weights`)).length).toBe(40_000_000);
    }
    expect([...watch.seen.values()].some((argv) => argv.includes("rclone"))).toBe(true);
    const places = new Map([...watch.seen, ...filesBelow(sandbox.root, (path) => path.includes("/cache/vfs"))]);
    expect(findCanaries(places, [gateway.keys.secretAccessKey])).toEqual([]);
  });

  it("outlive the server of the buckets", { timeout: LONG_MS }, async () => {
    await gateway.kill();
    const job = sky("exec", "c", "--num-nodes", "2", "echo late > ~/data/late-$SKYPILOT_NODE_RANK");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await gateway.restart();
    const { text, exitCode } = await job;
    expect(exitCode, text).toBe(0);
    expect(readFileSync(join(gateway.buckets, "things/late-1"), "utf8")).toBe("late\n");
    const down = await sky("down", "-y", "c");
    expect(down.exitCode, down.text).toBe(0);
  });
});
