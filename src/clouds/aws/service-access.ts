import type { ServiceAccess } from "../../core/ports/cloud.ts";
import { PermissionDeniedError } from "../../shared/errors.ts";
import { failureOf, isDenial, onFailure } from "../../shared/sdk-failure.ts";
import { explainRefusals, openClients, type AwsSession } from "./clients.ts";
import { storeApart } from "./store-alone.ts";

/** What an adapter of another AWS service, such as an object store, needs of a session. */
export function serviceAccess(session: AwsSession, service: string): ServiceAccess {
  const endpoint = session.endpoint(service);
  const apart = storeApart(session);
  return {
    region: session.region,
    ...(endpoint === undefined ? {} : { endpoint, isApart: apart !== undefined }),
    credentials: session.credentials,
    ...(session.openAgents === undefined ? {} : { openAgents: session.openAgents }),
    explainRefusals: (client, region) => {
      if (apart === undefined) explainRefusals(client, { service, region }, (text) => decode(session, text));
      else refuseAs(client, `S3 at ${apart}`, "Ask who runs that server for the permission, or use other keys.");
    },
  };
}

/** The same for a caller who has no credentials: what is public can be read. */
export function publicAccess(session: Omit<AwsSession, "credentials">, service: string): ServiceAccess {
  const nobody = (): Promise<never> => Promise.reject(new Error("A caller without credentials signs nothing."));
  return {
    ...serviceAccess({ ...session, credentials: nobody }, service),
    isAnonymous: true,
    explainRefusals: (client) =>
      refuseAs(
        client,
        `${storeApart(session) ?? "S3"}, asked without credentials,`,
        "Only what is public can be read without them. Set up AWS access, then run: sky check aws",
      ),
  };
}

/** No policy of AWS would help. */
function refuseAs(client: object, who: string, hint: string): void {
  onFailure(client, (error, { operation, bucket = "", key }) => {
    const failure = failureOf(error);
    if (failure === undefined || !isDenial(failure)) return error;
    const what = key === undefined ? bucket : `${key} of ${bucket}`;
    return new PermissionDeniedError(`${who} refused ${operation}${what === "" ? "" : ` on ${what}`}.`, {
      cause: error,
      hint,
    });
  });
}

async function decode(session: AwsSession, encoded: string): Promise<string> {
  const clients = openClients(session);
  try {
    return await clients.decode(encoded);
  } finally {
    clients.close();
  }
}
