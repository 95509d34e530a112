import { SkyClient, type ClientConfig } from "../client/sky-client.ts";
import type { ConfigOverrides, Context, Machine } from "./context.ts";

type ClientOwner = Machine & Pick<Context, "command" | "commandLine">;

/** Opens the client that a command talks through. */
export async function openClient(ctx: ClientOwner, overrides: ConfigOverrides): Promise<SkyClient> {
  const { loadClientConfig } = await import("./client-config.ts");
  const config: ClientConfig = await loadClientConfig(ctx, overrides);
  const client = new SkyClient({
    config,
    env: ctx.env,
    home: ctx.home,
    cwd: ctx.cwd,
    clock: ctx.clock,
    packageDir: ctx.packageDir,
    command: ctx.commandLine,
    entrypoint: `sky.client.cli.command.${ctx.command.replaceAll(/[ -]/g, "_")}`,
    notify: (message) => ctx.err.write(`${message}\n`),
  });
  const profile = ctx.env["AWS_PROFILE"];
  if (!client.endpoint.local && profile !== undefined && profile !== "") {
    ctx.err.write(
      `AWS_PROFILE=${profile} has no effect: the API server at ${client.endpoint.url} uses its own AWS credentials.\n`,
    );
  }
  return client;
}
