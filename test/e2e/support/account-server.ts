/**
 * The API server with one cloud: machines like those of `local`, which belong to whoever the caller is on AWS. Its identities and
 * sessions are those of the AWS adapter, so that the rules about owners and sessions are seen at work without nodes on AWS.
 * `node account-server.ts <port>`.
 */
import { mkdirSync } from "node:fs";
import { Catalogs } from "../../../src/catalog/catalogs.ts";
import { createAwsCloud } from "../../../src/clouds/aws/index.ts";
import { createLocalCloud } from "../../../src/clouds/local/index.ts";
import type { Cloud, CloudRegistry } from "../../../src/core/ports/cloud.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { homeOf } from "../../../src/platform/paths.ts";
import { serverPaths } from "../../../src/platform/server-paths.ts";
import { composeServer } from "../../../src/server/compose.ts";
import { listen } from "../../../src/server/listener.ts";
import { loadSealer } from "../../../src/server/requests/sealer.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { repoRoot } from "./sandbox.ts";

const { env } = process;
const home = homeOf(env);
const paths = serverPaths(home);
mkdirSync(paths.root, { recursive: true, mode: 0o700 });

const catalogSnapshots = `${repoRoot}src/catalog/snapshots`;
const catalogs = new Catalogs({ directory: paths.catalogs, snapshots: catalogSnapshots });
const aws = createAwsCloud({ home, env, catalogs });
const machines: Cloud = {
  ...createLocalCloud({ home, env }),
  displayName: "AWS",
  identity: (context) => aws.identity(context),
  credentials: async (context) => (await aws.credentials?.(context)) ?? null,
  knownCredentials: (context) => aws.knownCredentials?.(context),
};
const clouds: CloudRegistry = {
  names: () => ["aws", "local"],
  // `sky aws login` is a command of the cloud `aws`.
  load: (name) => Promise.resolve(name === "aws" ? aws : machines),
};

const policy = { isLoopback: true, allowedHosts: [], token: undefined };
const server = await composeServer({
  database: await openDatabase({ sqlite: paths.stateFile }),
  sealer: loadSealer(paths.keyFile, undefined),
  paths,
  policy,
  clock: systemClock,
  logger: createLogger("info"),
  self: { userId: "00000000", userName: "ann" },
  owner: String(process.pid),
  configPath: `${home}/.sky/config.yaml`,
  agentBundle: `${repoRoot}dist/agent/agent.cjs`,
  catalogSnapshots,
  env,
  limits: { long: 8, short: 8 },
  maxUploadBytes: 1024 ** 3,
  clouds,
});
await listen({ host: "127.0.0.1", port: Number(process.argv[2]), policy, handler: Promise.resolve(server.handler) });
process.stdout.write("listening\n");
