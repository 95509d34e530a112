/** Who may set, see and delete whose budgets. */

import type { BudgetRow } from "../../db/queries/budgets.ts";
import { PermissionDeniedError } from "../../shared/errors.ts";
import type { Caller, OperationContext } from "../operation.ts";
import { roleOf } from "../users/role.ts";
import { scopeText } from "./scope.ts";

type Scope = Pick<BudgetRow, "scope" | "scope_value">;

const HINT = "To limit yourself: sky budget set NAME --limit USD. Everything else is for admins.";

/**
 * Throws PermissionDeniedError. Admins may do everything; a user may limit their own clusters, but not change what somebody else has
 * set for them, since that may be what holds them back; a viewer changes nothing.
 */
export async function assertMayChange(
  budget: { readonly before: BudgetRow | undefined; readonly after: Scope | undefined },
  context: OperationContext,
): Promise<void> {
  const role = await roleOf(context);
  if (role === "admin") return;
  const { before, after } = budget;
  const { caller } = context;
  if (role === "viewer") throw denied("A viewer may not change budgets.");
  if (before !== undefined && before.created_by !== caller.userName) {
    throw denied(`Budget '${before.name}' was set by ${before.created_by}; only they and admins may change it.`);
  }
  const foreign = [before, after].find((one) => one !== undefined && !isAbout(one, caller));
  if (foreign !== undefined) throw denied(`Only admins may set a budget of ${scopeText(foreign)}.`);
}

/** Which budgets the caller may see: other users' own are theirs and the admins'. */
export async function budgetsSeenBy(context: OperationContext): Promise<(budget: Scope) => boolean> {
  const role = await roleOf(context);
  return (budget) => role === "admin" || budget.scope !== "user" || isAbout(budget, context.caller);
}

function isAbout({ scope, scope_value: value }: Scope, { userId, userName }: Caller): boolean {
  return scope === "user" && (value === userName || value === userId);
}

function denied(message: string): PermissionDeniedError {
  return new PermissionDeniedError(message, { hint: HINT });
}
