import { removeSshTarget } from "../../client/ssh-config.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import type { Input } from "../parser/spec.ts";
import type { autostopSpec, downSpec, stopSpec } from "../specs/lifecycle.ts";
import { actOnEach } from "./lifecycle-each.ts";
import { selectClusters } from "./lifecycle-targets.ts";

const PURGE_HINT =
  " If you want to ignore the errors and remove the cluster(s) from the status table, use `sky down --purge`.";

function count(clusters: readonly string[]): string {
  return `${clusters.length} cluster${clusters.length === 1 ? "" : "s"}: ${clusters.join(", ")}`;
}

function waitOf(options: { readonly graceful: boolean; readonly gracefulTimeout: number | undefined }) {
  const { graceful, gracefulTimeout } = options;
  return { graceful, ...(gracefulTimeout === undefined ? {} : { gracefulTimeoutSeconds: gracefulTimeout }) };
}

function nothingToDo(ctx: Context): number {
  ctx.out.write("No cluster to act on (tip: see `sky status`).\n");
  return 0;
}

/** `sky stop`. Exit code 1 when a cluster does not exist or could not be stopped. */
export async function runStop({ args, options }: Input<typeof stopSpec>, ctx: Context): Promise<number> {
  const client = await ctx.openClient({ config: options.config });
  const clusters = await selectClusters(
    ctx,
    client,
    { names: args.clusters, all: options.all, allUsers: options.allUsers },
    { command: "stop", skip: (record) => record.status === "STOPPED" },
  );
  if (clusters.length === 0) return nothingToDo(ctx);
  if (!options.yes) await ctx.confirm(`Stopping ${count(clusters)}. Proceed?`);
  return await actOnEach(ctx, clusters, (cluster) => client.stop(cluster, { ...waitOf(options), signal: ctx.signal }), {
    doing: "Stopping",
    asyncCall: options.asyncCall,
    showsWaits: options.graceful || options.gracefulTimeout !== undefined,
    success: (cluster) => {
      removeSshTarget(ctx.home, cluster);
      return `Stopping cluster ${cluster}...[green]done[/].\n  To restart the cluster, run: [bold]sky start ${cluster}[/]`;
    },
    failure: (cluster, reason) => `Stopping cluster ${cluster}...[red]failed[/]. \nReason: ${escape(reason)}`,
  });
}

/** `sky down`. Exit code 1 when a cluster does not exist or could not be torn down. */
export async function runDown({ args, options }: Input<typeof downSpec>, ctx: Context): Promise<number> {
  const client = await ctx.openClient({ config: options.config });
  const clusters = await selectClusters(
    ctx,
    client,
    { names: args.clusters, all: options.all, allUsers: options.allUsers },
    { command: "down" },
  );
  if (clusters.length === 0) return nothingToDo(ctx);
  if (!options.yes) await ctx.confirm(`Terminating ${count(clusters)}. Proceed?`);
  return await actOnEach(
    ctx,
    clusters,
    (cluster) => client.down(cluster, { purge: options.purge, ...waitOf(options), signal: ctx.signal }),
    {
      doing: "Terminating",
      asyncCall: options.asyncCall,
      showsWaits: options.graceful || options.gracefulTimeout !== undefined,
      success: (cluster) => {
        removeSshTarget(ctx.home, cluster);
        return `Terminating cluster ${cluster}...[green]done[/].`;
      },
      failure: (cluster, reason) => `Terminating cluster ${cluster}...[red]failed[/]. \nReason: ${escape(reason)}`,
      failureHint: options.purge ? "" : PURGE_HINT,
    },
  );
}

const DEFAULT_IDLE_MINUTES = 5;

/** `sky autostop`: plans an autostop or autodown, or forgets the plan. */
export async function runAutostop({ args, options }: Input<typeof autostopSpec>, ctx: Context): Promise<number> {
  if (options.cancel && options.idleMinutes !== undefined) {
    throw new UsageError(
      `Only one of --idle-minutes and --cancel should be specified. cancel: True, idle_minutes: ${options.idleMinutes}`,
    );
  }
  const client = await ctx.openClient({ config: options.config });
  const clusters = await selectClusters(
    ctx,
    client,
    { names: args.clusters, all: options.all, allUsers: options.allUsers },
    { command: "autostop", skip: (record) => record.status !== "UP" },
  );
  if (clusters.length === 0) return nothingToDo(ctx);
  const minutes = options.idleMinutes ?? DEFAULT_IDLE_MINUTES;
  const kind = options.down ? "autodown" : "autostop";
  const doing = options.cancel ? "Cancelling auto{stop,down}" : `Scheduling ${kind}`;
  if (!options.yes) await ctx.confirm(`${doing} on ${count(clusters)}. Proceed?`);
  return await actOnEach(
    ctx,
    clusters,
    (cluster) =>
      client.autostop(cluster, {
        cancel: options.cancel,
        idleMinutes: minutes,
        down: options.down,
        ...(options.waitFor === undefined ? {} : { waitFor: options.waitFor }),
        signal: ctx.signal,
      }),
    {
      doing: `${doing} on`,
      asyncCall: options.asyncCall,
      success: (cluster) => {
        const head = `${doing} on cluster '${cluster}'...[green]done[/]`;
        if (options.cancel) return head;
        const unit = `minute${minutes === 1 ? "" : "s"}`;
        const what = options.down ? "autodowned" : "autostopped";
        return `${head}\n  The cluster will be ${what} after ${minutes} ${unit} of idleness.\n  To cancel the ${kind}, run: [bold]sky autostop ${cluster} --cancel[/]`;
      },
      failure: (cluster, reason) => `${doing} on cluster '${cluster}'...[red]failed[/]. \nReason: ${escape(reason)}`,
    },
  );
}

/** Keeps brackets of a message from being read as markup. */
function escape(text: string): string {
  return text.replaceAll("[", "\\[");
}
