import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ContainerSpec, RegistryLogin } from "../../shared/agent/protocol.ts";
import { lastLine, runCommand, type ContainerEngine, type EngineAnswer } from "./engine.ts";

/**
 * Asked by the engine for a registry's login (the protocol of credential helpers: the registry on stdin, JSON on stdout). The login is in
 * the environment of the pull alone, so that it is neither on a disk nor among anybody's arguments.
 */
const HELPER = `#!/bin/sh
read -r _
[ "$1" = get ] || exit 0
printf '%s\\n' "$SKYPILOT_REGISTRY_LOGIN"
`;
const HELPER_NAME = "skypilot-login";

/** Runs a pull with a login that comes on stdin. Arguments: folder of the helper, program, its arguments. */
const WITH_LOGIN = `IFS= read -r SKYPILOT_REGISTRY_LOGIN || exit 1
export SKYPILOT_REGISTRY_LOGIN
folder=$1; shift
PATH="$folder:$PATH" DOCKER_CONFIG="$folder" REGISTRY_AUTH_FILE="$folder/config.json" exec "$@" </dev/null`;

export interface PullTools {
  readonly engine: ContainerEngine;
  readonly env: Readonly<Record<string, string>>;
  /** A directory of the agent's own. */
  readonly scratch: string;
}

/** The image with the login's registry in front of it, as docker writes it. */
export function fullImageName({ image, login }: ContainerSpec): string {
  const server = login?.server.replace(/^https?:\/\//, "").replace(/\/+$/, "") ?? "";
  if (server === "" || image.startsWith(`${server}/`)) return image;
  // Docker Hub is every image's registry that names none.
  return /^(index\.)?docker\.io(\/|$)/.test(server) ? image : `${server}/${image}`;
}

/** Whether the registry may hold a newer image under the same name. */
function isMoving(image: string): boolean {
  const name = image.split("/").at(-1) ?? "";
  if (image.startsWith("localhost/") || name.includes("@")) return false;
  return !name.includes(":") || name.endsWith(":latest");
}

/**
 * Makes sure that the image is on this machine: once, and again for `latest`, which moves; when that fails the one that is there serves.
 * Throws CONTAINER_FAILED with the registry's reason.
 */
export async function ensureImage(spec: ContainerSpec, tools: PullTools): Promise<string> {
  const image = fullImageName(spec);
  const { engine, env } = tools;
  const isThere = (await runCommand([...engine.command, "image", "inspect", image], { env })).code === 0;
  if (isThere && !isMoving(image)) return image;
  const answer = await pull(image, spec.login, tools);
  if (answer.code !== 0 && !isThere) throw pullFailed(image, spec.login, answer);
  return image;
}

async function pull(image: string, login: RegistryLogin | undefined, tools: PullTools): Promise<EngineAnswer> {
  const { engine, env, scratch } = tools;
  const command = [...engine.command, "pull", image];
  if (login === undefined) return runCommand(command, { env });
  const folder = mkdtempSync(join(scratch, "login-"));
  try {
    const config = JSON.stringify({ credHelpers: { [registryOf(image)]: HELPER_NAME } });
    writeFileSync(join(folder, "config.json"), config, { mode: 0o600 });
    writeFileSync(join(folder, `docker-credential-${HELPER_NAME}`), HELPER, { mode: 0o700 });
    const { server, username, password } = login;
    const stdin = `${JSON.stringify({ ServerURL: server, Username: username, Secret: password })}\n`;
    return await runCommand(withLogin(command, folder), { env, stdin });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** sudo clears the environment, so the shell that sets it runs on the far side. */
function withLogin(command: readonly string[], folder: string): readonly string[] {
  const shell = ["/bin/sh", "-c", WITH_LOGIN, "pull", folder];
  return command[0] === "sudo" ? ["sudo", "-n", ...shell, ...command.slice(2)] : [...shell, ...command];
}

/** The key under which engines look for an image's login. */
function registryOf(image: string): string {
  const first = image.split("/")[0] ?? "";
  const isHost = image.includes("/") && (/[.:]/.test(first) || first === "localhost");
  return isHost ? first : "https://index.docker.io/v1/";
}

function pullFailed(image: string, login: RegistryLogin | undefined, answer: EngineAnswer): AgentPeerError {
  const reason = lastLine(answer.stderr) || lastLine(answer.stdout) || `exit code ${answer.code}`;
  const isRefused = /unauthori[sz]ed|not authorized|authentication required|denied|forbidden|invalid username/i.test(
    answer.stderr,
  );
  const loginHint =
    login === undefined
      ? "Set SKYPILOT_DOCKER_USERNAME, SKYPILOT_DOCKER_PASSWORD and SKYPILOT_DOCKER_SERVER in the task's secrets."
      : (login.hintWhenRefused ??
        `The registry ${login.server} refused the login of ${login.username}: check SKYPILOT_DOCKER_USERNAME and SKYPILOT_DOCKER_PASSWORD.`);
  return new AgentPeerError("CONTAINER_FAILED", `The image ${image} cannot be pulled: ${reason}`, {
    hint: isRefused ? loginHint : "Check the image's name and tag, and that the node reaches the registry.",
  });
}
