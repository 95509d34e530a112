import type { Kysely } from "kysely";
import { findRequest, findRequestsByPrefix, type RequestRow } from "../../db/queries/requests.ts";
import type { Database } from "../../db/schema.ts";
import { InvalidValueError, RequestNotFoundError } from "../../shared/errors.ts";

/** The request with this id, or the only one whose id begins with it. Throws RequestNotFoundError and InvalidValueError. */
export async function requireRequest(db: Kysely<Database>, idOrPrefix: string): Promise<RequestRow> {
  const exact = await findRequest(db, idOrPrefix);
  if (exact !== undefined) return exact;
  const matches = idOrPrefix === "" ? [] : await findRequestsByPrefix(db, idOrPrefix);
  if (matches.length > 1) {
    throw new InvalidValueError(`Multiple requests found for request ID prefix: ${idOrPrefix}`);
  }
  const match = matches[0];
  if (match === undefined) throw new RequestNotFoundError(`Request '${idOrPrefix}' not found`);
  return match;
}
