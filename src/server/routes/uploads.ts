import type { Hono } from "hono";
import { BlobQuery, UploadQuery } from "../../shared/wire/upload.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { BlobStore } from "../uploads/blob-store.ts";
import { InvalidRequestError, parseInput } from "../validation.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { z } from "zod";

/** Uploads of workdirs and file mounts: a zip in chunks, addressed by the hash of its content. */
export function addUploadRoutes(app: Hono<AppEnv>, deps: AppDependencies): void {
  const { blobs, uploads } = deps.paths;
  const store = new BlobStore({ blobs, uploads, maxBytes: deps.maxUploadBytes });
  app.get("/upload_v2/blob", async (c) => {
    const query = parseQuery(BlobQuery, c.req.query());
    const exists = await store.has({ userId: query.user_hash, blobId: query.blob_id });
    if (!exists && query.size_bytes !== undefined) await store.assertRoom(query.size_bytes);
    return c.json({ exists });
  });
  app.post("/upload_v2", async (c) => {
    const query = parseQuery(UploadQuery, c.req.query());
    const blob = { userId: query.user_hash, blobId: query.upload_id };
    const body = c.req.raw.body as ReadableStream<Uint8Array> | null;
    return c.json(await store.putChunk(blob, { index: query.chunk_index, total: query.total_chunks, body }));
  });
}

/** A bad id is 400 here, not 422. */
function parseQuery<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
  try {
    return parseInput(schema, input, { where: "query" });
  } catch (error) {
    if (error instanceof InvalidRequestError) throw new InvalidValueError(error.message);
    throw error;
  }
}
