import type { Kysely, Selectable } from "kysely";
import type { Database, UsersTable } from "../schema.ts";

export type UserRow = Selectable<UsersTable>;

/** Adds the user, or renames it when the id is known under another name. */
export async function upsertUser(
  db: Kysely<Database>,
  user: { readonly id: string; readonly name: string; readonly type: string; readonly createdAt: number },
): Promise<void> {
  await db
    .insertInto("users")
    .values({ id: user.id, name: user.name, type: user.type, created_at: user.createdAt, preferred_workspace: null })
    .onConflict((conflict) => conflict.column("id").doUpdateSet({ name: user.name }))
    .execute();
}

export async function listUsers(db: Kysely<Database>): Promise<UserRow[]> {
  return db.selectFrom("users").selectAll().orderBy("created_at").orderBy("id").execute();
}

export async function findUser(db: Kysely<Database>, id: string): Promise<UserRow | undefined> {
  return db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function setPreferredWorkspace(
  db: Kysely<Database>,
  id: string,
  options: { readonly workspace: string | null },
): Promise<void> {
  await db.updateTable("users").set({ preferred_workspace: options.workspace }).where("id", "=", id).execute();
}
