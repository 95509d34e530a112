/** Header names, in lower case as Node hands them over. */
export const HEADER = {
  apiVersion: "x-skypilot-api-version",
  version: "x-skypilot-version",
  requestId: "x-skypilot-request-id",
  streamRequestId: "x-skypilot-stream-request-id",
  /** Ours: tells that the additions of docs/wire-extensions.md are there. */
  server: "x-skypilot-server",
  idempotencyKey: "x-skypilot-idempotency-key",
  logOffset: "x-skypilot-log-offset",
  jobId: "x-skypilot-job-id",
  homePath: "x-home-path",
} as const;
