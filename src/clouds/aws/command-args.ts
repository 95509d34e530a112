import type { CloudContext } from "../../core/ports/cloud.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { isObject, type JsonObject } from "./auth/json.ts";
import type { CallerIdentity } from "./auth/sts.ts";
import type { AwsSession } from "./clients.ts";

/** Opens the credentials of a request; `AwsAuth.open` has this form. */
export type OpenSession = (
  context: CloudContext,
  options?: { readonly profile?: string },
) => {
  readonly session: AwsSession;
  identity(): Promise<CallerIdentity>;
};

/** A list of texts in the arguments of a command; [] when it is absent. Throws InvalidValueError for anything else. */
export function textsField(args: JsonObject, name: string): readonly string[] {
  const value = args[name];
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw new InvalidValueError(`'${name}' must be a list of texts.`);
}

/** The documents of a task file in the arguments of a command (`task`); undefined when none was given. */
export function taskField(args: JsonObject): readonly JsonObject[] | undefined {
  const value = args["task"];
  if (value === undefined || value === null) return undefined;
  const documents = [value].flat();
  if (documents.every(isObject)) return documents;
  throw new InvalidValueError("'task' must be a task or a list of tasks.");
}

/** The `aws` section of a request's config, with what its workspace says. */
export function awsConfig(context: Pick<CloudContext, "config" | "workspace">): JsonObject {
  const general = context.config["aws"];
  const workspaces = context.config["workspaces"];
  const workspace = isObject(workspaces) ? workspaces[context.workspace] : undefined;
  const own = isObject(workspace) ? workspace["aws"] : undefined;
  return { ...(isObject(general) ? general : {}), ...(isObject(own) ? own : {}) };
}

/** A setting that may be one name or a list of names. */
export function namesField(section: JsonObject, ...keys: readonly string[]): readonly string[] {
  for (const key of keys) {
    const value = section[key];
    if (typeof value === "string" && value !== "") return [value];
    if (Array.isArray(value)) return value.filter((each) => typeof each === "string");
  }
  return [];
}
