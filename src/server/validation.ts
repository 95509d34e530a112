import type { z } from "zod";
import { SkyError } from "../shared/errors.ts";

export interface ValidationIssue {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
}

/** A body or query breaks its schema: 422, with places and reasons but never a value of the input. */
export class InvalidRequestError extends SkyError {
  readonly code = "INVALID_REQUEST";
  override readonly wireName = "ValueError";
  override readonly status = 422;
  readonly issues: readonly ValidationIssue[];

  constructor(issues: readonly ValidationIssue[]) {
    super(issues.map((issue) => `${issue.loc.join(".")}: ${issue.msg}`).join("; "));
    this.issues = issues;
  }
}

/** Checks input against a schema. Throws InvalidRequestError. */
export function parseInput<S extends z.ZodType>(
  schema: S,
  input: unknown,
  options: { readonly where: "body" | "query" },
): z.infer<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new InvalidRequestError(
    result.error.issues.map((issue) => ({
      type: issue.code,
      loc: [options.where, ...issue.path.map((key) => (typeof key === "symbol" ? String(key) : key))],
      msg: messageOf(issue),
    })),
  );
}

/** zod's own messages for keys of a strict object and for literals quote the input; these do not. */
function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.message.endsWith("received undefined") ? "Field required" : `Expected ${issue.expected}`;
    case "invalid_value":
      return `Expected one of ${issue.values.map((value) => JSON.stringify(String(value))).join(", ")}`;
    case "too_big":
    case "too_small":
    case "invalid_format":
    case "not_multiple_of":
    case "custom":
      return issue.message;
    case "unrecognized_keys":
      return "Unknown keys";
    case "invalid_union":
      return "No allowed form fits";
    case "invalid_key":
    case "invalid_element":
      return "Invalid entry";
    default:
      return "Invalid value";
  }
}
