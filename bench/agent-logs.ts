/**
 * Log streaming of one agent: 1 GB of run.log to one local reader (MB/s, byte-exact by hash), then 500 followers of a job that writes
 * ten lines a second (delay of the agent's event loop). Prints one JSON line.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Rig, waitUntil } from "../test/e2e/agent-rig.ts";

const BYTES = Number(process.argv[2] ?? 1_000_000_000);
const FOLLOWERS = Number(process.argv[3] ?? 500);
const SECONDS = 5;

const rig = await Rig.start();
try {
  const peer = await rig.head.peer();
  const pid = rig.head.process?.pid ?? 0;
  const rssMib = (): number =>
    Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);

  const big = await rig.submit({ run: "true" });
  await rig.ends(big);
  const written = createHash("md5");
  const path = join(rig.head.home, "sky_logs/1-task/run.log");
  written.update(readFileSync(path));
  const file = openSync(path, "a");
  const line = `(task, pid=1) ${"x".repeat(84)}\n`;
  const block = Buffer.from(line.repeat(10_000));
  for (let at = 0; at < BYTES; at += block.length) {
    writeSync(file, block);
    written.update(block);
  }
  closeSync(file);
  const read = async (onChunk: (bytes: Uint8Array) => void): Promise<{ bytes: number; ms: number }> => {
    const from = performance.now();
    const stream = peer.open("logs", { jobId: big, follow: true, tail: 0 });
    let bytes = 0;
    for await (const chunk of stream.chunks) {
      bytes += chunk.length;
      onChunk(chunk);
    }
    await stream.end;
    return { bytes, ms: performance.now() - from };
  };
  const cpuBefore = rig.head.cpuMs();
  const { bytes, ms } = await read(() => undefined);
  const cpuMsPerGb = Math.round((rig.head.cpuMs() - cpuBefore) / (bytes / 1e9));
  const rssAfterMib = rssMib();
  const hash = createHash("md5");
  await read((chunk) => hash.update(chunk));

  const muxed = await rig.submit({
    run: `head -c ${Math.min(BYTES, 200_000_000)} /dev/zero | tr '\\0' x | fold -w 99`,
  });
  const muxFrom = performance.now();
  const muxCpuFrom = rig.head.cpuMs();
  await waitUntil("the long output", async () => (await rig.job(muxed)).status === "SUCCEEDED", 600_000);
  const muxMs = performance.now() - muxFrom;
  const muxCpuMs = rig.head.cpuMs() - muxCpuFrom;

  const ticking = await rig.submit({ run: `for i in $(seq ${SECONDS * 10}); do echo tick $i; sleep 0.1; done` });
  let received = 0;
  const followers = Array.from({ length: FOLLOWERS }, async () => {
    const stream = peer.open("logs", { jobId: ticking, follow: true, tail: 0 });
    for await (const chunk of stream.chunks) received += chunk.length;
  });
  // A call that does nothing takes as long as the agent's loop is late (both directions and our own loop included).
  const lags: number[] = [];
  const followCpuFrom = rig.head.cpuMs();
  const over = new AbortController();
  const probing = (async () => {
    const probe = await rig.head.dial();
    while (!over.signal.aborted) {
      const from = performance.now();
      await probe.call("hello", { protocol: 1 });
      lags.push(performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    probe.close();
  })();
  await Promise.all(followers);
  over.abort();
  await probing;
  lags.sort((a, b) => a - b);
  const p99 = lags[Math.floor(lags.length * 0.99)] ?? 0;
  console.log(
    JSON.stringify({
      bench: "agent-logs",
      bytes,
      mbPerSecond: Math.round(bytes / ms / 1000),
      cpuMsPerGb,
      isExact: hash.digest("hex") === written.digest("hex"),
      rssAfterMib,
      muxMbPerSecond: Math.round(Math.min(BYTES, 200_000_000) / muxMs / 1000),
      muxCpuMs,
      followers: FOLLOWERS,
      followedBytes: received,
      followCpuMs: rig.head.cpuMs() - followCpuFrom,
      lagP99Ms: Math.round(p99 * 10) / 10,
    }),
  );
} finally {
  await rig.stop();
}
