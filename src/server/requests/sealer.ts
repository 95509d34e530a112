import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { OperationFailedError } from "../../shared/errors.ts";

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Seals request bodies for the database with AES-256-GCM; the request's id is bound to the text. */
export class Sealer {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    if (key.length !== KEY_BYTES) throw new RangeError(`The key has ${key.length} bytes instead of ${KEY_BYTES}.`);
    this.#key = key;
  }

  seal(requestId: string, text: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, iv).setAAD(Buffer.from(requestId));
    const sealed = Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return sealed.toString("base64");
  }

  /** Throws OperationFailedError when the text was sealed with another key or for another request, or was changed. */
  open(requestId: string, sealed: string): string {
    const bytes = Buffer.from(sealed, "base64");
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, IV_BYTES))
        .setAAD(Buffer.from(requestId))
        .setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      return (
        decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES), undefined, "utf8") + decipher.final("utf8")
      );
    } catch (error) {
      throw new OperationFailedError(`The stored body of request ${requestId} cannot be read with this server's key.`, {
        cause: error,
        hint: "Submit the request again. Replicas on one database need the same SKYPILOT_SERVER_KEY.",
      });
    }
  }
}

/**
 * The key of this server: from `given` (SKYPILOT_SERVER_KEY, for replicas; any text of at least 16 characters), else from the
 * file, which is made (0600) on first use.
 */
export function loadSealer(keyFile: string, given?: string): Sealer {
  if (given !== undefined) {
    if (given.length < 16) {
      throw new OperationFailedError("SKYPILOT_SERVER_KEY is too short.", {
        hint: "Give at least 16 characters, e.g. the output of `openssl rand -base64 32`.",
      });
    }
    return new Sealer(createHash("sha256").update(given).digest());
  }
  try {
    return new Sealer(readKey(keyFile));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  mkdirSync(dirname(keyFile), { recursive: true, mode: 0o700 });
  const temporary = `${keyFile}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(temporary, `${randomBytes(KEY_BYTES).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
  try {
    // A link fails when the file exists: of two that start at once, both then read the first one's key.
    linkSync(temporary, keyFile);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  chmodSync(keyFile, 0o600);
  return new Sealer(readKey(keyFile));
}

function readKey(keyFile: string): Buffer {
  const text = readFileSync(keyFile, "utf8").trim();
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new OperationFailedError(`The key file ${keyFile} is damaged.`, {
      hint: "Restore it from a backup. If it is removed, a new key is made and requests that have not ended are lost.",
    });
  }
  return Buffer.from(text, "hex");
}
