import type { SkyClient } from "../../client/sky-client.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { followUnlessAsync } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import type { cancelSpec } from "../specs/clusters.ts";
import { fetchClusters, isGlob, notFound } from "./cluster-names.ts";

/** `sky cancel`: jobs of one cluster, or of all clusters that a glob matches. */
export async function runCancel({ args, options }: Input<typeof cancelSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const clusters = await matchClusters(client, args.cluster, args.jobs, ctx);
  let what = `jobs ${args.jobs.join(" ")}`;
  if (options.allUsers) what = "all users' jobs";
  else if (options.all) what = "all your jobs";
  else if (args.jobs.length === 0) {
    what = "the latest running job";
    const colors = makeColors(ctx.env, ctx.err.isTTY);
    const notice = "No job IDs or --all/--all-users provided; cancelling the latest running job.";
    ctx.err.write(`${colors.yellow(notice)}\n`);
  }
  if (!options.yes) await ctx.confirm(`Cancelling ${what} on cluster(s): ${clusters.join(", ")}. Proceed?`);
  for (const cluster of clusters) {
    const request = client.cancel(cluster, {
      ...(args.jobs.length === 0 ? {} : { jobIds: args.jobs }),
      all: options.all,
      allUsers: options.allUsers,
      signal: ctx.signal,
    });
    await followUnlessAsync(ctx, request, options.asyncCall);
  }
}

async function matchClusters(
  client: SkyClient,
  pattern: string,
  jobs: readonly number[],
  ctx: Context,
): Promise<readonly string[]> {
  const records = await fetchClusters(ctx, client, [pattern], { allUsers: true });
  const names = records.map((record) => record.name);
  if (names.length === 0) {
    if (isGlob(pattern)) throw new UsageError(`No clusters match pattern: '${pattern}'`);
    throw notFound([pattern]);
  }
  if (names.length > 1 && jobs.length > 0) {
    throw new UsageError(
      `Cannot specify job IDs when cluster pattern matches multiple clusters. Pattern '${pattern}' matches: ${names.join(", ")}`,
    );
  }
  return names;
}
