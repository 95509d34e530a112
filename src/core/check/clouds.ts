import { readEnabledClouds, storeEnabledClouds } from "../../db/queries/enabled-clouds.ts";
import { CLOUD_NAMES, STORE_NAMES } from "../../shared/cloud-names.ts";
import { NoCloudAccessError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Capability, CheckResult, Cloud, CloudContext } from "../ports/cloud.ts";

export interface CheckedCloud {
  readonly cloud: Cloud;
  readonly result: CheckResult;
}

/** Clouds of the original, by registry key; of most this release knows the name only. */
export const ORIGINAL_CLOUDS: readonly string[] = [
  ...Object.keys(CLOUD_NAMES).filter((key) => key !== "fake" && key !== "local"),
  ...Object.keys(STORE_NAMES),
];

export interface WhichClouds {
  /** Absent: every one that the server's config allows. */
  readonly names?: readonly string[];
  readonly workspace?: string;
  /** Only those that can run nodes, or at least say where they would. */
  readonly withOffers?: boolean;
  /** For those that are asked. */
  readonly isVerbose?: boolean;
  readonly isFull?: boolean;
}

/** Asks clouds side by side, and keeps the answers for launches and lists. */
export async function checkClouds(
  context: OperationContext,
  options: WhichClouds = {},
): Promise<readonly CheckedCloud[]> {
  return askClouds(await allowedOnes(context, options), context, { ...options, isFull: true });
}

/**
 * What is on, without asking any service again: clouds that check over the network are on when their last check said so. One that
 * was never checked is off, or is checked now when `asks` says so.
 */
export async function enabledClouds(
  context: OperationContext,
  options: WhichClouds & { readonly asks?: (name: string, last: readonly string[] | undefined) => boolean } = {},
): Promise<readonly { readonly cloud: Cloud; readonly enabled: readonly string[] }[]> {
  const clouds = await allowedOnes(context, options);
  const stored = await readEnabledClouds(context.db, options.workspace ?? context.caller.workspace);
  const isAsked = (cloud: Cloud): boolean =>
    cloud.checksOverNetwork !== true || (options.asks?.(cloud.name, stored[cloud.name]) ?? false);
  const asked = await askClouds(clouds.filter(isAsked), context, options);
  return clouds.map((cloud) => ({
    cloud,
    enabled: asked.find((one) => one.cloud === cloud)?.result.enabled ?? stored[cloud.name] ?? [],
  }));
}

async function allowedOnes(context: OperationContext, options: WhichClouds): Promise<readonly Cloud[]> {
  const excluded = excludedClouds(context, options.workspace ?? context.caller.workspace);
  const names = context.clouds.names().filter((name) => !excluded.has(name) && (options.names?.includes(name) ?? true));
  const loaded = await Promise.all(names.map((name) => context.clouds.load(name)));
  const isUsable = (cloud: Cloud): boolean => cloud.hasNodes !== false || cloud.canPlan === true;
  return loaded.filter((cloud) => options.withOffers !== true || isUsable(cloud));
}

async function askClouds(
  clouds: readonly Cloud[],
  context: OperationContext,
  options: WhichClouds,
): Promise<readonly CheckedCloud[]> {
  const workspace = options.workspace ?? context.caller.workspace;
  const cloudContext: CloudContext = {
    workspace,
    config: context.config,
    env: context.clientEnv,
    isLocalClient: context.isLocalClient ?? false,
    signal: context.signal,
  };
  const { isVerbose = false, isFull = false } = options;
  const checked = await Promise.all(
    clouds.map(async (cloud) => ({ cloud, result: await cloud.check(cloudContext, { isVerbose, isFull }) })),
  );
  const kept = checked.filter(({ cloud }) => cloud.checksOverNetwork === true);
  if (kept.length > 0) {
    const answers = Object.fromEntries(kept.map(({ cloud, result }) => [cloud.name, result.enabled]));
    await storeEnabledClouds(context.db, workspace, { clouds: answers, atMs: context.clock.now() });
  }
  return checked;
}

/**
 * The clouds that tasks may use. Of clouds in `wanted` a refusal is not taken from memory: the user may have repaired it since.
 * Throws NoCloudAccessError when there is none.
 */
export async function requireEnabledClouds(
  context: OperationContext,
  wanted: readonly (string | undefined)[] = [],
): Promise<readonly Cloud[]> {
  const clouds = await enabledClouds(context, {
    withOffers: true,
    asks: (name, last) => last === undefined || (!last.includes("compute") && wanted.includes(name)),
  });
  const usable = clouds.filter(({ enabled }) => enabled.includes("compute"));
  if (usable.length === 0) throw new NoCloudAccessError("Cloud access is not set up. Run: sky check");
  return usable.map(({ cloud }) => cloud);
}

export function capabilitiesText(capabilities: readonly Capability[]): string {
  return `[${[...capabilities].sort().join(", ")}]`;
}

/** Why the config keeps a cloud out. */
export type Exclusion = "allowed_clouds" | "workspace";

/** Clouds that `allowed_clouds` leaves out or the workspace's `<cloud>.disabled` turns off. This machine is always allowed. */
export function excludedClouds(context: OperationContext, workspace: string): ReadonlyMap<string, Exclusion> {
  const list = context.config["allowed_clouds"];
  const names = Array.isArray(list) ? list.map((name) => String(name).toLowerCase()) : undefined;
  const own = asRecord(asRecord(context.config["workspaces"])[workspace]);
  const excluded = new Map<string, Exclusion>();
  for (const name of context.clouds.names()) {
    if (names !== undefined && !names.includes(name) && name !== "local") excluded.set(name, "allowed_clouds");
    else if (asRecord(own[name])["disabled"] === true) excluded.set(name, "workspace");
  }
  return excluded;
}

/** Every workspace that the config knows, `default` among them, in alphabetical order. */
export function workspaceNames(context: OperationContext): readonly string[] {
  return [...new Set(["default", ...Object.keys(asRecord(context.config["workspaces"]))])].sort();
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
