import { createHash, createPublicKey, randomUUID, verify, type JsonWebKey } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakePrincipal {
  readonly userId: string;
  readonly account: string;
  readonly arn: string;
  /** The session token that must come along. */
  readonly token?: string;
  readonly problem?: "expired" | "wrong-secret";
}

/** Session keys as AWS gives them out. */
export interface IssuedKeys {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  /** ISO 8601. */
  readonly expires: string;
}

/** Gives out session keys of a role. */
export type IssueKeys = (roleArn: string, session: string) => Promise<IssuedKeys>;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const HOUR_MS = 3_600_000;

/**
 * The parts of AWS that credentials come from, on one loopback port: STS, SSO-OIDC, the SSO portal, sign-in, instance metadata and a
 * container endpoint, with just enough of EC2 and S3 for a check. What it knows and refuses is set through its fields.
 */
export class FakeAws {
  /** Who has which access key. */
  readonly principals = new Map<string, FakePrincipal>();
  /** `METHOD path` or the action of each call, in order. */
  readonly calls: string[] = [];
  /** How far AWS's clock is ahead of this machine's. */
  skewMs = 0;
  /** Lifetime of session keys that it gives out. */
  sessionMs = HOUR_MS;
  /** Roles that may be assumed: ARN → what must come along. */
  readonly roles = new Map<string, { readonly externalId?: string; readonly mfaCode?: string }>();
  /** Actions refused with AccessDenied. */
  readonly denied = new Set<string>();
  /** The access token that the portal accepts, and how many seconds new ones live. */
  ssoToken = "";
  ssoExpiresIn = 8 * 3600;
  /** `account/role` that the portal gives out. */
  readonly ssoRoles = new Set<string>();
  /** Whether the user has confirmed the device code, or what the service answers instead. */
  deviceState: "pending" | "confirmed" | "access_denied" | "expired_token" = "confirmed";
  /** Whether a refresh token still counts. */
  canRefresh = true;
  /** Role of the instance; undefined = none attached, `off` = no metadata service. */
  instanceRole: string | undefined = "off";
  /** What the container endpoint wants as Authorization. */
  containerToken: string | undefined;
  /** Content of the web identity token that counts. */
  webIdentity = "good-token";
  loginRefusal: string | undefined;
  /** Gives out keys that another server knows, instead of keys that only this one knows. */
  issuer: IssueKeys | undefined;
  readonly #codes = new Map<string, string>();
  readonly #server: Server;
  #next = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.writeHead(599).end(String(error)));
    });
  }

  static async open(): Promise<FakeAws> {
    const fake = new FakeAws();
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  count(call: string): number {
    return this.calls.filter((each) => each === call).length;
  }

  /** Registers new session keys for somebody. */
  issue(who: Omit<FakePrincipal, "token">): IssuedKeys {
    this.#next += 1;
    const id = `ASIAFAKE${String(this.#next).padStart(4, "0")}`;
    const token = `canary-session-${this.#next}`;
    this.principals.set(id, { ...who, token });
    return {
      id,
      secret: `canary-secret-${this.#next}`,
      token,
      expires: new Date(this.#now() + this.sessionMs).toISOString(),
    };
  }

  async #give(roleArn: string, session: string): Promise<IssuedKeys> {
    return this.issuer === undefined ? this.issue(assumed(roleArn, session)) : await this.issuer(roleArn, session);
  }

  #now(): number {
    return Date.now() + this.skewMs;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString("utf8");
    const url = new URL(request.url ?? "/", this.url);
    const answer = await this.#answer(request, url, body);
    response.writeHead(answer.status, { date: new Date(this.#now()).toUTCString(), ...answer.headers });
    response.end(answer.body);
  }

  #answer(request: IncomingMessage, url: URL, body: string): Answer | Promise<Answer> {
    const form = new URLSearchParams(body);
    const action = form.get("Action");
    if (action !== null) {
      this.calls.push(action);
      return this.#query(action, form, request);
    }
    this.calls.push(`${request.method ?? ""} ${url.pathname}`);
    const json = body.startsWith("{") ? (JSON.parse(body) as Record<string, unknown>) : {};
    if (url.pathname.startsWith("/latest/")) return this.#metadata(request, url);
    switch (url.pathname) {
      case "/":
        return this.#buckets(request);
      case "/container":
        return this.#container(request);
      case "/client/register":
        return toJson(200, {
          clientId: "client",
          clientSecret: "canary-hush",
          clientSecretExpiresAt: Math.floor(this.#now() / 1000) + 90 * 86_400,
        });
      case "/device_authorization":
        return toJson(200, {
          deviceCode: "device",
          userCode: "ABCD-EFGH",
          verificationUri: `${this.url}/device`,
          verificationUriComplete: `${this.url}/device?user_code=ABCD-EFGH`,
          expiresIn: 600,
          interval: 0.01,
        });
      case "/authorize":
        return this.#authorize(url);
      case "/token":
        return this.#token(json);
      case "/v1/token":
        return this.#login(request);
      default:
        return this.#portal(request, url);
    }
  }

  #buckets(request: IncomingMessage): Answer {
    const who = this.principals.get(keyIdOf(request));
    if (who === undefined || who.problem !== undefined) {
      const code = who === undefined ? "InvalidAccessKeyId" : "SignatureDoesNotMatch";
      return xml(403, `<Error><Code>${code}</Code><Message>No.</Message></Error>`);
    }
    if (who.token !== undefined && request.headers["x-amz-security-token"] !== who.token) {
      return xml(400, "<Error><Code>InvalidToken</Code><Message>The provided token is malformed.</Message></Error>");
    }
    return this.denied.has("s3:ListAllMyBuckets")
      ? xml(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
      : xml(200, "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>");
  }

  #query(action: string, form: URLSearchParams, request: IncomingMessage): Answer | Promise<Answer> {
    if (action === "AssumeRoleWithWebIdentity") return this.#webIdentity(form);
    const who = this.principals.get(keyIdOf(request));
    const signedAt = parseAmzDate(String(request.headers["x-amz-date"]));
    if (Math.abs(signedAt - this.#now()) > 5 * 60_000) {
      return refuse(
        "SignatureDoesNotMatch",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (15 min.)",
      );
    }
    if (who === undefined)
      return refuse("InvalidClientTokenId", "The security token included in the request is invalid.");
    if (who.problem === "expired")
      return refuse("ExpiredToken", "The security token included in the request is expired");
    if (who.problem === "wrong-secret")
      return refuse(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
      );
    if (who.token !== undefined && request.headers["x-amz-security-token"] !== who.token) {
      return refuse("InvalidClientTokenId", "The security token included in the request is invalid.");
    }
    switch (action) {
      case "GetCallerIdentity":
        return result(action, `<Arn>${who.arn}</Arn><UserId>${who.userId}</UserId><Account>${who.account}</Account>`);
      case "AssumeRole":
        return this.#assumeRole(form, who);
      case "DescribeRegions":
      case "DescribeAvailabilityZones":
        return this.denied.has(`ec2:${action}`)
          ? xml(
              403,
              `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. User: ${who.arn} is not authorized to perform: ec2:${action}</Message></Error></Errors></Response>`,
            )
          : xml(200, `<${action}Response></${action}Response>`);
      default:
        return refuse("InvalidAction", `Could not find operation ${action}`);
    }
  }

  async #assumeRole(form: URLSearchParams, who: FakePrincipal): Promise<Answer> {
    const arn = form.get("RoleArn") ?? "";
    const role = this.roles.get(arn);
    const isRefused =
      role === undefined || (role.externalId !== undefined && form.get("ExternalId") !== role.externalId);
    if (isRefused) {
      return refuse(
        "AccessDenied",
        `User: ${who.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
      );
    }
    if (role.mfaCode !== undefined && form.get("TokenCode") !== role.mfaCode) {
      return refuse("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.");
    }
    const session = form.get("RoleSessionName") ?? "";
    return result("AssumeRole", sessionXml(await this.#give(arn, session)));
  }

  async #webIdentity(form: URLSearchParams): Promise<Answer> {
    const token = form.get("WebIdentityToken") ?? "";
    if (token === "old-token")
      return refuse(
        "ExpiredTokenException",
        "Token expired: current date/time must be before the expiration date/time",
      );
    if (token !== this.webIdentity)
      return refuse("InvalidIdentityToken", "No OpenIDConnect provider found in your account");
    const keys = await this.#give(form.get("RoleArn") ?? "", form.get("RoleSessionName") ?? "");
    return result("AssumeRoleWithWebIdentity", sessionXml(keys));
  }

  async #metadata(request: IncomingMessage, url: URL): Promise<Answer> {
    if (this.instanceRole === "off") return toJson(403, {});
    if (url.pathname === "/latest/api/token")
      return request.method === "PUT" ? { status: 200, body: "imds-token" } : toJson(405, {});
    if (request.headers["x-aws-ec2-metadata-token"] !== "imds-token") return toJson(401, {});
    const role = url.pathname.split("security-credentials/")[1];
    if (this.instanceRole === undefined) return toJson(404, {});
    if (role === "") return { status: 200, body: this.instanceRole };
    const keys = await this.#give(`arn:aws:iam::123456789012:role/${this.instanceRole}`, "i-0abc");
    return toJson(200, {
      Code: "Success",
      AccessKeyId: keys.id,
      SecretAccessKey: keys.secret,
      Token: keys.token,
      Expiration: keys.expires,
    });
  }

  async #container(request: IncomingMessage): Promise<Answer> {
    if (this.containerToken !== undefined && request.headers.authorization !== this.containerToken) {
      return toJson(403, { message: "Invalid authorization token" });
    }
    const keys = await this.#give("arn:aws:iam::123456789012:role/pod", "pod");
    return toJson(200, {
      AccessKeyId: keys.id,
      SecretAccessKey: keys.secret,
      Token: keys.token,
      Expiration: keys.expires,
    });
  }

  #authorize(url: URL): Answer {
    const code = randomUUID();
    this.#codes.set(code, url.searchParams.get("code_challenge") ?? "");
    const target = new URL(url.searchParams.get("redirect_uri") ?? "");
    target.searchParams.set("code", code);
    target.searchParams.set("state", url.searchParams.get("state") ?? "");
    return { status: 302, body: "", headers: { location: target.href } };
  }

  #token(form: Readonly<Record<string, unknown>>): Answer {
    switch (form["grantType"]) {
      case "refresh_token":
        if (!this.canRefresh)
          return toJson(400, { error: "invalid_grant", error_description: "Invalid refresh token provided" });
        break;
      case "authorization_code": {
        const challenge = createHash("sha256").update(String(form["codeVerifier"])).digest("base64url");
        if (this.#codes.get(String(form["code"])) !== challenge) return toJson(400, { error: "invalid_grant" });
        break;
      }
      default:
        if (this.deviceState === "pending") {
          this.deviceState = "confirmed";
          return toJson(400, { error: "authorization_pending" });
        }
        if (this.deviceState !== "confirmed") return toJson(400, { error: this.deviceState });
    }
    this.ssoToken = `canary-sso-${randomUUID()}`;
    return toJson(200, {
      accessToken: this.ssoToken,
      tokenType: "Bearer",
      expiresIn: this.ssoExpiresIn,
      refreshToken: "canary-again",
    });
  }

  async #login(request: IncomingMessage): Promise<Answer> {
    if (!isProof(String(request.headers["dpop"]))) return toJson(400, { error: "INVALID_REQUEST" });
    if (this.loginRefusal !== undefined) return toJson(403, { error: this.loginRefusal, message: "no" });
    const who = { userId: "AIDALOGIN", account: "123456789012", arn: "arn:aws:iam::123456789012:user/login" };
    const keys = (await this.issuer?.("arn:aws:iam::123456789012:role/login", "login")) ?? this.issue(who);
    return toJson(200, {
      accessToken: { accessKeyId: keys.id, secretAccessKey: keys.secret, sessionToken: keys.token },
      tokenType: "aws_sigv4",
      expiresIn: 900,
      refreshToken: "next",
    });
  }

  async #portal(request: IncomingMessage, url: URL): Promise<Answer> {
    const token = request.headers["x-amz-sso_bearer_token"];
    if (token === undefined) return toJson(404, { message: `no such path: ${url.pathname}` });
    if (token !== this.ssoToken) return toJson(401, { message: "Session token not found or invalid" });
    const account = url.searchParams.get("account_id") ?? "";
    if (url.pathname === "/assignment/accounts") {
      const ids = [...new Set([...this.ssoRoles].map((each) => each.split("/")[0] ?? ""))];
      const page = Number(url.searchParams.get("next_token") ?? "0");
      const accountList = [{ accountId: ids[page], accountName: `account ${page}`, emailAddress: "a@example.com" }];
      return toJson(200, { accountList, nextToken: page + 1 < ids.length ? String(page + 1) : null });
    }
    if (url.pathname === "/assignment/roles") {
      const names = [...this.ssoRoles]
        .filter((each) => each.startsWith(`${account}/`))
        .map((each) => each.split("/")[1]);
      return toJson(200, { roleList: names.map((roleName) => ({ roleName, accountId: account })) });
    }
    const role = url.searchParams.get("role_name") ?? "";
    if (!this.ssoRoles.has(`${account}/${role}`)) return toJson(403, { message: "No access" });
    const keys = await this.#give(`arn:aws:iam::${account}:role/AWSReservedSSO_${role}_0`, "ann@example.com");
    const expiration = Date.parse(keys.expires);
    return toJson(200, {
      roleCredentials: { accessKeyId: keys.id, secretAccessKey: keys.secret, sessionToken: keys.token, expiration },
    });
  }
}

function assumed(roleArn: string, session: string): Omit<FakePrincipal, "token"> {
  const account = roleArn.split(":")[4] ?? "";
  const name = roleArn.split("/").at(-1) ?? "";
  const id = `AROA${createHash("sha1").update(roleArn).digest("hex").slice(0, 12).toUpperCase()}`;
  return { userId: `${id}:${session}`, account, arn: `arn:aws:sts::${account}:assumed-role/${name}/${session}` };
}

function sessionXml(keys: IssuedKeys): string {
  return `<Credentials><AccessKeyId>${keys.id}</AccessKeyId><SecretAccessKey>${keys.secret}</SecretAccessKey><SessionToken>${keys.token}</SessionToken><Expiration>${keys.expires}</Expiration></Credentials>`;
}

/** Whether a DPoP proof is signed with the key that it holds. */
function isProof(text: string): boolean {
  const [head = "", payload = "", signature = ""] = text.split(".");
  const { jwk } = JSON.parse(Buffer.from(head, "base64url").toString("utf8") || "{}") as { readonly jwk?: JsonWebKey };
  if (jwk === undefined) return false;
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const data = Buffer.from(`${head}.${payload}`);
  return verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
}

function parseAmzDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u, "$1-$2-$3T$4:$5:$6Z"));
}

function xml(status: number, body: string): Answer {
  return { status, body, headers: { "content-type": "text/xml" } };
}

function toJson(status: number, body: unknown): Answer {
  return { status, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function result(action: string, content: string): Answer {
  return xml(
    200,
    `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${content}</${action}Result></${action}Response>`,
  );
}

function refuse(code: string, message: string): Answer {
  return xml(
    403,
    `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
  );
}

function keyIdOf(request: IncomingMessage): string {
  return /Credential=([^/]+)\//u.exec(request.headers.authorization ?? "")?.[1] ?? "";
}
