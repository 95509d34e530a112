import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

/** What an agent has written down of the container of its node (`<agent root>/container.json`). */
export interface ContainerRecord {
  readonly name: string;
  /** How the engine is called, e.g. `["podman"]`. */
  readonly engine: readonly string[];
}

const REMOVE_TIMEOUT_MS = 60_000;

const SETTINGS = [
  "PATH",
  "LANG",
  "TMPDIR",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "DOCKER_CONFIG",
  "DOCKER_TLS_VERIFY",
  "DOCKER_CERT_PATH",
  "CONTAINER_HOST",
  "CONTAINERS_CONF",
  "CONTAINERS_STORAGE_CONF",
  "CONTAINERS_REGISTRIES_CONF",
  "REGISTRY_AUTH_FILE",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
];

/**
 * The environment of engine commands: how to find the engine, and the HOME of the machine's user, where the engine keeps images and the
 * user's own registry logins. A node's HOME may be another one.
 */
export function engineEnvironment(agentEnv: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = { HOME: userInfo().homedir };
  for (const name of SETTINGS) {
    const value = agentEnv[name];
    if (value !== undefined) env[name] = value;
  }
  env["PATH"] ??= "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return env;
}

/** The container of a node; undefined when it never had one. */
export function readContainerRecord(agentRoot: string): ContainerRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(agentRoot, "container.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const record = JSON.parse(text) as Partial<ContainerRecord>;
  const { name, engine } = record;
  return typeof name === "string" && Array.isArray(engine) ? { name, engine } : undefined;
}

/** Removes the container of a node whose agent does not run any more. Answers with the reason when that fails. */
export function removeContainer(
  record: ContainerRecord,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const [program = "", ...args] = record.engine;
  return new Promise((resolve) => {
    execFile(
      program,
      [...args, "rm", "--force", "--volumes", record.name],
      { env, timeout: REMOVE_TIMEOUT_MS },
      (error, _stdout, stderr) => {
        const isGone = error === null || /no such container|no container with name/i.test(stderr);
        resolve(isGone ? undefined : stderr.trim() || error.message);
      },
    );
  });
}
