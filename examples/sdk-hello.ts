/**
 * Launches a task, streams its log and takes the cluster down again.
 *
 *   node examples/sdk-hello.ts
 *
 * In a project of your own, import from the package: `import { SkyClient } from "skypilot-ts"`.
 */
import { SkyClient } from "../src/client/sdk.ts";

const cluster = process.argv[2] ?? "sdk-hello";

const sky = new SkyClient({ notify: (message) => process.stderr.write(`${message}\n`) });
try {
  // A request is awaited for its result; until then its events tell what the server is doing.
  const request = sky.launch({ name: "hello", run: "echo Hello from the SDK" }, { clusterName: cluster });
  for await (const event of request.events()) {
    if (event.kind === "text") process.stdout.write(event.bytes);
  }
  const { jobId } = await request;

  const logs = sky.logs(cluster, jobId ?? undefined);
  for await (const text of logs) process.stdout.write(text);
  process.exitCode = await logs.exitCode;

  await sky.down(cluster);
} finally {
  await sky.close();
}
