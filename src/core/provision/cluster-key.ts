import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { ed25519Key } from "../../platform/openssh-key.ts";

/** Files with which a cluster's nodes are reached by SSH. */
export interface ClusterSsh {
  /** Private key (0600), in OpenSSH's format. */
  readonly keyFile: string;
  readonly knownHostsFile: string;
}

/** They lie beside the cluster's secret. */
export function clusterSsh(secretPath: string): ClusterSsh {
  const base = secretPath.replace(/\.json$/, "");
  return { keyFile: `${base}.key`, knownHostsFile: `${base}.known_hosts` };
}

/** The public part of the cluster's own Ed25519 key, as a line of `authorized_keys`; the pair is made on the first call. */
export function ensureClusterKey({ keyFile }: ClusterSsh, comment: string): string {
  const publicFile = `${keyFile}.pub`;
  if (!existsSync(keyFile) || !existsSync(publicFile)) {
    mkdirSync(dirname(keyFile), { recursive: true, mode: 0o700 });
    const key = ed25519Key(randomBytes(32), comment);
    writeFileAtomic(keyFile, key.privateKey, { mode: 0o600, directoryMode: 0o700 });
    writeFileAtomic(publicFile, `${key.publicKey}\n`, { mode: 0o600, directoryMode: 0o700 });
  }
  return readFileSync(publicFile, "utf8").trim();
}

export function removeClusterKey({ keyFile, knownHostsFile }: ClusterSsh): void {
  for (const file of [keyFile, `${keyFile}.pub`, knownHostsFile]) rmSync(file, { force: true });
}
