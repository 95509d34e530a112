import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "../../e2e/support/wait-for.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { GATEWAY } from "../../fleet/world.ts";
import { evaluate, type Statement } from "../aws/policy-evaluator.ts";

const PORT = 5000;
const RELAY_MS = 3_600_000;

interface Session {
  readonly statements: readonly Statement[];
  readonly secret: string;
  readonly token: string;
}

/**
 * S3 and STS for a fleet: federation tokens are made here, each with keys of its own, and what such keys ask of S3 is held against the
 * policy that they were made with. Everything else is the upstream's answer.
 */
export class S3Front {
  /** Where programs of the fleet and its hosts find it. */
  readonly url = `http://${GATEWAY}:${PORT}`;
  /** By key id, in the order in which they were made. */
  readonly sessions = new Map<string, Session>();
  /** Key ids of sessions that are over. */
  readonly ended = new Set<string>();
  /** `key id METHOD path` of each request to S3. */
  readonly requests: string[] = [];
  /** Roles that were assumed, and whether they were cut down by a policy. */
  readonly assumed: { readonly role: string; readonly hasPolicy: boolean }[] = [];
  /** Refusals by policy: `action resource`. */
  readonly refusals: string[] = [];
  /** What the user may do whose keys the server has; undefined: everything. Tokens may do no more. */
  base: readonly Statement[] | undefined;
  /** Whether refusals name the action, as S3 does for callers of the bucket's account. */
  namesActions = true;
  /** STS gives no tokens. */
  refusesTokens = false;
  /** Nobody answers. */
  isDown = false;
  /** Seconds that federation tokens live, instead of what was asked for. */
  lifetimeSeconds: number | undefined;
  readonly #upstream: string;
  readonly #server: Server;

  private constructor(upstream: string) {
    this.#upstream = upstream;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) =>
        response.headersSent ? response.destroy() : response.writeHead(599).end(String(error)),
      );
    });
  }

  static async open(fleet: Fleet, upstream: string): Promise<S3Front> {
    const front = new S3Front(upstream);
    const socket = join(fleet.root, "s3.sock");
    await new Promise<void>((resolve) => front.#server.listen(socket, resolve));
    let isReady = false;
    const program = fileURLToPath(new URL("../aws/relay.ts", import.meta.url));
    const onOutput = (): void => void (isReady = true);
    void fleet.start([process.execPath, program, String(PORT), socket], { onOutput, timeoutMs: RELAY_MS });
    await waitFor("S3 in the fleet's network", () => isReady);
    return front;
  }

  /** Key ids that were used for S3 since a request. */
  usedSince(start: number): ReadonlySet<string> {
    return new Set(this.requests.slice(start).map((line) => line.split(" ")[0] ?? ""));
  }

  /** Nobody answers any more, also in the middle of an answer. */
  goAway(): void {
    this.isDown = true;
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isDown) {
      request.socket.destroy();
      return;
    }
    const [, id = "", service = ""] =
      /Credential=([^/]+)\/[^/]+\/[^/]+\/([^/]+)\//u.exec(request.headers.authorization ?? "") ?? [];
    if (service === "s3") {
      this.requests.push(`${id} ${request.method} ${request.url}`);
      const refusal = this.#refusalOf(id, request);
      if (refusal !== undefined) {
        request.resume();
        response.writeHead(refusal.code === "ExpiredToken" ? 400 : 403, { "content-type": "text/xml" });
        response.end(`<Error><Code>${refusal.code}</Code><Message>${refusal.message}</Message></Error>`);
        return;
      }
    }
    if (service !== "sts") return this.#forward(request, response, request);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
    const role = form.get("RoleArn");
    if (role !== null) this.assumed.push({ role, hasPolicy: form.has("Policy") });
    if (form.get("Action") === "GetFederationToken") return this.#federate(form, response);
    return this.#forward(request, response, Buffer.concat(chunks));
  }

  #refusalOf(
    id: string,
    { method = "", url = "", headers }: IncomingMessage,
  ): { readonly code: string; readonly message: string } | undefined {
    const session = this.sessions.get(id);
    if (this.ended.has(id)) return { code: "ExpiredToken", message: "The provided token has expired." };
    const hasToken = session === undefined || headers["x-amz-security-token"] === session.token;
    if (!hasToken) return { code: "InvalidToken", message: "The provided token is malformed or otherwise invalid." };
    const { pathname, searchParams } = new URL(url, "http://s3");
    const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/u.exec(decodeURIComponent(pathname)) ?? [];
    const question = {
      action: actionOf(method, key),
      resource: `arn:aws:s3:::${bucket}${key === "" ? "" : `/${key}`}`,
      context: { "s3:prefix": searchParams.get("prefix") ?? "" },
    };
    const policies = [this.base, session?.statements].filter((policy) => policy !== undefined);
    if (policies.every((policy) => evaluate(policy, question).decision === "allowed")) return undefined;
    this.refusals.push(`${question.action} ${question.resource}`);
    const what = `is not authorized to perform: ${question.action} on resource: &quot;${question.resource}&quot;`;
    const message = `User: arn:aws:sts::123456789012:federated-user/sky-c ${what} because no identity-based policy allows the action`;
    return { code: "AccessDenied", message: this.namesActions ? message : "Access Denied" };
  }

  #federate(form: URLSearchParams, response: ServerResponse): void {
    if (this.refusesTokens) {
      response.writeHead(403, { "content-type": "text/xml" });
      const user = "User: arn:aws:iam::123456789012:user/alice";
      const what = `${user} is not authorized to perform: sts:GetFederationToken on resource: *`;
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${what}</Message></Error></ErrorResponse>`,
      );
      return;
    }
    const count = this.sessions.size + 1;
    const policy = JSON.parse(form.get("Policy") ?? "{}") as { readonly Statement: readonly Statement[] };
    const id = `ASIALENT${String(count).padStart(12, "0")}`;
    const session = {
      statements: policy.Statement,
      secret: `canary-lent-secret-${count}`,
      token: `canary-lent-token-${count}`,
    };
    this.sessions.set(id, session);
    const seconds = this.lifetimeSeconds ?? Number(form.get("DurationSeconds"));
    const expires = new Date(Date.now() + seconds * 1000).toISOString();
    response.writeHead(200, { "content-type": "text/xml" });
    response.end(
      '<GetFederationTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetFederationTokenResult><Credentials>' +
        `<AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${session.secret}</SecretAccessKey>` +
        `<SessionToken>${session.token}</SessionToken><Expiration>${expires}</Expiration>` +
        "</Credentials></GetFederationTokenResult></GetFederationTokenResponse>",
    );
  }

  async #forward(request: IncomingMessage, response: ServerResponse, body: IncomingMessage | Buffer): Promise<void> {
    const options = { method: request.method ?? "GET", headers: request.headers };
    await new Promise<void>((resolve, reject) => {
      const call = send(`${this.#upstream}${request.url ?? "/"}`, options, (answer) => {
        const { connection: _connection, ...headers } = answer.headers;
        response.writeHead(answer.statusCode ?? 0, headers);
        answer.pipe(response);
        answer.on("end", resolve).on("error", reject);
      });
      call.on("error", reject);
      if (Buffer.isBuffer(body)) call.end(body);
      else body.pipe(call);
    });
  }
}

function actionOf(method: string, key: string): string {
  if (key === "") return method === "GET" || method === "HEAD" ? "s3:ListBucket" : "s3:Other";
  if (method === "GET" || method === "HEAD") return "s3:GetObject";
  return method === "DELETE" ? "s3:DeleteObject" : "s3:PutObject";
}
