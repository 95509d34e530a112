import type { SkyClient } from "../../client/sky-client.ts";
import type { ClusterRecord } from "../../client/wire-types.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { follow, printSubmitted } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import type { startSpec } from "../specs/lifecycle.ts";
import { fetchClusters, missingNames, notFound } from "./cluster-names.ts";
import { refreshSshConfig } from "../ssh-access.ts";

type Options = Input<typeof startSpec>["options"];

/** `sky start`: restarts clusters one after another, with their log. */
export async function runStart({ args, options }: Input<typeof startSpec>, ctx: Context): Promise<void> {
  if (options.down && options.idleMinutesToAutostop === undefined) {
    throw new UsageError("--idle-minutes-to-autostop must be set if --down is set.");
  }
  const client = await ctx.openClient({ config: options.config });
  const records = await chooseClusters(client, args.clusters, options, ctx);
  const targets = records.filter((record) => needsStart(record, options, ctx));
  if (targets.length === 0) return;
  const names = targets.map((record) => record.name);
  if (!options.yes) {
    const noun = `${names.length} cluster${names.length === 1 ? "" : "s"}`;
    await ctx.confirm(`Restarting ${noun}: ${names.join(", ")}. Proceed?`);
  }
  for (const name of names) await startOne(client, name, options, ctx);
}

async function chooseClusters(
  client: SkyClient,
  names: readonly string[],
  options: Options,
  ctx: Context,
): Promise<readonly ClusterRecord[]> {
  if (names.length > 0) {
    const records = await fetchClusters(ctx, client, names, { allUsers: true });
    const missing = missingNames(names, records);
    if (missing.length > 0) throw notFound(missing, "see `sky status`; to bring up a new cluster, use `sky launch`");
    return records;
  }
  const records = await fetchClusters(ctx, client, [], { allUsers: false });
  if (!options.all && records.length > 1) {
    throw new UsageError(
      "`sky start` requires either a cluster name or glob (see `sky status`), or the -a/--all flag.",
    );
  }
  if (records.length === 0) {
    ctx.out.write(
      "No cluster to start (tip: see `sky status`). Do you mean to use `sky launch` to provision a new cluster?\n",
    );
  }
  return records;
}

function needsStart(record: ClusterRecord, options: Options, ctx: Context): boolean {
  if (record.status !== "UP" || options.force) return true;
  ctx.out.write(`Cluster ${record.name} already has status UP.\n`);
  return false;
}

async function startOne(client: SkyClient, name: string, options: Options, ctx: Context): Promise<void> {
  const { idleMinutesToAutostop, waitFor } = options;
  const request = client.start(name, {
    ...(idleMinutesToAutostop === undefined ? {} : { idleMinutesToAutostop }),
    ...(waitFor === undefined ? {} : { waitFor }),
    retryUntilUp: options.retryUntilUp,
    down: options.down,
    force: options.force,
    signal: ctx.signal,
  });
  if (options.asyncCall) {
    await printSubmitted(ctx, request);
    return;
  }
  await follow(ctx, request);
  await refreshSshConfig(ctx, client, name);
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  ctx.out.write(`${colors.green(`Cluster ${name} started.`)}\n`);
}
