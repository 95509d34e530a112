import type { GpuFilter } from "../../client/gpus-namespace.ts";
import type { SkyClient } from "../../client/sky-client.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { similarity } from "../../shared/config/closest.ts";
import { InvalidValueError, UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { countsOf, renderCounts, renderOffers } from "../render/accelerators.ts";
import { makeColors } from "../render/colors.ts";
import { renderLive } from "../render/live-gpus.ts";
import { printJson } from "../render/json.ts";
import { page } from "../pager.ts";
import { askPools, renderPools } from "./gpus-live.ts";
import type { gpusListSpec, showGpusSpec } from "../specs/infra.ts";

const HINT = "Hint: use -a/--all to see all accelerators (including non-common ones) and pricing.";

/** Infra whose GPUs are counted on the spot, which this version does not do; of those that it cannot use at all the texts are the original's. */
const LIVE: Readonly<Record<string, string>> = {
  kubernetes: "Kubernetes is not enabled. To fix, run: sky check kubernetes",
  k8s: "Kubernetes is not enabled. To fix, run: sky check kubernetes",
  slurm: "Slurm is not enabled. To fix, run: sky check slurm",
};

type ListInput = Input<typeof gpusListSpec>;

/** `sky show-gpus`: the old name, without JSON. */
export function runShowGpus({ args, options }: Input<typeof showGpusSpec>, ctx: Context): Promise<void> {
  return runGpusList({ args, options: { ...options, outputFormat: "table" } }, ctx);
}

/** `sky gpus list`: names and counts, or types and prices of one accelerator or of all. */
export async function runGpusList({ args, options }: ListInput, ctx: Context): Promise<void> {
  const wanted = args.acceleratorStr === undefined ? undefined : parseAccelerator(args.acceleratorStr);
  const place = placeOf(options, ctx);
  refuseContradictions({ options, hasName: wanted !== undefined, region: place.region });
  const live = LIVE[place.cloud ?? ""];
  if (live !== undefined) {
    const isJson = options.outputFormat === "json";
    (isJson ? ctx.err : ctx.out).write(`${live}\n`);
    if (isJson) printJson(ctx.out, {});
    return;
  }
  const client = await ctx.openClient({ config: options.config });
  const filter: GpuFilter = {
    name: wanted?.name,
    count: wanted?.count,
    clouds: place.cloud === undefined ? undefined : [place.cloud],
    region: place.region,
    allRegions: options.allRegions,
    signal: ctx.signal,
  };
  const isJson = options.outputFormat === "json";
  if (place.cloud === "ssh") return await listPools({ client, filter, isJson }, ctx);
  if (isJson) return printJson(ctx.out, await waitFor(ctx, client.gpus.list(filter)));
  const above = place.cloud === undefined ? await poolsAbove({ client, filter }, ctx) : "";
  if (wanted === undefined) return await listAll({ client, filter, isFull: options.all, above }, ctx);
  const offers = await waitFor(ctx, client.gpus.list(filter));
  const tables = Object.values(exactFirst(offers, wanted.name)).map((rows) => renderOffers(rows, { withRegion: true }));
  if (tables.length > 0) ctx.out.write(`${above}${tables.join("\n\n")}\n`);
  else ctx.out.write(`${above}${await notFound({ client, filter }, ctx)}\n`);
}

interface Question {
  readonly client: SkyClient;
  readonly filter: GpuFilter;
}

/** The machines of pools, counted now. */
async function listPools({ client, filter, isJson }: Question & { readonly isJson: boolean }, ctx: Context) {
  const pools = await askPools(client, filter.region, ctx);
  if (!isJson || pools.length === 0) (isJson ? ctx.err : ctx.out).write(`${renderPools(pools, filter, ctx)}\n`);
  if (isJson) printJson(ctx.out, Object.fromEntries(pools.map(({ name, pool }) => [name, pool.node_info_dict])));
}

/** What comes before the lists of clouds: pools, if they have any such accelerator. */
async function poolsAbove({ client, filter }: Question, ctx: Context): Promise<string> {
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const shown = renderLive(await askPools(client, undefined, ctx), filter, colors);
  return shown === undefined ? "" : `${shown}\n\n${colors.cyan(colors.bold("Cloud GPUs"))}\n`;
}

async function listAll(
  { client, filter, isFull, above }: Question & { readonly isFull: boolean; readonly above: string },
  ctx: Context,
): Promise<void> {
  if (!isFull) {
    const counts = await waitFor(ctx, client.gpus.counts(filter));
    ctx.out.write(`${above}${[...renderCounts(counts, { withOthers: false }), HINT].join("\n\n")}\n`);
    return;
  }
  // The counts are in the list already; a second request would only cost time.
  const offers = await waitFor(ctx, client.gpus.list(filter));
  const tables = renderCounts(countsOf(offers), { withOthers: true });
  const details = Object.values(offers).map((rows) => renderOffers(rows, { withRegion: false }));
  await page(ctx, `${above}${[...tables, ...details].join("\n\n")}\n`);
}

function exactFirst<T>(offers: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> {
  const isExact = ([found]: readonly [string, T]): boolean => found.toLowerCase() === name.toLowerCase();
  const entries = Object.entries(offers);
  return Object.fromEntries([...entries.filter(isExact), ...entries.filter((entry) => !isExact(entry))]);
}

/** Says so in the words of 0.14.1, and which names come close. */
async function notFound({ client, filter }: Question, ctx: Context): Promise<string> {
  const count = filter.count === undefined ? "" : ` with requested quantity ${filter.count}`;
  const where = filter.clouds === undefined ? "in cloud catalogs" : `on ${displayCloud(filter.clouds[0] ?? "")}`;
  const all = await waitFor(ctx, client.gpus.counts({ clouds: filter.clouds, signal: ctx.signal }));
  return [
    `Resources '${filter.name}'${count} not found ${where}. To show available accelerators, run: sky gpus list --all`,
    ...suggestion(filter, all),
  ].join("\n");
}

function suggestion(
  { name = "", count, region }: GpuFilter,
  all: Readonly<Record<string, readonly number[]>>,
): string[] {
  const named = Object.entries(all).filter(([found]) => found.toLowerCase().includes(name.toLowerCase()));
  if (named.length > 0) {
    const counts = named.map(([found, sizes]) => `${found} (${sizes.join(", ")})`).join(", ");
    if (count !== undefined) return [`Offered quantities: ${counts}`];
    return region === undefined ? [] : [`Other regions have: ${counts}`];
  }
  const close = closest(name, Object.keys(all));
  return close.length === 0 ? [] : [`Did you mean ${close.join(" or ")}?`];
}

/** Names that differ by a slip of the fingers, and others only if they are about as close: H1000 is H100, not A100. */
function closest(written: string, names: readonly string[]): readonly string[] {
  const scored = names
    .map((name) => ({ name, score: similarity(name.toLowerCase(), written.toLowerCase()) }))
    .filter(({ score }) => score >= 0.6)
    .sort((a, b) => b.score - a.score);
  const best = scored[0]?.score ?? 0;
  return scored.filter(({ score }) => score > best - 0.1).map(({ name }) => name);
}

function parseAccelerator(text: string): { readonly name: string; readonly count: number | undefined } {
  const [name = "", count, ...more] = text.split(":");
  if (more.length > 0)
    throw new UsageError(`Invalid accelerator string ${text}. Expected format: <accelerator_name>[:<quantity>].`);
  if (count === undefined) return { name, count };
  if (!/^\s*\+?[0-9]+\s*$/.test(count) || Number(count) <= 0)
    throw new UsageError(`Invalid accelerator quantity ${count}. Expected a positive integer.`);
  return { name, count: Number(count) };
}

interface Place {
  readonly cloud: string | undefined;
  readonly region: string | undefined;
}

/** From `--infra`, or from the old options; a zone says nothing about prices of a list. */
function placeOf({ infra, cloud, region }: ListInput["options"], ctx: Context): Place {
  if (cloud !== undefined || region !== undefined) {
    if (infra !== undefined) {
      throw new InvalidValueError("Cannot specify both --infra and --cloud, --region, or --zone.");
    }
    const { yellow } = makeColors(ctx.env, ctx.err.isTTY);
    ctx.err.write(`${yellow("The --cloud, --region, and --zone options are deprecated. Use --infra instead.")}\n`);
    return { cloud, region };
  }
  const [first, second] = (infra ?? "").split("/").map((part) => (part === "" || part === "*" ? undefined : part));
  if (first === undefined && second !== undefined)
    throw new UsageError("The --region flag is only valid when the --cloud flag is set.");
  return { cloud: first?.toLowerCase(), region: second };
}

function refuseContradictions({
  options,
  hasName,
  region,
}: {
  readonly options: ListInput["options"];
  readonly hasName: boolean;
  readonly region: string | undefined;
}): void {
  const { all, allRegions, cloud } = options;
  if (options.region !== undefined && cloud === undefined)
    throw new UsageError("The --region flag is only valid when the --cloud flag is set.");
  if (allRegions && !hasName)
    throw new UsageError("The --all-regions flag is only valid when an accelerator is specified.");
  if (allRegions && region !== undefined)
    throw new UsageError("--all-regions and --region flags cannot be used simultaneously.");
  if (all && hasName) throw new UsageError("--all is only allowed without a GPU name.");
}
