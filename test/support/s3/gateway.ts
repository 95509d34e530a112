import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { startProgram, type RunningProgram, type RunOptions } from "../../e2e/support/run-program.ts";
import { waitFor } from "../../e2e/support/wait-for.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { GATEWAY } from "../../fleet/world.ts";
import { freePort } from "../free-port.ts";

const REGION = "us-east-1";
const FLEET_PORT = 7070;
const LIFETIME_MS = 3_600_000;
const [CERTIFICATE, KEY] = ["server.pem", "server.key"];

type Start = (argv: readonly string[], options: RunOptions) => RunningProgram;

interface Place {
  /** Host and port. */
  readonly address: string;
  readonly directory: string;
  readonly start: Start;
  readonly isSecure?: boolean;
}

/** Where versitygw is, from SKY_S3_GATEWAY or PATH; undefined = nowhere. Throws when SKY_REQUIRE_E2E wants it. */
export function findGateway(): string | undefined {
  const program = process.env["SKY_S3_GATEWAY"] ?? "versitygw";
  const found = spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
  if (!found && (process.env["SKY_REQUIRE_E2E"] ?? "") !== "") throw new Error(`There is no ${program}.`);
  return found ? program : undefined;
}

/** A server's certificate of 127.0.0.1, and its key, in a directory; gives their paths. */
export function makeCertificate(directory: string): { readonly certificate: string; readonly key: string } {
  const files = ["-keyout", KEY, "-out", CERTIFICATE];
  const subject = ["-subj", "/CN=s3.test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", ...kind, ...subject, ...files], { cwd: directory, stdio: "ignore" });
  return { certificate: join(directory, CERTIFICATE), key: join(directory, KEY) };
}

/** An S3 server beside moto, so that no single one decides: versitygw, which checks signatures and bucket policies, over a folder. */
export class S3Gateway {
  readonly url: string;
  /** Of its owner. */
  readonly keys = { accessKeyId: "AKIAGATEWAYOWNER", secretAccessKey: "canary-gateway-owner-6b1f" };
  /** A folder for each bucket; files that are put there are objects. */
  readonly buckets: string;
  readonly #place: Place;
  #program: RunningProgram;

  private constructor(place: Place) {
    this.#place = place;
    this.url = `${place.isSecure === true ? "https" : "http"}://${place.address}`;
    this.buckets = join(place.directory, "buckets");
    for (const name of ["buckets", "versions", "accounts"]) mkdirSync(join(place.directory, name), { recursive: true });
    this.#program = this.#launch();
  }

  /** Starts it on a free port of this machine, with what it holds below `parent`; `isSecure` = by TLS, with a certificate that `caFile` vouches for. */
  static async start({
    isSecure = false,
    parent = tmpdir(),
  }: { readonly isSecure?: boolean; readonly parent?: string } = {}): Promise<S3Gateway> {
    const directory = mkdtempSync(join(parent, "s3-gateway-"));
    if (isSecure) makeCertificate(directory);
    return S3Gateway.#open({ address: `127.0.0.1:${await freePort()}`, directory, start: startProgram, isSecure });
  }

  /** Starts it in a fleet's network; it ends with the fleet at the latest. */
  static startIn(fleet: Fleet): Promise<S3Gateway> {
    const start: Start = (argv, options) => fleet.start(argv, options);
    return S3Gateway.#open({ address: `${GATEWAY}:${FLEET_PORT}`, directory: join(fleet.root, "s3"), start });
  }

  static async #open(place: Place): Promise<S3Gateway> {
    const gateway = new S3Gateway(place);
    await gateway.#untilItAnswers();
    return gateway;
  }

  get caFile(): string {
    return join(this.#place.directory, CERTIFICATE);
  }

  /** What programs need in their environment to use it as its owner; nothing else of AWS is there. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: this.url,
      AWS_ENDPOINT_URL_STS: this.url,
      AWS_ACCESS_KEY_ID: this.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  /** A client with its owner's rights, for the one on this machine. */
  client(): S3Client {
    return new S3Client({ region: REGION, endpoint: this.url, credentials: this.keys, forcePathStyle: true });
  }

  /** Ends it without warning, and waits until it is gone. What it holds stays. */
  async kill(): Promise<void> {
    this.#program.kill("SIGKILL");
    await this.#program.result;
  }

  /** Starts it again after `kill`. */
  async restart(): Promise<void> {
    this.#program = this.#launch();
    await this.#untilItAnswers();
  }

  /** Ends it, with everything that it holds. */
  stop(): void {
    this.#program.kill("SIGKILL");
    rmSync(this.#place.directory, { recursive: true, force: true });
  }

  #launch(): RunningProgram {
    const { address, directory, start, isSecure = false } = this.#place;
    const tls = isSecure ? ["--cert", this.caFile, "--key", join(directory, KEY)] : [];
    const accounts = join(directory, "accounts");
    const argv = ["--port", address, "--region", REGION, "--iam-dir", accounts, "--quiet", "--keep-alive", ...tls];
    return start(
      [findGateway() ?? "versitygw", ...argv, "posix", "--versioning-dir", join(directory, "versions"), this.buckets],
      {
        cwd: directory,
        env: { ROOT_ACCESS_KEY: this.keys.accessKeyId, ROOT_SECRET_KEY: this.keys.secretAccessKey },
        timeoutMs: LIFETIME_MS,
      },
    );
  }

  async #untilItAnswers(): Promise<void> {
    const { start, directory } = this.#place;
    const env = { PATH: process.env["PATH"] ?? "" };
    await waitFor("versitygw to answer", async () => {
      const { exitCode } = await start(["curl", "-kso", "/dev/null", this.url], { cwd: directory, env }).result;
      return exitCode === 0;
    });
  }
}
