import { join, resolve } from "node:path";
import type { Catalogs } from "../catalog/catalogs.ts";
import type { AgentConnections, ClusterLocks, OperationContext } from "../core/operation.ts";
import type { CloudRegistry } from "../core/ports/cloud.ts";
import type { MountKeys } from "../core/storage/mount-keys.ts";
import type { Mounters } from "../core/storage/mounters.ts";
import type { StoreRegistry } from "../core/ports/object-store.ts";
import { PermissionDeniedError } from "../shared/errors.ts";
import type { ServerPaths } from "../platform/server-paths.ts";
import type { Clock } from "../shared/clock.ts";
import type { ServerConfig } from "./server-config.ts";
import type { RequestInput, RunInfo } from "./requests/types.ts";
import { blobDirectory } from "./uploads/blob-store.ts";

export interface ContextParts {
  readonly clouds: CloudRegistry;
  readonly stores: StoreRegistry;
  readonly mountKeys: MountKeys;
  readonly mounters: Mounters;
  readonly catalogs: Catalogs;
  readonly agents: AgentConnections;
  readonly locks: ClusterLocks;
  readonly config: ServerConfig;
  readonly paths: ServerPaths;
  readonly agentBundle: string;
  readonly clock: Clock;
}

/** Variables of a client on this machine that say which cloud credentials to use, and whether owners are compared. */
const CREDENTIAL_VARIABLE =
  /^(?:AWS_|SKYPILOT_SKIP_CLOUD_IDENTITY_CHECK$|AZURE_|GOOGLE_APPLICATION_CREDENTIALS$|KUBECONFIG$|CLOUDSDK_)/;

/** Makes the context of one run. Rejects with InvalidConfigError. */
export async function createOperationContext(run: RunInfo, parts: ContextParts): Promise<OperationContext> {
  const { input } = run;
  const { config, warning } = await parts.config.overlay(input.body.override_skypilot_config ?? {});
  if (warning !== undefined) run.log.line(warning);
  const workspace = typeof config["active_workspace"] === "string" ? config["active_workspace"] : "default";
  return {
    requestId: run.requestId,
    caller: { ...input.caller, workspace },
    db: run.db,
    clouds: parts.clouds,
    stores: parts.stores,
    mountKeys: parts.mountKeys,
    mounters: parts.mounters,
    catalogs: parts.catalogs,
    clock: parts.clock,
    log: run.log,
    signal: run.signal,
    effect: run.effect,
    config,
    clientEnv: input.isLocalClient ? credentialVariables(input.body.env_vars ?? {}) : {},
    isLocalClient: input.isLocalClient,
    stateDir: parts.paths.root,
    resolveClientPath: (path) => resolveClientPath(path, { input, paths: parts.paths }),
    clientFilesTop: blobOf({ input, paths: parts.paths }) ?? "/",
    agents: parts.agents,
    locks: parts.locks,
    requests: run.requests,
    home: parts.paths.home,
    agentBundle: parts.agentBundle,
  };
}

function credentialVariables(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => CREDENTIAL_VARIABLE.test(name)));
}

interface ClientFiles {
  readonly input: RequestInput;
  readonly paths: ServerPaths;
}

/** A path that the client named: its own for a client on this machine, the uploaded copy for any other. */
function resolveClientPath(path: string, files: ClientFiles): string {
  const blob = blobOf(files);
  // resolve("/", …) swallows every `..`, so the result stays below the blob.
  if (blob !== undefined) return join(blob, resolve("/", path));
  if (files.input.isLocalClient) return resolve(files.paths.home, path.startsWith("~/") ? path.slice(2) : path);
  throw new PermissionDeniedError(`The file ${path} was not uploaded with the request.`, {
    hint: "A remote client uploads its files first; upgrade the client if it did not.",
  });
}

function blobOf({ input, paths }: ClientFiles): string | undefined {
  const blobId = input.body.file_mounts_blob_id;
  return blobId === undefined ? undefined : blobDirectory(paths.blobs, { userId: input.caller.userId, blobId });
}
