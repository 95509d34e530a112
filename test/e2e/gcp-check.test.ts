import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { APIS, PERMISSIONS } from "../../src/clouds/gcp/permissions.ts";
import { scriptOfPage } from "../support/doc-script.ts";
import { FakeGoogle } from "../support/fake-google.ts";
import { plainText } from "./support/plain-text.ts";
import { runProgram } from "./support/run-program.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

/** What the two commands of gcloud leave in its directory. */
const GCLOUD = `#!/bin/bash
dir="$HOME/.config/gcloud"
mkdir -p "$dir/configurations"
case "$*" in
  "auth activate-service-account --key-file="*)
    key="\${3#--key-file=}"
    email=$(sed -n 's/.*"client_email":"\\([^"]*\\)".*/\\1/p' "$key")
    mkdir -p "$dir/legacy_credentials/$email"
    cp "$key" "$dir/legacy_credentials/$email/adc.json"
    printf '[core]\\naccount = %s\\n' "$email" > "$dir/configurations/config_default" ;;
  "config set project "*) printf 'project = %s\\n' "$4" >> "$dir/configurations/config_default" ;;
  *) echo "gcloud: unknown: $*" >&2; exit 2 ;;
esac
`;

describe("sky check gcp", () => {
  let sandbox: Sandbox;
  let google: FakeGoogle;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    google = await FakeGoogle.open();
    await sandbox.startServer(google.env);
  });
  afterAll(async () => {
    await sandbox?.dispose();
    await google?.close();
  });
  beforeEach(() => {
    rmSync(join(sandbox.home, ".config"), { recursive: true, force: true });
    google.hidesApis = false;
    for (const name of Object.values(PERMISSIONS).flat()) google.permissions.add(name);
    for (const name of Object.values(APIS).flat()) google.apis.add(name);
  });

  function write(path: string, text: string): string {
    const file = join(sandbox.home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  async function check(env: Readonly<Record<string, string>> = {}): Promise<string> {
    const result = await sandbox.sky(["check", "gcp", "-v"], { env: sandbox.env(env) });
    expect(result.exitCode).toBe(0);
    const text = plainText(`${result.stdout}${result.stderr}`);
    expect(text).not.toContain("PRIVATE KEY");
    expect(text).not.toContain(google.token);
    return text;
  }

  it("says as whom, in which project, and that launching comes later", async () => {
    const key = write("key.json", google.keyFile());
    const text = await check({ GOOGLE_APPLICATION_CREDENTIALS: key });
    expect(text).toContain("GCP: enabled [compute, storage]");
    expect(text).toContain("Activated account: sky@my-project.iam.gserviceaccount.com [project_id=my-project]");
    expect(text).toContain(`Credentials: service-account (${key})`);
    expect(text).toContain("Enabled APIs: compute.googleapis.com, cloudresourcemanager.googleapis.com");
    expect(text).toContain("Hint [compute]: Launching on GCP is not available in this version.");
  });

  it("names the APIs and permissions that are missing, and the commands that help", async () => {
    google.permissions.delete("compute.instances.create");
    google.apis.delete("storage.googleapis.com");
    const text = await check({ GOOGLE_APPLICATION_CREDENTIALS: write("key.json", google.keyFile()) });
    expect(text).toContain(
      "Reason [compute]: sky@my-project.iam.gserviceaccount.com lacks permissions in my-project: compute.instances.create.",
    );
    expect(text).toContain(
      "$ gcloud iam roles create skypilot --project my-project --permissions compute.instances.create",
    );
    expect(text).toContain(
      "--member serviceAccount:sky@my-project.iam.gserviceaccount.com --role projects/my-project/roles/skypilot",
    );
    expect(text).toContain("$ gcloud services enable storage.googleapis.com --project my-project");
  });

  it.each(Object.values(PERMISSIONS).flat())("names exactly %s when it is missing", async (permission) => {
    google.permissions.delete(permission);
    const text = await check({ GOOGLE_APPLICATION_CREDENTIALS: write("key.json", google.keyFile()) });
    expect(text).toContain(`lacks permissions in my-project: ${permission}. `);
  });

  it("does not guess which APIs are enabled when it may not ask", async () => {
    google.hidesApis = true;
    const text = await check({ GOOGLE_APPLICATION_CREDENTIALS: write("key.json", google.keyFile()) });
    expect(text).toContain("Enabled APIs: unknown (serviceusage.services.list is denied)");
    expect(text).toContain("GCP: enabled");
  });

  it("takes a login of the user's own, and asks Google who that is", async () => {
    const login = { type: "authorized_user", client_id: "c", client_secret: "s", refresh_token: "refresh-me" };
    const text = JSON.stringify({ ...login, token_uri: `${google.url}/token`, quota_project_id: "my-project" });
    write(".config/gcloud/application_default_credentials.json", text);
    expect(await check()).toContain("Activated account: ann@example.com [project_id=my-project]");
    write(".config/gcloud/application_default_credentials.json", text.replace("refresh-me", "old"));
    const expired = await check();
    expect(expired).toContain("invalid_grant: Token has been expired or revoked.");
    expect(expired).toContain("Log in again: gcloud auth application-default login");
  });

  it.each([
    ["a file that is not there", { GOOGLE_APPLICATION_CREDENTIALS: "/nowhere.json" }, "but the file does not exist."],
    ["nothing at all", {}, "GCP credentials are not set."],
  ])("with %s says what to do", async (_name, env, reason) => {
    const text = await check(env);
    expect(text).toContain("GCP: disabled");
    expect(text).toContain(reason);
  });

  it.each([
    ["not json", "it is not JSON"],
    ['{"type":"service_account"}', "client_email is missing"],
    ['{"type":"external_account"}', "credentials of the type 'external_account' cannot be used yet"],
    ['{"type":"service_account","client_email":"a","private_key":"x","project_id":"p"}', "cannot be read (Error)"],
  ])("with the key file %s says what is wrong with it", async (text, reason) => {
    expect(await check({ GOOGLE_APPLICATION_CREDENTIALS: write("key.json", text) })).toContain(reason);
  });

  it("says when the key is refused, and when no project is set", async () => {
    const strange = write("key.json", google.keyFile("gone@my-project.iam.gserviceaccount.com"));
    expect(await check({ GOOGLE_APPLICATION_CREDENTIALS: strange })).toContain(
      "Google refused gone@my-project.iam.gserviceaccount.com",
    );
    const without = write("key.json", google.keyFile().replace('"project_id":"my-project",', ""));
    expect(await check({ GOOGLE_APPLICATION_CREDENTIALS: without })).toContain("No project is set for the credentials");
  });

  it("docs/gcp.md: every command works as it stands", async () => {
    write("skypilot-key.json", google.keyFile());
    const bin = join(sandbox.root, "bin");
    mkdirSync(bin, { recursive: true });
    const programs = {
      gcloud: GCLOUD,
      sky: `#!/bin/sh\nexec "${process.execPath}" "${join(repoRoot, "bin/sky.cjs")}" "$@"\n`,
    };
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(bin, name), text);
      chmodSync(join(bin, name), 0o755);
    }
    const env = sandbox.env();
    const script = scriptOfPage(readFileSync(join(repoRoot, "docs/gcp.md"), "utf8"));
    const result = await runProgram(["bash", "-c", script], {
      env: { ...env, PATH: `${bin}:${env["PATH"] ?? ""}` },
      cwd: sandbox.work,
    });
    const output = plainText(`${result.stdout}${result.stderr}`);
    expect(result.exitCode, output).toBe(0);
    expect(output.match(/GCP: enabled \[compute, storage\]/gu)).toHaveLength(2);
  });
});
