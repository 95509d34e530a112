import type { SkyClient } from "../../client/sky-client.ts";
import { InvalidValueError, SkyError, UsageError } from "../../shared/errors.ts";
import { matchesGlob } from "../../shared/glob.ts";
import type { Context } from "../context.ts";
import { followUnlessAsync, waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { renderStorage } from "../render/storage.ts";
import { printJson } from "../render/json.ts";
import { isGlob } from "./cluster-names.ts";
import type { storageDeleteSpec, storageLsSpec } from "../specs/infra.ts";

/** `sky storage ls`: the buckets that SkyPilot made. */
export async function runStorageLs({ options }: Input<typeof storageLsSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const records = await waitFor(ctx, client.storage.ls({ signal: ctx.signal }));
  if (options.outputFormat === "json") {
    printJson(ctx.out, records);
    return;
  }
  const { verbose } = options;
  const table = renderStorage(records, { isWhole: verbose, now: ctx.clock.now() / 1000 });
  ctx.out.write(`${table === "" ? "No existing storage." : table}\n`);
}

/** `sky storage delete`: removes buckets with everything in them. Exit code 1 when a name does not exist, or one cannot be deleted. */
export async function runStorageDelete(
  { args, options }: Input<typeof storageDeleteSpec>,
  ctx: Context,
): Promise<number> {
  if (options.all === args.names.length > 0) throw new UsageError("Either --all or a name must be specified.");
  const client = await ctx.openClient({ config: options.config });
  const names = await selectStorage(args.names, client, ctx);
  if (names.length === 0) {
    ctx.out.write("No storage(s) to delete.\n");
    return 0;
  }
  const noun = `storage${names.length === 1 ? "" : "s"}`;
  if (!options.yes) await ctx.confirm(`Deleting ${names.length} ${noun}: ${names.join(", ")}. Proceed?`);
  const isOnly = names.length === 1;
  // All at once: a large bucket takes its time, and one that cannot be deleted does not keep the others.
  const requests = names.map((name) => ({
    name,
    request: client.storage.delete(name, { force: options.force, signal: ctx.signal }),
  }));
  let exitCode = 0;
  for (const { name, request } of requests) {
    try {
      await followUnlessAsync(ctx, request, options.asyncCall);
    } catch (error) {
      if (isOnly || ctx.signal.aborted || !(error instanceof SkyError)) throw error;
      const hint = error.hint === undefined ? "" : `  hint: ${error.hint}\n`;
      ctx.err.write(`Error deleting storage ${name}: ${error.message}\n${hint}`);
      exitCode = 1;
    }
  }
  return exitCode;
}

/** All of them without `patterns`. A name that does not exist is an error before anything is deleted. */
async function selectStorage(patterns: readonly string[], client: SkyClient, ctx: Context): Promise<readonly string[]> {
  const records = await waitFor(ctx, client.storage.ls({ signal: ctx.signal }));
  const there = records.map((record) => record.name);
  if (patterns.length === 0) return there;
  const chosen = there.filter((name) => patterns.some((pattern) => matchesGlob(pattern, name)));
  const missing = patterns.filter((pattern) => !there.some((name) => matchesGlob(pattern, name)));
  const names = missing.filter((pattern) => !isGlob(pattern));
  if (names.length > 0)
    throw new InvalidValueError(`Storage ${names.join(", ")} not found.`, { hint: "sky storage ls" });
  for (const pattern of missing) ctx.err.write(`Storage ${pattern} not found.\n`);
  return chosen;
}
