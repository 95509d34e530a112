import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseTable, plainText } from "./support/plain-text.ts";
import { signalProcess } from "./support/process-tree.ts";
import { isE2eRequired } from "./support/reference.ts";
import { expectRefusal } from "./support/refusal.ts";
import { runProgram } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

describe("a machine in a bad state", () => {
  let sandbox: Sandbox;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });

  afterEach(async () => {
    await sandbox.dispose();
  });

  async function occupyPort(answer: string): Promise<Server> {
    const server = createServer((socket) => {
      socket.on("error", () => undefined).once("data", () => socket.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(sandbox.port, "127.0.0.1", resolve));
    return server;
  }

  it("another program on the port is told apart from our server", async () => {
    const other = await occupyPort("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    try {
      const result = await sandbox.sky(["api", "start"], { timeoutMs: 90_000 });
      expectRefusal(result, { exitCode: 1, message: new RegExp(String(sandbox.port), "u"), hint: /hint: /u });
    } finally {
      other.close();
    }
  });

  it("a state file that is not a database is named and kept", async () => {
    const state = join(sandbox.home, ".sky/ts");
    mkdirSync(state, { recursive: true });
    const file = join(state, "state.sqlite");
    const garbage = "this is not a database ".repeat(1000);
    writeFileSync(file, garbage);
    const result = await sandbox.sky(["status"], { timeoutMs: 90_000 });
    expectRefusal(result, { exitCode: 1, message: /state\.sqlite/u, hint: /hint: /u });
    expect(readFileSync(file, "utf8")).toBe(garbage);
  });

  it("a state file that was cut short is named and kept", async () => {
    await sandbox.startServer();
    await sandbox.sky(["status"]);
    await sandbox.sky(["api", "stop"]);
    const file = join(sandbox.home, ".sky/ts/state.sqlite");
    const whole = readFileSync(file);
    for (const name of readdirSync(join(sandbox.home, ".sky/ts"))) {
      if (/-(?:wal|shm)$/u.test(name)) rmSync(join(sandbox.home, ".sky/ts", name));
    }
    writeFileSync(file, whole.subarray(0, 5000));
    const result = await sandbox.sky(["status"], { timeoutMs: 90_000 });
    expectRefusal(result, { exitCode: 1, message: /state\.sqlite/u, hint: /hint: /u });
    expect(readFileSync(file).byteLength).toBe(5000);
  });

  it("a server that was killed is started again and knows its clusters", async () => {
    const launched = await sandbox.sky(["launch", "-y", "-c", "kept", "echo hi"]);
    expect(launched.exitCode, launched.stderr).toBe(0);
    await sandbox.killServer();
    const status = await sandbox.sky(["status"]);
    expect(parseTable(status.stdout, "NAME")).toMatchObject([{ NAME: "kept", STATUS: "UP" }]);
    const logs = await sandbox.sky(["logs", "kept", "1", "--no-follow"]);
    expect(plainText(logs.stdout)).toMatch(/\) hi$/mu);
  });

  it("a server elsewhere that does not answer is named, with the way to log in", async () => {
    const env = sandbox.env({
      SKYPILOT_API_SERVER_ENDPOINT: `http://127.0.0.1:${sandbox.port}`,
      SKYPILOT_API_SERVER_LOCAL_PORT: "1",
    });
    const result = await sandbox.sky(["status"], { env });
    expectRefusal(result, { exitCode: 1, message: `http://127.0.0.1:${sandbox.port}`, hint: /sky api/u });
  });

  it("Ctrl-C leaves the log stream and the job alone", async () => {
    const marker = join(sandbox.root, "job-done");
    const release = join(sandbox.root, "go-on");
    const script = `echo started; while [ ! -e ${release} ]; do sleep 0.05; done; echo finished; touch ${marker}`;
    let seen = "";
    const launch = sandbox.startSky(["launch", "-y", "-c", "detach", script], {
      onOutput: (text) => (seen += text),
    });
    await waitFor("the job's first line", () => /\) started/u.test(plainText(seen)), { timeoutMs: 60_000 });
    launch.kill("SIGINT");
    const result = await launch.result;
    expectRefusal(result, { exitCode: 130, message: /sky logs|sky api logs|job/u });
    expect(existsSync(marker)).toBe(false);
    writeFileSync(release, "");
    await waitFor("the job to end by itself", () => existsSync(marker));
    const logs = await sandbox.sky(["logs", "detach", "1"]);
    expect(plainText(logs.stdout)).toMatch(/\) finished$/mu);
    expect(logs.exitCode).toBe(0);
  });

  it("the words after exec's cluster reach the job untouched", async () => {
    const launched = await sandbox.sky(["launch", "-y", "-c", "args"]);
    expect(launched.exitCode, launched.stderr).toBe(0);
    const result = await sandbox.sky([
      "exec",
      "args",
      "printf",
      "'<%s>'",
      "--foo",
      "-c",
      "x=1",
      "--",
      "-d",
      "--gpus=8",
    ]);
    expect(plainText(result.stdout)).toContain(") <--foo><-c><x=1><--><-d><--gpus=8>");
    expect(result.exitCode).toBe(0);
  });

  it.skipIf(process.getuid?.() !== 0 && !isE2eRequired())(
    "a full disk is said to be full, and loses nothing",
    async () => {
      const run = (argv: readonly string[]): ReturnType<typeof runProgram> =>
        runProgram(argv, { cwd: "/", env: { PATH: process.env["PATH"] ?? "" } });
      const mounted = await run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", sandbox.home]);
      expect(mounted.exitCode, mounted.stderr).toBe(0);
      try {
        const first = await sandbox.sky(["launch", "-y", "-c", "full", "echo hi"]);
        expect(first.exitCode, first.stderr).toBe(0);
        await run(["dd", "if=/dev/zero", `of=${join(sandbox.home, "ballast")}`, "bs=64k"]);
        await run(["dd", "if=/dev/zero", `of=${join(sandbox.home, "ballast2")}`, "bs=1"]);
        const refused = await sandbox.sky(["exec", "full", "echo more"], { timeoutMs: 60_000 });
        expectRefusal(refused, {
          exitCode: 1,
          message: /no space|disk[\s\S]*full|full[\s\S]*disk|ENOSPC/iu,
          hint: /hint: /u,
        });
        rmSync(join(sandbox.home, "ballast"));
        rmSync(join(sandbox.home, "ballast2"));
        const after = await sandbox.sky(["exec", "full", "echo room again"]);
        expect(plainText(after.stdout)).toMatch(/\) room again$/mu);
        const queue = await sandbox.sky(["queue", "full"]);
        expect(parseTable(queue.stdout, "ID").map((row) => row["STATUS"])).toContain("SUCCEEDED");
      } finally {
        for (const { pid } of sandbox.processes()) signalProcess(pid, "SIGKILL");
        await waitFor("the disk to be free", async () => (await run(["umount", sandbox.home])).exitCode === 0);
      }
    },
  );
});
