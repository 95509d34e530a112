import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { follow, waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { printJson } from "../render/json.ts";
import type { checkSpec } from "../specs/clusters.ts";

/** `sky check`: which infra can be used, in the server's words. */
export async function runCheck(input: Input<typeof checkSpec>, ctx: Context): Promise<void> {
  const { args, options } = input;
  if (options.permissions) {
    const { runCheckPermissions } = await import("./check-permissions.ts");
    return runCheckPermissions(input, ctx);
  }
  if (options.from !== undefined || options.region !== undefined) {
    throw new UsageError("--from and --region go with --permissions.");
  }
  const client = await ctx.openClient({ config: options.config });
  const request = client.check({
    infra: args.infraList,
    verbose: options.verbose,
    ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
    signal: ctx.signal,
  });
  if (options.outputFormat === "json") {
    printJson(ctx.out, await waitFor(ctx, request));
    return;
  }
  await follow(ctx, request);
  ctx.out.write(`\nUsing SkyPilot API server: ${client.endpoint.url}\n`);
}
