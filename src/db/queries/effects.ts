import type { Kysely, Selectable } from "kysely";
import type { Database, EffectsTable } from "../schema.ts";

export type EffectRow = Selectable<EffectsTable>;

export async function findEffect(
  db: Kysely<Database>,
  requestId: string,
  options: { readonly name: string },
): Promise<EffectRow | undefined> {
  return db
    .selectFrom("effects")
    .selectAll()
    .where("request_id", "=", requestId)
    .where("name", "=", options.name)
    .executeTakeFirst();
}

/**
 * Writes that an effect is about to be tried. False when the request's lease is not `leaseToken` any more: another server has
 * taken the request over, so the caller must not act.
 */
export async function recordIntent(
  db: Kysely<Database>,
  intent: { readonly requestId: string; readonly name: string; readonly token: string; readonly startedAt: number },
  options: { readonly leaseToken: number },
): Promise<boolean> {
  const result = await db
    .insertInto("effects")
    .columns(["request_id", "name", "token", "state", "started_at"])
    .expression((expression) =>
      expression
        .selectFrom("requests")
        .select((row) => [
          "requests.request_id",
          row.val(intent.name).as("name"),
          row.val(intent.token).as("token"),
          row.val("intent").as("state"),
          row.cast<number>(row.val(intent.startedAt), "bigint").as("started_at"),
        ])
        .where("requests.request_id", "=", intent.requestId)
        .where("requests.lease_token", "=", options.leaseToken),
    )
    .onConflict((conflict) => conflict.columns(["request_id", "name"]).doUpdateSet({ state: "intent" }))
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

export async function recordResult(
  db: Kysely<Database>,
  requestId: string,
  options: { readonly name: string; readonly result: string | null; readonly finishedAt: number },
): Promise<void> {
  await db
    .updateTable("effects")
    .set({ state: "done", result: options.result, finished_at: options.finishedAt })
    .where("request_id", "=", requestId)
    .where("name", "=", options.name)
    .execute();
}
