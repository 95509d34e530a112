import {
  ApiServerConnectionError,
  ApiVersionMismatchError,
  CloudUserIdentityError,
  ClusterDoesNotExistError,
  ClusterNotUpError,
  ClusterOwnerMismatchError,
  CommandError,
  InvalidClusterNameError,
  InvalidConfigError,
  InvalidValueError,
  MissingFileError,
  NoCloudAccessError,
  NotSupportedError,
  PermissionDeniedError,
  RemoteError,
  RequestCancelledError,
  RequestInterruptedError,
  ResourcesMismatchError,
  ResourcesUnavailableError,
  type SkyError,
  type SkyErrorOptions,
} from "../shared/errors.ts";

type Make = (message: string, options: SkyErrorOptions) => SkyError;

const classes = {
  ApiServerConnectionError: (m, o) => new ApiServerConnectionError(m, o),
  APIVersionMismatchError: (m, o) => new ApiVersionMismatchError(m, o),
  CloudUserIdentityError: (m, o) => new CloudUserIdentityError(m, o),
  ClusterDoesNotExist: (m, o) => new ClusterDoesNotExistError(m, o),
  ClusterNotUpError: (m, o) => new ClusterNotUpError(m, o),
  ClusterOwnerIdentityMismatchError: (m, o) => new ClusterOwnerMismatchError(m, o),
  CommandError: (m, o) => new CommandError(1, "", m, o),
  FileNotFoundError: (m, o) => new MissingFileError(m, o),
  InvalidClusterNameError: (m, o) => new InvalidClusterNameError(m, o),
  InvalidSkyPilotConfigError: (m, o) => new InvalidConfigError(m, o),
  NoCloudAccessError: (m, o) => new NoCloudAccessError(m, o),
  NotSupportedError: (m, o) => new NotSupportedError(m, o),
  PermissionDeniedError: (m, o) => new PermissionDeniedError(m, o),
  RequestCancelled: (m, o) => new RequestCancelledError(m, o),
  RequestInterruptedError: (m, o) => new RequestInterruptedError(m, o),
  ResourcesMismatchError: (m, o) => new ResourcesMismatchError(m, o),
  ResourcesUnavailableError: (m, o) => new ResourcesUnavailableError(m, o),
  ValueError: (m, o) => new InvalidValueError(m, o),
} as const satisfies Record<string, Make>;

/** The exception class names that are rebuilt as classes of ours. */
export const knownWireNames: readonly string[] = Object.keys(classes);

/** Rebuilds the error of a failed request from its JSON form; the pickled object beside it is never read. */
export function toSkyError(type: string, message: string, hint?: string | null): SkyError {
  const options = hint === undefined || hint === null || hint === "" ? {} : { hint };
  const text = withoutColors(message);
  const name = type.replace(/^sky\.exceptions\./, "");
  const make = (classes as Readonly<Record<string, Make | undefined>>)[name];
  return make === undefined ? new RemoteError(name, text, options) : make(text, options);
}

/** Servers of the original colour parts of their messages, whoever reads them. */
function withoutColors(text: string): string {
  return text.replace(/\u001B\[[0-9;]*m/g, "");
}

interface WireError {
  readonly type: string;
  readonly message: string;
  readonly hint?: string | null;
}

function isWireError(value: unknown): value is WireError {
  return typeof value === "object" && value !== null && "type" in value && "message" in value;
}

/** Reads `RequestPayload.error`, a JSON text; undefined when it holds none. */
export function errorOfPayload(text: string | null | undefined): SkyError | undefined {
  if (text === null || text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  return isWireError(value) ? toSkyError(value.type, value.message, value.hint) : undefined;
}

/** Makes an error of a synchronous call's answer: `{"detail": text}` or `{"detail": {"type", "message"}}`. */
export function errorOfAnswer(status: number, path: string, text: string): SkyError {
  const detail = detailOf(text);
  if (isWireError(detail)) return toSkyError(detail.type, detail.message, detail.hint);
  const message = typeof detail === "string" ? detail : text.trim().slice(0, 2000);
  if (status === 401) {
    return new PermissionDeniedError(message === "" ? "The API server asks for a login." : message, {
      hint: "sky api login",
    });
  }
  if (status === 403) return new PermissionDeniedError(message);
  const extension = extensionOf(text);
  if (extension !== undefined && message !== "") return new RemoteError("HTTPError", message, extension);
  return new RemoteError(
    "HTTPError",
    `The API server answered ${path} with ${status}${message === "" ? "." : `: ${message}`}`,
  );
}

/** What our server adds to an error's body: see docs/wire-extensions.md. Undefined for other servers. */
function extensionOf(text: string): { hint?: string } | undefined {
  try {
    const { code, hint } = (JSON.parse(text) ?? {}) as { code?: unknown; hint?: unknown };
    if (typeof code !== "string") return undefined;
    return typeof hint === "string" ? { hint } : {};
  } catch {
    return undefined;
  }
}

function detailOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    if ("detail" in value) return describeValidation(value.detail);
    return "message" in value ? value.message : undefined;
  } catch {
    return undefined;
  }
}

/** A 422 answer lists what is wrong with the body: shown as `field: message`. */
function describeValidation(detail: unknown): unknown {
  if (!Array.isArray(detail)) return detail;
  return detail
    .map((item: { loc?: unknown[]; msg?: string }) => `${(item.loc ?? []).join(".")}: ${item.msg ?? ""}`)
    .join("; ");
}
