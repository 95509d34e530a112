import { assertClusterName, makeClusterName } from "../../client/cluster-name.ts";
import type { LaunchOutcome } from "../../client/cluster-verbs.ts";
import type { SkyClient } from "../../client/sky-client.ts";
import type { ClusterRecord } from "../../client/wire-types.ts";
import { loadUserHash } from "../../platform/user-hash.ts";
import { loginName } from "../../platform/paths.ts";
import { NotSupportedError, UsageError } from "../../shared/errors.ts";
import { compileTask, type CompiledTask } from "../compile-task.ts";
import type { Context } from "../context.ts";
import { resolveEntrypoint, type Entrypoint } from "../entrypoint.ts";
import { follow, printSubmitted } from "../follow.ts";
import { printJobLog } from "../job-log.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import { Spinner } from "../render/spinner.ts";
import type { launchSpec } from "../specs/launch.ts";
import { saveSshAccess } from "../ssh-access.ts";
import { hasSsh, renderUsefulCommands } from "../useful-commands.ts";
import { fetchClusters } from "./cluster-names.ts";

type Options = Input<typeof launchSpec>["options"];

/** `sky launch`: provisions or reuses a cluster and runs the task there. The exit code is the job's. */
export async function runLaunch({ args, options }: Input<typeof launchSpec>, ctx: Context): Promise<number> {
  await checkCluster(options, ctx);
  const entrypoint = await resolveEntrypoint(args.entrypoint, ctx);
  printEntrypoint(entrypoint, args.entrypoint, ctx);
  const client = await ctx.openClient({ config: options.config, workspace: options.workspace });
  const task = await compileTask(entrypoint, options, client, ctx);
  printNotices(task, ctx);
  const name = options.cluster ?? makeClusterName(loginName(ctx.env));
  await client.validate(task.document, {
    clusterName: name,
    down: options.down,
    dryrun: options.dryrun,
    ...(options.idleMinutesToAutostop === undefined ? {} : { idleMinutesToAutostop: options.idleMinutesToAutostop }),
    signal: ctx.signal,
  });
  const quiet = options.dryrun ? false : await confirmLaunch(client, name, task, options, ctx);
  return await launch(client, name, task, { options, quiet }, ctx);
}

/** What the words stand for, said before anything happens. */
export function printEntrypoint(entrypoint: Entrypoint, words: readonly string[], ctx: Context): void {
  const { cyan } = makeColors(ctx.env, ctx.out.isTTY);
  if (entrypoint.kind === "yaml") ctx.out.write(`${cyan("YAML to run:")} ${words.join(" ")}\n`);
  if (entrypoint.kind === "command") ctx.out.write(`${cyan("Command to run:")} ${entrypoint.command}\n`);
}

async function checkCluster(options: Options, ctx: Context): Promise<void> {
  const { cluster } = options;
  if (options.explain && !options.dryrun) throw new UsageError("--explain needs --dryrun.");
  if (options.resize && cluster === undefined) {
    throw new UsageError("--resize requires -c/--cluster to specify an existing cluster.");
  }
  if (options.backendName) {
    throw new NotSupportedError("--docker (a local container as cluster) is not supported.", {
      hint: "to run in a container, use --image-id docker:<image>",
    });
  }
  if (cluster === undefined) return;
  const what = reservedFor(cluster);
  if (what !== undefined) {
    throw new NotSupportedError(`Cluster ${cluster} is reserved for ${what}. Launching tasks on it is not allowed.`);
  }
  if (/\.ya?ml$/.test(cluster) || cluster.includes("/")) {
    const warning = `Cluster name '${cluster}' looks like a file path. Did you mean: sky launch -c <cluster-name> ${cluster}`;
    ctx.err.write(`${warning}\n`);
    if (!options.yes) await ctx.confirm("Proceed anyway?", { fallback: false });
  }
  assertClusterName(cluster);
}

/** Which controller a cluster name belongs to; undefined for a name of the user's. */
export function reservedFor(cluster: string): string | undefined {
  if (cluster.startsWith("sky-jobs-controller-")) return "managed jobs controller";
  return cluster.startsWith("sky-serve-controller-") ? "sky serve controller" : undefined;
}

function printNotices(task: CompiledTask, ctx: Context): void {
  const { yellow } = makeColors(ctx.env, ctx.err.isTTY);
  if (task.hasService) {
    ctx.err.write(`${yellow("Service section will be ignored when using `sky launch`. ")}\n`);
    ctx.err.write(`${yellow("To spin up a service, use SkyServe CLI: sky serve up")}\n`);
  }
  if (task.hasPool) {
    ctx.err.write(`${yellow("Pool section will be ignored when using `sky launch`. ")}\n`);
    ctx.err.write(`${yellow("To spin up a pool, use Pool CLI: sky jobs pool apply")}\n`);
  }
  if (task.usesSpot) {
    ctx.err.write(
      "Launching a spot job that does not automatically recover from preemptions. To get automatic recovery, use managed job instead: sky jobs launch or sky.jobs.launch().\n",
    );
  }
}

