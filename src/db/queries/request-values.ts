import type { Kysely, NotNull } from "kysely";
import type { Database } from "../schema.ts";

/** Stores a large result under its hash, once. */
export async function insertRequestValue(
  db: Kysely<Database>,
  value: { readonly hash: string; readonly text: string; readonly createdAt: number },
  options: { /** One that is older counts as new again. */ readonly olderThan: number },
): Promise<void> {
  await db
    .insertInto("request_values")
    .values({ hash: value.hash, value: value.text, created_at: value.createdAt })
    .onConflict((conflict) =>
      conflict
        .column("hash")
        .doUpdateSet({ created_at: value.createdAt })
        .where("request_values.created_at", "<", options.olderThan),
    )
    .execute();
}

export async function findRequestValue(db: Kysely<Database>, hash: string): Promise<string | undefined> {
  const row = await db.selectFrom("request_values").select("value").where("hash", "=", hash).executeTakeFirst();
  return row?.value;
}

/** Deletes the results that no request names. Those written after `before` may belong to a request that is being ended. */
export async function deleteUnusedValues(db: Kysely<Database>, before: number): Promise<void> {
  await db
    .deleteFrom("request_values")
    .where("created_at", "<", before)
    .where("hash", "not in", (query) =>
      query
        .selectFrom("requests")
        .select("return_hash")
        .where("return_hash", "is not", null)
        .$narrowType<{ return_hash: NotNull }>(),
    )
    .execute();
}
