import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import { fetchFiles, type FetchOptions } from "./fetch-files.ts";
import { openConnections } from "./http-get.ts";

const connections = await openConnections();

let home: string;
let server: Server;
let handler: RequestListener;
let url: string;
let asked: string[];
const secret = "?X-Amz-Signature=abc";

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "fetch-"));
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.url?.replace(secret, "")} ${request.headers.range ?? ""}`.trim());
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true, force: true });
});

const options = (): FetchOptions => ({
  home,
  mayUseSudo: false,
  // No waiting between attempts.
  clock: { ...systemClock, sleep: () => Promise.resolve() },
  signal: new AbortController().signal,
  connections,
});

/** Serves `content` as an object store does: ranges, and the first `cuts` answers broken off halfway. */
function serve(content: Buffer, cuts = 0): RequestListener {
  let left = cuts;
  return (request, response) => {
    const range = /bytes=(\d+)-(\d+)/u.exec(request.headers.range ?? "");
    const body = range === null ? content : content.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(range === null ? 200 : 206, { "content-length": body.length });
    if (left-- > 0) {
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
    } else response.end(body);
  };
}

test("files land whole, with their times, and are not asked for again", async () => {
  handler = (request, response) => response.end(request.url?.includes("one") === true ? "1" : "22");
  const files = [
    { path: "one", url: `${url}/one${secret}`, size: 1, mtimeMs: 1_700_000_000_000 },
    { path: "deep/er/two", url: `${url}/two${secret}`, size: 2, mtimeMs: 1_700_000_001_000 },
    { path: "empty", url: `${url}/empty${secret}`, size: 0, mtimeMs: 1_700_000_002_000 },
  ];
  expect(await fetchFiles({ dest: "~/data", files }, options())).toEqual({ files: 3, bytes: 3, unchanged: 0 });
  expect(readFileSync(join(home, "data/deep/er/two"), "utf8")).toBe("22");
  expect(statSync(join(home, "data/one")).mtimeMs).toBe(1_700_000_000_000);
  expect(asked.sort()).toEqual(["/one", "/two"]);
  writeFileSync(join(home, "data/one"), "x");
  expect(await fetchFiles({ dest: "~/data", files }, options())).toEqual({ files: 3, bytes: 1, unchanged: 2 });
});

test("content that was replaced within the second of its time is seen by its tag, whatever its size", async () => {
  const tagOf = (content: string): string => `tag-${content}`;
  let content = "one";
  handler = (request, response) => {
    const isAsked = request.headers["if-match"] === `"${tagOf(content)}"`;
    response.writeHead(isAsked ? 200 : 412).end(isAsked ? content : "");
  };
  const file = { path: "x", url: `${url}/x${secret}`, size: 3, mtimeMs: 1_700_000_000_000 };
  const fetchTagged = (etag: string) => fetchFiles({ dest: "~/data", files: [{ ...file, etag }] }, options());
  expect(await fetchTagged(tagOf("one"))).toMatchObject({ unchanged: 0 });
  expect(await fetchTagged(tagOf("one"))).toMatchObject({ unchanged: 1 });
  expect(Math.floor(statSync(join(home, "data/x")).mtimeMs / 1000)).toBe(1_700_000_000);
  content = "two";
  expect(await fetchTagged(tagOf("two"))).toMatchObject({ unchanged: 0, bytes: 3 });
  expect(readFileSync(join(home, "data/x"), "utf8")).toBe("two");
  await expect(fetchTagged(tagOf("six"))).rejects.toMatchObject({
    agentCode: "FETCH_REFUSED",
    message: `${url}/x was replaced while it was copied.`,
  });
});

test("the time that says which content it is survives the disk for any tag", async () => {
  handler = (_request, response) => response.end("x");
  const files = Array.from({ length: 300 }, (_, index) => ({
    path: `f${index}`,
    url: `${url}/f`,
    size: 1,
    mtimeMs: 1_700_000_000_000 + index * 1000,
    etag: `${index}`,
  }));
  await fetchFiles({ dest: "~/data", files }, options());
  expect(await fetchFiles({ dest: "~/data", files }, options())).toMatchObject({ unchanged: 300 });
});

test("a large file comes in ranges; a cut goes on where it broke off", async () => {
  const content = Buffer.alloc(70 * 1024 * 1024, "0123456789");
  handler = serve(content, 2);
  const file = { path: "", url: `${url}/big${secret}`, size: content.length, mtimeMs: 1_700_000_000_000 };
  expect(await fetchFiles({ dest: "~/big", files: [file] }, options())).toMatchObject({
    bytes: content.length,
  });
  expect(readFileSync(join(home, "big")).equals(content)).toBe(true);
  expect(asked.length).toBe(5);
  const starts = asked.map((line) => Number(/bytes=(\d+)-/u.exec(line)?.[1]));
  expect(starts.filter((start) => start % (32 * 1024 * 1024) !== 0)).toHaveLength(2);
});

test("a refusal names the place without its secret and leaves nothing behind", async () => {
  handler = (_request, response) => response.writeHead(403).end("<Error/>");
  const failed = fetchFiles({ dest: "~/data", files: [{ path: "x", url: `${url}/x${secret}`, size: 9 }] }, options());
  await expect(failed).rejects.toMatchObject({
    agentCode: "FETCH_REFUSED",
    message: `${url}/x answered with HTTP status 403.`,
  });
  expect(readdirSync(join(home, "data"))).toEqual([]);
  expect(asked).toHaveLength(1);
});

test("what passes is tried again, and in the end said with its place", async () => {
  let answers = 0;
  handler = (_request, response) => {
    answers += 1;
    response.writeHead(answers < 3 ? 503 : 200).end("late");
  };
  await fetchFiles({ dest: "~/late", files: [{ path: "", url: `${url}/late${secret}` }] }, options());
  expect(readFileSync(join(home, "late"), "utf8")).toBe("late");
  handler = (_request, response) => response.destroy();
  const failed = fetchFiles({ dest: "~/never", files: [{ path: "", url: `${url}/never${secret}` }] }, options());
  await expect(failed).rejects.toMatchObject({ agentCode: "FETCH_FAILED" });
  await expect(failed).rejects.not.toThrow(/Signature/u);
  expect(existsSync(join(home, "never"))).toBe(false);
});

test("redirects are followed; a name that leads out of the destination is refused", async () => {
  handler = (request, response) => {
    if (request.url === "/old") response.writeHead(302, { location: "/new" }).end();
    else response.end("moved");
  };
  await fetchFiles({ dest: "~/moved", files: [{ path: "", url: `${url}/old` }] }, options());
  expect(readFileSync(join(home, "moved"), "utf8")).toBe("moved");
  mkdirSync(join(home, "inside"));
  const out = fetchFiles({ dest: "~/inside", files: [{ path: "../out", url: `${url}/new` }] }, options());
  await expect(out).rejects.toMatchObject({ agentCode: "BAD_PARAMS" });
});

test("cancelling ends what is under way, and the connections serve others all the same", async () => {
  const cancel = new AbortController();
  handler = (request, response) => {
    if (request.url === "/quick") response.end("x");
    else response.writeHead(200, { "content-length": 9 }).write("abc", () => cancel.abort(new Error("cancelled")));
  };
  const slow = { path: "slow", url: `${url}/slow`, size: 9, mtimeMs: 1_700_000_000_000 };
  const failed = fetchFiles({ dest: "~/data", files: [slow] }, { ...options(), signal: cancel.signal });
  await expect(failed).rejects.toThrow("cancelled");
  expect(readdirSync(join(home, "data"))).toEqual([]);
  const quick = { path: "quick", url: `${url}/quick`, size: 1, mtimeMs: 1_700_000_000_000 };
  expect(await fetchFiles({ dest: "~/data", files: [quick] }, options())).toMatchObject({ bytes: 1 });
});

test("a URL may carry a user and a password", async () => {
  let login: string | undefined;
  handler = (request, response) => {
    login = request.headers.authorization;
    response.end("x");
  };
  const withUser = url.replace("//", "//me%40work:p%3Aw@");
  await fetchFiles({ dest: "~/one", files: [{ path: "", url: `${withUser}/one` }] }, options());
  expect(login).toBe(`Basic ${Buffer.from("me@work:p:w").toString("base64")}`);
});

test("a key that is also the folder of others is an error that says so", async () => {
  handler = (_request, response) => response.end("x");
  const file = { url: `${url}/x`, size: 1, mtimeMs: 1_700_000_000_000 };
  const files = ["a/b", "a"].map((path) => ({ ...file, path }));
  const failed = fetchFiles({ dest: "~/data", files }, options());
  await expect(failed).rejects.toMatchObject({ agentCode: "PATH_EXISTS" });
});

test("a file or link of the node where a directory has to be stays, and is told", async () => {
  handler = (_request, response) => response.end("x");
  const file = { path: "a/b", url: `${url}/x`, size: 1, mtimeMs: 1_700_000_000_000 };
  mkdirSync(join(home, "data/elsewhere"), { recursive: true });
  writeFileSync(join(home, "data/a"), "mine");
  const fetch = () => fetchFiles({ dest: "~/data", files: [file] }, options());
  const error = { agentCode: "PATH_EXISTS", hint: "Remove it on the node, or copy to another path." };
  const message = (what: string): string => `${home}/data/a has to be a directory, but there is a ${what} on the node.`;
  await expect(fetch()).rejects.toMatchObject({ ...error, message: message("file") });
  expect(readFileSync(join(home, "data/a"), "utf8")).toBe("mine");
  rmSync(join(home, "data/a"));
  symlinkSync("elsewhere", join(home, "data/a"));
  await expect(fetch()).rejects.toMatchObject({ ...error, message: message("link") });
  expect([readlinkSync(join(home, "data/a")), readdirSync(join(home, "data/elsewhere"))]).toEqual(["elsewhere", []]);
  expect(asked).toEqual([]);
});