/** Asks before something new is paid for. Gives true when the optimizer's table has been shown already. */
async function confirmLaunch(
  client: SkyClient,
  name: string,
  task: CompiledTask,
  options: Options,
  ctx: Context,
): Promise<boolean> {
  if (options.yes) {
    if (options.cluster !== undefined) ctx.out.write(`Running on cluster: ${name}\n`);
    return false;
  }
  const known = options.cluster === undefined ? [] : await fetchClusters(ctx, client, [name], { allUsers: true });
  const record = known.find((candidate) => candidate.name === name);
  const question = questionFor(name, record, options, task, loadUserHash(ctx.env, ctx.home));
  if (question === undefined) {
    ctx.out.write(`Running on cluster: ${name}\n`);
    return false;
  }
  if (record !== undefined) {
    await ctx.confirm(question);
    return false;
  }
  const { idleMinutesToAutostop, down } = options;
  const request = client.optimize(task.document, {
    clusterName: name,
    down,
    ...(idleMinutesToAutostop === undefined ? {} : { idleMinutesToAutostop }),
    signal: ctx.signal,
  });
  await printMoney(await follow(ctx, request), ctx);
  await ctx.confirm(question);
  return true;
}

/** What the plan costs, if it costs anything and the server tells. */
async function printMoney(result: unknown, ctx: Context): Promise<void> {
  const { asPlan, renderMoney } = await import("../render/plan.ts");
  const plan = asPlan(result);
  if (plan !== undefined) ctx.out.write(renderMoney(plan));
}

async function printDryrun({ plan }: LaunchOutcome, explain: boolean, ctx: Context): Promise<void> {
  await printMoney(plan, ctx);
  if (!explain) return;
  const { asPlan, renderExplanation } = await import("../render/plan.ts");
  const known = asPlan(plan);
  if (known !== undefined) ctx.out.write(renderExplanation(known));
  else ctx.err.write("There is nothing to explain: the cluster exists, or this API server does not describe plans.\n");
}

function questionFor(
  name: string,
  record: ClusterRecord | undefined,
  options: Options,
  task: CompiledTask,
  userHash: string,
): string | undefined {
  if (record === undefined) {
    const ignored = options.resize ? ` (--resize will be ignored since '${name}' does not exist)` : "";
    return `Launching a new cluster '${name}'${ignored}. Proceed?`;
  }
  if (options.resize) return resizeQuestion(name, record.nodes, task.numNodes);
  if (record.user_hash !== userHash) {
    return `Cluster '${name}' was created by another user '${record.user_name}' (hash ${record.user_hash}). Reusing the cluster. Proceed?`;
  }
  return record.status === "STOPPED" ? `Restarting the stopped cluster '${name}'. Proceed?` : undefined;
}

function resizeQuestion(name: string, from: number, to: number): string {
  if (from === to) return `Cluster '${name}' already has ${from} node(s); --resize is a no-op. Proceed?`;
  const change = to > from ? `+${to - from} worker(s), scale up` : `-${from - to} worker(s), scale down`;
  const warning = to > from ? "" : " Excess workers will be terminated.";
  return `Resizing cluster '${name}' from ${from} to ${to} node(s) (${change}).${warning} Proceed?`;
}

async function launch(
  client: SkyClient,
  name: string,
  task: CompiledTask,
  { options, quiet }: { readonly options: Options; readonly quiet: boolean },
  ctx: Context,
): Promise<number> {
  const upload = uploadProgress(ctx);
  const { idleMinutesToAutostop, cloneDiskFrom } = options;
  const request = client.launch(task.document, {
    clusterName: name,
    retryUntilUp: options.retryUntilUp,
    ...(idleMinutesToAutostop === undefined ? {} : { idleMinutesToAutostop }),
    ...(cloneDiskFrom === undefined ? {} : { cloneDiskFrom }),
    dryrun: options.dryrun,
    explain: options.explain,
    down: options.down,
    noSetup: options.noSetup,
    fast: options.fast,
    resize: options.resize,
    quietOptimizer: quiet,
    onProgress: upload.show,
    signal: ctx.signal,
  });
  await request.id.finally(() => upload.end());
  if (options.asyncCall) {
    await printSubmitted(ctx, request);
    return 0;
  }
  const outcome = await follow(ctx, request);
  if (options.dryrun) {
    await printDryrun(outcome, options.explain, ctx);
    return 0;
  }
  await saveSshAccess(ctx, client, outcome);
  return await finish(client, name, outcome, { detach: options.detachRun }, ctx);
}

async function finish(
  client: SkyClient,
  name: string,
  outcome: LaunchOutcome,
  { detach }: { readonly detach: boolean },
  ctx: Context,
): Promise<number> {
  const { jobId, canStop = true } = outcome;
  const isFollowed = jobId !== null && !detach;
  const exitCode = isFollowed ? await printJobLog(ctx, client.logs(name, jobId, { signal: ctx.signal })) : 0;
  const dashboardUrl = client.endpoint.local ? undefined : `${client.endpoint.url}/dashboard/clusters/${name}`;
  ctx.out.write(renderUsefulCommands(ctx, { cluster: name, jobId, hasSsh: hasSsh(outcome), canStop, dashboardUrl }));
  return exitCode;
}

/** Shows what an upload is doing, and says when it is done. */
export function uploadProgress(ctx: Context): { show: (message: string) => void; end: () => void } {
  const colors = makeColors(ctx.env, ctx.err.isTTY);
  const spinner = new Spinner(ctx.err, colors.enabled);
  let started = false;
  return {
    show: (message) => {
      if (started) spinner.update(`[bold cyan]${message}[/]`);
      else spinner.start(`[bold cyan]${message}[/]`);
      started = true;
    },
    end: () => {
      spinner.stop();
      if (started) ctx.out.write(`${colors.green("✓")} Files uploaded\n`);
      started = false;
    },
  };
}
