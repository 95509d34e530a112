import { CLIENT_COMMIT, CLIENT_VERSION } from "../../../client/version.ts";
import type { Health } from "../../../client/wire-types.ts";
import { loadUserHash } from "../../../platform/user-hash.ts";
import { loginName } from "../../../platform/paths.ts";
import type { SkyClient } from "../../../client/sky-client.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import type { apiInfoSpec } from "../../specs/api.ts";

/** `sky api info`: which server, which user. A server that does not answer is an answer too. */
export async function runApiInfo({ options }: Input<typeof apiInfoSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const health = await client.api.info({ signal: ctx.signal }).catch((error: unknown) => {
    if (ctx.signal.aborted) throw error;
    return undefined;
  });
  if (options.outputFormat === "json") {
    ctx.out.write(`${JSON.stringify(toJson(client, health, ctx), undefined, 2)}\n`);
    return;
  }
  ctx.out.write(`SkyPilot client version: ${CLIENT_VERSION}, commit: ${CLIENT_COMMIT}\n`);
  ctx.out.write(health === undefined ? notConnected(client) : connected(client, health, ctx));
}

function connected(client: SkyClient, health: Health, ctx: Context): string {
  return [
    `Using SkyPilot API server and dashboard: ${client.endpoint.url}`,
    `├── Status: ApiServerStatus.${health.status.toUpperCase()}, commit: ${health.commit ?? "-"}, version: ${health.version ?? "-"}`,
    `├── User: ${userOf(health, ctx)}`,
    `└── ${sourceOf(client, ctx)}`,
    "",
  ].join("\n");
}

function userOf(health: Health, ctx: Context): string {
  if (health.user !== undefined && health.user !== null) return `${health.user.name} (${health.user.id})`;
  return `${loginName(ctx.env)} (${loadUserHash(ctx.env, ctx.home)})`;
}

function sourceOf(client: SkyClient, ctx: Context): string {
  switch (client.endpoint.source) {
    case "environment":
      return "Endpoint set via the environment variable SKYPILOT_API_SERVER_ENDPOINT";
    case "config":
      return `Endpoint set via ${ctx.home}/.sky/config.yaml`;
    case "default":
      return "Endpoint set to default local API server.";
  }
}

function notConnected(client: SkyClient): string {
  const { url, source } = client.endpoint;
  if (source === "default") {
    return `No SkyPilot API server is connected\n├── To connect to an existing API server: sky api login\n└── To start a local API server: sky api start\n`;
  }
  return `Could not connect to SkyPilot API server at ${url}\n├── To re-login to the API server: sky api login --relogin -e ${url}\n└── To logout the server: sky api logout\n`;
}

function toJson(client: SkyClient, health: Health | undefined, ctx: Context): Record<string, unknown> {
  return {
    client: { version: CLIENT_VERSION, commit: CLIENT_COMMIT },
    server: {
      url: client.endpoint.url,
      status: health?.status ?? "unhealthy",
      version: health?.version ?? null,
      commit: health?.commit ?? null,
      api_version: health?.api_version ?? null,
    },
    user: health?.user?.name ?? loginName(ctx.env),
  };
}
