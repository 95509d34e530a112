import { isDenial, type ServiceFailure } from "../../../shared/sdk-failure.ts";
import { actionOf, bucketArnOf, type ApiCall } from "./api-actions.ts";

/** Which kind of policy refused: it decides what helps. */
export type DenialCause =
  | { readonly kind: "not-allowed"; readonly by: string }
  | { readonly kind: "explicit-deny"; readonly by: string }
  | { readonly kind: "unknown" };

/** A refusal of AWS, in its parts. */
export interface Denial {
  readonly action: string;
  /** ARN; absent when AWS did not say. */
  readonly resource?: string;
  /** ARN of who was refused. */
  readonly principal?: string;
  readonly cause: DenialCause;
  /** To be decoded by `sts:DecodeAuthorizationMessage`. */
  readonly encodedMessage?: string;
}

/** Takes a refusal apart; undefined when the failure is none. */
export function parseDenial(failure: ServiceFailure, call: ApiCall): Denial | undefined {
  if (!isDenial(failure)) return undefined;
  const text = failure.message.replaceAll(/\s+/gu, " ");
  const named = /User: (\S+) is not authorized to perform: ([\w-]+:\w+)(?: on resource: "?([^\s"]+)"?)?/u.exec(text);
  const encoded = /Encoded authorization failure message: ([\w+/=-]+)/u.exec(text)?.[1];
  const resource = named?.[3]?.replace(/[.,]$/u, "") ?? bucketArnOf(call);
  return {
    action: named?.[2] ?? actionOf(call),
    ...(resource === undefined ? {} : { resource }),
    ...(named?.[1] === undefined ? {} : { principal: named[1] }),
    cause: causeOf(text),
    ...(encoded === undefined ? {} : { encodedMessage: encoded }),
  };
}

function causeOf(text: string): DenialCause {
  const denied = /with an explicit deny in an? ([\w -]+?)(?: policy)?(?:$|[.:,]| for | with )/u.exec(text)?.[1];
  if (denied !== undefined) return { kind: "explicit-deny", by: denied };
  const silent = /because no ([\w -]+?)(?: policy)? allows/u.exec(text)?.[1];
  return silent === undefined ? { kind: "unknown" } : { kind: "not-allowed", by: silent };
}

/** Completes a denial with the decoded form of its encoded message. Throws when the text is not what AWS decodes to. */
export function mergeDecoded(denial: Denial, decodedMessage: string): Denial {
  const decoded = asRecord(JSON.parse(decodedMessage));
  const context = asRecord(decoded["context"]);
  const [action, resource] = [context["action"], context["resource"]];
  const principal = asRecord(context["principal"])["arn"];
  return {
    ...denial,
    ...(typeof action === "string" ? { action } : {}),
    ...(typeof resource === "string" ? { resource } : {}),
    ...(typeof principal === "string" ? { principal } : {}),
    ...(decoded["explicitDeny"] === true && denial.cause.kind === "unknown"
      ? { cause: { kind: "explicit-deny", by: deniedBy(decoded) } as const }
      : {}),
  };
}

function deniedBy(decoded: Readonly<Record<string, unknown>>): string {
  const items = asRecord(decoded["matchedStatements"])["items"];
  const first: unknown = Array.isArray(items) ? items[0] : undefined;
  const id = asRecord(first)["statementId"];
  return typeof id === "string" && id !== "" ? `statement ${id}` : "a policy";
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
