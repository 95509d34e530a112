import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { skyPaths, type SkyPaths } from "../platform/paths.ts";
import type { ClusterHandle, ClusterRecord, SshCredentials, SshNode } from "./wire-types.ts";

const INCLUDE_COMMENT = "# Added by SkyPilot for ssh config of all clusters";
const INCLUDE = "Include ~/.sky/generated/ssh/*";

export interface UpdateOptions {
  readonly throughServer: ThroughServer;
  /** Whether the records are all clusters of the user: the files of others are removed then. */
  readonly complete: boolean;
}

/** How ssh reaches nodes through the API server. */
export interface ThroughServer {
  /** Whether this machine has no other way to them. */
  readonly isNeeded: boolean;
  command(cluster: string, node: number): string;
}

/** What an SSH stanza is made of. */
export interface SshTarget {
  readonly name: string;
  readonly handle: ClusterHandle;
  readonly credentials: SshCredentials;
  readonly throughServer: ThroughServer;
}

/** Makes `ssh <cluster>` work for the clusters that are up, and takes away the others. */
export function updateSshConfig(home: string, records: readonly ClusterRecord[], options: UpdateOptions): void {
  const paths = skyPaths(home);
  const kept = new Set<string>();
  for (const record of records) {
    const target = targetOf(record, options.throughServer);
    if (target === undefined) continue;
    kept.add(record.name);
    writeSshTarget(home, target);
  }
  const gone = options.complete
    ? generatedNames(paths).filter((name) => !kept.has(name))
    : records.map((record) => record.name).filter((name) => !kept.has(name));
  for (const name of gone) removeSshTarget(home, name);
}

function targetOf(record: ClusterRecord, throughServer: ThroughServer): SshTarget | undefined {
  const { handle, credentials } = record;
  if (typeof handle !== "object" || handle === null || credentials === null || credentials === undefined) {
    return undefined;
  }
  if (record.status === "STOPPED") return undefined;
  return (handle.stable_internal_external_ips ?? []).length === 0
    ? undefined
    : { name: record.name, handle, credentials, throughServer };
}

/** Writes the stanzas and the key of one cluster. Files that are right already are not touched. */
export function writeSshTarget(home: string, target: SshTarget): void {
  const paths = skyPaths(home);
  const { ssh_private_key_content: key } = target.credentials;
  const keyPath = join(paths.generatedKeys, `${target.name}.key`);
  if (typeof key === "string") writeWhenChanged(keyPath, key.endsWith("\n") ? key : `${key}\n`, 0o600);
  const identity =
    typeof key === "string" ? `~/.sky/generated/ssh-keys/${target.name}.key` : target.credentials.ssh_private_key;
  writeWhenChanged(join(paths.generatedSsh, target.name), renderStanzas(target, identity ?? undefined), 0o644);
  ensureInclude(paths);
}

/** Whether `ssh <cluster>` is there. */
export function hasSshTarget(home: string, name: string): boolean {
  return existsSync(join(skyPaths(home).generatedSsh, name));
}

/** Takes `ssh <cluster>` away. Files that we did not write stay. */
export function removeSshTarget(home: string, name: string): void {
  const paths = skyPaths(home);
  const path = join(paths.generatedSsh, name);
  if (readIfThere(path)?.startsWith("# Added by sky ") !== true) return;
  rmSync(path, { force: true });
  rmSync(join(paths.generatedKeys, `${name}.key`), { force: true });
}

/** The `Host` blocks of a cluster: the head under its name, workers as `<cluster>-worker1` and so on. */
export function renderStanzas(target: SshTarget, identity: string | undefined): string {
  const { name, handle, credentials } = target;
  const docker = credentials.docker_user ?? handle.docker_user;
  const blocks = nodesOf(target).map((node, index) => {
    const proxy = proxyCommand(target, { index, node, identity, docker: docker ?? undefined });
    const lines = [
      `Host ${index === 0 ? name : `${name}-worker${index}`}`,
      `  HostName ${docker ? "localhost" : node.host}`,
      `  User ${docker || node.user}`,
      ...(identity === undefined ? [] : [`  IdentityFile ${identity}`]),
      "  IdentitiesOnly yes",
      "  StrictHostKeyChecking no",
      "  UserKnownHostsFile=/dev/null",
      "  GlobalKnownHostsFile=/dev/null",
      `  Port ${docker ? 10_022 : node.port}`,
      `  SetEnv SKY_CLUSTER_NAME=${handle.cluster_name_on_cloud ?? name}`,
      ...(proxy === undefined ? [] : [`  ProxyCommand ${proxy}`]),
    ];
    return lines.join("\n");
  });
  return `# Added by sky (use \`sky stop/down ${name}\` to remove)\n${blocks.join("\n\n")}\n`;
}

function nodesOf({ handle, credentials }: SshTarget): readonly SshNode[] {
  const user = credentials.ssh_user ?? handle.ssh_user ?? "root";
  const proxy = credentials.ssh_proxy_command ?? null;
  return (handle.stable_internal_external_ips ?? []).map(
    ([internal, external], index) =>
      credentials.ssh_nodes?.[index] ?? {
        host: external || internal,
        port: handle.stable_ssh_ports?.[index] ?? 22,
        user,
        proxy_command: proxy,
      },
  );
}

function proxyCommand(
  target: SshTarget,
  host: { index: number; node: SshNode; identity: string | undefined; docker: string | undefined },
): string | undefined {
  if (target.credentials.ssh_through_server === true || target.throughServer.isNeeded) {
    // ssh takes a percent sign for one of its own words.
    return target.throughServer.command(target.name, host.index).replaceAll("%", "%%");
  }
  const { user, host: address, proxy_command: given } = host.node;
  if (host.docker === undefined || host.docker === "") return given ?? undefined;
  const key = host.identity === undefined ? "" : `-i ${host.identity} `;
  const through = given === null ? "" : `-o ProxyCommand='${given}' `;
  return `ssh ${key}-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes ${through}-W %h:%p ${user}@${address}`;
}

/** ssh reads an `Include` only before the first `Host`, so the line goes to the very top. */
function ensureInclude(paths: SkyPaths): void {
  const config = readIfThere(paths.sshConfig) ?? "";
  const head = config.split(/^\s*(?:Host|Match)\s/im, 1)[0] ?? "";
  if (head.includes(INCLUDE)) return;
  mkdirSync(join(paths.home, ".ssh"), { recursive: true, mode: 0o700 });
  const rest = config === "" ? "" : `\n${config}`;
  // The file may be a link into the user's dot files, and its permissions are the user's choice.
  const path = existsSync(paths.sshConfig) ? realpathSync(paths.sshConfig) : paths.sshConfig;
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o644;
  writeFileAtomic(path, `${INCLUDE_COMMENT}\n${INCLUDE}\n${rest}`, { mode });
}

function generatedNames(paths: SkyPaths): readonly string[] {
  return existsSync(paths.generatedSsh) ? readdirSync(paths.generatedSsh).filter((name) => !name.endsWith(".tmp")) : [];
}

function writeWhenChanged(path: string, content: string, mode: number): void {
  if (readIfThere(path) === content) return;
  writeFileAtomic(path, content, { mode, directoryMode: 0o700 });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
