import { findUser } from "../../db/queries/users.ts";
import type { OperationContext } from "../operation.ts";

export type Role = "admin" | "user" | "viewer";

/**
 * What the caller may do. Whoever the server runs as is an admin; everybody else has `rbac.default_role` of the server's own config file,
 * which is admin where nothing is said.
 */
export async function roleOf({
  caller,
  config,
  db,
}: Pick<OperationContext, "caller" | "config" | "db">): Promise<Role> {
  if ((await findUser(db, caller.userId))?.type === "system") return "admin";
  const rbac = config["rbac"];
  const role: unknown = typeof rbac === "object" && rbac !== null ? Reflect.get(rbac, "default_role") : undefined;
  return role === "user" || role === "viewer" ? role : "admin";
}
