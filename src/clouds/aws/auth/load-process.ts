import { spawn } from "node:child_process";
import { Secret } from "../../../shared/secret.ts";
import { processFailed } from "../errors.ts";
import { parseObject, textField, timeField } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { splitWords } from "./section-name.ts";
import type { Credentials, ProcessSource } from "./source.ts";

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1024 * 1024;

/** Runs the profile's `credential_process`, without a shell. Throws AwsAuthError. */
export async function loadProcess(source: ProcessSource, context: LoadContext): Promise<Credentials> {
  const [program, ...args] = splitWords(source.command) ?? [];
  if (program === undefined) throw failed(source, "the command has an open quote or no words");
  const output = await run(source, [program, args], context);
  const answer = parseObject(output);
  if (answer === undefined) throw failed(source, "its output is not a JSON object");
  if (answer["Version"] !== 1) throw failed(source, `its output has Version ${String(answer["Version"])}, not 1`);
  const accessKeyId = textField(answer, "AccessKeyId");
  const secret = textField(answer, "SecretAccessKey");
  if (accessKeyId === undefined || secret === undefined) {
    throw failed(source, `its output has no ${accessKeyId === undefined ? "AccessKeyId" : "SecretAccessKey"}`);
  }
  const token = textField(answer, "SessionToken");
  const accountId = textField(answer, "AccountId");
  const expiresAtMs = timeField(answer, "Expiration");
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    ...(token === undefined ? {} : { sessionToken: new Secret(token) }),
    ...(accountId === undefined ? {} : { accountId }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
}

function failed(source: ProcessSource, detail: string): Error {
  return processFailed(source.profile, source.command, `${detail}.`);
}

async function run(
  source: ProcessSource,
  [program, args]: readonly [string, readonly string[]],
  context: LoadContext,
): Promise<string> {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const child = spawn(program, args, {
    env: { ...context.environment.env, HOME: context.environment.home },
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.any([deadline, context.signal]),
    killSignal: "SIGKILL",
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (output.length < MAX_OUTPUT) output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (errors.length < MAX_OUTPUT) errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", (error) => {
      if (context.signal.aborted) reject(context.signal.reason as Error);
      else
        reject(
          failed(source, deadline.aborted ? `no answer within ${TIMEOUT_MS / 1000} s` : startProblem(program, error)),
        );
    });
    child.on("close", (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(failed(source, `it ended with ${code === null ? String(signal) : `code ${code}`}${firstLine(errors)}`));
    });
  });
}

function startProblem(program: string, error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  if (code === "ENOENT") return `there is no program ${program}`;
  return code === "EACCES" ? `${program} may not be executed` : error.message;
}

/** What the program says about its failure; the output itself may hold keys and is never shown. */
function firstLine(errors: string): string {
  const line = errors.trim().split("\n")[0] ?? "";
  return line === "" ? "" : `: ${line.slice(0, 200)}`;
}
