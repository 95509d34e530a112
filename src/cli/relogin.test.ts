import { describe, expect, it } from "vitest";
import { CloudUserIdentityError, OperationFailedError } from "../shared/errors.ts";
import { ssoExpired } from "../clouds/aws/errors.ts";
import type { Context } from "./context.ts";
import { createRelogin, loginIn, withRelogin } from "./relogin.ts";

function context(
  options: { readonly isTTY?: boolean; readonly local?: boolean } = {},
): Context & { readonly said: string[] } {
  const said: string[] = [];
  const output = { isTTY: options.isTTY ?? true, write: (text: string) => said.push(text) > 0 };
  const openClient = () => Promise.resolve({ endpoint: { local: options.local ?? true } });
  return { said, out: output, err: output, command: "stop", openClient } as unknown as Context & {
    readonly said: string[];
  };
}

/** Fails once with an expired session. */
function expiringRun(): { run: () => Promise<string>; count: () => number } {
  let runs = 0;
  const run = (): Promise<string> => {
    runs += 1;
    return runs === 1 ? Promise.reject(ssoExpired("dev")) : Promise.resolve("done");
  };
  return { run, count: () => runs };
}

describe("withRelogin", () => {
  it("says that the session has ended, logs in and goes on", async () => {
    const ctx = context();
    const profiles: (string | undefined)[] = [];
    const login = (profile: string | undefined): Promise<void> => {
      profiles.push(profile);
      return Promise.resolve();
    };
    expect(await withRelogin(ctx, expiringRun().run, login)).toBe("done");
    expect(profiles).toEqual(["dev"]);
    expect(ctx.said.join("")).toBe("AWS access token is expired (SSO profile 'dev').\nLogging in again.\n");
  });

  it.each([{ isTTY: false }, { local: false }])("leaves the error alone with %j", async (options) => {
    const { run, count } = expiringRun();
    await expect(withRelogin(context(options), run, () => Promise.resolve())).rejects.toThrow("expired");
    expect(count()).toBe(1);
  });

  it("tries once only", async () => {
    const run = (): Promise<never> => Promise.reject(ssoExpired("dev"));
    await expect(withRelogin(context(), run, () => Promise.resolve())).rejects.toThrow("expired");
  });
});

describe("createRelogin", () => {
  it("logs in once for all that run side by side", async () => {
    const ctx = context();
    let logins = 0;
    const relogin = createRelogin(ctx, () => {
      logins += 1;
      return Promise.resolve();
    });
    const runs = [expiringRun(), expiringRun()];
    expect(await Promise.all(runs.map(({ run }) => relogin(run)))).toEqual(["done", "done"]);
    expect(logins).toBe(1);
    expect(ctx.said).toHaveLength(1);
  });
});

describe("loginIn", () => {
  it("reads the profile from the hint", () => {
    expect(loginIn(ssoExpired("default"))).toMatchObject({ profile: undefined });
    expect(loginIn(ssoExpired("my team"))).toMatchObject({ profile: "my team" });
  });

  it("finds none where no login helps", () => {
    expect(
      loginIn(new CloudUserIdentityError("AWS credentials are not set.", { hint: "Run: aws configure" })),
    ).toBeUndefined();
    expect(loginIn(new OperationFailedError("x", { hint: "      $ sky aws login" }))).toBeUndefined();
  });
});
