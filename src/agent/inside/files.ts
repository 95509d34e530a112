import { accessSync, constants, existsSync, mkdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { shellQuote } from "../../shared/shell-quote.ts";
import type { InsideIdentity } from "./identity.ts";

/** A node as the others log in to it. */
export interface InsideNode {
  readonly index: number;
  readonly ip: string;
  /** Account of its tasks; absent from nodes of older releases. */
  readonly user?: string;
  readonly hostname?: string;
}

export interface InsideOptions {
  /** Directory of the agent. */
  readonly root: string;
  readonly clusterName: string;
  readonly identity: InsideIdentity;
  /** Command that runs this agent's program. */
  readonly program: readonly string[];
  /** PATH of the tasks. */
  readonly path: string;
}

/** Programs that take their configuration by `-F`. */
const PROGRAMS = ["ssh", "scp", "sftp"] as const;
const ALIAS = "skypilot-cluster";

/** Folder that goes before PATH of the cluster's tasks. */
export function insideBin(root: string): string {
  return join(root, "inside", "bin");
}

/** Where the `ssh` of tasks looks for the nodes of its cluster. The account's own files are left alone. */
export function writeInsideFiles(nodes: readonly InsideNode[], options: InsideOptions): void {
  const { root, identity, path } = options;
  const directory = join(root, "inside");
  mkdirSync(insideBin(root), { recursive: true, mode: 0o700 });
  writeIfChanged(join(directory, "key"), identity.login.privateKey, 0o600);
  writeIfChanged(join(directory, "known_hosts"), `${ALIAS} ${identity.host.publicKey}\n`, 0o600);
  writeIfChanged(join(directory, "config"), renderConfig(nodes, options), 0o600);
  for (const name of PROGRAMS) {
    const program = findProgram(name, path);
    if (program === undefined) continue;
    const script = `#!/bin/sh\nexec ${shellQuote(program)} -F ${shellQuote(join(directory, "config"))} "$@"\n`;
    writeIfChanged(join(insideBin(root), name), script, 0o700);
  }
}

function renderConfig(nodes: readonly InsideNode[], options: InsideOptions): string {
  // ssh takes a percent sign for one of its own words.
  const literal = (text: string): string => text.replaceAll("%", "%%");
  const directory = literal(join(options.root, "inside"));
  const blocks = nodes.map((node) => {
    const { index, user } = node;
    const dial = [...options.program, "inside", "--root", options.root, "--node", String(index)];
    return [
      `Host ${namesOf(node, nodes, options.clusterName).join(" ")}`,
      `  HostKeyAlias ${ALIAS}`,
      ...(user === undefined ? [] : [`  User ${user}`]),
      `  IdentityFile "${directory}/key"`,
      "  IdentitiesOnly yes",
      "  IdentityAgent none",
      "  ForwardAgent no",
      "  ForwardX11 no",
      "  ControlPath none",
      "  StrictHostKeyChecking yes",
      `  UserKnownHostsFile "${directory}/known_hosts"`,
      "  GlobalKnownHostsFile /dev/null",
      "  LogLevel ERROR",
      `  ProxyCommand ${literal(dial.map(shellQuote).join(" "))}`,
    ].join("\n");
  });
  // Every other host is reached as the account's configuration says.
  return `${blocks.join("\n\n")}\n\nHost *\nInclude ~/.ssh/config\nInclude /etc/ssh/ssh_config\n`;
}

function namesOf(node: InsideNode, nodes: readonly InsideNode[], clusterName: string): readonly string[] {
  const { index, ip, hostname } = node;
  const name = index === 0 ? clusterName : `${clusterName}-worker${index}`;
  const isTelling =
    hostname !== undefined &&
    /^[\w.-]+$/.test(hostname) &&
    hostname !== "localhost" &&
    nodes.filter((other) => other.hostname === hostname).length === 1;
  return [...new Set([ip, name, ...(isTelling ? [hostname] : [])])];
}

function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function writeIfChanged(path: string, text: string, mode: number): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileAtomic(path, text, { mode });
}
