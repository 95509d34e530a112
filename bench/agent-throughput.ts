/**
 * How many jobs a second one node's agent carries out durably: 1,000 jobs `true`, submitted through the unix socket, counted until
 * the last has succeeded. Also start-up time and memory. Prints one JSON line.
 */
import { readFileSync } from "node:fs";
import { Rig } from "../test/e2e/agent-rig.ts";

const JOBS = Number(process.argv[2] ?? 1000);
const SUBMITTERS = 16;

const started = performance.now();
const rig = await Rig.start();
const startMs = performance.now() - started;
try {
  const peer = await rig.head.peer();
  const pid = rig.head.process?.pid ?? 0;
  const memory = (name: string): number => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  };
  const idleRssMib = memory("VmRSS");
  const watch = peer.open("watch", { afterSeq: 0 });
  const all = (async () => {
    let succeeded = 0;
    for await (const event of watch.events) {
      if ((event as { job?: { status: string } }).job?.status === "SUCCEEDED") succeeded += 1;
      if (succeeded === JOBS) return;
    }
  })();
  const from = performance.now();
  const cpuBefore = rig.head.cpuMs();
  let submitted = 0;
  await Promise.all(
    Array.from({ length: SUBMITTERS }, async () => {
      while (submitted < JOBS) {
        submitted += 1;
        await rig.submit({ run: "true" });
      }
    }),
  );
  const submitMs = performance.now() - from;
  await all;
  const totalMs = performance.now() - from;
  const cpuMsPerJob = Math.round(((rig.head.cpuMs() - cpuBefore) / JOBS) * 10) / 10;
  console.log(
    JSON.stringify({
      bench: "agent-throughput",
      jobs: JOBS,
      jobsPerSecond: Math.round((JOBS / totalMs) * 1000),
      submitsPerSecond: Math.round((JOBS / submitMs) * 1000),
      cpuMsPerJob,
      startMs: Math.round(startMs),
      idleRssMib,
      peakRssMib: memory("VmHWM"),
    }),
  );
} finally {
  await rig.stop();
}
