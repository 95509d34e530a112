import { PermissionDeniedError } from "../../shared/errors.ts";

/** The HTTP status with which S3 refused a call; undefined for other errors. */
export function statusOf(error: unknown): number | undefined {
  const metadata: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "$metadata") : undefined;
  if (typeof metadata !== "object" || metadata === null) return undefined;
  const status: unknown = Reflect.get(metadata, "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

/** S3's own name of the failure, e.g. `NoSuchBucket`. */
export function nameOf(error: unknown): string | undefined {
  return error instanceof Error ? error.name : undefined;
}

/** Whether the server knows no such call; servers other than AWS's own leave out what few use. */
export function isNotImplemented(error: unknown): boolean {
  return statusOf(error) === 501 || nameOf(error) === "NotImplemented" || nameOf(error) === "MethodNotAllowed";
}

/** Whether the caller may not do it, or the server cannot: many servers other than AWS's own know neither tags, closing nor versions. */
export function isRefusal(error: unknown): boolean {
  return error instanceof PermissionDeniedError || isNotImplemented(error);
}

/** A header of the answer that an error of the SDK came in. */
export function headerOf(error: unknown, name: string): string | undefined {
  const response: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "$response") : undefined;
  const headers: unknown = typeof response === "object" && response !== null ? Reflect.get(response, "headers") : {};
  const value: unknown = typeof headers === "object" && headers !== null ? Reflect.get(headers, name) : undefined;
  return typeof value === "string" ? value : undefined;
}
