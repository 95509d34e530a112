import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";

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
    const pair = generateKeyPairSync("ed25519");
    const pub = rawPublic(pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    const seed = pair.privateKey.export({ type: "pkcs8", format: "der" }).subarray(-32);
    writeFileAtomic(keyFile, openSshPrivateKey(seed, pub, comment), { mode: 0o600, directoryMode: 0o700 });
    writeFileAtomic(publicFile, `${publicLine(pub, comment)}\n`, { mode: 0o600, directoryMode: 0o700 });
  }
  return readFileSync(publicFile, "utf8").trim();
}

export function removeClusterKey({ keyFile, knownHostsFile }: ClusterSsh): void {
  for (const file of [keyFile, `${keyFile}.pub`, knownHostsFile]) rmSync(file, { force: true });
}

const KIND = "ssh-ed25519";

function rawPublic(privatePem: string | Buffer): Buffer {
  return createPublicKey(privatePem).export({ type: "spki", format: "der" }).subarray(-32);
}

function publicLine(pub: Buffer, comment: string): string {
  return `${KIND} ${publicBlob(pub).toString("base64")} ${comment}`;
}

function publicBlob(pub: Buffer): Buffer {
  return Buffer.concat([field(KIND), field(pub)]);
}

/** https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key; OpenSSH before 9.6 reads Ed25519 keys in no other form. */
function openSshPrivateKey(seed: Buffer, pub: Buffer, comment: string): string {
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    field(KIND),
    field(pub),
    field(Buffer.concat([seed, pub])),
    field(comment),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const count = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    count,
    field(publicBlob(pub)),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString("base64").match(/.{1,70}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
