import type { SkyClient } from "../../client/sky-client.ts";
import { exitCodeOfStatus } from "../../client/job-exit-code.ts";
import { shortenHome } from "../../platform/paths.ts";
import { InvalidValueError, UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { printJobLog } from "../job-log.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import type { logsSpec } from "../specs/clusters.ts";

type Parsed = Input<typeof logsSpec>;

const DEFAULT_TAIL = 1000;
const HOOK_EVENTS = ["stop", "preemption", "down"] as const;

/** `sky logs`: a job's log, its status, or the logs of provisioning and hooks. The exit code is the job's. */
export async function runLogs({ args, options }: Parsed, ctx: Context): Promise<number> {
  checkCombination({ args, options });
  const cluster = args.cluster;
  if (cluster === undefined) throw new UsageError("Missing argument 'CLUSTER'.");
  const client = await ctx.openClient({ config: options.config });
  if (options.provision) {
    const log = client.provisionLogs(cluster, {
      follow: options.follow,
      tail: Math.max(0, options.tail),
      ...(options.worker === undefined ? {} : { worker: options.worker }),
      signal: ctx.signal,
    });
    return await printJobLog(ctx, log);
  }
  const event = options.autostopAlias ? "stop" : options.hookEvent;
  if (event !== undefined) return await printHookLog(client, cluster, event, { args, options }, ctx);
  if (options.syncDown) return await syncDown(client, cluster, args.jobIds, ctx);
  if (options.status) return await printStatus(client, cluster, args.jobIds, ctx);
  return await tailJob(client, cluster, { args, options }, ctx);
}

function checkCombination({ args, options }: Parsed): void {
  const hook = options.hookEvent !== undefined || options.autostopAlias;
  const jobOptions = options.syncDown || options.status || args.jobIds.length > 0;
  checkWorker(options, hook);
  if (options.provision && hook) throw new UsageError("--provision and --hook cannot be used together.");
  if (options.provision && jobOptions) {
    throw new UsageError("--provision cannot be combined with job log options (--sync-down/--status/job IDs).");
  }
  if (hook && jobOptions) throw hookConflict();
  if (options.syncDown && options.status) {
    throw new UsageError(
      "Both --sync_down and --status are specified (ambiguous). To fix: specify at most one of them.",
    );
  }
}

function checkWorker({ worker, provision }: Parsed["options"], hook: boolean): void {
  if (worker === undefined) return;
  if (hook) throw hookConflict();
  if (!provision) throw new UsageError("--worker can only be used with --provision.");
  if (worker < 1) throw new UsageError("--worker must be a positive integer.");
}

function hookConflict(): UsageError {
  return new UsageError("--hook cannot be combined with job log options (--sync-down/--status/--worker/job IDs).");
}

async function printHookLog(
  client: SkyClient,
  cluster: string,
  given: string,
  { options }: Parsed,
  ctx: Context,
): Promise<number> {
  const event = HOOK_EVENTS.find((candidate) => candidate === given);
  // `sky logs --hook mycluster`: the word after the option is the cluster, and there is no other one.
  if (event === undefined && given !== "") {
    throw new UsageError(`Invalid value for '--hook': '${given}' is not one of 'stop', 'preemption', 'down'.`);
  }
  const log = client.hookLogs(cluster, {
    follow: options.follow,
    tail: Math.max(0, options.tail),
    ...(event === undefined ? {} : { event }),
    signal: ctx.signal,
  });
  return await printJobLog(ctx, log);
}

function jobIdOf(word: string): number {
  if (!/^\d+$/.test(word)) throw new UsageError(`Invalid job ID ${word}. Job ID must be integers.`);
  return Number(word);
}

async function tailJob(client: SkyClient, cluster: string, { args, options }: Parsed, ctx: Context): Promise<number> {
  if (args.jobIds.length > 1) {
    throw new UsageError(
      `Cannot stream logs of multiple jobs (IDs: ${args.jobIds.join(", ")}).\nPass -s/--sync-down to download the logs instead.`,
    );
  }
  const [word] = args.jobIds;
  const jobId = word === undefined ? undefined : jobIdOf(word);
  const colors = makeColors(ctx.env, ctx.err.isTTY);
  const which = jobId === undefined ? "the last job" : `job ${jobId}`;
  ctx.err.write(`${colors.yellow(`Tailing logs of ${which} on cluster '${cluster}'...`)}\n`);
  let tail = options.tail;
  if (tail < 0 && options.follow) {
    ctx.err.write(`Showing the last ${DEFAULT_TAIL} lines (default). Pass --tail 0 to print the entire log.\n`);
    tail = DEFAULT_TAIL;
  }
  const log = client.logs(cluster, jobId, { follow: options.follow, tail: Math.max(0, tail), signal: ctx.signal });
  return await printJobLog(ctx, log, jobId === undefined ? "Job" : `Job ${jobId}`);
}

async function printStatus(
  client: SkyClient,
  cluster: string,
  words: readonly string[],
  ctx: Context,
): Promise<number> {
  const ids = words.map(jobIdOf);
  if (ids.length > 1) throw new UsageError("--status takes one job ID at most.");
  const states = await client.jobStatus(cluster, ids.length === 0 ? undefined : ids, { signal: ctx.signal });
  const [entry] = states;
  if (entry === undefined || !(entry[0] > 0)) {
    const colors = makeColors(ctx.env, ctx.err.isTTY);
    ctx.err.write(`${colors.red(`No job found on cluster '${cluster}'.`)}\n`);
    return exitCodeOfStatus(null);
  }
  const [id, status] = entry;
  if (status === null) {
    ctx.err.write(`Job ${id} not found (see \`sky queue\`).\n`);
    return exitCodeOfStatus(null);
  }
  ctx.out.write(`Job ${id}: ${status}\n`);
  return exitCodeOfStatus(status);
}

async function syncDown(client: SkyClient, cluster: string, jobIds: readonly string[], ctx: Context): Promise<number> {
  for (const word of jobIds) if (!/^[\d*?[\]]+$/.test(word)) jobIdOf(word);
  const local = await client.downloadLogs(cluster, { jobIds, signal: ctx.signal });
  if (local.size === 0) {
    throw new InvalidValueError(`No matching job found on cluster '${cluster}'.`, { hint: `sky queue ${cluster}` });
  }
  for (const [id, path] of local) ctx.out.write(`Job ${id} logs: ${shortenHome(path, ctx.home)}\n`);
  return 0;
}
