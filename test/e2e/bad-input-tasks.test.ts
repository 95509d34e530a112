import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import { runProgram } from "./support/run-program.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

describe("bad task files and arguments", () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    await sandbox.startServer();
  });

  afterAll(async () => {
    const clusters = await sandbox.sky(["status", "-o", "json"]);
    await sandbox.dispose();
    expect(JSON.parse(clusters.stdout)).toEqual([]);
  });

  function launch(yaml: string, ...args: string[]): ReturnType<Sandbox["sky"]> {
    sandbox.write("bad.yaml", yaml);
    return sandbox.sky(["launch", "-y", "-c", "bad", ...args, "bad.yaml"]);
  }

  it.each([
    {
      what: "an unknown key",
      yaml: "name: x\nresorces:\n  cpus: 1\nrun: echo hi\n",
      message: /resorces[\s\S]*bad\.yaml:2:1/u,
      hint: /resources/u,
    },
    {
      what: "an unknown key deep down",
      yaml: "resources:\n  cpu: 1\nrun: echo hi\n",
      message: /'?cpu'?[\s\S]*bad\.yaml:2:3/u,
      hint: /cpus/u,
    },
    { what: "a wrong type", yaml: "num_nodes: many\nrun: echo hi\n", message: /many[\s\S]*bad\.yaml:1/u },
    {
      what: "a bad unit",
      yaml: "resources:\n  memory: 4 parsecs\nrun: echo hi\n",
      message: /4 parsecs[\s\S]*bad\.yaml:2/u,
    },
    { what: "no YAML at all", yaml: "run: [unclosed\n", message: /bad\.yaml/u },
    { what: "a key twice", yaml: "run: echo a\nnum_nodes: 0\n", message: /num_nodes|nodes/u },
    {
      what: "a missing workdir",
      yaml: "workdir: nowhere\nrun: echo hi\n",
      message: /nowhere/u,
      hint: /does not exist|exist|not found/iu,
    },
    {
      what: "a missing file mount",
      yaml: "file_mounts:\n  ~/x: ./nowhere.txt\nrun: echo hi\n",
      message: /nowhere\.txt/u,
    },
    { what: "an env without a value", yaml: "envs:\n  KEY: null\nrun: echo hi\n", message: /KEY/u, hint: /--env/u },
  ])("refuses $what, naming the place", async ({ yaml, message, hint }) => {
    expectRefusal(await launch(yaml), hint === undefined ? { exitCode: 1, message } : { exitCode: 1, message, hint });
  });

  it("an empty file is a task that does nothing, as in the original", async () => {
    const result = await launch("", "--dryrun");
    expect(plainText(result.stdout + result.stderr)).not.toMatch(/^\s+at /mu);
    expect([0, 1]).toContain(result.exitCode);
  });

  it("refuses a 10 MB task file at once, with the limit", async () => {
    const comment = `# ${"x".repeat(1022)}\n`.repeat(10_240);
    const result = await launch(`${comment}run: echo hi\nresorces: {}\n`);
    expectRefusal(result, {
      exitCode: 1,
      message: /bad\.yaml[\s\S]*10\.0 MiB long; at most \d+ MiB/u,
      hint: /file_mounts/u,
    });
  });

  it("does not unfold an alias bomb", async () => {
    const levels = Array.from({ length: 12 }, (_, index) =>
      index === 0
        ? "a0: &a0 [x,x,x,x,x,x,x,x,x]"
        : `a${index}: &a${index} [${`*a${index - 1},`.repeat(9).slice(0, -1)}]`,
    );
    const result = await launch(`${levels.join("\n")}\nrun: echo hi\n`);
    expectRefusal(result, { exitCode: 1, message: /bad\.yaml/u });
  });

  it.each([
    ["-c", "Bad_Name!"],
    ["-c", "1starts-with-digit"],
  ])("refuses the cluster name %s %s", async (...args) => {
    const result = await sandbox.sky(["launch", "-y", ...args, "echo hi"]);
    expectRefusal(result, { exitCode: 1, message: args[1]?.slice(0, 20) ?? "" });
  });

  it.each([
    [["exec", "nosuch", "echo hi"], 1, "Cluster 'nosuch' does not exist."],
    [["logs", "nosuch"], 1, "nosuch"],
    [["cancel", "-y", "nosuch"], 1, "Cluster 'nosuch' does not exist."],
    [["start", "-y", "nosuch"], 1, "nosuch"],
    [["stop", "-y", "nosuch"], 1, "nosuch"],
    [["down", "-y", "nosuch"], 1, "nosuch"],
    [["autostop", "-y", "nosuch"], 1, "nosuch"],
  ] as const)("%j: the cluster does not exist", async (args, exitCode, message) => {
    expectRefusal(await sandbox.sky(args), { exitCode, message });
  });

  it.each([
    [["launch", "--bogus"], "No such option: --bogus"],
    [["launchh"], "No such command 'launchh'."],
    [["launch", "--num-nodes", "x", "echo"], "'x' is not a valid integer."],
    [["launch", "--workdir", "nope", "echo"], "Directory 'nope' does not exist."],
    [["launch", "--infra"], "Option '--infra' requires an argument."],
    [["logs"], "Missing argument 'CLUSTER'."],
    [["logs", "c", "abc"], "abc"],
  ] as const)("%j is a usage error", async (args, message) => {
    expectRefusal(await sandbox.sky(args), { exitCode: 2, message });
  });

  it("a YAML path that does not exist is not run as a command", async () => {
    const result = await sandbox.sky(["launch", "-y", "nope.yaml"]);
    expectRefusal(result, { exitCode: 1, message: "nope.yaml" });
  });

  it("an unknown infra is named, with the known ones", async () => {
    const result = await sandbox.sky(["launch", "-y", "--infra", "foo", "echo hi"]);
    expectRefusal(result, { exitCode: 1, message: /'foo'[\s\S]*slurm/u });
  });

  it("more CPUs than there are is refused with what there is", async () => {
    const result = await launch("resources:\n  cpus: 4096\nrun: echo hi\n");
    expectRefusal(result, { exitCode: 1, message: /4096/u });
  });

  it("an unreadable config file is named", async () => {
    const config = sandbox.write("unreadable.yaml", "{}");
    chmodSync(config, 0);
    const env = sandbox.env({ SKYPILOT_GLOBAL_CONFIG: config });
    // Root reads everything, unless it gives the right to do so away.
    const asUser = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
    const argv = [...asUser, process.execPath, join(repoRoot, "bin/sky.cjs"), "launch", "-y", "--dryrun", "echo hi"];
    const result = await runProgram(argv, { env, cwd: sandbox.work });
    expectRefusal(result, { exitCode: 1, message: /unreadable\.yaml/u });
  });

  it.each([
    ["a directory", (path: string) => mkdirSync(path)],
    ["a dangling link", (path: string) => symlinkSync("/nonexistent/target", path)],
    ["broken YAML", (path: string) => writeFileSync(path, "a: [1\n")],
    ["an unknown key", (path: string) => writeFileSync(path, "admin_polcy: x\n")],
  ])("a config file that is %s is named, not ignored", async (_what, make) => {
    const config = join(sandbox.work, `config-${Math.abs(make.toString().length)}.yaml`);
    make(config);
    const env = sandbox.env({ SKYPILOT_GLOBAL_CONFIG: config });
    const result = await sandbox.sky(["launch", "-y", "--dryrun", "echo hi"], { env });
    expectRefusal(result, { exitCode: 1, message: config.split("/").at(-1) ?? "" });
  });
});
