import type { SkyClient } from "../../../client/sky-client.ts";
import { InvalidValueError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import type { awsConfigureSsoSpec } from "../../specs/aws.ts";
import { callAws, openLocalClient } from "./call.ts";

interface Setup {
  readonly client: SkyClient;
  readonly noBrowser: boolean;
  readonly place: Readonly<Record<"session_name" | "start_url" | "region", string>>;
}

/** `sky aws configure-sso`: log in, pick account and role, write the profile. */
export async function runAwsConfigureSso({ options }: Input<typeof awsConfigureSsoSpec>, ctx: Context): Promise<void> {
  const client = await openLocalClient(ctx, options);
  const setup: Setup = { client, noBrowser: options.noBrowser, place: await askPlace(client, options, ctx) };
  const { accounts } = await step(ctx, setup, { step: "login" });
  const account = await pick(ctx, "account", { choices: accountChoices(accounts), given: options.account });
  const { roles } = await step(ctx, setup, { step: "roles", account_id: account });
  const names = Array.isArray(roles) ? roles.map(String) : [];
  const role = await pick(ctx, "role", {
    choices: names.map((name) => ({ value: name, label: name })),
    given: options.role,
  });
  const profile = options.profile ?? (await ctx.ask("Name of the profile: "));
  await step(ctx, setup, {
    step: "write",
    account_id: account,
    role,
    profile,
    ...(options.region === undefined ? {} : { default_region: options.region }),
  });
  const prefix = profile === "default" ? "" : `AWS_PROFILE=${profile} `;
  ctx.out.write(`To use it: ${prefix}sky check aws\n`);
}

/** Asks for what neither an option nor the config file says. */
async function askPlace(
  client: SkyClient,
  options: Input<typeof awsConfigureSsoSpec>["options"],
  ctx: Context,
): Promise<Setup["place"]> {
  const args = { step: "known", profile: options.profile, session_name: options.session };
  const known = await callAws(ctx, client, { command: "configure-sso", args, noBrowser: true });
  const find = (given: string | undefined, name: string, question: string): string | Promise<string> => {
    const value = given ?? known[name];
    return typeof value === "string" ? value : ctx.ask(question);
  };
  return {
    session_name: await find(options.session, "session_name", "Name of the SSO session, such as my-company: "),
    start_url: await find(options.startUrl, "start_url", "Start URL, such as https://my-company.awsapps.com/start: "),
    region: await find(options.ssoRegion, "region", "Region of IAM Identity Center, such as us-east-1: "),
  };
}

function step(
  ctx: Context,
  setup: Setup,
  args: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const { client, noBrowser, place } = setup;
  return callAws(ctx, client, { command: "configure-sso", args: { ...place, ...args }, noBrowser });
}

interface Choice {
  readonly value: string;
  readonly label: string;
}

function accountChoices(accounts: unknown): readonly Choice[] {
  if (!Array.isArray(accounts)) return [];
  return accounts.map((entry: Readonly<Record<string, unknown>>) => {
    const id = String(entry["account_id"]);
    return { value: id, label: `${id}  ${String(entry["name"])}` };
  });
}

/** Lets the user pick by number or by value. A single choice is taken. Throws InvalidValueError when there is none, or not the given one. */
async function pick(
  ctx: Context,
  what: string,
  options: { readonly choices: readonly Choice[]; readonly given: string | undefined },
): Promise<string> {
  const { choices, given } = options;
  const [first] = choices;
  if (first === undefined) throw new InvalidValueError(`The login gives access to no ${what}.`);
  if (given !== undefined) {
    if (choices.some(({ value }) => value === given)) return given;
    const names = choices.map(({ value }) => value).join(", ");
    throw new InvalidValueError(`The login gives no access to the ${what} ${given}; there is ${names}.`);
  }
  if (choices.length === 1) {
    ctx.err.write(`Using the only ${what}: ${first.label}\n`);
    return first.value;
  }
  for (const [index, { label }] of choices.entries()) ctx.err.write(`  ${index + 1}  ${label}\n`);
  while (true) {
    const answer = await ctx.ask(`Number of the ${what}: `);
    const chosen = choices.find(({ value }) => value === answer) ?? choices[Number(answer) - 1];
    if (chosen !== undefined) return chosen.value;
    ctx.err.write(`There is no ${what} ${answer}.\n`);
  }
}
