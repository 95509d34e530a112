import { deleteRefusals, listRefusals, upsertRefusal, type RefusalRow } from "../../db/queries/refusals.ts";
import type { OperationContext } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import { SkyError } from "../../shared/errors.ts";
import type { CloudContext } from "../ports/cloud.ts";
import type { Refusal } from "./attempt.ts";
import { blockOf, whatBlocks, type Block, type Blocked } from "./places.ts";

/** How long a refusal is remembered. A quota changes when a cluster ends or somebody asks for more. */
const REMEMBERED_MS: Readonly<Record<string, number>> = { zone: 600_000, quota: 1_800_000 };
/** While launches are repeated, a place that refused one of them less than this ago is not asked for another. */
const SHARED_MS = 25_000;

type Server = Pick<OperationContext, "db" | "clouds" | "clock" | "requestId">;

/** A refusal that a launch of this server met a while ago. */
export interface Remembered extends Blocked {
  readonly place: string;
  readonly code: string;
  readonly refusedAt: number;
  readonly isOurs: boolean;
}

/** What is remembered of the clouds of these places. Quotas and zones' names belong to an account, so its memory is its own. */
export async function recallRefusals(
  places: readonly RankedOffer[],
  server: Server,
  cloudContext: CloudContext,
): Promise<readonly Remembered[]> {
  const clouds = [...new Set(places.map((place) => place.offer.cloud))];
  const found = await Promise.all(
    clouds.map(async (cloud) => {
      const account = await accountOf(cloud, server, cloudContext);
      if (account === undefined) return [];
      const rows = await listRefusals(server.db, { cloud, account, now: server.clock.now() });
      return rows.map((row) => toRemembered(row, server.requestId));
    }),
  );
  return found.flat();
}

function toRemembered(row: RefusalRow, requestId: string): Remembered {
  const { place, reason, code, refused_at: refusedAt } = row;
  return {
    place,
    reason,
    code,
    refusedAt,
    block: JSON.parse(row.block) as Block,
    isOurs: row.request_id === requestId,
  };
}

/** The account as its cloud names it; undefined when it cannot be told, which is no reason not to launch. */
async function accountOf(name: string, server: Server, cloudContext: CloudContext): Promise<string | undefined> {
  const cloud = await server.clouds.load(name);
  try {
    return (await cloud.identity(cloudContext))?.at(-1) ?? "";
  } catch (error) {
    if (error instanceof SkyError) return undefined;
    throw error;
  }
}

/** Remembers what a place said, for every launch: a refusal, or that it took one. */
export async function rememberAnswer(
  place: RankedOffer,
  refusal: Refusal | undefined,
  server: Server,
  cloudContext: CloudContext,
): Promise<void> {
  const { offer } = place;
  const account = await accountOf(offer.cloud, server, cloudContext);
  if (account === undefined) return;
  const keyOf = (block: Block): string => JSON.stringify([account, block]);
  if (refusal === undefined) {
    const scopes = ["zone", "quota"] as const;
    await deleteRefusals(
      server.db,
      scopes.map((scope) => keyOf(blockOf(offer, scope))),
    );
    return;
  }
  const lastsMs = REMEMBERED_MS[refusal.scope];
  if (lastsMs === undefined) return;
  const block = blockOf(offer, refusal.scope);
  const now = server.clock.now();
  await upsertRefusal(server.db, {
    place: keyOf(block),
    cloud: offer.cloud,
    account,
    region: offer.region,
    block: JSON.stringify(block),
    code: refusal.code,
    reason: refusal.reason,
    request_id: server.requestId,
    refused_at: now,
    expires_at: now + lastsMs,
  });
}

export function whatIsKnownOf(place: RankedOffer, memory: readonly Remembered[]): Remembered | undefined {
  return whatBlocks(place.offer, memory);
}

/** Places that refused a launch a while ago come last, in their own order. */
export function orderByMemory(places: readonly RankedOffer[], memory: readonly Remembered[]): readonly RankedOffer[] {
  const isKnown = (place: RankedOffer): boolean => whatIsKnownOf(place, memory) !== undefined;
  return [...places.filter((place) => !isKnown(place)), ...places.filter(isKnown)];
}

/** While a launch is repeated: the refusal that another launch has just met, so that a crowd asks each place once. */
export function sharedRefusal(known: Remembered | undefined, now: number): Refusal | undefined {
  if (known === undefined || known.isOurs || now - known.refusedAt >= SHARED_MS) return undefined;
  const seconds = Math.max(1, Math.round((now - known.refusedAt) / 1000));
  return {
    reason: `${known.reason.replace(/\.$/, "")}, as another launch was told ${seconds} s ago.`,
    code: known.code,
    scope: known.block.scope ?? "zone",
    isClean: true,
  };
}
