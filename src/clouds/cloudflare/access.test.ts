import { afterEach, beforeEach, expect, test } from "vitest";
import { makeAwsHome, type AwsHome } from "../../../test/support/aws/aws-home.ts";
import { parseConfig } from "../../shared/config/config.ts";
import { r2Access } from "./access.ts";

let home: AwsHome;

beforeEach(() => {
  home = makeAwsHome();
  home.write(".cloudflare/accountid", "0123456789abcdef0123456789abcdef\n");
  home.write(".cloudflare/r2.credentials", "[r2]\naws_access_key_id = of-the-token\naws_secret_access_key = secret\n");
});
afterEach(() => home.remove());

test.each([
  ["LOCAL_CREDENTIALS", true],
  ["local_credentials", true],
  ['[{"train-*": LOCAL_CREDENTIALS}]', true],
  ['[{"dev-*": LOCAL_CREDENTIALS}]', false],
])("cloudflare.remote_identity %s: the nodes of train-1 get the token's own keys: %s", async (setting, isUncut) => {
  const config = parseConfig(`cloudflare: {remote_identity: ${setting}}\n`, { file: "c" });
  const access = r2Access({ home: home.path, env: {}, nowMs: () => 0 }, { config });
  const keys = await access.lend?.({ policy: "{}", sessionName: "sky-c", cluster: { clusterName: "train-1" } });
  expect(keys?.isUncut ?? false).toBe(isUncut);
});

test.each(["NO_UPLOAD", '[{"*": NO_UPLOAD}]', "[LOCAL_CREDENTIALS]"])("does not take %s", (setting) => {
  expect(() => parseConfig(`cloudflare: {remote_identity: ${setting}}\n`, { file: "c" })).toThrow("remote_identity");
});
