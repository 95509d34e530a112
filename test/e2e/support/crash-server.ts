/**
 * A server with operations of the test, started as a process of its own so that it can be killed:
 * `node crash-server.ts <home>`. Prints its port. `SKYPILOT_FAILPOINT` and `SKYPILOT_FAILPOINT_LIST` work as in the real one.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { openDatabase } from "../../../src/db/database.ts";
import { createFailpoints } from "../../../src/core/effect.ts";
import type { OperationContext } from "../../../src/core/operation.ts";
import { listen } from "../../../src/server/listener.ts";
import { startTestServer, testOperation } from "../../fakes/test-server.ts";

const STEPS = 4;
const home = process.argv[2] ?? "";
const world = join(home, "world");

/** An act that is idempotent under its token, as those of a cloud are: what is there already is not made again. */
function create(token: string, what: string): string {
  const made = existsSync(world) ? readFileSync(world, "utf8") : "";
  if (!made.includes(token)) appendFileSync(world, `${token} ${what}\n`);
  return what;
}

async function launch(_body: never, context: OperationContext): Promise<string> {
  const { log } = context;
  log.spin("[bold cyan]Launching[/]");
  log.line("begin");
  const made: string[] = [];
  for (let step = 0; step < STEPS; step++) {
    log.line(`creating instance ${step}`);
    made.push(await context.effect(`create:${step}`, async (token) => create(token, `instance-${step}`)));
    log.spin(`[bold cyan]Instance ${step} is up[/]`);
  }
  log.spinEnd();
  log.line("end");
  return made.join(",");
}

const failpoints = createFailpoints({
  ...(process.env["SKYPILOT_FAILPOINT"] === undefined ? {} : { killAt: process.env["SKYPILOT_FAILPOINT"] }),
  ...(process.env["SKYPILOT_FAILPOINT_LIST"] === undefined ? {} : { listFile: process.env["SKYPILOT_FAILPOINT_LIST"] }),
});
const server = await startTestServer({
  database: await openDatabase({ sqlite: join(home, "state.sqlite") }),
  home,
  key: Buffer.alloc(32, 7),
  operations: { launch: testOperation("launch", launch) },
  ...(failpoints === undefined ? {} : { passFailpoint: failpoints }),
});
const { port } = await listen({
  host: "127.0.0.1",
  port: 0,
  policy: { isLoopback: true, allowedHosts: [], token: undefined },
  handler: Promise.resolve(getRequestListener(server.app.fetch, { overrideGlobalObjects: false })),
});
process.stdout.write(`${port}\n`);
