import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "../../e2e/support/wait-for.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { GATEWAY } from "../../fleet/world.ts";
import { isSignedWith, readSignature } from "./signature.ts";

const PORT = 5001;
const RELAY_MS = 3_600_000;
/** Of the S3 API, what R2 answers with NotImplemented: https://developers.cloudflare.com/r2/api/s3/api/ */
const UNKNOWN_CALLS = ["acl", "object-lock", "policy", "publicAccessBlock", "tagging", "versioning", "versions"];
/** It takes `x-amz-acl: private`, which its own guide for rclone sets. */
const UNKNOWN_HEADERS = /^x-amz-(?:grant-.*|tagging|server-side-encryption|object-lock-.*|request-payer|mfa)$/u;
const PLACES = /<LocationConstraint>(?!auto<|us-east-1<|<)/u;

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

interface Tls {
  readonly certificate: string;
  readonly key: string;
}

interface Call {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** What temporary credentials say of themselves. */
export interface Claims {
  readonly bucket: string;
  readonly scope: string;
  readonly paths?: { readonly prefixPaths: readonly string[] };
  readonly sub: string;
  readonly iss: string;
  readonly aud: string;
  readonly iat: number;
  readonly exp: number;
}

/**
 * R2 by its documentation, in front of another S3 server: one account with one API token, whose signatures are checked, temporary
 * credentials that are signed with the token's secret, and only the calls that R2 has.
 */
export class R2Front {
  /** Where programs find it. */
  url = "";
  readonly accountId = "0123456789abcdef0123456789abcdef";
  /** Of the API token. */
  keys = { accessKeyId: "f00d0000000000000000000000000001", secretAccessKey: `cana47${"0e".repeat(29)}` };
  /** Which buckets the token is for ("Object Read & Write"); undefined: all of them ("Admin Read & Write"). */
  buckets: readonly string[] | undefined;
  /** Whether the token is for more than reading. */
  mayWrite = true;
  /** Temporary credentials are not taken. */
  refusesTemporary = false;
  /** Calls that R2 does not have. */
  readonly unknown: string[] = [];
  /** `METHOD path` of what the credentials did not allow. */
  readonly refusals: string[] = [];
  /** Claims of the temporary credentials that were used, as JSON. */
  readonly temporary = new Set<string>();
  /** Paths of content that came with a sum of its own. */
  readonly summed: string[] = [];
  /** Secrets and tokens of the temporary credentials that were used. */
  readonly lent = new Set<string>();
  /** `METHOD path` of what was asked with the keys of the token itself. */
  readonly byToken: string[] = [];
  readonly #upstream: string;
  readonly #server: Server;
  /** By upload: how long its parts are. */
  readonly #parts = new Map<string, Map<number, number>>();

