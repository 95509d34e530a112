import type { StorageRecord } from "../shared/wire/storage.ts";
import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

/** Buckets that SkyPilot made. */
export class StorageNamespace {
  readonly #client: SkyClient;

  constructor(client: SkyClient) {
    this.#client = client;
  }

  ls(options: WaitOptions = {}): Request<readonly StorageRecord[]> {
    return submit(this.#client.session, "/storage/ls", undefined, { name: "sky.storage_ls", ...options });
  }

  /** Removes a bucket and everything in it. */
  delete(name: string, options: WaitOptions = {}): Request<void> {
    const body = this.#client.body({ name });
    return submit(this.#client.session, "/storage/delete", body, {
      name: "sky.storage",
      decode: () => undefined,
      ...options,
    });
  }
}
