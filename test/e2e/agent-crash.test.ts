import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { plain, ranksLines, Rig, waitUntil, type RigNode } from "./agent-rig.ts";

let rig: Rig;
afterEach(() => rig.stop());

const seed = Number(process.env["AGENT_CRASH_SEED"] ?? Date.now() % 1_000_000);

/** Mulberry32: the same seed gives the same run of numbers 0…1. */
function createRandom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function restart(node: RigNode): Promise<void> {
  await node.kill();
  node.start();
  await node.peer();
}

/** Reads the job's log as a server does that loses its connection: goes on at the offset it had come to. */
async function followAcross(jobId: number): Promise<{ text: Promise<string>; bytes: () => number }> {
  const parts: Buffer[] = [];
  let offset = 0;
  const read = async (): Promise<string> => {
    for (;;) {
      try {
        const peer = await rig.head.dial();
        const stream = peer.open("logs", { jobId, follow: true, tail: 0, offset });
        for await (const chunk of stream.chunks) {
          offset += chunk.length;
          parts.push(Buffer.from(chunk));
        }
        await stream.end;
        peer.close();
        return Buffer.concat(parts).toString();
      } catch {
        // The agent was killed: dial again.
      }
    }
  };
  return { text: read(), bytes: () => offset };
}

test(`kill -9 of the agent at random moments loses and repeats no byte of the log (seed ${seed})`, async () => {
  const random = createRandom(seed);
  rig = await Rig.start({ numNodes: 2 });
  const jobId = await rig.submit({
    numNodes: 2,
    run: `for i in $(seq 1 1500); do echo "line $i of $SKYPILOT_NODE_RANK"; if [ $((i % 50)) = 0 ]; then printf 'p%s\\r' $i; sleep 0.1; fi; done; printf last`,
  });
  const follower = await followAcross(jobId);
  for (let kill = 0; kill < 10; kill += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20 + random() * 250));
    const node = rig.nodes[random() < 0.7 ? 0 : 1] ?? rig.head;
    await restart(node);
  }
  const text = plain(await follower.text);
  const log = readFileSync(join(rig.head.home, "sky_logs/1-task/run.log"), "utf8");
  expect(text).toBe(plain(log));
  for (const rank of [0, 1]) {
    const own = log
      .split(/(?<=[\n\r])/)
      .filter((line) => plain(line).startsWith(rank === 0 ? "(head, rank=0" : "(worker1, rank=1"))
      .map((line) => plain(line).replace(/^\(.*?\) /, ""));
    const expected = Array.from({ length: 1500 }, (_, index) => index + 1).flatMap((i) =>
      i % 50 === 0 ? [`line ${i} of ${rank}\n`, `p${i}\r`] : [`line ${i} of ${rank}\n`],
    );
    expect(own).toEqual([...expected, "last\n"]);
  }
  expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
});

test(`kill -9 while many short jobs run: each runs once, none is lost (seed ${seed})`, async () => {
  const random = createRandom(seed + 1);
  rig = await Rig.start();
  const counts = join(rig.head.home, "counts");
  mkdirSync(counts, { recursive: true });
  const keys = Array.from({ length: 60 }, (_, index) => `job-${index}`);
  const submitted = (async () => {
    for (const key of keys) {
      // A client that lost its connection repeats the submission with the same key.
      await waitUntil("a submission", () =>
        rig.submit({ key, run: `echo x >> ${counts}/${key}; sleep 0.0${key.length}` }).catch(() => undefined),
      );
    }
  })();
  for (let kill = 0; kill < 8; kill += 1) {
    await new Promise((resolve) => setTimeout(resolve, random() * 150));
    await restart(rig.head);
  }
  await submitted;
  await waitUntil("all jobs", async () => {
    const { jobs } = await (await rig.head.peer()).call("queue", {});
    return jobs.length === keys.length && jobs.every((job) => job.status === "SUCCEEDED");
  });
  expect(readdirSync(counts).length).toBe(keys.length);
  for (const key of keys) expect(readFileSync(join(counts, key), "utf8")).toBe("x\n");
  await waitUntil("clean-up", () => readdirSync(join(rig.head.root, "tasks")).length === 0);
  expect(readdirSync(join(rig.head.root, "jobs"))).toEqual([]);
});

