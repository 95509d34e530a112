import { expect, test } from "vitest";
import { checkRequest, isAuthorized, type AccessPolicy, type RequestHead } from "./guard.ts";

const local: AccessPolicy = { isLoopback: true, allowedHosts: ["sky.example.com"], token: undefined };
const open: AccessPolicy = { isLoopback: false, allowedHosts: [], token: "sky_secret-token-1234" };

function head(
  headers: Readonly<Record<string, string>>,
  options: { readonly method?: string; readonly path?: string } = {},
): RequestHead {
  const all: Readonly<Record<string, string>> = { host: "127.0.0.1:46580", ...headers };
  return { method: options.method ?? "GET", path: options.path ?? "/api/status", header: (name) => all[name] };
}

test.each([
  "localhost",
  "LOCALHOST:1",
  "127.0.0.1:46580",
  "127.1.2.3",
  "[::1]:46580",
  "0.0.0.0:46580",
  "sky.example.com:443",
])("host %s is ours", (host) => {
  expect(checkRequest(head({ host }), local)).toBeUndefined();
});

test.each([
  "evil.example",
  "127.0.0.1.evil.example",
  "localhost.evil.example",
  "evil.example:46580",
  "",
  "127.0.0.1@evil.example",
])("host %j is somebody else's (DNS rebinding)", (host) => {
  expect(checkRequest(head({ host }), local)?.status).toBe(403);
});

test("a server with a token is reached by any name", () => {
  expect(checkRequest(head({ host: "sky.corp.example" }), open)).toBeUndefined();
});

test.each([
  { origin: "https://evil.example" },
  { origin: "null" },
  { origin: "http://127.0.0.1:8000" },
  { origin: "http://localhost:46580" },
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
])("a page of another origin is refused: %j", (headers) => {
  expect(checkRequest(head(headers), local)?.status).toBe(403);
  expect(checkRequest(head(headers), open)?.status).toBe(403);
});

test("our own pages, programs and a typed address are let in", () => {
  expect(
    checkRequest(head({ origin: "http://127.0.0.1:46580", "sec-fetch-site": "same-origin" }), local),
  ).toBeUndefined();
  expect(checkRequest(head({ "sec-fetch-site": "none" }), local)).toBeUndefined();
  expect(checkRequest(head({ "sec-fetch-site": "cross-site" }, { path: "/dashboard/" }), local)).toBeUndefined();
  expect(
    checkRequest(head({ "sec-fetch-site": "cross-site" }, { path: "/dashboard/", method: "POST" }), local)?.status,
  ).toBe(403);
});

test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])(
  "a body that a form could send is refused: %j",
  (type) => {
    const headers = { "content-type": type, "content-length": "2" };
    expect(checkRequest(head(headers, { method: "POST", path: "/down" }), local)?.status).toBe(415);
  },
);

test("JSON and uploads have their types", () => {
  const json = { "content-type": "application/json; charset=utf-8", "content-length": "2" };
  const bytes = { "content-type": "application/octet-stream", "transfer-encoding": "chunked" };
  expect(checkRequest(head(json, { method: "POST", path: "/down" }), local)).toBeUndefined();
  expect(checkRequest(head(bytes, { method: "POST", path: "/upload_v2" }), local)).toBeUndefined();
  expect(checkRequest(head(bytes, { method: "POST", path: "/down" }), local)?.status).toBe(415);
  expect(checkRequest(head(json, { method: "POST", path: "/upload_v2" }), local)?.status).toBe(415);
  expect(checkRequest(head({}, { method: "POST", path: "/check" }), local)).toBeUndefined();
});

test("a key for SSH pools comes as form data, with a header that no form can send", () => {
  const form = { "content-type": "multipart/form-data; boundary=x", "content-length": "2" };
  const keys = { method: "POST", path: "/ssh_node_pools/keys" };
  expect(checkRequest(head(form, keys), local)?.status).toBe(415);
  expect(checkRequest(head({ ...form, "x-skypilot-api-version": "62" }, keys), local)).toBeUndefined();
});

test("a client that is too old is told how to upgrade; a probe without versions is let in", () => {
  const version = { "x-skypilot-version": "0.9.0" };
  expect(checkRequest(head({ ...version, "x-skypilot-api-version": "23" }), local)).toMatchObject({
    status: 400,
    body: { error: "version_mismatch", message: expect.stringContaining("pip install -U") },
  });
  expect(checkRequest(head({ ...version, "x-skypilot-api-version": "24" }), local)).toBeUndefined();
  expect(checkRequest(head({ ...version, "x-skypilot-api-version": "999" }), local)).toBeUndefined();
  expect(checkRequest(head({ ...version, "x-skypilot-api-version": "new" }), local)?.status).toBe(400);
  expect(checkRequest(head({ "x-skypilot-api-version": "1" }), local)).toBeUndefined();
});

test.each([
  [{}, false],
  [{ authorization: "Bearer sky_secret-token-1234" }, true],
  [{ authorization: "bearer sky_secret-token-1234" }, false],
  [{ authorization: "Bearer sky_secret-token-1235" }, false],
  [{ authorization: "Bearer " }, false],
  [{ authorization: "Basic sky_secret-token-1234" }, false],
  [{ "x-auth-request-email": "admin@example.com" }, false],
])("%j proves %s", (headers, proves) => {
  expect(isAuthorized(head(headers as Record<string, string>), open)).toBe(proves);
});

test("without a token nobody has to prove anything", () => {
  expect(isAuthorized(head({}), local)).toBe(true);
});
