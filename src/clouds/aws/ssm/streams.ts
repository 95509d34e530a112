import type { StartSessionResponse } from "@aws-sdk/client-ssm";
import { SessionGoneError, type Stream } from "../../../session-manager/carry.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import { signedHeaders } from "../catalog/sign.ts";
import { openClients, type AwsClients, type AwsSession } from "../clients.ts";
import { toCoreError } from "../nodes/failures.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";

/** Makes AWS connect SSH to an instance without knowing the user, the key or what is said. */
const DOCUMENT = "AWS-StartSSHSession";

export interface SessionPlace {
  readonly session: AwsSession;
  /** The file of AWS_CA_BUNDLE, absolute. */
  readonly caFile: string | undefined;
  readonly region: string;
  readonly instance: string;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

/** Starts a session with the port of SSH. Throws SkyErrors: AwsDeniedError, or what keeps the instance from being reached. */
export function startSession(place: SessionPlace): Promise<Stream> {
  return withSsm(place, async (clients, http) => {
    const { StartSessionCommand } = await import("@aws-sdk/client-ssm");
    const Parameters = { portNumber: ["22"] };
    const command = new StartSessionCommand({ Target: place.instance, DocumentName: DOCUMENT, Parameters });
    return toStream(await (await clients.ssm(place.region)).send(command, http), place);
  });
}

/** A new connection for a session that lost its own. Throws SessionGoneError when it is over. */
export function resumeSession(SessionId: string, place: SessionPlace): Promise<Stream> {
  return withSsm(place, async (clients, http) => {
    const { ResumeSessionCommand } = await import("@aws-sdk/client-ssm");
    const answer = await (await clients.ssm(place.region)).send(new ResumeSessionCommand({ SessionId }), http);
    // A session that has ended is answered without a token.
    if ((answer.TokenValue ?? "") === "") throw new SessionGoneError(`The session to ${place.instance} is over.`);
    return toStream(answer, place);
  });
}

/** Succeeds also for a session that is over. */
export async function terminateSession(SessionId: string, place: SessionPlace): Promise<void> {
  try {
    await withSsm(place, async (clients, http) => {
      const { TerminateSessionCommand } = await import("@aws-sdk/client-ssm");
      await (await clients.ssm(place.region)).send(new TerminateSessionCommand({ SessionId }), http);
    });
  } catch (error) {
    if (!(error instanceof SessionGoneError)) throw error;
  }
}

type Http = { readonly abortSignal: AbortSignal };

async function withSsm<T>(place: SessionPlace, call: (clients: AwsClients, http: Http) => Promise<T>): Promise<T> {
  const clients = openClients(place.session);
  try {
    return await call(clients, { abortSignal: place.signal });
  } catch (error) {
    throw explain(error, place);
  } finally {
    clients.close();
  }
}

function explain(error: unknown, { instance, region }: SessionPlace): unknown {
  const name = failureOf(error)?.name;
  if (name === "TargetNotConnected") {
    return new OperationFailedError(`The Session Manager agent of ${instance} is not connected to AWS.`, {
      cause: error,
      hint: "It connects some seconds after the boot, if the instance has a role with AmazonSSMManagedInstanceCore and a way to AWS.",
    });
  }
  if (name === "DoesNotExistException") return new SessionGoneError(`The session to ${instance} is over.`);
  return toCoreError(error, { region, what: `a session with ${instance}` });
}

async function toStream(answer: StartSessionResponse, place: SessionPlace): Promise<Stream> {
  const { SessionId: sessionId = "", StreamUrl: url = "", TokenValue: token = "" } = answer;
  const { caFile } = place;
  return { sessionId, url, token, headers: await signature(url, place), ...(caFile === undefined ? {} : { caFile }) };
}

/** Some data channels come with a signed URL; the others may ask for a signature. */
async function signature(url: string, { session, region, nowMs }: SessionPlace): Promise<Record<string, string>> {
  const { searchParams } = new URL(url);
  if ([...searchParams.keys()].some((key) => key.toLowerCase().startsWith("x-amz-"))) return {};
  const keys = await session.credentials();
  const call = { url, method: "GET", headers: {}, body: "" };
  const { host: _, ...headers } = signedHeaders(call, keys, { region, service: "ssmmessages", nowMs: nowMs() });
  return headers;
}
