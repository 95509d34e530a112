import type { Context } from "../context.ts";
import type { Input } from "../parser/spec.ts";
import type { statusSpec } from "../specs/clusters.ts";

export async function runStatus({ options, args }: Input<typeof statusSpec>, ctx: Context): Promise<number> {
  const client = await ctx.openClient({ config: options.config });
  const records = await client.status({ names: args.clusters, refresh: options.refresh, signal: ctx.signal });
  ctx.out.write(`${JSON.stringify(records, undefined, 2)}\n`);
  return 0;
}
