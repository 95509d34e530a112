import type { BudgetRow } from "../../db/queries/budgets.ts";

/** Whose a cluster is. */
export interface Ownership {
  readonly user_hash: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a budget is about the cluster. */
export function covers(
  { scope, scope_value: value }: Pick<BudgetRow, "scope" | "scope_value">,
  owner: Ownership,
): boolean {
  switch (scope) {
    case "all":
      return true;
    case "user":
      return value === owner.user_name || value === owner.user_hash;
    case "workspace":
      return value === owner.workspace;
    case "label": {
      const [key, wanted] = splitLabel(value);
      return owner.labels[key] === wanted;
    }
  }
}

/** `team=x` → `["team", "x"]`. */
export function splitLabel(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** As people read it: `user alice`, `everything`. */
export function scopeText({ scope, scope_value: value }: Pick<BudgetRow, "scope" | "scope_value">): string {
  return scope === "all" ? "everything" : `${scope} ${value}`;
}
