import { createHash, createPrivateKey, createPublicKey } from "node:crypto";

const KIND = "ssh-ed25519";

/** An Ed25519 key as OpenSSH's programs read it. */
export interface OpenSshKey {
  /** Text of the private file; secret. */
  readonly privateKey: string;
  /** Line of `authorized_keys`, without an end of line. */
  readonly publicKey: string;
}

/** What comes before the 32 bytes of the seed in PKCS #8. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** The key of a seed of 32 bytes: the same seed gives the same key. */
export function ed25519Key(seed: Uint8Array, comment: string): OpenSshKey {
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
  const pub = createPublicKey(secret).export({ type: "spki", format: "der" }).subarray(-32);
  return { privateKey: openSshPrivateKey(Buffer.from(seed), pub, comment), publicKey: publicLine(pub, comment) };
}

function publicLine(pub: Buffer, comment: string): string {
  return `${KIND} ${publicBlob(pub).toString("base64")} ${comment}`;
}

function publicBlob(pub: Buffer): Buffer {
  return Buffer.concat([field(KIND), field(pub)]);
}

/** https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key; OpenSSH before 9.6 reads Ed25519 keys in no other form. */
function openSshPrivateKey(seed: Buffer, pub: Buffer, comment: string): string {
  // It only has to stand there twice; taken from the key, the same key gives the same file.
  const check = createHash("sha256").update(pub).digest().subarray(0, 4);
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
