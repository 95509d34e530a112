import { rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Catalogs } from "../../../catalog/catalogs.ts";
import { readZoneNames, zoneNamesFile } from "../../../catalog/zone-names.ts";
import type { CloudContext } from "../../../core/ports/cloud.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import { openClients, type AwsClients } from "../clients.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { listRegions, listZones, regionOfZone, writeZoneNames, type ZoneName } from "./zones.ts";

const MAX_AGE_MS = 7 * 86_400_000;
/** A check must not wait long for what it can do without. */
const TIMEOUT_MS = 10_000;
/** One region's answer; one that hangs is asked once more within the time above. */
const ANSWER_MS = 4_000;
/** Launches do not ask again for what could not be found out just now. */
const AGAIN_MS = 600_000;
const NEVER = new AbortController().signal;

/** How accounts call the zones; asked for as late, and for as few regions, as will do. */
export class ZoneNames {
  readonly #auth: AwsAuth;
  readonly #catalogs: Catalogs;
  /** Answers for single regions, by account and region. */
  readonly #regions = new Map<string, Promise<ReadonlyMap<string, string> | undefined>>();
  /** By account, until it is over and for a while when it was in vain. */
  readonly #refreshes = new Map<string, { readonly atMs: number; readonly done: Promise<void> }>();

  constructor(auth: AwsAuth, catalogs: Catalogs) {
    this.#auth = auth;
    this.#catalogs = catalogs;
  }

  /** Asks every region, unless that was done within a week. */
  async refresh(context: CloudContext): Promise<void> {
    const { account } = await this.#auth.open(context).identity();
    await this.#refreshNow(account, context);
  }

  /** Takes note of the zones of one region. */
  remember(account: string, zones: readonly ZoneName[]): void {
    const region = regionOfZone(zones[0]?.name ?? "");
    if (region !== undefined) this.#regions.set(`${account} ${region}`, Promise.resolve(toNames(zones)));
  }

  /**
   * What has to be known before a request is answered. One that names its region needs no other's zones: then they are returned, by
   * their ids. All others rule regions out that are not enabled for the account, so all regions are asked; the answer is in a file
   * then, and undefined is returned.
   */
  async prepare(
    account: string,
    { region, zone }: { readonly region?: string | undefined; readonly zone?: string | undefined },
    context: CloudContext,
  ): Promise<{ readonly stamp: string; readonly byId: ReadonlyMap<string, string> } | undefined> {
    const wanted = (region ?? regionOfZone(zone ?? ""))?.toLowerCase();
    if (wanted === undefined) {
      await this.#refreshSoon(account, context);
      return undefined;
    }
    if (statSync(this.#path(account), { throwIfNoEntry: false }) !== undefined) return undefined;
    const key = `${account} ${wanted}`;
    const answer = this.#regions.get(key) ?? this.#askRegion(wanted, context);
    this.#regions.set(key, answer);
    const byId = await orAborted(answer, context.signal).catch(() => context.signal.throwIfAborted());
    if (byId === undefined) this.#regions.delete(key);
    return byId === undefined ? undefined : { stamp: key, byId };
  }

  #path(account: string): string {
    return join(this.#catalogs.directory, "aws", zoneNamesFile(account));
  }

  #refreshNow(account: string, context: CloudContext): Promise<void> {
    const done = ensureZoneNames(this.#auth, this.#catalogs, context);
    this.#refreshes.set(account, { atMs: this.#auth.time.now(), done });
    return done;
  }

  /** Candidates of one launch are looked for side by side, and one refresh does for all of them. */
  async #refreshSoon(account: string, context: CloudContext): Promise<void> {
    const last = this.#refreshes.get(account);
    const isRecent = last !== undefined && this.#auth.time.now() - last.atMs < AGAIN_MS;
    const done = isRecent ? last.done : this.#refreshNow(account, { ...context, signal: NEVER });
    // Without credentials that work there is nothing to ask; the launch says so itself.
    await orAborted(done, context.signal).catch(() => context.signal.throwIfAborted());
  }

  async #askRegion(region: string, context: CloudContext): Promise<ReadonlyMap<string, string> | undefined> {
    const clients = openClients({ ...this.#auth.open(context).session, maxAttempts: 2 });
    try {
      const zones = await askZones(region, clients, AbortSignal.timeout(TIMEOUT_MS));
      return zones === undefined || zones.length === 0 ? undefined : toNames(zones);
    } finally {
      clients.close();
    }
  }
}

/**
 * Asks how the account of the request calls the zones, when that is not known or a week old. Regions that do not answer keep their
 * names of before, and are asked again by the next check. A mapping that lacks an enabled region would say that the account does
 * not have it, so none is kept then: zones go by their ids until all regions have answered.
 */
async function ensureZoneNames(auth: AwsAuth, catalogs: Catalogs, context: CloudContext): Promise<void> {
  const opened = auth.open(context);
  const { account } = await opened.identity();
  const path = join(catalogs.directory, "aws", zoneNamesFile(account));
  const nowMs = auth.time.now();
  const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (writtenMs !== undefined && nowMs - writtenMs < MAX_AGE_MS) return;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const clients = openClients({ ...opened.session, maxAttempts: 2 });
  try {
    const regions = await listRegions(clients, signal);
    const answers = await Promise.all(regions.map((region) => askZones(region, clients, signal)));
    const silent = regions.filter((_, index) => answers[index] === undefined);
    const kept = silent.map((region) => (writtenMs === undefined ? [] : zonesOf(region, path)));
    const zones = [...answers.flatMap((answer) => answer ?? []), ...kept.flat()];
    if (kept.some((names) => names.length === 0)) return rmSync(path, { force: true });
    if (zones.length === 0) return;
    writeZoneNames(catalogs.directory, account, zones);
    if (silent.length > 0) utimesSync(path, 0, 0);
  } catch {
    // Regions that cannot be listed (denied, no answer in time) leave zones as they are: the check is about more than their names.
    context.signal.throwIfAborted();
  } finally {
    clients.close();
  }
}

/** The zones of a region: none where the account may not ask, undefined when it does not answer. */
async function askZones(
  region: string,
  clients: AwsClients,
  signal: AbortSignal,
): Promise<readonly ZoneName[] | undefined> {
  const ask = (): Promise<readonly ZoneName[]> =>
    listZones(region, clients, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
  try {
    return await ask().catch((error: unknown) => {
      if (error instanceof AwsDeniedError) throw error;
      return ask();
    });
  } catch (error) {
    return error instanceof AwsDeniedError ? [] : undefined;
  }
}

function toNames(zones: readonly ZoneName[]): ReadonlyMap<string, string> {
  return new Map(zones.map(({ name, id }) => [id, name]));
}

/** What the mapping of before says of a region. */
function zonesOf(region: string, path: string): readonly ZoneName[] {
  return [...readZoneNames(path)].flatMap(([id, name]) => (regionOfZone(name) === region ? [{ name, id }] : []));
}
