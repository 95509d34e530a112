/** Every error that a user can see. An error that is not a SkyError is a bug: its stack goes to the log, not to the user. */

/** Plain data that travels with an error to the client, where the exception is rebuilt as `Class(*args, **attributes)`. */
export interface WireErrorShape {
  readonly args: readonly unknown[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface SkyErrorOptions extends ErrorOptions {
  /** The next command to type, or what to change; shown on a line of its own. */
  readonly hint?: string;
}

export abstract class SkyError extends Error {
  /** Stable, UPPER_SNAKE, never reused. */
  abstract readonly code: string;
  /** The exception class that the official client rebuilds (a Python builtin or a name of `sky.exceptions`). */
  readonly wireName: string = "Exception";
  readonly exitCode: number = 1;
  /** HTTP status when the error answers a synchronous call. */
  readonly status: number = 500;
  readonly hint: string | undefined;

  constructor(message: string, options?: SkyErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.hint = options?.hint;
  }

  /** Constructor arguments of the Python class; most take the message alone. */
  wireShape(): WireErrorShape {
    return { args: [this.message], attributes: {} };
  }
}

/** A value that the user gave is wrong: Python's ValueError on the wire. */
export class InvalidValueError extends SkyError {
  readonly code = "INVALID_VALUE";
  override readonly wireName = "ValueError";
  override readonly status = 400;
}

/** A task, resources or config document breaks the schema. The message carries the original's prefix and detail. */
export class InvalidConfigError extends SkyError {
  readonly code = "INVALID_CONFIG";
  override readonly wireName = "InvalidSkyPilotConfigError";
  override readonly status = 400;
}

/** A storage object in file_mounts contradicts itself. */
export class StorageSpecError extends SkyError {
  readonly code: string = "STORAGE_SPEC";
  override readonly wireName: string = "StorageSpecError";
  override readonly status = 400;
}

/** `name:` of a storage object cannot be the name of a bucket. */
export class StorageNameError extends StorageSpecError {
  override readonly code = "STORAGE_NAME";
  override readonly wireName = "StorageNameError";
}

/** `source:` of a storage object is nothing that a bucket can be filled from. */
export class StorageSourceError extends StorageSpecError {
  override readonly code = "STORAGE_SOURCE";
  override readonly wireName = "StorageSourceError";
}

/** `mode:` of a storage object does not go with its source. */
export class StorageModeError extends StorageSpecError {
  override readonly code = "STORAGE_MODE";
  override readonly wireName = "StorageModeError";
}

/** A bucket could not be made. */
export class StorageBucketCreateError extends SkyError {
  readonly code = "STORAGE_BUCKET_CREATE";
  override readonly wireName = "StorageBucketCreateError";
}

/** A bucket is not there, or not open to the caller. */
export class StorageBucketGetError extends SkyError {
  readonly code = "STORAGE_BUCKET_GET";
  override readonly wireName = "StorageBucketGetError";
  override readonly status = 409;
}

/** A bucket that a cluster had mounted was deleted meanwhile. */
export class StorageExternalDeletionError extends SkyError {
  readonly code = "STORAGE_EXTERNAL_DELETION";
  override readonly wireName = "StorageExternalDeletionError";
  override readonly status = 409;
}

/** A bucket could not be removed. */
export class StorageBucketDeleteError extends SkyError {
  readonly code = "STORAGE_BUCKET_DELETE";
  override readonly wireName = "StorageBucketDeleteError";
}

/** Files did not get into a bucket. */
export class StorageUploadError extends SkyError {
  readonly code = "STORAGE_UPLOAD";
  override readonly wireName = "StorageUploadError";
}

/** The command line itself is wrong (exit code 2, as Click has it). */
export class UsageError extends SkyError {
  readonly code = "USAGE";
  override readonly wireName = "UsageError";
  override readonly exitCode = 2;
  override readonly status = 400;
}

/** The identity that a cloud's credentials stand for cannot be found out. */
export class CloudUserIdentityError extends SkyError {
  readonly code = "CLOUD_USER_IDENTITY";
  override readonly wireName = "CloudUserIdentityError";
  override readonly status = 403;
}

export class ClusterDoesNotExistError extends SkyError {
  readonly code = "CLUSTER_DOES_NOT_EXIST";
  override readonly wireName = "ClusterDoesNotExist";
  override readonly status = 404;
}

export class ClusterNotUpError extends SkyError {
  readonly code = "CLUSTER_NOT_UP";
  override readonly wireName = "ClusterNotUpError";
  override readonly status = 409;
  override wireShape(): WireErrorShape {
    return { args: [this.message], attributes: { cluster_status: null, handle: null } };
  }
}

export class InvalidClusterNameError extends SkyError {
  readonly code = "INVALID_CLUSTER_NAME";
  override readonly wireName = "InvalidClusterNameError";
  override readonly status = 400;
}

export class ClusterOwnerMismatchError extends SkyError {
  readonly code = "CLUSTER_OWNER_MISMATCH";
  override readonly wireName = "ClusterOwnerIdentityMismatchError";
  override readonly status = 403;
}

export class ResourcesMismatchError extends SkyError {
  readonly code = "RESOURCES_MISMATCH";
  override readonly wireName = "ResourcesMismatchError";
  override readonly status = 409;
}

/** No place can run the task, or every place that could has refused. */
export class ResourcesUnavailableError extends SkyError {
  readonly code = "RESOURCES_UNAVAILABLE";
  override readonly wireName = "ResourcesUnavailableError";
  override readonly status = 409;
  readonly noFailover: boolean;
  constructor(message: string, options?: SkyErrorOptions & { readonly noFailover?: boolean }) {
    super(message, options);
    this.noFailover = options?.noFailover ?? false;
  }
  override wireShape(): WireErrorShape {
    return { args: [this.message], attributes: { no_failover: this.noFailover, failover_history: [] } };
  }
}

export interface PlaceErrorOptions extends SkyErrorOptions {
  /** The cloud is known to have created nothing, so that there is nothing to undo. */
  readonly isClean?: boolean;
}

/** A cloud refused nodes in one place; the class says how much of the cloud the refusal is about. */
abstract class PlaceError extends SkyError {
  override readonly wireName = "ResourcesUnavailableError";
  override readonly status = 409;
  readonly isClean: boolean;
  constructor(message: string, options?: PlaceErrorOptions) {
    super(message, options);
    this.isClean = options?.isClean ?? false;
  }
  override wireShape(): WireErrorShape {
    return { args: [this.message], attributes: { no_failover: false, failover_history: [] } };
  }
}

/** A zone (or a region without zones) is full at this moment; another one, or the same one later, may do. */
export class NoCapacityError extends PlaceError {
  readonly code = "NO_CAPACITY";
}

/** The account may not have more of these nodes in this region: its other zones need not be asked, nor types of the same family. */
export class QuotaExceededError extends PlaceError {
  readonly code = "QUOTA_EXCEEDED";
}

/** A region cannot be used as it is set up: no network, no image, not opted in. */
export class RegionUnusableError extends PlaceError {
  readonly code = "REGION_UNUSABLE";
}

export interface DeniedCall {
  /** As the provider names it, e.g. `ec2:RunInstances`. */
  readonly action?: string;
  /** Who was denied, e.g. the ARN of a role. */
  readonly principal?: string;
  /** What it was denied on. */
  readonly resource?: string;
}

/** The account denies a call: no other place of the cloud can help. The message names what is known of `denied`. */
export class CloudAccessError extends SkyError {
  readonly code = "CLOUD_ACCESS";
  override readonly wireName = "PermissionDeniedError";
  override readonly status = 403;
  readonly denied: DeniedCall;
  constructor(message: string, options?: SkyErrorOptions & { readonly denied?: DeniedCall }) {
    super(message, options);
    this.denied = options?.denied ?? {};
  }
}

/** The cloud did nothing because it is asked too often or is out of order for a moment; the same call may be repeated. */
export class CloudBusyError extends SkyError {
  readonly code = "CLOUD_BUSY";
  override readonly wireName = "RuntimeError";
  override readonly status = 503;
}

/** No answer came, so that the call may or may not have had its effect. Repeating it with its token tells. */
export class UnknownOutcomeError extends SkyError {
  readonly code = "UNKNOWN_OUTCOME";
  override readonly wireName = "RuntimeError";
  override readonly status = 502;
}

export class NoCloudAccessError extends SkyError {
  readonly code = "NO_CLOUD_ACCESS";
  override readonly wireName = "NoCloudAccessError";
  override readonly status = 409;
}

export class NotSupportedError extends SkyError {
  readonly code = "NOT_SUPPORTED";
  override readonly wireName = "NotSupportedError";
  override readonly status = 400;
}

export class PermissionDeniedError extends SkyError {
  readonly code = "PERMISSION_DENIED";
  override readonly wireName = "PermissionDeniedError";
  override readonly status = 403;
}

/** A file or directory that the user named is missing or unreadable. */
export class MissingFileError extends SkyError {
  readonly code = "MISSING_FILE";
  override readonly wireName = "FileNotFoundError";
  override readonly status = 400;
}

/** A command that we ran for the user ended with an error. */
export class CommandError extends SkyError {
  readonly code = "COMMAND_FAILED";
  override readonly wireName = "CommandError";
  readonly returncode: number;
  readonly command: string;
  readonly detail: string | null;
  constructor(returncode: number, command: string, message: string, options?: SkyErrorOptions & { detail?: string }) {
    super(message, options);
    this.returncode = returncode;
    this.command = command;
    this.detail = options?.detail ?? null;
  }
  override wireShape(): WireErrorShape {
    return {
      args: [],
      attributes: {
        returncode: this.returncode,
        command: this.command,
        error_msg: this.message,
        detailed_reason: this.detail,
      },
    };
  }
}

export class RequestCancelledError extends SkyError {
  readonly code = "REQUEST_CANCELLED";
  override readonly wireName = "RequestCancelled";
  override readonly status = 409;
}

export class RequestInterruptedError extends SkyError {
  readonly code = "REQUEST_INTERRUPTED";
  override readonly wireName = "RequestInterruptedError";
  override readonly status = 503;
}

export class RequestNotFoundError extends SkyError {
  readonly code = "REQUEST_NOT_FOUND";
  override readonly wireName = "ValueError";
  override readonly status = 404;
}

/** The API server cannot be reached, or answers as no SkyPilot server does. */
export class ApiServerConnectionError extends SkyError {
  readonly code = "API_SERVER_CONNECTION";
  override readonly wireName = "ApiServerConnectionError";
  override readonly status = 503;
}

export class ApiVersionMismatchError extends SkyError {
  readonly code = "API_VERSION_MISMATCH";
  override readonly wireName = "APIVersionMismatchError";
  override readonly status = 400;
}

/** The node's agent is gone, unreachable or answered with an error. */
export class AgentError extends SkyError {
  readonly code: string = "AGENT_FAILED";
  override readonly wireName = "RuntimeError";
  override readonly status = 502;
}

/** The node answers, but no agent runs there: it can be started. */
export class AgentNotRunningError extends AgentError {
  override readonly code = "AGENT_NOT_RUNNING";
}

/** State that should hold does not (a disk that is full, a database that cannot be read): the user can act on it. */
export class OperationFailedError extends SkyError {
  readonly code = "OPERATION_FAILED";
  override readonly wireName = "RuntimeError";
}

/** A command of the product that has no implementation yet. */
export class NotAvailableYetError extends SkyError {
  readonly code = "NOT_AVAILABLE_YET";
  override readonly wireName = "NotSupportedError";
  override readonly status = 501;
}

/** A budget that stops clusters has nothing left for another one. */
export class BudgetReachedError extends SkyError {
  readonly code = "BUDGET_REACHED";
  override readonly wireName = "PermissionDeniedError";
  override readonly status = 403;
}

/** An error that came from a server and whose class we do not know. */
export class RemoteError extends SkyError {
  readonly code = "REMOTE";
  override readonly wireName: string;
  constructor(type: string, message: string, options?: SkyErrorOptions) {
    super(message, options);
    this.wireName = type;
  }
}
