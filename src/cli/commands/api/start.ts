import { spawn } from "node:child_process";
import { findServerEntry, startLocalServer } from "../../../client/local-server.ts";
import { ApiServerConnectionError, InvalidValueError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { makeColors } from "../../render/colors.ts";
import type { apiStartSpec } from "../../specs/api.ts";
import { resolveEndpoint } from "../../../client/endpoint.ts";
import { SkyClient } from "../../../client/sky-client.ts";
import { SERVER_NODE_FLAGS, serverEnvironment } from "../../../platform/server-flags.ts";

type Options = Input<typeof apiStartSpec>["options"];

/** `sky api start`: starts the local API server, or says that it runs. */
export async function runApiStart({ options }: Input<typeof apiStartSpec>, ctx: Context): Promise<number> {
  const env =
    options.port === undefined ? ctx.env : { ...ctx.env, SKYPILOT_API_SERVER_LOCAL_PORT: String(options.port) };
  const { loadClientConfig } = await import("../../client-config.ts");
  const config = await loadClientConfig(ctx, {});
  const client = new SkyClient({
    env,
    home: ctx.home,
    cwd: ctx.cwd,
    clock: ctx.clock,
    packageDir: ctx.packageDir,
    config,
  });
  ctx.onExit(() => client.close());
  const { endpoint, session } = client;
  if (!endpoint.local) {
    throw new InvalidValueError(
      `Unable to start local API server: server endpoint is set to ${endpoint.url}. To start a local API server, remove the endpoint from the config file and/or unset the SKYPILOT_API_SERVER_ENDPOINT environment variable.`,
    );
  }
  const host = options.deploy ? "0.0.0.0" : options.host;
  const extraArgs = [
    ...(options.deploy ? ["--deploy"] : []),
    ...(options.enableBasicAuth ? ["--enable-basic-auth"] : []),
  ];
  const found = await session.probe(ctx.signal);
  if (found === "healthy") {
    ctx.out.write(`API server is already running:\n${whereLines(client, ctx)}`);
    return 0;
  }
  if (options.foreground) return await runForeground({ host, port: endpoint.port, extraArgs, env }, ctx);
  await startLocalServer({
    ...session.options,
    port: endpoint.port,
    host,
    extraArgs,
    probe: () => session.probe(ctx.signal),
    signal: ctx.signal,
  });
  const { green } = makeColors(ctx.env, ctx.out.isTTY);
  ctx.out.write(`${green("✓")} SkyPilot API server started. \n${whereLines(client, ctx)}`);
  ctx.out.write(portHint(options, ctx));
  return 0;
}

function whereLines(client: SkyClient, ctx: Context): string {
  const { dim } = makeColors(ctx.env, ctx.out.isTTY);
  return `${dim("├──")} SkyPilot API server and dashboard: ${client.endpoint.url}\n${dim("└──")} View API server logs at: ~/.sky/ts/server.log\n`;
}

function portHint(options: Options, ctx: Context): string {
  const known = resolveEndpoint(ctx.env, undefined).port;
  if (options.port === undefined || options.port === known) return "";
  return `Server is on a non-default port. For other commands and terminals to reach it, run: export SKYPILOT_API_SERVER_LOCAL_PORT=${options.port}\n`;
}

interface Foreground {
  readonly host: string;
  readonly port: number;
  readonly extraArgs: readonly string[];
  readonly env: Context["env"];
}

async function runForeground(server: Foreground, ctx: Context): Promise<number> {
  const entry = findServerEntry(ctx.packageDir);
  const args = [...SERVER_NODE_FLAGS, entry, `--host=${server.host}`, `--port=${server.port}`, ...server.extraArgs];
  const child = spawn(process.execPath, args, { stdio: "inherit", env: serverEnvironment(server.env) });
  // Ctrl-C reaches the server by the terminal; here it only has to be waited for.
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new ApiServerConnectionError(error.message, { cause: error })));
    child.once("exit", (status) => resolve(status ?? 130));
  });
  return code;
}