  private constructor(upstream: string, tls?: Tls) {
    this.#upstream = upstream;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#answer(request, response).catch((error: unknown) =>
        response.headersSent ? response.destroy() : response.writeHead(599).end(String(error)),
      );
    this.#server =
      tls === undefined
        ? createServer(answer)
        : createSecureServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, answer);
  }

  /** On this machine; by TLS, as R2 itself, where it is told the paths of a certificate and its key. */
  static async start(upstream: string, tls?: Tls): Promise<R2Front> {
    const front = new R2Front(upstream, tls);
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    front.url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(front.#server.address() as AddressInfo).port}`;
    return front;
  }

  /** In a fleet's network. */
  static async startIn(fleet: Fleet, upstream: string): Promise<R2Front> {
    const front = new R2Front(upstream);
    const socket = join(fleet.root, "r2.sock");
    await new Promise<void>((resolve) => front.#server.listen(socket, resolve));
    let isReady = false;
    const program = fileURLToPath(new URL("../aws/relay.ts", import.meta.url));
    const onOutput = (): void => void (isReady = true);
    void fleet.start([process.execPath, program, String(PORT), socket], { onOutput, timeoutMs: RELAY_MS });
    await waitFor("R2 in the fleet's network", () => isReady);
    front.url = `http://${GATEWAY}:${PORT}`;
    return front;
  }

  /** `r2.credentials` as a user of it has it. */
  get credentialsFile(): string {
    const { accessKeyId, secretAccessKey } = this.keys;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    return `[r2]\n${keys}endpoint_url = ${this.url}\n`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = readCall(request);
    const refusal = this.#refusalOf(call, request);
    if (refusal !== undefined) return refuse(request, response, refusal);
    if (call.query.has("delete") && !hasOldChecksum(request)) {
      return refuse(request, response, { status: 400, code: "MissingContentMD5", message: "Missing Content-Md5." });
    }
    if (request.headers["x-amz-checksum-crc32"] !== undefined) this.summed.push(call.key);
    const body = call.key === "" || call.query.has("uploadId") ? await bodyOf(request) : undefined;
    const complaint = body === undefined ? undefined : this.#complaintOf(call, body);
    if (complaint !== undefined) return refuse(request, response, complaint);
    await this.#forward(request, response, body);
  }

  #refusalOf(call: Call, request: IncomingMessage): Refusal | undefined {
    const name = `${call.method} ${request.url?.split("?")[0] ?? ""}`;
    const { headers } = request;
    // R2 keeps a CRC-32 of each part, and none of the whole.
    const isWhole = headers["x-amz-checksum-type"] === "FULL_OBJECT" && headers["x-amz-checksum-algorithm"] === "CRC32";
    const unknown = [
      ...(isWhole ? ["x-amz-checksum-type"] : []),
      ...UNKNOWN_CALLS.filter((one) => call.query.has(one)),
      ...Object.keys(headers).filter((one) => UNKNOWN_HEADERS.test(one)),
    ];
    if (unknown.length > 0) {
      this.unknown.push(`${name} ${unknown.join(" ")}`);
      return { status: 501, code: "NotImplemented", message: `${unknown.join(" ")} not implemented` };
    }
    const claims = this.#authenticate(request, name);
    if ("code" in claims) return claims;
    if (isAllowed(call, claims.temporary, this.buckets)) return undefined;
    this.refusals.push(name);
    return { status: 403, code: "AccessDenied", message: "Access Denied" };
  }

  #authenticate(request: IncomingMessage, name: string): Refusal | { readonly temporary: Claims | undefined } {
    const { accessKeyId, secretAccessKey } = this.keys;
    const unauthorized = { status: 401, code: "Unauthorized", message: "Unauthorized" };
    const signed = readSignature(request);
    if (signed?.accessKeyId !== accessKeyId || !/^(?:auto|us-east-1)$/u.test(signed.scope[1] ?? ""))
      return unauthorized;
    const forged = { status: 403, code: "SignatureDoesNotMatch", message: "The request signature does not match." };
    if (signed.token === undefined) {
      if (!isSignedWith(secretAccessKey, signed, request)) return forged;
      if (signed.expiresSeconds === undefined) this.byToken.push(name);
      return { temporary: undefined };
    }
    const [, jwt = ""] = /^jwt\/(.*)$/u.exec(Buffer.from(signed.token, "base64").toString()) ?? [];
    const claims = this.refusesTemporary ? undefined : readJwt(jwt, secretAccessKey);
    const isMeant = claims?.sub === this.accountId && claims.iss === accessKeyId && claims.aud === request.headers.host;
    if (claims === undefined || !isMeant || claims.exp * 1000 < Date.now()) return unauthorized;
    if (!this.mayWrite && claims.scope !== "object-read-only") {
      return { status: 403, code: "AccessDenied", message: "The parent access key may do less." };
    }
    const secret = createHash("sha256").update(jwt).digest("hex");
    if (!isSignedWith(secret, signed, request)) return forged;
    this.lent.add(secret).add(signed.token);
    const { iat: _iat, exp: _exp, ...rest } = claims;
    this.temporary.add(JSON.stringify(rest));
    return { temporary: claims };
  }

  #complaintOf({ method, key, query }: Call, body: Buffer): Refusal | undefined {
    if (key === "" && method === "PUT" && PLACES.test(body.toString())) {
      return { status: 400, code: "InvalidLocationConstraint", message: "The location constraint is not valid." };
    }
    const id = query.get("uploadId") ?? "";
    const parts = this.#parts.get(id) ?? new Map<number, number>();
    if (method === "PUT") this.#parts.set(id, parts.set(Number(query.get("partNumber")), body.length));
    const sizes = [...parts].sort(([one], [other]) => one - other).map(([, size]) => size);
    if (method !== "POST" || id === "" || new Set(sizes.slice(0, -1)).size < 2) return undefined;
    return { status: 400, code: "InvalidPart", message: "All non-trailing parts must have the same length." };
  }

  async #forward(request: IncomingMessage, response: ServerResponse, body: Buffer | undefined): Promise<void> {
    const { authorization = "", ...headers } = request.headers;
    const options = {
      method: request.method ?? "GET",
      // The server behind has AWS's regions, and checks no signatures.
      headers: { ...headers, authorization: authorization.replace("/auto/s3/", "/us-east-1/s3/") },
    };
    const url = (request.url ?? "/").replace("%2Fauto%2Fs3", "%2Fus-east-1%2Fs3");
    await new Promise<void>((resolve, reject) => {
      const call = send(`${this.#upstream}${url}`, options, (answer) => {
        const { connection: _connection, "x-amz-bucket-region": _region, ...rest } = answer.headers;
        response.writeHead(answer.statusCode ?? 0, rest);
        answer.pipe(response);
        answer.on("end", resolve).on("error", reject);
      });
      call.on("error", reject);
      if (body === undefined) request.pipe(call);
      else call.end(body);
    });
  }
}

