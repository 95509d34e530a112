/** The registry login that a task carries in its envs or secrets. */

import { InvalidValueError } from "../../shared/errors.ts";
import type { Secret } from "../../shared/secret.ts";
import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { dockerImageOf } from "../resources/image.ts";
import type { DockerLogin, ResourceChoice } from "../resources/resources.ts";

const NAMES = ["SKYPILOT_DOCKER_USERNAME", "SKYPILOT_DOCKER_PASSWORD", "SKYPILOT_DOCKER_SERVER"] as const;

/** The login, when all its parts are there; undefined when there is none. @throws InvalidValueError for a part of one */
export function dockerLoginOf(
  envs: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, Secret>>,
): DockerLogin | undefined {
  const inEnvs = NAMES.filter((name) => Object.hasOwn(envs, name));
  const inSecrets = NAMES.filter((name) => Object.hasOwn(secrets, name));
  if (inEnvs.length === 0 && inSecrets.length === 0) return undefined;
  if (inSecrets.length === NAMES.length) return loginOf((name) => secrets[name]?.reveal());
  if (inEnvs.length === NAMES.length) return loginOf((name) => envs[name]);
  if (inEnvs.length > 0 && inSecrets.length > 0)
    throw new InvalidValueError(
      "Docker login variables must be specified together either in envs OR secrets, not split across both. " +
        `Found in envs: ${list(inEnvs)}, Found in secrets: ${list(inSecrets)}`,
    );
  const where = inEnvs.length > 0 ? "envs" : "secrets";
  const found: readonly string[] = inEnvs.length > 0 ? inEnvs : inSecrets;
  throw new InvalidValueError(
    `Docker login variables must be specified together in ${where}. ` +
      `Missing from ${where}: ${list(NAMES.filter((name) => !found.includes(name)))}`,
  );
}

function list(names: readonly string[]): string {
  return pyRepr(nodeOf(names));
}

function loginOf(read: (name: string) => string | undefined): DockerLogin {
  const [username, password, server] = NAMES.map((name) => read(name) ?? "");
  return { username: username ?? "", password: password ?? "", server: server ?? "" };
}

/** Gives the login to every candidate that runs in a container; says so when none does. */
export function withDockerLogin(
  choice: ResourceChoice,
  login: DockerLogin | undefined,
  warn?: (message: string) => void,
): ResourceChoice {
  if (login === undefined) return choice;
  if (!choice.candidates.some((candidate) => dockerImageOf(candidate) !== undefined)) {
    warn?.(
      `Docker login configs ${NAMES.join(", ")} are provided, but no docker image is specified in \`image_id\`. ` +
        "The login configs will be ignored.",
    );
    return choice;
  }
  const candidates = choice.candidates.map((candidate) =>
    dockerImageOf(candidate) === undefined ? candidate : Object.freeze({ ...candidate, dockerLogin: login }),
  );
  return Object.freeze({ ...choice, candidates });
}
