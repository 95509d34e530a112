import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeAws } from "../support/aws/fake-aws.ts";
import { Gate } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { commandsOfPage, scriptOfPage } from "../support/doc-script.ts";
import { writeBrowser } from "./support/browser.ts";
import { plainText } from "./support/plain-text.ts";
import { runProgram } from "./support/run-program.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

const PAGES = join(repoRoot, "docs/aws");
const pages = readdirSync(PAGES).toSorted();
const hasAwsCli = spawnSync("aws", ["--version"], { stdio: "ignore" }).status === 0;

/** Gives a command credentials as aws-vault does, or prints them. */
const AWS_VAULT = `#!/bin/bash
if [ "$1" = export ]; then
  echo '{"Version":1,"AccessKeyId":"ASIAVAULT","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}'
  exit
fi
while [ "$1" != -- ]; do shift; done
shift
export AWS_ACCESS_KEY_ID=ASIAVAULT AWS_SECRET_ACCESS_KEY=s AWS_SESSION_TOKEN=t AWS_REGION=us-east-1
exec "$@"
`;

/** A container: a HOME of its own, and of the environment only what \`-e\` names. */
const DOCKER = `#!/bin/bash
keep=(PATH="$PATH" HOME="$HOME/container" AWS_ENDPOINT_URL="$AWS_ENDPOINT_URL" SKYPILOT_API_SERVER_LOCAL_PORT="$SKYPILOT_API_SERVER_LOCAL_PORT")
mkdir -p "$HOME/container"
shift
while true; do
  case "$1" in
    -e) keep+=("$2=\${!2:?}"); shift 2 ;;
    -v) shift 2 ;;
    --rm) shift ;;
    *) break ;;
  esac
done
shift
exec env -i "\${keep[@]}" "$@"
`;

describe.skipIf(findMoto() === undefined)("the pages of docs/aws", () => {
  let sandbox: Sandbox;
  let moto: Moto;
  let gate: Gate;
  let sso: FakeAws;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    moto = await Moto.start();
    gate = await Gate.open(moto.url);
    gate.fallback = gate.user("ann", [{ Effect: "Allow", Action: "*", Resource: "*" }]);
    sso = await FakeAws.open();
    sso.ssoRoles.add("123456789012/Admin");
    program("aws-vault", AWS_VAULT);
    program("docker", DOCKER);
    writeBrowser(join(sandbox.root, "bin"));
  });
  afterAll(async () => {
    await sandbox?.dispose();
    await gate?.close();
    await sso?.close();
    moto?.stop();
  });
  beforeEach(async () => {
    await moto.reset();
    for (const part of [".aws", ".sky/config.yaml"]) rmSync(join(sandbox.home, part), { recursive: true, force: true });
    mkdirSync(join(sandbox.home, ".aws"));
    writeFileSync(
      join(sandbox.home, ".aws/credentials"),
      "[default]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n",
    );
    writeFileSync(join(sandbox.home, ".aws/config"), "[default]\nregion = us-east-1\n");
  });

  function program(name: string, text: string): void {
    mkdirSync(join(sandbox.root, "bin"), { recursive: true });
    writeFileSync(join(sandbox.root, "bin", name), text);
    chmodSync(join(sandbox.root, "bin", name), 0o755);
  }

  it.each(pages)("%s: every command works as it stands", async (page) => {
    const text = readFileSync(join(PAGES, page), "utf8");
    const commands = commandsOfPage(text);
    expect(commands.length).toBeGreaterThan(0);
    if (!hasAwsCli && commands.some((line) => line.startsWith("aws "))) return;
    program("sky", `#!/bin/sh\nexec "${process.execPath}" "${join(repoRoot, "bin/sky.cjs")}" "$@"\n`);
    const env = sandbox.env({
      AWS_ENDPOINT_URL: gate.url,
      AWS_ENDPOINT_URL_SSO: sso.url,
      AWS_ENDPOINT_URL_SSO_OIDC: sso.url,
      AWS_EC2_METADATA_DISABLED: "true",
      BROWSER: join(sandbox.root, "bin/browser"),
      PYENV_ROOT: process.env["PYENV_ROOT"] ?? join(homedir(), ".pyenv"),
    });
    const path = `${join(sandbox.root, "bin")}:${env["PATH"] ?? ""}`;
    const result = await runProgram(["bash", "-x", "-c", scriptOfPage(text)], {
      env: { ...env, PATH: path },
      cwd: sandbox.work,
      timeoutMs: 170_000,
    });
    const output = plainText(`${result.stdout}${result.stderr}`);
    expect(result.exitCode, output).toBe(0);
    // Troubleshooting shows on purpose how it looks without a profile.
    if (page !== "troubleshooting.md") expect(output).not.toMatch(/AWS: disabled|Reason \[/u);
  });

  it("link to pages that exist", () => {
    for (const page of pages) {
      const text = readFileSync(join(PAGES, page), "utf8");
      const links = [...text.matchAll(/\]\(([\w-]+\.md)\)/gu)].map((match) => match[1] ?? "");
      expect(
        links.filter((link) => !pages.includes(link)),
        page,
      ).toEqual([]);
    }
  });
});