function readCall({ method = "", url = "" }: IncomingMessage): Call {
  const { pathname, searchParams } = new URL(url, "http://r2");
  const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/u.exec(decodeURIComponent(pathname)) ?? [];
  return { method, bucket, key, query: searchParams };
}

/** Undefined where it was not signed with the secret. */
function readJwt(jwt: string, secret: string): Claims | undefined {
  const [header = "", claims = "", signature = ""] = jwt.split(".");
  const expected = createHmac("sha256", secret).update(`${header}.${claims}`).digest("base64url");
  return signature === expected ? (JSON.parse(Buffer.from(claims, "base64url").toString()) as Claims) : undefined;
}

function isAllowed(call: Call, temporary: Claims | undefined, buckets: readonly string[] | undefined): boolean {
  const { method, bucket, key, query } = call;
  const isOfToken = buckets === undefined || (buckets.includes(bucket) && (key !== "" || method !== "PUT"));
  if (temporary === undefined || !isOfToken) return isOfToken;
  const isRead = method === "GET" || method === "HEAD";
  const prefixes = temporary.paths?.prefixPaths;
  const path = key === "" ? (query.get("prefix") ?? "") : key;
  return (
    temporary.bucket === bucket &&
    (key !== "" || isRead || query.has("delete")) &&
    (isRead || temporary.scope === "object-read-write") &&
    (prefixes === undefined || prefixes.some((prefix) => path.startsWith(prefix)))
  );
}

/** Of the checksums that S3 knows by now, servers other than AWS's own are sure to take only the first for calls that delete. */
function hasOldChecksum({ headers }: IncomingMessage): boolean {
  return (
    headers["content-md5"] !== undefined && !Object.keys(headers).some((name) => name.startsWith("x-amz-checksum"))
  );
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, code, message }: Refusal): void {
  request.resume();
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(
    request.method === "HEAD" ? undefined : `<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
}
