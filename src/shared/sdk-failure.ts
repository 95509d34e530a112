/** Failures of calls that a client of the AWS SDK makes, whoever answers it. */

/** What of an error of the AWS SDK is looked at. */
export interface ServiceFailure {
  readonly name: string;
  readonly message: string;
  readonly httpStatus?: number;
}

const DENIAL_CODES: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "AccessDeniedFault",
  "Client.UnauthorizedOperation",
  "NotAuthorized",
  "UnauthorizedOperation",
]);

/** The parts of an error that this product reads; undefined for what is no error of a service. */
export function failureOf(error: unknown): ServiceFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const metadata: unknown = Reflect.get(error, "$metadata");
  const status: unknown =
    typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, "httpStatusCode") : 0;
  const failure = { name: error.name, message: error.message };
  return typeof status === "number" && status > 0 ? { ...failure, httpStatus: status } : failure;
}

/** Whether the service refused because the principal lacks a permission (not because the credentials are wrong or expired). */
export function isDenial(failure: ServiceFailure): boolean {
  if (DENIAL_CODES.has(failure.name)) return true;
  // A HEAD request has no body, hence no code: only 403 itself.
  return failure.httpStatus === 403 && ["403", "Forbidden", "Unknown", "UnknownError"].includes(failure.name);
}

interface Stack {
  readonly middlewareStack: { add(middleware: Middleware, options: typeof STEP): void };
}

interface CallArgs {
  readonly input: object;
}

type Handler = (args: CallArgs) => Promise<{ readonly response: unknown; readonly output: object }>;
type Middleware = (next: Handler, context: { readonly commandName?: string }) => Handler;

const STEP = { step: "initialize", name: "explainRefusals", priority: "high" } as const;

/** What a call was about. */
export interface FailedCall {
  /** As the provider names it, e.g. `PutObject`. */
  readonly operation: string;
  readonly bucket?: string;
  readonly key?: string;
}

/** Lets every call of the client that fails throw what `explain` makes of it. `client`: any client of the SDK. */
export function onFailure(client: object, explain: (error: unknown, call: FailedCall) => unknown): void {
  (client as Stack).middlewareStack.add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw await explain(error, callOf(args.input, context.commandName ?? ""));
      }
    },
    STEP,
  );
}

function callOf(input: object, commandName: string): FailedCall {
  const [bucket, key]: unknown[] = [Reflect.get(input, "Bucket"), Reflect.get(input, "Key")];
  // Old versions have an action of their own.
  const suffix = Reflect.get(input, "VersionId") === undefined ? "" : "Version";
  return {
    operation: `${commandName.replace(/Command$/u, "")}${commandName === "DeleteObjectCommand" ? suffix : ""}`,
    ...(typeof bucket === "string" ? { bucket } : {}),
    ...(typeof key === "string" ? { key } : {}),
  };
}
