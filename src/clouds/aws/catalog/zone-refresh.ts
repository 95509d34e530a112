import { rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Catalogs } from "../../../catalog/catalogs.ts";
import { readZoneNames, zoneNamesFile } from "../../../catalog/zone-names.ts";
import type { CloudContext } from "../../../core/ports/cloud.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { openClients, type AwsClients } from "../clients.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { listRegions, listZones, writeZoneNames, type ZoneName } from "./zones.ts";

const MAX_AGE_MS = 7 * 86_400_000;
/** A check must not wait long for what it can do without. */
const TIMEOUT_MS = 10_000;
/** One region's answer; one that hangs is asked once more within the time above. */
const ANSWER_MS = 4_000;

/**
 * Asks how the account of the request calls the zones, when that is not known or a week old. Regions that do not answer keep their
 * names of before, and are asked again by the next check. A mapping that lacks an enabled region would say that the account does
 * not have it, so none is kept then: zones go by their ids until all regions have answered.
 */
export async function ensureZoneNames(auth: AwsAuth, catalogs: Catalogs, context: CloudContext): Promise<void> {
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

/** What the mapping of before says of a region. */
function zonesOf(region: string, path: string): readonly ZoneName[] {
  return [...readZoneNames(path)].flatMap(([id, name]) =>
    name.startsWith(region) && /^[a-z]$/u.test(name.slice(region.length)) ? [{ name, id }] : [],
  );
}
