import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openConnections, type GetOptions, type HttpConnections } from "./http-get.ts";

let server: Server;
let handler: RequestListener;
let connections: HttpConnections;
let url: string;
let sockets: number;

beforeEach(async () => {
  connections = openConnections();
  sockets = 0;
  server = createServer((request, response) => handler(request, response));
  server.on("connection", () => (sockets += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  connections.close();
  server.closeAllConnections();
  server.close();
});

async function get(target: string, options: Partial<GetOptions> = {}): Promise<string> {
  const chunks: Buffer[] = [];
  const take = (chunk: Buffer): void => void chunks.push(chunk);
  await connections.get(target, { headers: {}, signal: new AbortController().signal, take, ...options });
  return Buffer.concat(chunks).toString();
}

test("redirects are followed, and what they and refusals say is read, so that connections can be used again", async () => {
  handler = (request, response) => {
    if (request.url === "/from") response.writeHead(302, { location: "/to" }).end("elsewhere".repeat(1000));
    else if (request.url === "/to") response.end("here");
    else if (request.url === "/round") response.writeHead(302, { location: "/round" }).end();
    else response.writeHead(404).end("<Error>".repeat(1000));
  };
  expect(await get(`${url}/from`)).toBe("here");
  await expect(get(`${url}/none?X-Amz-Signature=abc`)).rejects.toMatchObject({
    agentCode: "FETCH_REFUSED",
    message: `${url}/none answered with HTTP status 404.`,
  });
  await expect(get(`${url}/round`)).rejects.toThrow("(after 5 redirects)");
  expect(await get(`${url}/to`)).toBe("here");
  // Of ten requests; the next may start before the connection of the last is free.
  expect(sockets).toBeLessThanOrEqual(2);
});

test("a server that is busy may do better the next time; one that sends all of a file instead of a range is refused", async () => {
  handler = (request, response) => response.writeHead(request.url === "/busy" ? 503 : 200).end("x".repeat(1_000_000));
  await expect(get(`${url}/busy`)).rejects.not.toHaveProperty("agentCode");
  await expect(get(`${url}/all`, { headers: { range: "bytes=0-1" } })).rejects.toMatchObject({
    message: `${url}/all (asked for a range) answered with HTTP status 200.`,
  });
});

test("name and password of a URL go as a header", async () => {
  let heard: IncomingMessage | undefined;
  handler = (request, response) => {
    heard = request;
    response.end();
  };
  await get(url.replace("//", "//me:p%40ss@"));
  expect(heard?.headers.authorization).toBe(`Basic ${Buffer.from("me:p@ss").toString("base64")}`);
});

test("the next piece comes when the last one was taken, and all were taken at the end", async () => {
  const content = "0123456789".repeat(200_000);
  handler = (_request, response) => response.end(content);
  let underWay = 0;
  let most = 0;
  let taken = "";
  const take = async (chunk: Buffer): Promise<void> => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    taken += chunk.toString();
    underWay -= 1;
  };
  await get(url, { take });
  expect([most, taken === content]).toEqual([1, true]);
});

test("what fails while a piece is taken ends the request", async () => {
  handler = (_request, response) => response.end("x".repeat(1_000_000));
  const full = new Error("disk full");
  await expect(get(url, { take: () => Promise.reject(full) })).rejects.toBe(full);
  const thrown = (): never => {
    throw full;
  };
  await expect(get(url, { take: thrown })).rejects.toBe(full);
});

test("a signal ends requests at any time, also while they wait for a connection", async () => {
  const gone = new AbortController();
  const reason = new Error("cancelled");
  const asked = Promise.withResolvers<void>();
  handler = () => asked.resolve();
  const waiting = get(url, { signal: gone.signal });
  // Its queue of connections is full, so that nobody accepts another.
  const silent = createTcpServer();
  await new Promise<void>((resolve) => silent.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, resolve));
  const port = (silent.address() as AddressInfo).port;
  const unborn = Array.from({ length: 70 }, () => get(`http://127.0.0.1:${port}`, { signal: gone.signal }));
  await asked.promise;
  gone.abort(reason);
  const outcomes = await Promise.allSettled([waiting, ...unborn]);
  expect(outcomes.every((one) => one.status === "rejected" && one.reason === reason)).toBe(true);
  silent.close();
  await expect(get(url, { signal: gone.signal })).rejects.toBe(reason);
});

test("a connection that breaks off is no whole answer", async () => {
  handler = (_request, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half", () => response.destroy());
  };
  await expect(get(url)).rejects.toThrow();
});
