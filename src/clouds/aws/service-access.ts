import type { ServiceAccess } from "../../core/ports/cloud.ts";
import { explainRefusals, openClients, type AwsSession } from "./clients.ts";

/** What an adapter of another AWS service, such as an object store, needs of a session. */
export function serviceAccess(session: AwsSession, service: string): ServiceAccess {
  const endpoint = session.endpoint(service);
  return {
    region: session.region,
    // Stand-ins for AWS as a whole answer for STS, too.
    ...(endpoint === undefined ? {} : { endpoint, isApart: endpoint !== session.endpoint("sts") }),
    credentials: session.credentials,
    ...(session.openAgents === undefined ? {} : { openAgents: session.openAgents }),
    explainRefusals: (client, region) => explainRefusals(client, { service, region }, (text) => decode(session, text)),
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
