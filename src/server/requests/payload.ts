import type { RequestRow } from "../../db/queries/requests.ts";
import { encodeWireError, WireError } from "../../shared/wire/error.ts";
import { PICKLED_NONE, REQUEST_FIELDS } from "../../shared/wire/request-payload.ts";
import type { FinishedEntry } from "./finished-cache.ts";
import type { EscapedResult } from "./result-store.ts";
import { InvalidValueError } from "../../shared/errors.ts";

/** What every payload needs of a row; the sealed body never gets here. */
export type PayloadRow = Omit<RequestRow, "sealed_body" | "operation">;

/** The end of a request for `/api/get`. The result is escaped apart from the rest because it may be large. */
export function toFinishedEntry(row: PayloadRow, escaped: EscapedResult): FinishedEntry {
  return { head: encodeHead(row), escaped, isFailed: row.status === "FAILED", userId: row.user_id };
}

/** JSON text of a RequestPayload, open before the value of its last field. */
function encodeHead(row: PayloadRow): string {
  const error = row.error === null ? "null" : encodeWireError(WireError.parse(JSON.parse(row.error)));
  const head = JSON.stringify({
    request_id: row.request_id,
    name: row.name,
    entrypoint: PICKLED_NONE,
    request_body: PICKLED_NONE,
    status: row.status,
    user_id: row.user_id,
    error,
    ...tailOf(row),
  });
  return `${head.slice(0, -1)},"return_value":`;
}

/**
 * A RequestPayload as `/api/status` shows it: readable, the body only to its owner, results left out. `fields` leaves out what
 * costs something and was not asked for; every key is there all the same, as the client's model wants it.
 */
export function readablePayload(
  row: PayloadRow,
  options: { readonly isOwner: boolean; readonly fields: readonly string[] },
): Record<string, unknown> {
  const isWanted = (field: string): boolean => options.fields.length === 0 || options.fields.includes(field);
  return {
    request_id: row.request_id,
    name: row.name,
    entrypoint: isWanted("entrypoint") ? entrypointOf(row.body) : "",
    request_body: options.isOwner && isWanted("request_body") ? row.body : "null",
    status: row.status,
    user_id: row.user_id,
    return_value: "null",
    error: "null",
    ...tailOf(row),
  };
}

/** Throws InvalidValueError for columns that there are not. */
export function checkFields(fields: readonly string[]): void {
  const unknown = fields.filter((field) => !REQUEST_FIELDS.includes(field));
  if (unknown.length > 0) throw new InvalidValueError(`Unknown request field(s): ${unknown.join(", ")}`);
}

function tailOf(row: PayloadRow): Record<string, unknown> {
  return {
    created_at: row.created_at / 1000,
    pid: row.lease_owner === null ? null : process.pid,
    schedule_type: row.schedule_type,
    user_name: row.user_name === "" ? null : row.user_name,
    cluster_name: row.cluster_name,
    status_msg: row.status_msg,
    should_retry: row.should_retry === 1,
    finished_at: row.finished_at === null ? null : row.finished_at / 1000,
    file_mounts_blob_id: row.file_mounts_blob_id,
  };
}

function entrypointOf(body: string): string {
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== "object" || parsed === null || !("entrypoint" in parsed)) return "";
  return typeof parsed.entrypoint === "string" ? parsed.entrypoint : "";
}
