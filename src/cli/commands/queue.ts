import type { JobRecord } from "../../client/wire-types.ts";
import { ClusterDoesNotExistError, SkyError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import { printJson } from "../render/json.ts";
import { renderJobs } from "../render/jobs.ts";
import type { queueSpec } from "../specs/clusters.ts";
import { fetchClusters, isGlob, missingNames } from "./cluster-names.ts";

interface Outcome {
  readonly cluster: string;
  readonly jobs: readonly JobRecord[] | undefined;
  readonly error: SkyError | undefined;
}

/** `sky queue`: the jobs of each cluster. Exit code 1 when a cluster's queue cannot be read. */
export async function runQueue({ args, options }: Input<typeof queueSpec>, ctx: Context): Promise<number> {
  const client = await ctx.openClient({ config: options.config });
  const json = options.outputFormat === "json";
  if (!json) ctx.out.write("Fetching and parsing job queue...\n");
  const explicit = args.clusters.length > 0 && !args.clusters.some(isGlob);
  let names: readonly string[] = args.clusters;
  let missing: readonly string[] = [];
  if (!explicit) {
    const records = await fetchClusters(ctx, client, args.clusters, { allUsers: options.allUsers });
    missing = missingNames(args.clusters, records);
    const up = records.filter((record) => record.status === "UP" || args.clusters.length > 0);
    names = up.map((record) => record.name);
  }
  if (!json && names.length > 0) ctx.out.write(`Fetching job queue for: ${names.join(", ")}\n`);
  const outcomes = await Promise.all(
    names.map(async (cluster): Promise<Outcome> => {
      const request = client.queue(cluster, {
        skipFinished: options.skipFinished,
        allUsers: options.allUsers,
        signal: ctx.signal,
      });
      return await request.then(
        (jobs) => ({ cluster, jobs, error: undefined }),
        (error: unknown) => {
          if (error instanceof SkyError) return { cluster, jobs: undefined, error };
          throw error;
        },
      );
    }),
  );
  const absent = missing.map((cluster) => ({
    cluster,
    jobs: undefined,
    error: new ClusterDoesNotExistError(`Cluster '${cluster}' does not exist.`, { hint: "see `sky status`" }),
  }));
  const all = [...outcomes, ...absent];
  if (json) printJson(ctx.out, Object.fromEntries(outcomes.flatMap((o) => (o.jobs ? [[o.cluster, o.jobs]] : []))));
  else printTables(all, options.allUsers, ctx);
  return reportFailures(all, json, ctx);
}

function printTables(outcomes: readonly Outcome[], allUsers: boolean, ctx: Context): void {
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const whose = allUsers ? "all users" : "current user";
  for (const { cluster, jobs } of outcomes) {
    if (jobs === undefined) continue;
    ctx.out.write(`\nJob queue of ${whose} on cluster ${cluster}\n`);
    const table = renderJobs(jobs, { colors, now: ctx.clock.now() / 1000 });
    if (table !== "") ctx.out.write(`${table}\n`);
  }
}

function reportFailures(outcomes: readonly Outcome[], json: boolean, ctx: Context): number {
  const failed = outcomes.filter((outcome) => outcome.error !== undefined);
  if (failed.length === 0) return 0;
  const colors = makeColors(ctx.env, ctx.err.isTTY);
  for (const { cluster, error } of failed) {
    if (error === undefined) continue;
    if (json) {
      const detail = {
        cluster,
        type: error.wireName,
        code: error.code,
        message: error.message,
        hint: error.hint ?? null,
      };
      ctx.err.write(`${JSON.stringify({ error: detail }, undefined, 2)}\n`);
      continue;
    }
    ctx.err.write(
      `${colors.red("error:")} failed to get the job queue for cluster '${cluster}'.\n  ${error.message}\n`,
    );
    if (error.hint !== undefined) ctx.err.write(`${colors.cyan("hint:")} ${error.hint}\n`);
  }
  return 1;
}
