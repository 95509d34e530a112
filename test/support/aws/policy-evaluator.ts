/** IAM's decision about identity policies, as its documentation has it: a deny beats an allow, silence refuses. */

export interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface AccessQuestion {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Record<string, string>>;
}

export interface Decision {
  readonly decision: "allowed" | "explicitDeny" | "implicitDeny";
  readonly missingContext: readonly string[];
}

/** Decides one question by the statements of a policy. */
export function evaluate(statements: readonly Statement[], question: AccessQuestion): Decision {
  const missing = new Set<string>();
  const matching = statements.filter(
    (each) =>
      [each.Action].flat().some((pattern) => wildcard(pattern, "i").test(question.action)) &&
      [each.Resource].flat().some((pattern) => wildcard(pattern, "").test(question.resource)) &&
      holds(each, question, missing),
  );
  if (matching.some((each) => each.Effect === "Deny")) return { decision: "explicitDeny", missingContext: [] };
  if (matching.some((each) => each.Effect === "Allow")) return { decision: "allowed", missingContext: [] };
  return { decision: "implicitDeny", missingContext: [...missing] };
}

function holds(statement: Statement, question: AccessQuestion, missing: Set<string>): boolean {
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => {
      const value = question.context[key];
      if (value === undefined) {
        missing.add(key);
        return false;
      }
      if (operator === "StringEquals") return [wanted].flat().includes(value);
      if (operator === "StringLike") return [wanted].flat().some((pattern) => wildcard(pattern, "").test(value));
      throw new Error(`The operator ${operator} is not played here.`);
    }),
  );
}

function wildcard(pattern: string, flags: string): RegExp {
  const source = pattern.split("").map((char) => {
    if (char === "*") return ".*";
    return char === "?" ? "." : char.replaceAll(/[^\w]/gu, String.raw`\$&`);
  });
  return new RegExp(`^${source.join("")}$`, `s${flags}`);
}
