import { statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Catalogs } from "../../../catalog/catalogs.ts";
import { zoneNamesFile } from "../../../catalog/zone-names.ts";
import type { CloudContext } from "../../../core/ports/cloud.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { openClients } from "../clients.ts";
import { listRegions, listZones, writeZoneNames } from "./zones.ts";

const MAX_AGE_MS = 7 * 86_400_000;
/** A check must not wait long for what it can do without. */
const TIMEOUT_MS = 10_000;

/**
 * Asks how the account of the request calls the zones, when that is not known or a week old. Regions that do not answer are asked
 * again by the next check; without any answer what is known stays, and zones that are not known go by their ids.
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
    const answers = await Promise.allSettled(regions.map((region) => listZones(region, clients, signal)));
    const zones = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (zones.length === 0) return;
    writeZoneNames(catalogs.directory, account, zones);
    const isWhole = answers.every((answer) => answer.status === "fulfilled");
    if (!isWhole) utimesSync(path, 0, 0);
  } catch {
    // Regions that cannot be listed (denied, no answer in time) leave zones as they are: the check is about more than their names.
    context.signal.throwIfAborted();
  } finally {
    clients.close();
  }
}
