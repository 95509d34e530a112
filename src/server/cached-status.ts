import type { StatusRecord } from "../core/clusters/record.ts";
import type { OperationContext } from "../core/operation.ts";
import { readClustersVersion } from "../db/queries/table-versions.ts";
import { JsonText } from "../shared/json-text.ts";
import type { StatusBody } from "../shared/wire/status.ts";
import type { AnyOperation } from "./requests/types.ts";

const KEPT = 8;

interface Kept {
  readonly version: number;
  readonly result: JsonText;
}

/**
 * `status` with its answers kept until a cluster changes. A dashboard or a script that asks again and again then costs one small
 * query. Only questions that look at nothing but the table are kept: no refresh, no names (which may have to be reported missing).
 */
export function cachedStatus(status: AnyOperation): AnyOperation {
  const kept = new Map<string, Kept>();
  return {
    ...status,
    isReadOnly: true,
    run: async (body: never, context) => {
      const key = cacheKey(body, context);
      if (key === undefined) return toText(await status.run(body, context));
      // Read before the rows: an answer may be newer than its version, never older.
      const version = await readClustersVersion(context.db);
      const known = kept.get(key);
      if (known?.version === version) return known.result;
      const result = toText(await status.run(body, context));
      kept.delete(key);
      kept.set(key, { version, result });
      const oldest = kept.keys().next();
      if (kept.size > KEPT && !oldest.done) kept.delete(oldest.value);
      return result;
    },
  };
}

/** Credentials of a cluster have its private key in them. */
function toText(records: unknown): JsonText {
  const isSecret = (records as readonly StatusRecord[]).some((record) => record.credentials !== undefined);
  return new JsonText(JSON.stringify(records), { isSecret });
}

function cacheKey(body: StatusBody, context: OperationContext): string | undefined {
  // What clusters have cost grows all the time.
  if (body.refresh !== "NONE" || body.cluster_names !== undefined || body.include_costs) return undefined;
  return JSON.stringify([
    context.caller,
    body.all_users,
    body.include_credentials,
    body.summary_response,
    body.include_handle,
  ]);
}