test("a job whose processes are gone without exit code fails as the driver's, with the reason", async () => {
  rig = await Rig.start();
  const jobId = await rig.submit({ run: "echo up; sleep 1000" });
  await rig.reaches(jobId, "RUNNING");
  const pidFile = join(rig.head.root, `tasks/${jobId}-run-0/pid`);
  await waitUntil("the rank", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
  const pid = Number(readFileSync(pidFile, "utf8"));
  await rig.head.kill();
  process.kill(-pid, "SIGKILL");
  rig.head.start();
  expect(await rig.logs(jobId)).toMatch(
    /ERROR: Job 1 failed: process \d+ of rank 0 on head \(127\.0\.0\.1\) is gone: it was killed/,
  );
  expect((await rig.job(jobId)).status).toBe("FAILED_DRIVER");
});

test("an upgrade keeps the ranks; a stop and start fails what was not finished", async () => {
  rig = await Rig.start({ config: { resources: { cpus: 0.5, memoryGib: 1, accelerators: {} } } });
  const jobId = await rig.submit({ run: "echo one; until [ -e go ]; do sleep 0.05; done; echo two" });
  await rig.reaches(jobId, "RUNNING");
  const queued = await rig.submit({ run: "true" });
  await (await rig.head.peer()).call("shutdown", { key: "s1", jobs: "keep" });
  expect(await rig.head.exited()).toBe(0);
  writeFileSync(join(rig.head.home, "sky_workdir/go"), "");
  rig.head.start();
  expect(ranksLines(await rig.logs(jobId))).toEqual(["(task, pid=N) one", "(task, pid=N) two"]);
  await rig.reaches(queued, "SUCCEEDED");

  const third = await rig.submit({ run: "echo $$ > pid3; sleep 1000" });
  const fourth = await rig.submit({ run: "true" });
  const pidFile = join(rig.head.home, "sky_workdir/pid3");
  await waitUntil("the third job", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
  await (await rig.head.peer()).call("shutdown", { key: "s2", jobs: "kill" });
  expect(await rig.head.exited()).toBe(0);
  expect(existsSync(`/proc/${readFileSync(pidFile, "utf8").trim()}`)).toBe(false);
  rig.head.start();
  const peer = await rig.head.peer();
  expect(await peer.call("fail_unfinished", { key: "f" })).toEqual({ jobIds: [] });
  expect((await rig.job(third)).status).toBe("FAILED_DRIVER");
  expect((await rig.job(fourth)).status).toBe("FAILED_DRIVER");
});

test("after a reboot nothing that was not finished runs", async () => {
  rig = await Rig.start({ config: { resources: { cpus: 0.5, memoryGib: 1, accelerators: {} } } });
  const running = await rig.submit({ run: "sleep 1000" });
  const queued = await rig.submit({ run: "touch never" });
  await rig.reaches(running, "RUNNING");
  const pidFile = join(rig.head.root, `tasks/${running}-run-0/pid`);
  await waitUntil("the rank", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
  const pid = Number(readFileSync(pidFile, "utf8"));
  await rig.head.kill();
  process.kill(-pid, "SIGKILL");
  writeFileSync(join(rig.head.root, "boot-id"), "another boot");
  rig.head.start();
  for (const id of [running, queued]) {
    expect((await rig.job(id)).status).toBe("FAILED_DRIVER");
    expect(await rig.logs(id)).toContain(`ERROR: Job ${id} failed: node head (127.0.0.1) was rebooted.\n`);
  }
  await rig.reaches(await rig.submit({ run: "true" }), "SUCCEEDED");
  expect(existsSync(join(rig.head.home, "sky_workdir/never"))).toBe(false);
});

test("watchers see every change once, in order, and everything again in a new life of the agent", async () => {
  rig = await Rig.start();
  const peer = await rig.head.peer();
  const stream = peer.open("watch", { afterSeq: 0 });
  const { incarnation } = await stream.start;
  const jobId = await rig.submit({ setup: "true", run: "true" });
  const seen: { seq: number; type: string; job?: { status: string } }[] = [];
  for await (const event of stream.events) {
    seen.push(event as (typeof seen)[number]);
    if (seen.at(-1)?.job?.status === "SUCCEEDED") break;
  }
  expect(seen.map((event) => event.job?.status)).toEqual(["PENDING", "SETTING_UP", "RUNNING", "SUCCEEDED"]);
  expect(seen.map((event) => event.seq)).toEqual([1, 2, 3, 4]);
  const again = peer.open("watch", { afterSeq: 3, incarnation });
  for await (const event of again.events) {
    expect(event).toEqual(seen[3]);
    break;
  }
  const running = await rig.submit({ run: "sleep 1000" });
  await rig.reaches(running, "RUNNING");
  await restart(rig.head);
  const fresh = (await rig.head.peer()).open("watch", { afterSeq: 6, incarnation });
  for await (const event of fresh.events) {
    expect(event).toMatchObject({ seq: 1, type: "job", job: { jobId: running, status: "RUNNING" } });
    break;
  }
  expect(jobId).toBe(1);
});
