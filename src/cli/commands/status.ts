import { submit } from "../../client/operations.ts";
import type { SkyClient } from "../../client/sky-client.ts";
import type { ClusterRecord } from "../../client/wire-types.ts";
import {
  ApiServerConnectionError,
  ClusterNotUpError,
  InvalidValueError,
  OperationFailedError,
  SkyError,
  UsageError,
} from "../../shared/errors.ts";
import { renderTimeLeft } from "../../shared/time-left.ts";
import type { Context } from "../context.ts";
import { follow } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { headIpOf, renderClusters } from "../render/clusters.ts";
import { makeColors } from "../render/colors.ts";
import { printJson } from "../render/json.ts";
import { renderManagedJobs, renderServices, type Row } from "../render/managed.ts";
import type { statusSpec } from "../specs/clusters.ts";
import { updateSshAccess } from "../ssh-access.ts";
import { missingNames, notFound, quoteNames } from "./cluster-names.ts";

type Options = Input<typeof statusSpec>["options"];

/** `sky status`: clusters, and what else runs. Exit code 1 when a named cluster does not exist. */
export async function runStatus({ args, options }: Input<typeof statusSpec>, ctx: Context): Promise<number> {
  const wantsAddress = options.ip || options.endpoints || options.endpoint !== undefined;
  checkCombination(options);
  const client = await ctx.openClient({ config: options.config });
  if (wantsAddress) return await printAddress(client, args.clusters, options, ctx);
  const records = fetchRecords(client, args.clusters, options, ctx);
  const hasNames = args.clusters.length > 0;
  if (options.outputFormat === "json") {
    const list = await records;
    printJson(ctx.out, list.map(publicRecord));
    const missing = missingNames(args.clusters, list);
    if (missing.length > 0) throw notFound(missing);
    return 0;
  }
  const sections = hasNames ? [] : moreSections(client, options, ctx);
  const infras = enabledInfra(client, ctx);
  const [list, infra, left, ...more] = await Promise.all([
    records,
    infras,
    sessionsOf(infras, client, ctx),
    ...sections,
  ]);
  await updateSshAccess(ctx, client, list, { complete: !hasNames });
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const title = (text: string): string => (colors.enabled ? `\u001B[1;36m${text}\u001B[0m` : text);
  const lines = [
    `Enabled Infra: ${infra.length === 0 ? "none (run: sky check)" : infra.join(", ")}`,
    "",
    title("Clusters"),
  ];
  const table = renderClusters(list, {
    colors,
    now: ctx.clock.now() / 1000,
    verbose: options.verbose,
    showUser: options.allUsers,
    showWorkspace: new Set(list.map((record) => record.workspace)).size > 1,
  });
  lines.push(table === "" ? noClusters(args.clusters) : table);
  const hints: string[] = [];
  for (const section of more) {
    if (section === undefined) continue;
    lines.push("", title(section.title), section.text);
    hints.push(...section.hints);
  }
  hints.push(...autostopHint(list), ...left);
  if (hints.length > 0) lines.push("", ...hints.map((hint) => `* ${hint}`));
  ctx.out.write(`${lines.join("\n")}\n`);
  const missing = missingNames(args.clusters, list);
  if (missing.length > 0 && list.length > 0) ctx.err.write(`${noClusters(missing)}\n`);
  return missing.length > 0 ? 1 : 0;
}

function checkCombination(options: Options): void {
  const endpoint = options.endpoints || options.endpoint !== undefined;
  if ((options.ip || endpoint) && options.refresh) {
    throw new UsageError(
      "Using --ip or --endpoint(s) with --refresh is not supported for now. To fix, refresh first, then query the IP or endpoint.",
    );
  }
  if (options.ip && endpoint) throw new UsageError("Cannot specify both --ip and --endpoint(s) at the same time.");
}

