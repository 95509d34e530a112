import { createVerify, generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Google as `sky check gcp` needs it: tokens, enabled APIs, permissions of the project `my-project`. */
export class FakeGoogle {
  readonly permissions = new Set<string>();
  readonly apis = new Set<string>();
  /** E-mail addresses of service accounts whose keys are good. */
  readonly accounts = new Set(["sky@my-project.iam.gserviceaccount.com"]);
  /** Refuses to tell which APIs are enabled. */
  hidesApis = false;
  readonly token = "canary-google-token";
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.writeHead(599).end(String(error)));
    });
  }

  static async open(): Promise<FakeGoogle> {
    const google = new FakeGoogle();
    await new Promise<void>((resolve) => google.#server.listen(0, "127.0.0.1", resolve));
    return google;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Variables that lead here instead of to Google. */
  get env(): Record<string, string> {
    return {
      CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER: `${this.url}/`,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE: `${this.url}/`,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_OAUTH2: `${this.url}/`,
    };
  }

  /** The JSON key of a service account. */
  keyFile(email = "sky@my-project.iam.gserviceaccount.com"): string {
    return JSON.stringify({
      type: "service_account",
      project_id: "my-project",
      private_key_id: "k1",
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: email,
      token_uri: `${this.url}/token`,
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString("utf8");
    const url = new URL(request.url ?? "/", this.url);
    if (url.pathname === "/token") return this.#giveToken(new URLSearchParams(body), response);
    if (request.headers.authorization !== `Bearer ${this.token}`) return fail(response, 401, "UNAUTHENTICATED");
    switch (url.pathname) {
      case "/oauth2/v3/userinfo":
        return json(response, 200, { email: "ann@example.com" });
      case "/v1/projects/my-project:testIamPermissions": {
        const { permissions } = JSON.parse(body) as { permissions: string[] };
        return json(response, 200, { permissions: permissions.filter((name) => this.permissions.has(name)) });
      }
      case "/v1/projects/my-project/services:batchGet": {
        if (this.hidesApis) return fail(response, 403, "PERMISSION_DENIED");
        const services = url.searchParams.getAll("names").map((name) => ({
          name: name.replace("my-project", "42"),
          state: this.apis.has(name.split("/").at(-1) ?? "") ? "ENABLED" : "DISABLED",
        }));
        return json(response, 200, { services });
      }
      default:
        return fail(response, 403, "PERMISSION_DENIED");
    }
  }

  #giveToken(form: URLSearchParams, response: ServerResponse): void {
    const assertion = form.get("assertion");
    if (assertion === null) {
      const isGood = form.get("refresh_token") === "refresh-me";
      return isGood ? json(response, 200, { access_token: this.token }) : json(response, 400, REVOKED);
    }
    const [header = "", claims = "", signature = ""] = assertion.split(".");
    const isSigned = createVerify("RSA-SHA256").update(`${header}.${claims}`).verify(publicKey, signature, "base64url");
    const { iss, aud } = JSON.parse(Buffer.from(claims, "base64url").toString("utf8")) as Record<string, string>;
    if (!isSigned || aud !== `${this.url}/token` || !this.accounts.has(iss ?? "")) return json(response, 400, BAD_KEY);
    return json(response, 200, { access_token: this.token, expires_in: 3599 });
  }
}

const REVOKED = { error: "invalid_grant", error_description: "Token has been expired or revoked." };
const BAD_KEY = { error: "invalid_grant", error_description: "Invalid JWT Signature." };

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function fail(response: ServerResponse, code: number, status: string): void {
  json(response, code, { error: { code, message: `The caller may not do that (${status}).`, status } });
}
