import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sample, type Arbitrary } from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { parseIni, type IniSection } from "../../src/shared/ini.ts";
import { resolveSource } from "../../src/clouds/aws/auth/resolve.ts";
import { SharedFileReader } from "../../src/clouds/aws/auth/shared-files.ts";
import type { Source } from "../../src/clouds/aws/auth/source.ts";
import { AwsAuthError } from "../../src/clouds/aws/errors.ts";
import { awsFiles, iniText } from "../support/aws/arbitrary-files.ts";
import { readWithBotocore, type BotocoreCase } from "../support/aws/botocore.ts";

const SEED = 20_261_122;
const python = process.env["SKY_REFERENCE_PYTHON"] ?? "";
const root = mkdtempSync(join(tmpdir(), "aws-files-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function samples<T>(arbitrary: Arbitrary<T>, count: number): T[] {
  return sample(arbitrary, { numRuns: count, seed: SEED });
}

function toPlain(sections: ReadonlyMap<string, IniSection>): unknown {
  const plain = (value: IniSection | string): unknown =>
    typeof value === "string"
      ? value
      : Object.fromEntries(
          [...value].map(([key, inner]) => [key, inner instanceof Map ? Object.fromEntries(inner) : inner]),
        );
  return Object.fromEntries([...sections].map(([name, section]) => [name, plain(section)]));
}

function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** A source in the words of `botocore_reading.py`. */
function describeAsBotocore(source: Source): unknown {
  switch (source.kind) {
    case "env":
    case "shared-credentials-file":
    case "config-file": {
      const { accessKeyId, secretAccessKey, sessionToken } = source.keys;
      return {
        kind: source.kind,
        key: accessKeyId,
        secret: secretAccessKey.reveal(),
        token: sessionToken?.reveal() ?? null,
      };
    }
    case "sso":
      return {
        kind: "sso",
        account: source.accountId,
        role: source.roleName,
        startUrl: source.startUrl,
        session: source.sessionName ?? null,
      };
    case "assume-role":
      return {
        kind: "assume-role",
        role: source.roleArn,
        externalId: source.externalId ?? null,
        mfa: source.mfaSerial ?? null,
        duration: source.durationSeconds ?? null,
        base: describeAsBotocore(source.base),
      };
    case "assume-role-with-web-identity":
      return { kind: source.kind, role: source.roleArn, externalId: null, mfa: null, duration: null };
    case "login":
    case "custom-process":
    case "container-role":
    case "iam-role":
      return { kind: source.kind };
  }
}

describe.skipIf(python === "")("the AWS files as botocore reads them (set SKY_REFERENCE_PYTHON to run it)", () => {
  it("400 texts are parsed to the same sections, or refused by both", () => {
    const texts = samples(iniText, 400);
    const cases = texts.map((text, index): BotocoreCase => {
      const path = join(root, `text-${index}`);
      writeFileSync(path, text);
      return { env: {}, parse: path };
    });
    const answers = readWithBotocore(python, cases, root) as { sections?: unknown; error?: string }[];
    const verdicts = { same: 0, refused: 0 };
    for (const [index, text] of texts.entries()) {
      const ours = attempt(() => parseIni(text));
      const theirs = answers[index];
      if (ours instanceof Error) {
        expect(theirs?.error, `${text}\n=> ${ours.message}`).toBeDefined();
        verdicts.refused += 1;
      } else {
        expect({ sections: toPlain(ours) }, text).toEqual(theirs);
        verdicts.same += 1;
      }
    }
    expect(verdicts.same).toBeGreaterThan(100);
    expect(verdicts.refused).toBeGreaterThan(30);
  });

  it("400 sets of files and variables give the same kind, keys, role and account, or an error that explains", () => {
    const sets = samples(awsFiles, 400);
    const cases = sets.map((set, index): BotocoreCase => {
      const folder = join(root, `set-${index}`);
      mkdirSync(folder);
      if (set.config !== undefined) writeFileSync(join(folder, "config"), set.config);
      if (set.credentials !== undefined) writeFileSync(join(folder, "credentials"), set.credentials);
      const env = {
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_CONFIG_FILE: join(folder, "config"),
        AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials"),
        ...set.env,
      };
      return { env, ...(set.profile === undefined ? {} : { profile: set.profile }) };
    });
    const answers = readWithBotocore(python, cases, root) as {
      kind?: string | null;
      error?: string;
      message?: string;
    }[];
    const kinds = new Map<string, number>();
    for (const [index, entry] of cases.entries()) {
      const environment = { home: root, env: entry.env };
      const theirs = answers[index];
      const ours = attempt(() =>
        resolveSource({
          files: new SharedFileReader().read(environment),
          environment,
          ...(entry.profile === undefined ? {} : { configuredProfile: entry.profile }),
        }),
      );
      const label = JSON.stringify(
        { entry, set: sets[index], theirs, ours: ours instanceof Error ? ours.message : ours.kind },
        undefined,
        1,
      );
      const kind = ours instanceof Error ? "error" : ours.kind;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (ours instanceof Error) {
        expect(ours, label).toBeInstanceOf(AwsAuthError);
        expect(theirs?.error !== undefined || theirs?.kind === null, label).toBe(true);
      } else {
        expect(theirs, label).toEqual(describeAsBotocore(ours));
      }
    }
    for (const kind of [
      "env",
      "shared-credentials-file",
      "config-file",
      "sso",
      "assume-role",
      "custom-process",
      "error",
    ]) {
      expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(3);
    }
    expect(kinds.get("assume-role-with-web-identity") ?? 0).toBeGreaterThan(3);
  }, 60_000);
});
