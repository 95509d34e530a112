import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { BLOCK_BYTES, encodeBlock } from "../../src/shared/agent/sync-blocks.ts";
import { AGENT_BUNDLE, ranksLines, Rig, waitUntil } from "./agent-rig.ts";

let rig: Rig;
afterEach(() => rig.stop());

function memoryMib(pid: number | undefined, name: "VmHWM" | "VmRSS"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

test("with 64 file descriptors: 50 jobs at once, 100 followers, a full log, and memory that stays flat", async () => {
  rig = await Rig.start({ config: { resources: { cpus: 32, memoryGib: 8, accelerators: {} } } });
  await (await rig.head.peer()).call("shutdown", { key: "s", jobs: "keep" });
  await rig.head.exited();
  rig.head.process = spawn(
    "/bin/sh",
    ["-c", `ulimit -n 64; exec "$@"`, "sh", process.execPath, AGENT_BUNDLE, "daemon", "--root", rig.head.root],
    { stdio: ["ignore", "ignore", "inherit"], env: { PATH: process.env["PATH"] ?? "" } },
  );
  const ids = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      rig.submit({ run: `echo start; until [ -e go ]; do sleep 0.1; done; echo end ${index}` }),
    ),
  );
  for (const id of ids) await rig.reaches(id, "RUNNING");
  const logs = [...ids, ...ids].map((id) => rig.logs(id));
  writeFileSync(join(rig.head.home, "sky_workdir/go"), "");
  for (const [index, log] of (await Promise.all(logs)).entries()) {
    expect(log).toMatch(new RegExp(`\\) start\\n.*\\) end ${index % 50}\\n$`, "s"));
  }
  const big = await rig.submit({ run: "head -c 150000000 /dev/zero | tr '\\0' x | fold -w 199" });
  const peer = await rig.head.peer();
  const stream = peer.open("logs", { jobId: big, follow: true, tail: 0 });
  const hash = createHash("md5");
  let bytes = 0;
  for await (const chunk of stream.chunks) {
    hash.update(chunk);
    bytes += chunk.length;
    // A reader slower than the writer.
    if (bytes % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await stream.end;
  const path = join(rig.head.home, `sky_logs/${big}-task/run.log`);
  expect(hash.digest("hex")).toBe(createHash("md5").update(readFileSync(path)).digest("hex"));
  expect(bytes).toBeGreaterThan(150_000_000);
  expect(memoryMib(rig.head.process?.pid, "VmHWM")).toBeLessThan(256);
  expect(rig.head.log()).not.toContain("EMFILE");
});

test("a full disk is said plainly, loses nothing, and everything goes on when there is space", async (context) => {
  const disk = mkdtempSync(join(tmpdir(), "agent-disk-"));
  try {
    execFileSync("/bin/mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], { stdio: "ignore" });
  } catch {
    rmSync(disk, { recursive: true });
    rig = await Rig.start();
    context.skip("no right to mount a small disk");
  }
  try {
    rig = await Rig.start({ config: { home: join(disk, "home") } });
    const peer = await rig.head.peer();
    const openSync = (size: number) => {
      const entries = [{ path: "big", kind: "file", mode: 0o644, size, mtimeMs: 1 }] as const;
      return peer.open("put_files", { key: "s", dest: "~/sky_workdir", entries });
    };
    const refusal = { agentCode: "NO_SPACE", hint: expect.stringContaining("disk") as string };
    await expect(openSync(20_000_000).start).rejects.toMatchObject(refusal);
    const sync = openSync(4_000_000);
    await sync.start;
    const filler = join(disk, "filler");
    writeFileSync(filler, Buffer.alloc(3_000_000));
    const piece = (offset: number) => {
      const body = Buffer.alloc(BLOCK_BYTES, 1);
      return encodeBlock({ files: [0], offset, contentBytes: body.length, isCompressed: false, body });
    };
    const sending = (async () => {
      for (let offset = 0; offset < 4_000_000 - BLOCK_BYTES; offset += BLOCK_BYTES) await sync.send(piece(offset));
    })();
    await expect(sync.end).rejects.toMatchObject({
      ...refusal,
      message: `No space is left on the node for ${join(disk, "home/sky_workdir/big")}.`,
    });
    await sending.catch(() => undefined);
    expect(readdirSync(join(disk, "home/sky_workdir"))).toEqual([]);
    rmSync(filler);

    // The rank's own file lies elsewhere, so that it is the agent that finds no space.
    const raw = join(rig.directory, "raw");
    mkdirSync(raw);
    mkdirSync(join(disk, "home/sky_logs/1-task"), { recursive: true });
    symlinkSync(raw, join(disk, "home/sky_logs/1-task/tasks"));
    const block = "head -c 20000 /dev/zero | tr '\\0'";
    const run = `until [ -e go ]; do sleep 0.05; done; ${block} a; echo; sleep 0.3; ${block} b; echo; sleep 0.3; echo end`;
    const jobId = await rig.submit({ run });
    const followed = rig.logs(jobId);
    await rig.reaches(jobId, "RUNNING");
    writeFileSync(join(disk, "home/sky_workdir/go.new"), "");
    expect(() => writeFileSync(filler, Buffer.alloc(10_000_000))).toThrow("ENOSPC");
    await expect(rig.submit({ run: "true", envs: { A: "x".repeat(100_000) } })).rejects.toMatchObject({
      agentCode: "NO_SPACE",
    });
    renameSync(join(disk, "home/sky_workdir/go.new"), join(disk, "home/sky_workdir/go"));
    await waitUntil("the agent to notice", () => rig.head.log().includes("disk full"));
    rmSync(filler);
    expect(ranksLines(await followed)).toEqual([
      `(task, pid=N) ${"a".repeat(20_000)}`,
      `(task, pid=N) ${"b".repeat(20_000)}`,
      "(task, pid=N) end",
    ]);
    expect((await rig.ends(jobId)).status).toBe("SUCCEEDED");
    await rig.reaches(await rig.submit({ run: "true" }), "SUCCEEDED");
  } finally {
    await rig.stop();
    execFileSync("/bin/umount", ["-l", disk]);
    rmSync(disk, { recursive: true });
  }
});

describe("autostop", () => {
  test("an idle cluster runs its hooks once per node, stops workers first, and says how it ended", async () => {
    rig = await Rig.start({ numNodes: 2 });
    const peer = await rig.head.peer();
    const jobId = await rig.submit({ run: "sleep 0.5" });
    const watch = peer.open("watch", { afterSeq: 0 });
    await peer.call("set_autostop", {
      key: "a",
      idleMinutes: 0.01,
      down: true,
      waitFor: "jobs_and_ssh",
      hooks: [
        { run: "echo hook $SKYPILOT_HOOK_EVENT", events: ["down"], timeoutSeconds: 10 },
        { run: "sleep 100", events: [], timeoutSeconds: 0.2 },
        { run: "echo no", events: ["stop"], timeoutSeconds: 10 },
      ],
    });
    const types: string[] = [];
    const watching = (async () => {
      for await (const event of watch.events) {
        const { type, job } = event as { type: string; job?: { status: string } };
        types.push(type === "job" ? `${job?.status}` : type);
      }
    })();
    await watching.catch(() => undefined);
    expect(types.filter((type) => type !== "node")).toEqual(["PENDING", "RUNNING", "SUCCEEDED", "autostopping"]);
    expect(jobId).toBe(1);
    for (const node of rig.nodes) {
      expect(await node.exited()).toBe(0);
      expect(JSON.parse(readFileSync(join(node.root, "state.json"), "utf8"))).toMatchObject({ state: "down" });
      const log = readFileSync(join(node.home, ".sky/hooks/down.log"), "utf8");
      expect(log).toBe("hook down\nHook failed with return code 124.\n");
    }
  });

  test("the setting outlives the agent; a new job is refused while it stops; a start clears the state", async () => {
    rig = await Rig.start();
    const hooks = [{ run: "touch hooked; until [ -e go ]; do sleep 0.05; done", events: [], timeoutSeconds: 60 }];
    const set = { key: "a", idleMinutes: 0.02, down: false, waitFor: "jobs", hooks } as const;
    const running = await rig.submit({ run: "until [ -e finish ]; do sleep 0.05; done" });
    await rig.reaches(running, "RUNNING");
    await (await rig.head.peer()).call("set_autostop", set);
    await rig.head.kill();
    rig.head.start();
    const peer = await rig.head.peer();
    expect((await peer.call("status", {})).autostop).toEqual({ idleMinutes: 0.02, down: false, waitFor: "jobs" });
    writeFileSync(join(rig.head.home, "sky_workdir/finish"), "");
    await waitUntil("the hook", () => existsSync(join(rig.head.home, "hooked")), 60_000);
    expect((await peer.call("status", {})).isAutostopping).toBe(true);
    await expect(rig.submit({ run: "true" })).rejects.toMatchObject({ agentCode: "NOT_ALLOWED" });
    writeFileSync(join(rig.head.home, "go"), "");
    await rig.head.exited();
    const state = join(rig.head.root, "state.json");
    expect(JSON.parse(readFileSync(state, "utf8"))).toMatchObject({ state: "stopped" });
    // Off again before the new agent looks: this test is over its stop.
    writeFileSync(join(rig.head.root, "autostop.json"), "");
    rig.head.start();
    await rig.head.peer();
    expect(existsSync(state)).toBe(false);
    await rig.reaches(await rig.submit({ run: "true" }), "SUCCEEDED");
  });
});

test("the agent starts fast and small, keeps its folders private, and lives without a single client", async () => {
  rig = await Rig.start();
  const { root } = rig.head;
  expect(memoryMib(rig.head.process?.pid, "VmRSS")).toBeLessThan(80);
  const [pid] = readFileSync(join(root, "agent.pid"), "utf8").split(" ");
  expect(Number(pid)).toBe(rig.head.process?.pid);
  const jobId = await rig.submit({ run: "sleep 0.3; echo done > result" });
  (await rig.head.peer()).close();
  const result = join(rig.head.home, "sky_workdir/result");
  await waitUntil("the job's work", () => existsSync(result));
  expect((await rig.ends(jobId)).status).toBe("SUCCEEDED");
  const open = execFileSync("find", [root, "-perm", "/077", "-type", "d", "-mindepth", "1"]).toString();
  expect(open).toBe("");
  mkdirSync(join(root, "x"), { mode: 0o700 });
  expect(readdirSync(join(root, "secrets"))).toEqual([]);
});
