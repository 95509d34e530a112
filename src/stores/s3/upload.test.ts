import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOf } from "../../../test/support/s3/client-of.ts";
import type { UploadFile, UploadProgress } from "../../core/ports/object-store.ts";
import { KnownEtags } from "./known-etags.ts";
import { UnfinishedUploads } from "./unfinished-uploads.ts";
import { uploadFiles } from "./upload.ts";

const EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

let directory: string;
let server: Server;
/** What the server does with a PUT before it takes it. */
let faults: ((response: ServerResponse) => void)[];
let puts: string[];
/** By how much the server's clock is ahead of this machine's. */
let aheadMs: number;
let taken: Map<string, { readonly body: string; readonly headers: IncomingMessage["headers"] }>;

/** Objects are called "x" whatever is in them, as where a store has keys of its own. */
function listing(): string {
  const objects = [...taken].map(([path, { body }]) => {
    const modified = new Date(Date.now() + aheadMs).toISOString();
    return `<Contents><Key>${path.slice(3)}</Key><Size>${body.length}</Size><ETag>"x"</ETag><LastModified>${modified}</LastModified></Contents>`;
  });
  return EMPTY.replace("<IsTruncated>", `${objects.join("")}<IsTruncated>`);
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "s3-upload-"));
  [faults, puts, taken, aheadMs] = [[], [], new Map(), 0];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    response.setHeader("date", new Date(Date.now() + aheadMs).toUTCString());
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        if (request.method !== "PUT") return response.end(listing());
        const path = (request.url ?? "").replace(/\?.*/u, "");
        puts.push(path);
        const fault = faults.shift();
        if (fault !== undefined) return fault(response);
        taken.set(path, { body: Buffer.concat(chunks).toString(), headers: request.headers });
        return response.setHeader("etag", '"x"').end();
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function upload(names: readonly string[]): Promise<UploadProgress> {
  const path = join(directory, "content");
  writeFileSync(path, "content");
  const files = names.map((key) => ({ path, key, size: 7, mtimeMs: statSync(path).mtimeMs }));
  return send(files, new KnownEtags());
}

async function send(files: readonly UploadFile[], known: KnownEtags): Promise<UploadProgress> {
  const client = await clientOf(server);
  const place = { bucket: "b", region: "us-east-1", prefix: "" };
  const { signal } = new AbortController();
  const unfinished = new UnfinishedUploads();
  return uploadFiles({ client, place, files, known, unfinished, signal }).finally(() => client.destroy());
}

test("without TLS content goes signed, with its hash, in one request", async () => {
  await upload(["a b+ü/c"]);
  expect(puts).toEqual(["/b/a%20b%2B%C3%BC/c"]);
  const { body, headers } = taken.get(puts[0] ?? "") ?? { body: "", headers: {} };
  expect(body).toBe("content");
  expect(headers["authorization"]).toMatch(
    /^AWS4-HMAC-SHA256 Credential=a\/.*x-amz-content-sha256.*x-amz-security-token/u,
  );
  expect(headers["x-amz-security-token"]).toBe("t");
  expect(headers["x-amz-checksum-crc32"]).toBeUndefined();
  expect(headers["x-amz-content-sha256"]).toMatch(/^ed7002b439e9ac845f22357d822bac14/u);
});

test.each([
  ["a busy server", (response: ServerResponse) => response.writeHead(503).end()],
  ["a connection that breaks", (response: ServerResponse) => response.destroy()],
])("%s is asked again", async (_title, fault) => {
  faults = [fault, fault];
  await upload(["one"]);
  expect(puts).toEqual(["/b/one", "/b/one", "/b/one"]);
  expect(taken.get("/b/one")?.body).toBe("content");
});

test("a refusal stops the upload, in the server's words", async () => {
  const refuse = (response: ServerResponse): void => {
    response.writeHead(403).end("<Error><Code>QuotaExceeded</Code><Message>The bucket is full.</Message></Error>");
  };
  faults = [refuse, refuse, refuse, refuse];
  await expect(upload(["one"])).rejects.toThrow("The bucket is full.");
  expect(taken.size).toBe(0);
});

test("what was sent is not read again, while nothing happens to the file; not even where the store's names tell nothing of the content", async () => {
  const path = join(directory, "large");
  writeFileSync(path, "a".repeat(600_000));
  const { mtimeMs } = statSync(path);
  const files = [{ path, key: "large", size: 600_000, mtimeMs }];
  // Settled by then.
  const known = new KnownEtags(() => Date.now() + 5000);
  expect(await send(files, known)).toMatchObject({ unchangedFiles: 0 });
  expect(await send(files, known)).toMatchObject({ unchangedFiles: 1 });
  expect(await send(files, new KnownEtags())).toMatchObject({ unchangedFiles: 0 });
  // Of the same size and time.
  writeFileSync(path, "b".repeat(600_000));
  utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
  expect(await send(files, known)).toMatchObject({ unchangedFiles: 0 });
  expect(taken.get("/b/large")?.body.startsWith("b")).toBe(true);
});

test("a file that has changed is sent, also when this machine's clock is an hour behind", async () => {
  aheadMs = 3_600_000;
  await upload(["a"]);
  await upload(["a"]);
  expect(puts).toEqual(["/b/a", "/b/a"]);
});
