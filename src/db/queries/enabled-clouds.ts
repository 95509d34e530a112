import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/** Cloud → capabilities that were on when it was last checked. A cloud that was never checked is absent. */
export type StoredClouds = Readonly<Record<string, readonly string[]>>;

const PREFIX = "enabled_clouds/";

export async function readEnabledClouds(db: Kysely<Database>, workspace: string): Promise<StoredClouds> {
  const row = await db
    .selectFrom("system_config")
    .select("config_value")
    .where("config_key", "=", PREFIX + workspace)
    .executeTakeFirst();
  return row === undefined ? {} : (JSON.parse(row.config_value) as StoredClouds);
}

/** Replaces what is known of the named clouds, and leaves the others as they are. */
export async function storeEnabledClouds(
  db: Kysely<Database>,
  workspace: string,
  checked: { readonly clouds: StoredClouds; readonly atMs: number },
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const clouds = { ...(await readEnabledClouds(transaction, workspace)), ...checked.clouds };
    const value = { config_value: JSON.stringify(clouds), updated_at: checked.atMs };
    await transaction
      .insertInto("system_config")
      .values({ config_key: PREFIX + workspace, ...value })
      .onConflict((conflict) => conflict.column("config_key").doUpdateSet(value))
      .execute();
  });
}
