/** The documented example of the SDK, run as it stands against a local server of its own. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let home: string;
let env: Record<string, string>;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "sky-sdk-"));
  env = {
    HOME: home,
    PATH: process.env["PATH"] ?? "",
    USER: "alice",
    SKYPILOT_API_SERVER_LOCAL_PORT: String(await freePort()),
  };
});

afterAll(async () => {
  await run(process.execPath, [join(root, "bin", "sky.cjs"), "api", "stop"], { env });
  rmSync(home, { recursive: true, force: true });
});

describe("examples/sdk-hello.ts", () => {
  test("launches, prints the job's log and leaves no cluster behind", async () => {
    const example = join(root, "examples", "sdk-hello.ts");
    const { stdout } = await run(process.execPath, [example, "from-the-sdk"], { env, cwd: home });
    expect(stdout).toContain("Cluster launched: from-the-sdk.");
    expect(stdout).toMatch(/\(hello, pid=\d+\)\S* Hello from the SDK\n/);
    const sky = [join(root, "bin", "sky.cjs"), "status", "-o", "json"];
    expect(JSON.parse((await run(process.execPath, sky, { env, cwd: home })).stdout)).toEqual([]);
  });

  test("examples/hello.yaml says hello from the command line", async () => {
    const sky = join(root, "bin", "sky.cjs");
    const task = join(root, "examples", "hello.yaml");
    const { stdout } = await run(process.execPath, [sky, "launch", "-y", "-c", "hi", "--down", task], {
      env,
      cwd: home,
    });
    expect(stdout).toContain("Hello from node 0 of 1\n");
    await run(process.execPath, [sky, "down", "-y", "hi"], { env, cwd: home }).catch(() => undefined);
  });
});
