import { resolveEndpoint } from "../../../client/endpoint.ts";
import { isSameProcess } from "../../../platform/process-identity.ts";
import { skyPaths } from "../../../platform/paths.ts";
import { findRunningServer } from "../../../platform/server-pid-file.ts";
import { InvalidValueError, OperationFailedError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import { makeColors } from "../../render/colors.ts";

const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** `sky api stop`: ends the server that our pid file names, and no other process. */
export async function runApiStop(_input: unknown, ctx: Context): Promise<void> {
  const { loadClientConfig } = await import("../../client-config.ts");
  const { endpointSetting } = await import("../../../client/endpoint-setting.ts");
  const config = await loadClientConfig(ctx, {});
  const endpoint = resolveEndpoint(ctx.env, endpointSetting(config.value));
  if (!endpoint.local) {
    throw new InvalidValueError(`Cannot stop the remote API server at ${endpoint.url}.`, { hint: "sky api logout" });
  }
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const server = findRunningServer(skyPaths(ctx.home).serverPid);
  if (server === undefined) {
    ctx.out.write("SkyPilot API server is not running.\n");
    return;
  }
  process.kill(server.pid, "SIGTERM");
  const deadline = ctx.clock.now() + STOP_TIMEOUT_MS;
  while (isSameProcess(server.pid, server.startTime)) {
    if (ctx.clock.now() > deadline) {
      throw new OperationFailedError(
        `The API server (pid ${server.pid}) did not stop within ${STOP_TIMEOUT_MS / 1000} s.`,
        {
          hint: `look at ~/.sky/ts/server.log, or end it: kill -9 ${server.pid}`,
        },
      );
    }
    await ctx.clock.sleep(POLL_MS, { signal: ctx.signal });
  }
  ctx.out.write(`${colors.green("SkyPilot API server stopped.")}\n`);
}
