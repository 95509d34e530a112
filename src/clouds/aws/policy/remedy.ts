import { ACTIONS, STATEMENTS, type ActionRow } from "../actions.ts";
import type { Denial } from "./denial.ts";
import { fillResource, narrowStatement, partitionOfArn, type PolicyStatement } from "./document.ts";

/** Whether an IAM pattern (`*`, `?`) matches the whole value; case counts in ARNs, not in actions. */
export function matchesPattern(
  pattern: string,
  value: string,
  options: { readonly ignoreCase?: boolean } = {},
): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, options.ignoreCase === true ? "isu" : "su").test(value);
}

/** The account id in an ARN; undefined where it has none. */
export function accountOf(arn: string | undefined): string | undefined {
  const account = arn?.split(":")[4];
  return account !== undefined && /^\d{12}$/u.test(account) ? account : undefined;
}

/** The row of the table that a refused action and resource belong to. */
export function findRow(action: string, resource: string | undefined, account: string): ActionRow | undefined {
  const rows = ACTIONS.filter((row) => row.action === action && STATEMENTS[row.sid].feature !== "explain");
  if (resource === undefined) return rows.at(-1);
  const place = { account, regions: [], partition: partitionOfArn(resource) };
  return rows.find((row) =>
    row.resources.flatMap((each) => fillResource(each, place)).some((each) => matchesPattern(each, resource)),
  );
}

/** The statement which, added to the principal's policy, allows what was refused. */
export function statementFor(denial: Denial): PolicyStatement {
  const account = accountOf(denial.principal) ?? accountOf(denial.resource) ?? "ACCOUNT";
  const partition = partitionOfArn(denial.principal) ?? partitionOfArn(denial.resource) ?? "aws";
  const found = findRow(denial.action, denial.resource, account);
  if (found !== undefined) {
    return narrowStatement(found.sid, [denial.action], { account, partition, resources: found.resources });
  }
  const name = denial.action.replaceAll(/[^A-Za-z0-9]/gu, "");
  return { Sid: `Allow${name}`, Effect: "Allow", Action: denial.action, Resource: denial.resource ?? "*" };
}

/** Who has to get the statement, in words: `the role Admin`. */
export function describePrincipal(arn: string | undefined): string {
  if (arn === undefined) return "the credentials in use";
  const [kind = "", ...rest] = (arn.split(":").at(5) ?? "").split("/");
  const name = kind === "assumed-role" ? rest[0] : rest.at(-1);
  switch (kind) {
    case "user":
      return `the user ${name ?? ""}`;
    case "role":
    case "assumed-role":
      return `the role ${name ?? ""}`;
    default:
      return kind === "root" ? "the account's root user" : arn;
  }
}

function advice(denial: Denial): string {
  const who = describePrincipal(denial.principal);
  const { cause } = denial;
  if (cause.kind === "explicit-deny") {
    return `It is refused by an explicit deny (${cause.by}): no further statement helps, the deny has to go. Ask whoever manages it.`;
  }
  if (cause.kind === "unknown" || cause.by === "identity-based") return `Add to the policy of ${who}:`;
  if (cause.by === "permissions boundary")
    return `The permissions boundary of ${who} leaves it out. Add to the boundary:`;
  if (cause.by === "session")
    return `The session of ${who} was opened with a policy that leaves it out. It has to allow:`;
  return `A ${cause.by} policy leaves it out; ask whoever manages it to allow:`;
}

/** Says what was refused, to whom and on what; then what to add. */
export function explainDenial(denial: Denial): { readonly message: string; readonly hint: string } {
  const on = denial.resource === undefined ? "" : ` on ${denial.resource}`;
  const message = `AWS refused ${denial.action}${on} to ${denial.principal ?? "the credentials in use"}.`;
  const advised = advice(denial);
  const hint = advised.endsWith(":") ? `${advised}\n  ${JSON.stringify(statementFor(denial))}` : advised;
  return { message, hint };
}
