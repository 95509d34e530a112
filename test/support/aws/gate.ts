import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { AwsSession } from "../../../src/clouds/aws/clients.ts";
import { actionOf } from "../../../src/clouds/aws/policy/api-actions.ts";
import { questionsOf, type AwsRequest } from "./access-questions.ts";
import { evaluate, type AccessQuestion, type Statement } from "./policy-evaluator.ts";

const ACCOUNT = "123456789012";

export interface GateUser {
  readonly name: string;
  policy: readonly Statement[];
}

/**
 * AWS's authorization in front of moto, which knows neither resources nor conditions nor the simulator: every action that a request
 * needs is decided by the user's policy on the very resources, refusals are worded as AWS words them, and what is allowed goes to moto.
 */
export class Gate {
  /** Every action that was asked for, in order. */
  readonly asked: string[] = [];
  /** Tags of resources by id. */
  readonly tags = new Map<string, Readonly<Record<string, string>>>();
  /** Buckets that everybody may read who does not sign. */
  readonly publicBuckets = new Set<string>();
  /** EC2's old refusals name nothing but an encoded message. */
  isTerse = false;
  /** Whose keys all others are; nobody's when undefined. */
  fallback: GateUser | undefined;
  readonly #users = new Map<string, GateUser>();
  readonly #server: Server;
  readonly #moto: string;

