import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { waitFor } from "../../e2e/support/wait-for.ts";
import { freePort } from "../free-port.ts";

const REGION = "us-east-1";

export interface GatewayOptions {
  /** Host and port; a free port of this machine when absent. */
  readonly address?: string;
  /** Where it keeps what it is sent; made, and removed at the end, when absent. */
  readonly directory?: string;
}

/** Where versitygw is, from SKY_S3_GATEWAY or PATH; undefined = nowhere. Throws when SKY_REQUIRE_E2E wants it. */
export function findGateway(): string | undefined {
  const program = process.env["SKY_S3_GATEWAY"] ?? "versitygw";
  const found = spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
  if (!found && (process.env["SKY_REQUIRE_E2E"] ?? "") !== "") throw new Error(`There is no ${program}.`);
  return found ? program : undefined;
}

/** An S3 server beside moto, so that no single one decides: versitygw, which checks signatures and bucket policies, over a folder. */
export class S3Gateway {
  readonly url: string;
  /** Of its owner. */
  readonly keys = { accessKeyId: "AKIAGATEWAYOWNER", secretAccessKey: "canary-gateway-owner-6b1f" };
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #isOwnDirectory: boolean;

  private constructor(address: string, options: GatewayOptions) {
    this.url = `http://${address}`;
    this.#isOwnDirectory = options.directory === undefined;
    this.#directory = options.directory ?? mkdtempSync(join(tmpdir(), "s3-gateway-"));
    for (const name of ["buckets", "versions", "accounts"]) mkdirSync(join(this.#directory, name), { recursive: true });
    const place = (name: string): string => join(this.#directory, name);
    const argv = ["--port", address, "--region", REGION, "--iam-dir", place("accounts"), "--quiet", "--keep-alive"];
    this.#process = spawn(
      findGateway() ?? "versitygw",
      [...argv, "posix", "--versioning-dir", place("versions"), place("buckets")],
      {
        stdio: "ignore",
        env: { ROOT_ACCESS_KEY: this.keys.accessKeyId, ROOT_SECRET_KEY: this.keys.secretAccessKey },
      },
    );
  }

  /** Starts it and waits until it answers. */
  static async start(options: GatewayOptions = {}): Promise<S3Gateway> {
    const gateway = new S3Gateway(options.address ?? `127.0.0.1:${await freePort()}`, options);
    await gateway.#untilItAnswers();
    return gateway;
  }

  /** What programs need in their environment to use it as its owner; nothing else of AWS is there. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: this.url,
      AWS_ACCESS_KEY_ID: this.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  /** A client with its owner's rights. */
  client(): S3Client {
    return new S3Client({ region: REGION, endpoint: this.url, credentials: this.keys, forcePathStyle: true });
  }

  /** Ends the server; a folder that it made itself goes with it. */
  stop(): void {
    this.#process.kill("SIGKILL");
    if (this.#isOwnDirectory) rmSync(this.#directory, { recursive: true, force: true });
  }

  async #untilItAnswers(): Promise<void> {
    let failure: Error | undefined;
    this.#process.once("error", (error) => (failure = error));
    await waitFor("versitygw to answer", async () => {
      if (failure !== undefined) throw failure;
      if (this.#process.exitCode !== null) throw new Error(`versitygw ended with ${this.#process.exitCode}.`);
      return fetch(this.url).then(
        () => true,
        () => false,
      );
    });
  }
}
