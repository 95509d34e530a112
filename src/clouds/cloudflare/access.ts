import { readFileSync } from "node:fs";
import type { CloudContext, HttpAgents, LentCredentials, ServiceAccess } from "../../core/ports/cloud.ts";
import { openHttpAgents } from "../../platform/http-agents.ts";
import { expandHome } from "../../platform/paths.ts";
import { valueForCluster } from "../../shared/config/by-cluster.ts";
import { onFailure } from "../../shared/sdk-failure.ts";
import { findAccount, R2SetupError, type R2Account } from "./account.ts";
import { explainFailure } from "./refusals.ts";
import { makeTemporaryKeys } from "./temporary-keys.ts";

export interface CloudflareEnvironment {
  /** HOME of the server's user. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
}

/** All buckets of an account are in it. */
export const REGION = "auto";
/** Connections to one endpoint: enough to hide its latency with small objects. */
const MAX_SOCKETS = 64;

/** What an adapter of S3's protocol needs to call R2. Throws R2SetupError. */
export function r2Access(environment: CloudflareEnvironment, context: Pick<CloudContext, "config">): ServiceAccess {
  const { home, nowMs } = environment;
  const { endpoint } = findAccount(home);
  return {
    region: REGION,
    endpoint,
    isApart: true,
    credentials: () => Promise.resolve(keysOf(findAccount(home))),
    openAgents: () => openAgents(environment),
    lend: (wish) => {
      const account = findAccount(home);
      const identity = valueForCluster(remoteIdentity(context), wish.cluster.clusterName);
      return Promise.resolve(lendsKeys(identity) ? ownKeys(account) : makeTemporaryKeys(account, wish, nowMs()));
    },
    explainRefusals: (client) => onFailure(client, explainFailure),
  };
}

function keysOf({ accessKeyId, secretAccessKey }: R2Account): {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
} {
  return { accessKeyId, secretAccessKey: secretAccessKey.reveal() };
}

/** `cloudflare.remote_identity` of the config: a word, or a list of words by patterns of clusters. */
export function remoteIdentity({ config }: Pick<CloudContext, "config">): unknown {
  const section = config["cloudflare"];
  return typeof section === "object" && section !== null ? Reflect.get(section, "remote_identity") : undefined;
}

/** Whether nodes of a cluster with this identity use the keys of the API token themselves. */
export function lendsKeys(identity: string | undefined): boolean {
  return identity?.toUpperCase() === "LOCAL_CREDENTIALS";
}

function ownKeys(account: R2Account): LentCredentials {
  const how = "the R2 API token itself (cloudflare.remote_identity: LOCAL_CREDENTIALS)";
  return { ...keysOf(account), how, isConfigured: true, isUncut: true };
}

/** AWS_CA_BUNDLE counts as it does for the AWS CLI with R2. */
export function openAgents({ home, env }: Pick<CloudflareEnvironment, "home" | "env">): HttpAgents {
  const bundle = env["AWS_CA_BUNDLE"] ?? "";
  const options = { env, keepAlive: true, maxSockets: MAX_SOCKETS };
  if (bundle === "") return openHttpAgents(options);
  const path = expandHome(bundle, home);
  try {
    return openHttpAgents({ ...options, ca: readFileSync(path, "utf8") });
  } catch (error) {
    throw new R2SetupError(`${path} cannot be read: AWS_CA_BUNDLE names it, but there is no such file.`, {
      cause: error,
      hint: "Correct the variable in the environment of the API server.",
    });
  }
}