  private constructor(moto: string) {
    this.#moto = moto;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        response.writeHead(599).end(String(error));
      });
    });
  }

  static async open(moto: string): Promise<Gate> {
    const gate = new Gate(moto);
    await new Promise<void>((resolve) => gate.#server.listen(0, "127.0.0.1", resolve));
    return gate;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Makes a user; its policy can be changed later. */
  user(name: string, policy: readonly Statement[]): GateUser {
    const user = { name, policy };
    this.#users.set(`AKIAGATE${name.toUpperCase()}`, user);
    return user;
  }

  session(user: GateUser, region = "us-east-1"): AwsSession {
    const keys = { accessKeyId: `AKIAGATE${user.name.toUpperCase()}`, secretAccessKey: "secret" };
    return { credentials: () => Promise.resolve(keys), region, endpoint: () => this.url, maxAttempts: 1 };
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    // Of signed URLs it is in the query.
    const signed = message.headers.authorization ?? decodeURIComponent(message.url ?? "");
    const scope = /Credential=([^/]+)\/[^/]+\/([^/]+)\/([^/]+)\//u.exec(signed);
    if (scope === null) return this.#answerUnsigned(message, response);
    const [, key = "", region = "", service = ""] = scope;
    const user = this.#users.get(key) ?? this.fallback;
    if (user === undefined) throw new Error(`Nobody has the key ${key}.`);
    const request = readRequest(message, body, { region, service });
    const arn = `arn:aws:iam::${ACCOUNT}:user/${user.name}`;
    if (request.action === "sts:GetCallerIdentity") {
      return xml(response, 200, callerIdentity(arn));
    }
    for (const question of questionsOf(request, (id) => this.tags.get(id) ?? {})) {
      this.asked.push(question.action);
      const { decision } = evaluate(user.policy, question);
      if (decision !== "allowed") return this.#refuse(response, request, question, { arn, decision });
    }
    if (request.action === "iam:SimulatePrincipalPolicy") return xml(response, 200, simulated(user, request.params));
    if (request.action === "sts:DecodeAuthorizationMessage") return xml(response, 200, decoded(request.params));
    // moto has none of these at all.
    if (request.action === "ec2:DescribeCapacityReservations") {
      return xml(
        response,
        200,
        "<DescribeCapacityReservationsResponse><capacityReservationSet/></DescribeCapacityReservationsResponse>",
      );
    }
    if (request.action === "ec2:DescribePlacementGroups") {
      return xml(
        response,
        200,
        "<DescribePlacementGroupsResponse><placementGroupSet/></DescribePlacementGroupsResponse>",
      );
    }
    await this.#forward(message, body, response);
  }

  async #answerUnsigned(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, bucket = ""] = /^\/([^/?]+)/u.exec(message.url ?? "") ?? [];
    const isRead = message.method === "GET" || message.method === "HEAD";
    if (isRead && this.publicBuckets.has(bucket)) {
      // moto has ACLs of its own, which say that nothing is public.
      message.headers.authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request";
      return this.#forward(message, Buffer.alloc(0), response);
    }
    return xml(response, 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
  }

  #refuse(
    response: ServerResponse,
    request: AwsRequest,
    question: AccessQuestion,
    refusal: { readonly arn: string; readonly decision: string },
  ): void {
    const why =
      refusal.decision === "explicitDeny"
        ? "with an explicit deny in an identity-based policy"
        : `because no identity-based policy allows the ${question.action} action`;
    const named = `User: ${refusal.arn} is not authorized to perform: ${question.action} on resource: ${question.resource} ${why}`;
    const encoded = Buffer.from(JSON.stringify({ ...question, arn: refusal.arn })).toString("base64url");
    switch (request.service) {
      case "ec2": {
        const text = `You are not authorized to perform this operation.${this.isTerse ? "" : ` ${named}.`} Encoded authorization failure message: ${encoded}`;
        return xml(
          response,
          403,
          `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>${text}</Message></Error></Errors><RequestID>r</RequestID></Response>`,
        );
      }
      case "s3":
        return xml(response, 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
      case "ecr":
      case "servicequotas":
      case "ssm":
        response.writeHead(400, { "content-type": "application/x-amz-json-1.1" });
        response.end(JSON.stringify({ __type: "AccessDeniedException", Message: named }));
        return;
      default:
        return xml(
          response,
          403,
          `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${named}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
        );
    }
  }

  async #forward(message: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const headers = Object.entries(message.headers).flatMap(([name, value]): [string, string][] =>
      typeof value === "string" && !["host", "connection", "content-length", "expect"].includes(name)
        ? [[name, value]]
        : [],
    );
    // moto finds the service by the host in the signature, and the account by the key.
    const answer = await fetch(`${this.#moto}${message.url ?? "/"}`, {
      method: message.method ?? "GET",
      headers,
      ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
    });
    const kept = [...answer.headers].filter(([name]) => /^(?:content-type|etag|last-modified|x-amz-)/u.test(name));
    response.writeHead(answer.status, { "content-type": "text/xml", ...Object.fromEntries(kept) });
    response.end(Buffer.from(await answer.arrayBuffer()));
  }
}

function xml(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/xml" });
  response.end(text);
}

function readRequest(
  message: IncomingMessage,
  body: Buffer,
  place: { readonly region: string; readonly service: string },
): AwsRequest {
  const url = new URL(message.url ?? "/", "http://gate");
  if (place.service === "s3") {
    const keys = [...body.toString("latin1").matchAll(/<Key>([^<]*)<\/Key>/gu)].map(([, key = ""]) => key);
    return { ...place, ...readS3(message.method ?? "GET", url, keys), params: url.searchParams };
  }
  const target = message.headers["x-amz-target"];
  const params = new URLSearchParams(target === undefined ? body.toString("utf8") : "");
  const operation = typeof target === "string" ? (target.split(".").at(-1) ?? "") : (params.get("Action") ?? "");
  return { ...place, action: `${place.service}:${operation}`, params, path: "" };
}

function readS3(
  method: string,
  url: URL,
  keys: readonly string[],
): { readonly action: string; readonly path: string; readonly keys?: readonly string[] } {
  const path = url.pathname.slice(1).replace(/\/$/u, "");
  const isObject = path.includes("/");
  const query = url.searchParams;
  const operation = ((): string => {
    if (path === "") return "ListBuckets";
    if (query.has("location")) return "GetBucketLocation";
    if (query.has("tagging")) return "PutBucketTagging";
    if (query.has("publicAccessBlock")) return "PutPublicAccessBlock";
    if (query.has("lifecycle")) return "PutBucketLifecycleConfiguration";
    if (query.has("versions")) return "ListObjectVersions";
    if (method === "POST") return isObject ? "PutObject" : "DeleteObject";
    if (query.has("uploads")) return "ListMultipartUploads";
    if (method === "DELETE" && !isObject) return "DeleteBucket";
    if (method === "DELETE") return deletionOf(query);
    if (method === "PUT") return isObject ? "PutObject" : "CreateBucket";
    if (query.has("uploadId")) return "ListParts";
    return isObject ? "GetObject" : "ListObjectsV2";
  })();
  const action = actionOf({ service: "s3", operation });
  return method === "POST" && !isObject ? { action, path, keys } : { action, path };
}

function deletionOf(query: URLSearchParams): string {
  if (query.has("uploadId")) return "AbortMultipartUpload";
  return query.has("versionId") ? "DeleteObjectVersion" : "DeleteObject";
}

function callerIdentity(arn: string): string {
  return `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${arn}</Arn><UserId>AIDAGATE</UserId><Account>${ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`;
}

function members(params: URLSearchParams, name: string): string[] {
  return [...params]
    .filter(([key]) => new RegExp(`^${name}\\.member\\.\\d+$`, "u").test(key))
    .map(([, value]) => value);
}

function simulated(user: GateUser, params: URLSearchParams): string {
  const context: Record<string, string> = {};
  for (let index = 1; params.has(`ContextEntries.member.${index}.ContextKeyName`); index += 1) {
    const prefix = `ContextEntries.member.${index}`;
    context[params.get(`${prefix}.ContextKeyName`) ?? ""] = params.get(`${prefix}.ContextKeyValues.member.1`) ?? "";
  }
  const results = members(params, "ActionNames").flatMap((action) =>
    members(params, "ResourceArns").map((resource) => {
      const { decision, missingContext } = evaluate(user.policy, { action, resource, context });
      const missing = missingContext.map((key) => `<member>${key}</member>`).join("");
      return `<member><EvalActionName>${action}</EvalActionName><EvalResourceName>${resource}</EvalResourceName><EvalDecision>${decision}</EvalDecision><MissingContextValues>${missing}</MissingContextValues></member>`;
    }),
  );
  return `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>${results.join("")}</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`;
}

function decoded(params: URLSearchParams): string {
  const { action, resource, arn } = JSON.parse(
    Buffer.from(params.get("EncodedMessage") ?? "", "base64url").toString("utf8"),
  ) as Readonly<Record<string, string>>;
  const message = { allowed: false, explicitDeny: false, context: { principal: { arn }, action, resource } };
  const text = JSON.stringify(message).replaceAll('"', "&quot;");
  return `<DecodeAuthorizationMessageResponse><DecodeAuthorizationMessageResult><DecodedMessage>${text}</DecodedMessage></DecodeAuthorizationMessageResult></DecodeAuthorizationMessageResponse>`;
}
