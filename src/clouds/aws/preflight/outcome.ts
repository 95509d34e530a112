import { SkyError } from "../../../shared/errors.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import type { Denial } from "../policy/denial.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";

/** What one trial showed about an action. `open` = nothing. */
export type Outcome =
  | { readonly kind: "allowed"; readonly via: Evidence }
  | { readonly kind: "denied"; readonly via: Evidence; readonly denial: Denial; readonly isOnStandIn: boolean }
  | { readonly kind: "open"; readonly why: string };

export type Evidence = "call" | "dry-run" | "simulator";

/** Errors that AWS gives only to those who may make the call. */
const AFTER_PERMISSION: ReadonlySet<string> = new Set([
  "NoSuchEntity",
  "NoSuchEntityException",
  "NoSuchKey",
  "NoSuchResourceException",
  "NotFound",
]);

/** Reads the result of a call that only reads. */
export async function tryCall(call: () => Promise<unknown>): Promise<Outcome> {
  try {
    await call();
    return { kind: "allowed", via: "call" };
  } catch (error) {
    if (AFTER_PERMISSION.has(failureOf(error)?.name ?? "")) return { kind: "allowed", via: "call" };
    return refusalOf(error, "call", false);
  }
}

/**
 * Reads the answer to a call with `DryRun`. On a stand-in, an id that does not exist, a refusal may come from a policy that allows
 * the action by tags, so it is weaker than on a resource that exists.
 */
export async function tryDry(
  call: () => Promise<unknown>,
  options: { readonly isOnStandIn?: boolean } = {},
): Promise<Outcome> {
  try {
    await call();
    return { kind: "open", why: "the answer to the dry run was none of EC2's" };
  } catch (error) {
    if (failureOf(error)?.name === "DryRunOperation") return { kind: "allowed", via: "dry-run" };
    return refusalOf(error, "dry-run", options.isOnStandIn ?? false);
  }
}

function refusalOf(error: unknown, via: Evidence, isOnStandIn: boolean): Outcome {
  if (error instanceof AwsDeniedError) return { kind: "denied", via, denial: error.denial, isOnStandIn };
  const failure = failureOf(error);
  // Any other error of ours is about the credentials: it concerns every call, and the user has to repair it.
  if (failure === undefined || error instanceof SkyError) throw error;
  const text = failure.message === "" ? failure.name : `${failure.name}: ${failure.message}`;
  return { kind: "open", why: text.split("\n", 1)[0] ?? failure.name };
}

/**
 * What an outcome says about one row: a refusal of another action, which AWS names first when one call needs several, or of another
 * kind of resource, says nothing.
 */
export function outcomeFor(id: string, outcome: Outcome): Outcome {
  const action = id.split("/", 1)[0] ?? id;
  if (outcome.kind !== "denied") return outcome;
  if (outcome.denial.action === action && concerns(outcome.denial.resource, id)) return outcome;
  return { kind: "open", why: `the trial ended at ${outcome.denial.action}, which was refused first` };
}

function concerns(resource: string | undefined, id: string): boolean {
  const isImage = resource?.includes(":image/") ?? false;
  if (id === "ec2:RunInstances/image") return isImage;
  return id !== "ec2:RunInstances" || !isImage;
}
