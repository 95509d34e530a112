import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SkyError } from "../shared/errors.ts";
import { downloadCatalog, publishedUrls } from "./published.ts";

const LIST = "InstanceType,vCPUs,MemoryGiB,Price,Region\nsmall,2,4,0.1,r\n";

let server: Server;
let base: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/busy") response.writeHead(429).end();
    else if (request.url === "/list.csv") response.end(LIST);
    else if (request.url === "/list.csv.gz") response.end(gzipSync(LIST));
    else if (request.url === "/damaged.csv.gz") response.end(gzipSync(LIST).subarray(0, -9));
    else if (request.url === "/cut.csv") {
      response.writeHead(200, { "content-length": "1000" });
      response.write(LIST, () => response.destroy());
    } else if (request.url === "/page.html") response.end("<html>sign in</html>");
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function download(...paths: string[]): Promise<string> {
  const progress: number[] = [];
  const options = { signal: new AbortController().signal, onProgress: (bytes: number) => void progress.push(bytes) };
  return downloadCatalog(
    paths.map((path) => base + path),
    options,
  );
}

it.each([[["/list.csv"]], [["/list.csv.gz"]], [["/busy", "/list.csv"]]])("%j gives the list", async (paths) => {
  expect(await download(...paths)).toBe(LIST);
});

it.each([
  [["/none", "/list.csv"], "the answer is 404 Not Found"],
  [["/busy"], "the answer is 429 Too Many Requests"],
  [["/damaged.csv.gz"], "/damaged.csv.gz: unexpected end of file."],
  [["/cut.csv"], "/cut.csv: "],
  [["/page.html"], "line 1 lacks the column InstanceType"],
])("%j is refused", async (paths, message) => {
  const failure = download(...paths);
  await expect(failure).rejects.toThrow(message);
  await expect(failure).rejects.toBeInstanceOf(SkyError);
});

it("says where nobody answers", async () => {
  const options = { signal: new AbortController().signal, onProgress: () => undefined };
  await expect(downloadCatalog(["http://127.0.0.1:1/vms.csv"], options)).rejects.toThrow(
    "Failed to fetch the catalog from http://127.0.0.1:1/vms.csv: ",
  );
  expect(publishedUrls("gcp")[0]).toMatch(/\/catalogs\/v8\/gcp\/vms\.csv$/u);
});
