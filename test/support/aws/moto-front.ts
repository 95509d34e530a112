import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { IssueKeys } from "./fake-aws.ts";

/** How far a request's time may be off. */
const TOLERANCE_MS = 5 * 60_000;

/**
 * What AWS checks and moto does not, in front of moto: the time of a request, the end of session keys, MFA codes and web identities.
 * All else is moto's answer to the request as it was signed.
 */
export class MotoFront {
  /** How far AWS's clock is ahead of this machine's. */
  skewMs = 0;
  /** Session keys that are over. */
  readonly ended = new Set<string>();
  /** Role → the MFA code that it takes. */
  readonly mfaCodes = new Map<string, string>();
  /** Web identity token → the role that it leads to, or `expired`. */
  readonly webTokens = new Map<string, string>();
  /** Actions that fail with an internal error. */
  readonly broken = new Set<string>();
  /** The action of each call, S3's as `METHOD path`. */
  readonly calls: string[] = [];
  readonly #server: Server;
  readonly #options: { readonly moto: string; readonly issue: IssueKeys };

  private constructor(options: { readonly moto: string; readonly issue: IssueKeys }) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.writeHead(599).end(String(error)));
    });
  }

  static async open(options: { readonly moto: string; readonly issue: IssueKeys }): Promise<MotoFront> {
    const front = new MotoFront(options);
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const [, key = "", service = ""] =
      /Credential=([^/]+)\/[^/]+\/[^/]+\/([^/]+)\//u.exec(request.headers.authorization ?? "") ?? [];
    const form = new URLSearchParams(service === "s3" ? "" : body.toString("utf8"));
    const action = form.get("Action") ?? `${request.method ?? ""} ${request.url ?? ""}`;
    this.calls.push(action);
    response.setHeader("date", new Date(Date.now() + this.skewMs).toUTCString());
    if (action === "AssumeRoleWithWebIdentity") return this.#exchange(form, response);
    const refusal = this.#refusal(request, { key, service, action, form });
    if (refusal !== undefined) return refuse(response, refusal);
    await this.#forward(request, body, response);
  }

  #refusal(
    request: IncomingMessage,
    call: { readonly key: string; readonly service: string; readonly action: string; readonly form: URLSearchParams },
  ): Refusal | undefined {
    const { service, form } = call;
    const signedAt = parseAmzDate(String(request.headers["x-amz-date"]));
    if (Math.abs(signedAt - Date.now() - this.skewMs) > TOLERANCE_MS) {
      const message = "Signature expired: the request's time is more than 5 minutes off";
      return { service, code: "SignatureDoesNotMatch", message };
    }
    if (this.ended.has(call.key)) {
      return { service, code: "ExpiredToken", message: "The security token included in the request is expired" };
    }
    if (this.broken.has(call.action)) return { service, status: 500, code: "InternalFailure", message: "Try later" };
    const code = this.mfaCodes.get(form.get("RoleArn") ?? "");
    if (call.action !== "AssumeRole" || code === undefined || form.get("TokenCode") === code) return undefined;
    const message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
    return { service, code: "AccessDenied", message };
  }

  async #exchange(form: URLSearchParams, response: ServerResponse): Promise<void> {
    const role = this.webTokens.get(form.get("WebIdentityToken") ?? "");
    if (role === "expired") {
      const message = "Token expired: current date/time must be before the expiration date/time";
      return refuse(response, { service: "sts", code: "ExpiredTokenException", message });
    }
    if (role === undefined || role !== form.get("RoleArn")) {
      const message = "No OpenIDConnect provider found in your account";
      return refuse(response, { service: "sts", code: "InvalidIdentityToken", message });
    }
    const keys = await this.#options.issue(role, form.get("RoleSessionName") ?? "");
    const credentials = `<Credentials><AccessKeyId>${keys.id}</AccessKeyId><SecretAccessKey>${keys.secret}</SecretAccessKey><SessionToken>${keys.token}</SessionToken><Expiration>${keys.expires}</Expiration></Credentials>`;
    response.writeHead(200, { "content-type": "text/xml" });
    response.end(
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>${credentials}</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    );
  }

  /** With the headers as they are, the host's included, because they are signed. */
  async #forward(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const options = { method: request.method ?? "GET", headers: request.headers };
    await new Promise<void>((resolve, reject) => {
      const call = send(`${this.#options.moto}${request.url ?? "/"}`, options, (answer) => {
        const { date: _date, connection: _connection, ...headers } = answer.headers;
        response.writeHead(answer.statusCode ?? 0, headers);
        answer.pipe(response);
        answer.on("end", resolve).on("error", reject);
      });
      call.on("error", reject).end(body);
    });
  }
}

interface Refusal {
  readonly service: string;
  readonly status?: number;
  readonly code: string;
  readonly message: string;
}

function refuse(response: ServerResponse, { service, status = 403, code, message }: Refusal): void {
  const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, { "content-type": "text/xml" });
  switch (service) {
    case "ec2":
      response.end(`<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`);
      return;
    case "s3":
      response.end(error);
      return;
    default:
      response.end(
        `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${error}<RequestId>r</RequestId></ErrorResponse>`,
      );
  }
}

function parseAmzDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u, "$1-$2-$3T$4:$5:$6Z"));
}
