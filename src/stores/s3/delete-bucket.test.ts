import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOf } from "../../../test/support/s3/client-of.ts";
import { deleteBucket } from "./delete-bucket.ts";
import { AMAZON } from "./kind.ts";

let server: Server;
let keys: Set<string>;
/** How often each key is left when it is to be removed with others, and the reason. */
let busy: Map<string, string[]>;
/** What was asked for to change something. */
let calls: string[];

/** As S3 writes keys, and as it reads them: what XML does not have is refused. */
const escape = (key: string): string =>
  key.replaceAll("&", "&amp;").replaceAll(/[\u0001-\u001F]/gu, (char) => `&#x${char.charCodeAt(0).toString(16)};`);

beforeEach(async () => {
  [keys, busy, calls] = [new Set(), new Map(), []];
  server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://s3");
      const key = decodeURIComponent(pathname.slice("/b/".length));
      if (request.method !== "GET") calls.push(`${request.method} ${JSON.stringify(key)}`);
      if (searchParams.has("uploads")) return response.end("<ListMultipartUploadsResult/>");
      if (searchParams.has("versions")) {
        const versions = [...keys].map((one) => `<Version><Key>${escape(one)}</Key></Version>`);
        return response.end(`<ListVersionsResult>${versions.join("")}</ListVersionsResult>`);
      }
      if (searchParams.has("delete")) return response.end(removeAll(body));
      if (request.method === "DELETE" && key !== "") keys.delete(key);
      else if (request.method === "DELETE" && keys.size > 0) return refuse(409, "BucketNotEmpty");
      return response.writeHead(204).end();
    });
    function refuse(status: number, code: string): unknown {
      return response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
    }
    function removeAll(xml: string): string {
      const wanted = [...xml.matchAll(/<Key>(.*?)<\/Key>/gsu)].map(([, key = ""]) => key);
      const failed = wanted.flatMap((key) => {
        const code = busy.get(key)?.shift();
        if (code === undefined) keys.delete(key);
        return code === undefined ? [] : [`<Error><Key>${key}</Key><Code>${code}</Code><Message>no</Message></Error>`];
      });
      return `<DeleteResult>${failed.join("")}</DeleteResult>`;
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function remove(): Promise<string> {
  const client = await clientOf(server);
  const { signal } = new AbortController();
  return deleteBucket(client, "b", { kind: AMAZON, signal }).finally(() => client.destroy());
}

test("objects that the server is too busy for are asked for again", async () => {
  keys = new Set(["a", "b", "c"]);
  busy.set("b", ["SlowDown", "InternalError"]);
  expect(await remove()).toBe("deleted");
  expect([...keys]).toEqual([]);
  expect(calls).toEqual(['POST ""', 'POST ""', 'POST ""', 'DELETE ""']);
});

test("any other refusal of an object ends it", async () => {
  keys = new Set(["a", "b"]);
  busy.set("b", ["AccessDenied"]);
  await expect(remove()).rejects.toThrow("AWS refused s3:DeleteObject on b of bucket b.");
});

test("names that XML cannot hold are removed one by one", async () => {
  keys = new Set(["plain", "odd\u0001name", "two\nlines"]);
  expect(await remove()).toBe("deleted");
  expect([...keys]).toEqual([]);
  expect(calls.slice(0, 1)).toEqual(['POST ""']);
  expect(calls.slice(1, 3).sort()).toEqual(['DELETE "odd\\u0001name"', 'DELETE "two\\nlines"']);
});