async function fetchRecords(
  client: SkyClient,
  names: readonly string[],
  options: Options,
  ctx: Context,
): Promise<readonly ClusterRecord[]> {
  const request = client.status({
    names,
    refresh: options.refresh,
    allUsers: options.allUsers,
    includeCredentials: options.outputFormat !== "json",
    includeHandle: options.outputFormat !== "json",
    includeCosts: options.verbose || options.outputFormat === "json",
    signal: ctx.signal,
  });
  // A refresh asks the infra and takes its time: its progress is worth showing, but never in JSON output.
  return options.refresh && options.outputFormat !== "json" ? await follow(ctx, request) : await request;
}

/** The record as JSON shows it: nothing that opens a door. */
function publicRecord(record: ClusterRecord): Record<string, unknown> {
  const { handle: _handle, credentials: _credentials, storage_mounts_metadata: _storage, ...rest } = record;
  return rest;
}

function noClusters(names: readonly string[]): string {
  if (names.length === 0) return "No existing clusters.";
  return `Cluster${names.length === 1 ? "" : "s"} ${quoteNames(names)} not found.`;
}

function autostopHint(records: readonly ClusterRecord[]): string[] {
  const count = records.filter((record) => record.status === "UP" && (record.autostop >= 0 || record.to_down)).length;
  if (count === 0) return [];
  const subject = count === 1 ? "1 cluster has" : `${count} clusters have`;
  return [`${subject} auto{stop,down} scheduled. Refresh statuses with: sky status --refresh`];
}

async function enabledInfra(client: SkyClient, ctx: Context): Promise<readonly string[]> {
  return await client.enabledClouds({ expand: true, signal: ctx.signal });
}

/** Infra whose credentials never end. */
const WITHOUT_SESSION = /^(?:local|ssh|kubernetes|k8s)(?:\/|$)/u;

/** The time that is left of the logins in use; a server of the original does not tell. */
async function sessionsOf(
  infras: Promise<readonly string[]>,
  client: SkyClient,
  ctx: Context,
): Promise<readonly string[]> {
  if ((await infras).every((infra) => WITHOUT_SESSION.test(infra)) || !client.session.isOurServer) return [];
  const { value: sessions = [] } = await attempt(client.cloudSessions({ signal: ctx.signal }));
  return sessions.map((session) => {
    const who = `${session.cloud} session${session.profile === null ? "" : ` of profile '${session.profile}'`}`;
    const leftMs = session.expires_at * 1000 - ctx.clock.now();
    return leftMs <= 0 ? `${who} has ended` : `${who} ends in ${renderTimeLeft(leftMs)}`;
  });
}

interface Section {
  readonly title: string;
  readonly text: string;
  readonly hints: readonly string[];
}

function moreSections(client: SkyClient, options: Options, ctx: Context): readonly Promise<Section | undefined>[] {
  const sections: Promise<Section | undefined>[] = [];
  if (options.showManagedJobs) sections.push(orReason("Managed jobs", managedJobs(client, options, ctx)));
  if (options.showPools) sections.push(orReason("Pools", pools(client, ctx)));
  if (options.showServices) sections.push(orReason("Services", services(client, ctx)));
  return sections;
}

const JOBS_SHOWN = 5;

async function managedJobs(client: SkyClient, options: Options, ctx: Context): Promise<Section> {
  const title = "Managed jobs";
  const request = client.jobs.queue({
    skipFinished: true,
    allUsers: options.allUsers,
    limit: JOBS_SHOWN,
    signal: ctx.signal,
  });
  const { value: queue, problem } = await attempt(request);
  if (problem !== undefined) return { title, text: problem, hints: [] };
  if (queue === undefined || queue.jobs.length === 0) {
    return { title, text: "No in-progress managed jobs. (See: sky jobs -h)", hints: [] };
  }
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const text = renderManagedJobs(queue.jobs, { colors, now: ctx.clock.now() / 1000 });
  const count = queue.total;
  const subject = count === 1 ? "1 managed job is" : `${count} managed jobs are`;
  const shown = count > JOBS_SHOWN ? ` (${JOBS_SHOWN} latest ones shown)` : "";
  return { title, text, hints: [`${subject} in progress${shown}. To see all managed jobs: sky jobs queue`] };
}

