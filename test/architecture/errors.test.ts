import { expect, it } from "vitest";
import * as errors from "../../src/shared/errors.ts";

type SkyErrorClass = new (...args: never[]) => errors.SkyError;

/** Constructor arguments of the classes that take more than a message. */
const ARGUMENTS: Readonly<Record<string, readonly unknown[]>> = {
  CommandError: [7, "false", "Command false failed with return code 7."],
  RemoteError: ["StorageError", "From a server."],
};

function isSkyErrorClass(value: unknown): value is SkyErrorClass {
  return typeof value === "function" && value.prototype instanceof errors.SkyError;
}

const classes = Object.entries(errors).flatMap(([name, value]) =>
  isSkyErrorClass(value) ? [{ name, make: value }] : [],
);

function instanceOf({ name, make }: { name: string; make: SkyErrorClass }): errors.SkyError {
  const construct = make as new (...args: unknown[]) => errors.SkyError;
  return new construct(...(ARGUMENTS[name] ?? ["What happened."]));
}

/**
 * Classes of `sky.exceptions` 0.14.1 and Python builtins that the official client can rebuild from the arguments that we send.
 * UsageError never travels: the CLI raises and prints it.
 */
const REBUILT_BY_THE_OFFICIAL_CLIENT = new Set([
  "APIVersionMismatchError",
  "ApiServerConnectionError",
  "CloudUserIdentityError",
  "ClusterDoesNotExist",
  "ClusterNotUpError",
  "ClusterOwnerIdentityMismatchError",
  "CommandError",
  "FileNotFoundError",
  "InvalidClusterNameError",
  "InvalidSkyPilotConfigError",
  "NoCloudAccessError",
  "NotSupportedError",
  "PermissionDeniedError",
  "RequestCancelled",
  "RequestInterruptedError",
  "ResourcesMismatchError",
  "ResourcesUnavailableError",
  "RuntimeError",
  "StorageBucketCreateError",
  "StorageBucketDeleteError",
  "StorageBucketGetError",
  "StorageError",
  "StorageExternalDeletionError",
  "StorageModeError",
  "StorageNameError",
  "StorageSourceError",
  "StorageSpecError",
  "StorageUploadError",
  "UsageError",
  "ValueError",
]);

