/** The package's public export: a typed client of a SkyPilot API server. See examples/sdk-hello.ts. */

export { SkyClient, type ClientConfig, type SkyClientOptions } from "./sky-client.ts";
export { Request } from "./request.ts";
export { LogStream, type JobExitCode } from "./log-stream.ts";
export type { StreamEvent, SpinnerAction } from "./stream-decoder.ts";
export type { TaskDocument, TaskInput, TaskSpec } from "./task-document.ts";
export type {
  AutostopOptions,
  CancelOptions,
  CheckOptions,
  CostReportOptions,
  EnabledCloudsOptions,
  EnabledInfra,
  ExecOptions,
  LaunchOptions,
  LaunchOutcome,
  OptimizeOptions,
  QueueOptions,
  StartOptions,
  StatusOptions,
  StopOptions,
  ValidateOptions,
  WaitFor,
} from "./cluster-verbs.ts";
export type { DownloadOptions, HookLogOptions, LogOptions, ProvisionLogOptions } from "./log-verbs.ts";
export type { CancelRequestsOptions, RequestListOptions, ServerLogOptions } from "./api-namespace.ts";
export type { BudgetOptions } from "./budgets-namespace.ts";
export type { GpuFilter, GpuOffer } from "./gpus-namespace.ts";
export type { JobsQueueOptions, ManagedJobs } from "./jobs-namespace.ts";
export type { WaitOptions } from "./operations.ts";
export type { BudgetRecord } from "../shared/wire/budgets.ts";
export type { JobStatus } from "../shared/agent/protocol.ts";
export type {
  ClusterHandle,
  ClusterRecord,
  ClusterStatus,
  CostRecord,
  Health,
  JobRecord,
  RequestPayload,
  RequestState,
  SshCredentials,
} from "./wire-types.ts";
export {
  ApiServerConnectionError,
  ApiVersionMismatchError,
  ClusterDoesNotExistError,
  ClusterNotUpError,
  CommandError,
  InvalidConfigError,
  InvalidValueError,
  NotSupportedError,
  PermissionDeniedError,
  RemoteError,
  RequestCancelledError,
  RequestInterruptedError,
  RequestNotFoundError,
  ResourcesMismatchError,
  ResourcesUnavailableError,
  SkyError,
} from "../shared/errors.ts";
