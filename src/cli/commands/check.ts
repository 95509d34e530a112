import type { Context } from "../context.ts";
import { follow, waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { printJson } from "../render/json.ts";
import type { checkSpec } from "../specs/clusters.ts";

/** `sky check`: which infra can be used, in the server's words. */
export async function runCheck({ args, options }: Input<typeof checkSpec>, ctx: Context): Promise<void> {
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