it("every error has its row: class, code, wire name, HTTP status, exit code", () => {
  const rows = classes.map((entry) => {
    const error = instanceOf(entry);
    return [entry.name, error.code, error.wireName, error.status, error.exitCode].join(" | ");
  });
  expect(rows.toSorted().join("\n")).toMatchInlineSnapshot(`
    "AgentError | AGENT_FAILED | RuntimeError | 502 | 1
    AgentNotRunningError | AGENT_NOT_RUNNING | RuntimeError | 502 | 1
    ApiServerConnectionError | API_SERVER_CONNECTION | ApiServerConnectionError | 503 | 1
    ApiVersionMismatchError | API_VERSION_MISMATCH | APIVersionMismatchError | 400 | 1
    BudgetReachedError | BUDGET_REACHED | PermissionDeniedError | 403 | 1
    CloudAccessError | CLOUD_ACCESS | PermissionDeniedError | 403 | 1
    CloudBusyError | CLOUD_BUSY | RuntimeError | 503 | 1
    CloudUserIdentityError | CLOUD_USER_IDENTITY | CloudUserIdentityError | 403 | 1
    ClusterDoesNotExistError | CLUSTER_DOES_NOT_EXIST | ClusterDoesNotExist | 404 | 1
    ClusterNotUpError | CLUSTER_NOT_UP | ClusterNotUpError | 409 | 1
    ClusterOwnerMismatchError | CLUSTER_OWNER_MISMATCH | ClusterOwnerIdentityMismatchError | 403 | 1
    CommandError | COMMAND_FAILED | CommandError | 500 | 1
    InvalidClusterNameError | INVALID_CLUSTER_NAME | InvalidClusterNameError | 400 | 1
    InvalidConfigError | INVALID_CONFIG | InvalidSkyPilotConfigError | 400 | 1
    InvalidValueError | INVALID_VALUE | ValueError | 400 | 1
    MissingFileError | MISSING_FILE | FileNotFoundError | 400 | 1
    NoCapacityError | NO_CAPACITY | ResourcesUnavailableError | 409 | 1
    NoCloudAccessError | NO_CLOUD_ACCESS | NoCloudAccessError | 409 | 1
    NotAvailableYetError | NOT_AVAILABLE_YET | NotSupportedError | 501 | 1
    NotSupportedError | NOT_SUPPORTED | NotSupportedError | 400 | 1
    OperationFailedError | OPERATION_FAILED | RuntimeError | 500 | 1
    PermissionDeniedError | PERMISSION_DENIED | PermissionDeniedError | 403 | 1
    QuotaExceededError | QUOTA_EXCEEDED | ResourcesUnavailableError | 409 | 1
    RegionUnusableError | REGION_UNUSABLE | ResourcesUnavailableError | 409 | 1
    RemoteError | REMOTE | StorageError | 500 | 1
    RequestCancelledError | REQUEST_CANCELLED | RequestCancelled | 409 | 1
    RequestInterruptedError | REQUEST_INTERRUPTED | RequestInterruptedError | 503 | 1
    RequestNotFoundError | REQUEST_NOT_FOUND | ValueError | 404 | 1
    ResourcesMismatchError | RESOURCES_MISMATCH | ResourcesMismatchError | 409 | 1
    ResourcesUnavailableError | RESOURCES_UNAVAILABLE | ResourcesUnavailableError | 409 | 1
    StorageBucketCreateError | STORAGE_BUCKET_CREATE | StorageBucketCreateError | 500 | 1
    StorageBucketDeleteError | STORAGE_BUCKET_DELETE | StorageBucketDeleteError | 500 | 1
    StorageBucketGetError | STORAGE_BUCKET_GET | StorageBucketGetError | 409 | 1
    StorageExternalDeletionError | STORAGE_EXTERNAL_DELETION | StorageExternalDeletionError | 409 | 1
    StorageModeError | STORAGE_MODE | StorageModeError | 400 | 1
    StorageNameError | STORAGE_NAME | StorageNameError | 400 | 1
    StorageSourceError | STORAGE_SOURCE | StorageSourceError | 400 | 1
    StorageSpecError | STORAGE_SPEC | StorageSpecError | 400 | 1
    StorageUploadError | STORAGE_UPLOAD | StorageUploadError | 500 | 1
    UnknownOutcomeError | UNKNOWN_OUTCOME | RuntimeError | 502 | 1
    UsageError | USAGE | UsageError | 400 | 2"
  `);
});

it("codes are unique and UPPER_SNAKE", () => {
  const codes = classes.map((entry) => instanceOf(entry).code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes.filter((code) => !/^[A-Z]+(?:_[A-Z]+)*$/u.test(code))).toEqual([]);
});

it("wire names are classes that the official client knows", () => {
  const unknown = classes.filter((entry) => !REBUILT_BY_THE_OFFICIAL_CLIENT.has(instanceOf(entry).wireName));
  expect(unknown.map((entry) => entry.name)).toEqual([]);
});

it("errors keep message, hint and cause, and name their class", () => {
  const cause = new TypeError("below");
  const error = new errors.ClusterDoesNotExistError("Cluster 'c' does not exist.", { hint: "sky status", cause });
  expect({ name: error.name, message: error.message, hint: error.hint, cause: error.cause }).toEqual({
    name: "ClusterDoesNotExistError",
    message: "Cluster 'c' does not exist.",
    hint: "sky status",
    cause,
  });
  expect(classes.map((entry) => instanceOf(entry).name)).toEqual(classes.map((entry) => entry.name));
});

it("what goes on the wire rebuilds the Python class", () => {
  const shapes = ["ClusterNotUpError", "ResourcesUnavailableError", "CommandError", "InvalidValueError"].map((name) => {
    const entry = classes.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new Error(`${name} is gone`);
    return [name, instanceOf(entry).wireShape()];
  });
  expect(Object.fromEntries(shapes)).toEqual({
    ClusterNotUpError: { args: ["What happened."], attributes: { cluster_status: null, handle: null } },
    ResourcesUnavailableError: { args: ["What happened."], attributes: { no_failover: false, failover_history: [] } },
    CommandError: {
      args: [],
      attributes: {
        returncode: 7,
        command: "false",
        error_msg: "Command false failed with return code 7.",
        detailed_reason: null,
      },
    },
    InvalidValueError: { args: ["What happened."], attributes: {} },
  });
});
