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

  /** Removes a bucket and everything in it. `force`: also one that clusters have mounted, or a launch is about to use. */
  delete(name: string, { force = false, ...options }: WaitOptions & { readonly force?: boolean } = {}): Request<void> {
    const body = this.#client.body({ name, ...(force ? { force } : {}) });
    return submit(this.#client.session, "/storage/delete", body, {
      name: "sky.storage",
      decode: () => undefined,
      ...options,
    });
  }
}
