import type { ServiceAccess } from "../../core/ports/cloud.ts";
import { openClients, type AwsSession } from "./clients.ts";
import { explainFailure } from "./policy/denied-error.ts";

/** What an adapter of another AWS service, such as an object store, needs of a session. */
export function serviceAccess(session: AwsSession, service: string): ServiceAccess {
  const endpoint = session.endpoint(service);
  return {
    region: session.region,
    ...(endpoint === undefined ? {} : { endpoint }),
    credentials: session.credentials,
    ...(session.openAgents === undefined ? {} : { openAgents: session.openAgents }),
    explain: (error, call) => explainFailure(error, { service, ...call }, { decode: (text) => decode(session, text) }),
  };
}

async function decode(session: AwsSession, encoded: string): Promise<string> {
  const clients = openClients(session);
  try {
    return await clients.decode(encoded);
  } finally {
    clients.close();
  }
}