async function pools(client: SkyClient, ctx: Context): Promise<Section | undefined> {
  // Without a controller a server of the original answers with an error that says nothing about pools.
  const { value: rows = [] } = await attempt(serviceRows(client, "/jobs/pool_status", { pool_names: null }, ctx));
  if (rows.length === 0) return undefined;
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const text = renderServices(rows, { colors, now: ctx.clock.now() / 1000, pool: true });
  return { title: "Pools", text, hints: ["To see detailed pool status: sky jobs pool status -v"] };
}

async function services(client: SkyClient, ctx: Context): Promise<Section> {
  const title = "Services";
  const request = serviceRows(client, "/serve/status", { service_names: null }, ctx);
  const { value: rows = [], problem } = await attempt(request);
  if (problem !== undefined) return { title, text: problem, hints: [] };
  if (rows.length === 0) return { title, text: "No live services.", hints: [] };
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const text = renderServices(rows, { colors, now: ctx.clock.now() / 1000, pool: false });
  return { title, text, hints: ["To see detailed service status: sky serve status -v"] };
}

async function serviceRows(
  client: SkyClient,
  path: string,
  fields: Record<string, unknown>,
  ctx: Context,
): Promise<readonly Row[]> {
  const name = `sky.${path.slice(1).replace("/", ".")}`;
  return await submit<readonly Row[]>(client.session, path, client.body(fields), { name, signal: ctx.signal });
}

/** A part of the overview that cannot be had must not hide the clusters: it says why in its place. */
async function orReason(title: string, section: Promise<Section | undefined>): Promise<Section | undefined> {
  try {
    return await section;
  } catch (error) {
    if (!(error instanceof SkyError)) throw error;
    return { title, text: `Not known: ${error.message}`, hints: [] };
  }
}

/** What a section shows: the value, nothing (a controller that was never started), or the server's problem in words. */
async function attempt<T>(request: PromiseLike<T>): Promise<{ value?: T; problem?: string }> {
  try {
    return { value: await request };
  } catch (error) {
    if (error instanceof ClusterNotUpError) return {};
    if (error instanceof SkyError && !(error instanceof ApiServerConnectionError)) return { problem: error.message };
    throw error;
  }
}

async function printAddress(
  client: SkyClient,
  names: readonly string[],
  options: Options,
  ctx: Context,
): Promise<number> {
  const subject = options.ip ? "its IP address" : "its endpoints";
  const flag = options.ip ? "--ip" : "--endpoints";
  const usage = `Usage: \`sky status ${flag} <cluster>\``;
  const [name] = names;
  if (name === undefined || names.length > 1) {
    const problem = name === undefined ? "No cluster specified." : "Multiple clusters specified.";
    throw new InvalidValueError(`${problem} Please specify an existing cluster to show ${subject}.\n${usage}`);
  }
  const [record] = await client.status({ names, allUsers: true, signal: ctx.signal });
  if (record === undefined) {
    throw new InvalidValueError(
      `'${name}' cluster not found. Please specify a single cluster to show ${subject}.\n${usage}`,
    );
  }
  if (record.status !== "UP") throw new OperationFailedError(`Cluster '${record.name}' is not in UP status.`);
  if (options.ip) return printIp(record, ctx);
  return await printEndpoints(client, record, options, ctx);
}

function printIp(record: ClusterRecord, ctx: Context): number {
  const ip = headIpOf(record);
  if (ip === undefined) throw new OperationFailedError(`The head node of cluster '${record.name}' has no address yet.`);
  ctx.out.write(`${ip}\n`);
  return 0;
}

async function printEndpoints(
  client: SkyClient,
  record: ClusterRecord,
  options: Options,
  ctx: Context,
): Promise<number> {
  const urls = await client.endpoints(record.name, options.endpoint, { signal: ctx.signal });
  if (options.endpoint !== undefined) {
    const url = urls.get(options.endpoint);
    if (url === undefined) {
      throw new OperationFailedError(`Port ${options.endpoint} of cluster '${record.name}' is not exposed yet.`, {
        hint: "if the cluster was started a moment ago, try again",
      });
    }
    ctx.out.write(`${url}\n`);
    return 0;
  }
  for (const [port, url] of urls) ctx.out.write(`${port}: ${url}\n`);
  return 0;
}
