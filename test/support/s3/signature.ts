import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** What a request says of its Signature Version 4, in a header or, of a signed URL, in its query. */
export interface Signed {
  readonly accessKeyId: string;
  /** Date, region, service and `aws4_request`. */
  readonly scope: readonly string[];
  readonly date: string;
  readonly headers: readonly string[];
  readonly signature: string;
  readonly token: string | undefined;
  readonly payloadHash: string;
  /** Undefined for a header, which counts for a quarter of an hour. */
  readonly expiresSeconds: number | undefined;
}

/** Undefined for a request that is not signed. */
export function readSignature({ headers, url = "" }: Request): Signed | undefined {
  const query = new URL(url, "http://s3").searchParams;
  const inHeader = /Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=(\w+)/u.exec(headers.authorization ?? "");
  const [credential, names, signature] = inHeader?.slice(1) ?? [
    query.get("X-Amz-Credential") ?? "",
    query.get("X-Amz-SignedHeaders") ?? "",
    query.get("X-Amz-Signature") ?? "",
  ];
  if (credential === undefined || credential === "") return undefined;
  const [accessKeyId = "", ...scope] = credential.split("/");
  const isUrl = inHeader === null;
  return {
    accessKeyId,
    scope,
    date: (isUrl ? query.get("X-Amz-Date") : single(headers["x-amz-date"])) ?? "",
    headers: names?.split(";") ?? [],
    signature: signature ?? "",
    token: (isUrl ? query.get("X-Amz-Security-Token") : single(headers["x-amz-security-token"])) ?? undefined,
    payloadHash: isUrl ? "UNSIGNED-PAYLOAD" : (single(headers["x-amz-content-sha256"]) ?? ""),
    expiresSeconds: isUrl ? Number(query.get("X-Amz-Expires")) : undefined,
  };
}

type Request = Pick<IncomingMessage, "method" | "url" | "headers">;

/** Whether whoever signed it has the secret. */
export function isSignedWith(secret: string, signed: Signed, request: Request): boolean {
  return signatureOf(secret, signed, request) === signed.signature;
}

/** Signature Version 4 of a request, as AWS documents it. */
export function signatureOf(secret: string, signed: Signed, { method, url = "", headers }: Request): string {
  const [path = "", search = ""] = url.split("?");
  const query = search
    .split("&")
    .filter((part) => part !== "" && !part.startsWith("X-Amz-Signature="))
    .map((part) => (part.includes("=") ? part : `${part}=`))
    .sort();
  const lines = signed.headers.map(
    (name) => `${name}:${(single(headers[name]) ?? "").trim().replaceAll(/ +/gu, " ")}\n`,
  );
  const request = [method, path, query.join("&"), lines.join(""), signed.headers.join(";"), signed.payloadHash];
  const hash = createHash("sha256").update(request.join("\n")).digest("hex");
  const text = ["AWS4-HMAC-SHA256", signed.date, signed.scope.join("/"), hash].join("\n");
  const key = signed.scope.reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
