import { createHash, createHmac, createSecretKey, type Hash, type Hmac, type KeyObject } from "node:crypto";

/** The keys of a day, a region and a service are the same object for all that they sign. */
const prepared = new WeakMap<Uint8Array, KeyObject>();

/** SHA-256 for the signatures of requests, with a secret as HMAC. Preparing a key takes six times as long as signing with it. */
export class SigningHash {
  readonly #secret: string | KeyObject | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined || typeof secret === "string" ? secret : keyOf(secret);
    this.#hash = this.#begin();
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#begin();
  }

  #begin(): Hash | Hmac {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", this.#secret);
  }
}

function keyOf(secret: ArrayBuffer | ArrayBufferView): KeyObject {
  if (!(secret instanceof Uint8Array)) return keyOf(bytesOf(secret));
  const known = prepared.get(secret);
  if (known !== undefined) return known;
  const key = createSecretKey(secret);
  prepared.set(secret, key);
  return key;
}

function bytesOf(secret: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret);
}
