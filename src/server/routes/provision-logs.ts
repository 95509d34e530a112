import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Hono } from "hono";
import { findCluster } from "../../db/queries/clusters.ts";
import { findProvisionLog } from "../../core/clusters/provision-log.ts";
import { SkyError } from "../../shared/errors.ts";
import { ProvisionLogsBody } from "../../shared/wire/provision-logs.ts";
import { expandHome } from "../../platform/paths.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { encodeText } from "../streams/byte-stream.ts";
import { followFile } from "../streams/follow-file.ts";
import { HEARTBEAT_MS } from "../streams/request-stream.ts";
import { logResponse } from "../streams/responses.ts";
import { readTail } from "../streams/tail.ts";
import { parseInput } from "../validation.ts";

const POLL_MS = 300;

class ProvisionLogMissingError extends SkyError {
  readonly code = "PROVISION_LOG_MISSING";
  override readonly wireName = "FileNotFoundError";
  override readonly status = 404;
}

/** `POST /provision_logs`: the log of the launch or start that works on a cluster, or of the last one. */
export function addProvisionLogs(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.post("/provision_logs", async (c) => {
    const body = parseInput(ProvisionLogsBody, await readJson(c.req.raw, c.env?.incoming), { where: "body" });
    const path = await locateLog(body.cluster_name, deps);
    const follow = !/^(?:false|0|no|off)$/i.test(c.req.query("follow") ?? "true");
    const tail = Number(c.req.query("tail") ?? 0);
    const produce = async function* (signal: AbortSignal): AsyncGenerator<Uint8Array> {
      const stop = AbortSignal.any([signal, deps.stopping]);
      let offset = 0;
      if (tail > 0) {
        const last = await readTail(path, tail);
        yield encodeText(last.text);
        offset = last.offset;
      }
      yield* followFile({
        path,
        offset,
        isComplete: async () => !follow || !(await isProvisioning(body.cluster_name, deps)),
        waitForChange: (timeoutMs) =>
          deps.clock.sleep(Math.min(timeoutMs, POLL_MS), { signal: stop }).catch(() => undefined),
        heartbeatMs: follow ? HEARTBEAT_MS : undefined,
        now: () => deps.clock.now(),
        signal: stop,
      });
    };
    return logResponse(produce, {
      format: "console",
      headers: {},
      onError: (error) => deps.onInternalError(error, c.get("requestId")),
    });
  });
}

async function locateLog(clusterName: string, deps: AppDependencies): Promise<string> {
  const recorded = await findProvisionLog(deps.db, clusterName);
  if (recorded === undefined) {
    throw new ProvisionLogMissingError(
      "Provision log path is not recorded for this cluster. Please relaunch to generate provisioning logs.",
    );
  }
  const path = resolve(deps.paths.skyLogs, expandHome(recorded, deps.paths.home));
  if (!existsSync(path)) throw new ProvisionLogMissingError(`Provision log path does not exist: ${recorded}`);
  return path;
}

async function isProvisioning(clusterName: string, deps: AppDependencies): Promise<boolean> {
  const cluster = await findCluster(deps.db, clusterName);
  return cluster !== undefined && cluster.busy_request !== null && cluster.status === "INIT";
}
