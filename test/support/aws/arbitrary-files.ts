import { array, constantFrom, nat, option, oneof, record, tuple, type Arbitrary } from "fast-check";

const NAMES = ["default", "dev", "prod", "my team", "a-b", "chain"] as const;

const spacing = constantFrom(" = ", "=", ": ", " =", "\t=\t");
const noise = constantFrom("", "", "", "# a comment\n", "; another\n", "\n", "   \n");

function optionLine(name: string, values: readonly string[]): Arbitrary<string> {
  return tuple(noise, spacing, constantFrom(...values)).map(
    ([before, equals, value]) => `${before}${name}${equals}${value}\n`,
  );
}

const keys = tuple(
  optionLine("aws_access_key_id", ["AKIA1", "AKIA2", "AKIA#3"]),
  optionLine("aws_secret_access_key", ["secret", "sec ret ; x", "a=b:c"]),
).map((lines) => lines.join(""));

const sessionKeys = tuple(keys, optionLine("aws_session_token", ["token1", "token==2"])).map((lines) => lines.join(""));

const halfKeys = oneof(
  optionLine("aws_access_key_id", ["AKIA9"]),
  optionLine("aws_secret_access_key", ["lonely"]),
  optionLine("AWS_Access_Key_Id", ["AKIAUPPER"]),
);

const ssoRole = tuple(
  optionLine("sso_account_id", ["123456789012", "210987654321"]),
  optionLine("sso_role_name", ["Admin", "Read Only"]),
).map((lines) => lines.join(""));

const ssoPlace = tuple(
  optionLine("sso_start_url", ["https://a.awsapps.com/start", "https://b.awsapps.com/start"]),
  optionLine("sso_region", ["us-east-1", "eu-west-1"]),
).map((lines) => lines.join(""));

const ssoLegacy = tuple(ssoRole, ssoPlace).map((lines) => lines.join(""));
const ssoModern = tuple(ssoRole, optionLine("sso_session", ["corp", "lost"])).map((lines) => lines.join(""));

const role = tuple(
  optionLine("role_arn", ["arn:aws:iam::123456789012:role/R", "arn:aws:iam::1:role/path/S"]),
  oneof(
    optionLine("source_profile", ["base", "base", ...NAMES, "base", "base", "missing"]),
    optionLine("credential_source", ["Environment", "Ec2InstanceMetadataa"]),
    constantFrom(""),
  ),
  oneof(constantFrom(""), optionLine("external_id", ["ext-1"])),
  oneof(constantFrom(""), optionLine("mfa_serial", ["arn:aws:iam::1:mfa/me"])),
  oneof(constantFrom(""), optionLine("duration_seconds", ["3600", "abc", " 900"])),
).map((lines) => lines.join(""));

const webIdentity = tuple(
  optionLine("web_identity_token_file", ["/tmp/token"]),
  oneof(optionLine("role_arn", ["arn:aws:iam::1:role/W"]), constantFrom("")),
).map((lines) => lines.join(""));

const process = optionLine("credential_process", [
  `echo '{"Version": 1, "AccessKeyId": "AKIAP", "SecretAccessKey": "s"}'`,
]);
const nested = constantFrom(
  "s3 =\n  max_concurrent_requests = 4\n  addressing_style=path\n",
  "s3 =\n  no equals here\n",
);
const region = optionLine("region", ["us-east-1"]);

const body: Arbitrary<string> = tuple(
  oneof({ weight: 3, arbitrary: region }, { weight: 1, arbitrary: nested }, { weight: 3, arbitrary: constantFrom("") }),
  oneof(
    { weight: 4, arbitrary: keys },
    { weight: 2, arbitrary: sessionKeys },
    { weight: 1, arbitrary: halfKeys },
    { weight: 2, arbitrary: ssoLegacy },
    { weight: 1, arbitrary: ssoRole },
    { weight: 3, arbitrary: ssoModern },
    { weight: 6, arbitrary: role },
    { weight: 2, arbitrary: webIdentity },
    { weight: 3, arbitrary: process },
    { weight: 1, arbitrary: tuple(role, keys).map((lines) => lines.join("")) },
    { weight: 1, arbitrary: constantFrom("") },
  ),
).map((lines) => lines.join(""));

function header(inConfig: boolean): Arbitrary<string> {
  const written = constantFrom(...NAMES).chain((name) => {
    if (!inConfig) return constantFrom(`[${name}]`);
    const quoted = name.includes(" ") ? `[profile "${name}"]` : `[profile ${name}]`;
    return name === "default" ? constantFrom("[default]", quoted) : constantFrom(quoted, quoted, `[profile '${name}']`);
  });
  const odd = constantFrom(
    '[profile "open]',
    "[team]",
    "[profile]",
    "[ profile dev ]",
    "[profile x y]",
    "[profile dev] # why",
    "[DEFAULT]",
  );
  return oneof({ weight: 15, arbitrary: written }, { weight: 1, arbitrary: odd });
}

const ssoSession = tuple(ssoPlace, keys).map(([place, text]) => `[sso-session corp]\n${place}[profile base]\n${text}`);

function fileText(inConfig: boolean): Arbitrary<string> {
  const content = inConfig ? body : oneof({ weight: 3, arbitrary: keys }, { weight: 1, arbitrary: body });
  const sections = array(tuple(header(inConfig), content), { minLength: 1, maxLength: 5 }).map((entries) => {
    // Duplicates end the reading at once, so most files must not have them.
    const seen = new Set<string>();
    return entries.filter(([name]) => !seen.has(name) && seen.add(name)).map(([name, text]) => `${name}\n${text}`);
  });
  const session = inConfig ? option(ssoSession, { nil: "", freq: 4 }) : constantFrom("");
  const ending = constantFrom(
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "\n# end",
    "[default]\nregion = x\n",
    "garbage\n",
  );
  return tuple(constantFrom("", "", "# head\n"), sections, session, ending, constantFrom("\n", "\n", "\r\n")).map(
    ([start, parts, tail, end, newline]) => (start + parts.join("\n") + tail + end).replaceAll("\n", newline),
  );
}

export interface AwsFileSet {
  readonly config: string | undefined;
  readonly credentials: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly profile: string | undefined;
}

const env: Arbitrary<Record<string, string>> = oneof(
  { weight: 6, arbitrary: constantFrom({}) },
  { weight: 8, arbitrary: constantFrom(...NAMES, "missing").map((name) => ({ AWS_PROFILE: name })) },
  {
    weight: 6,
    arbitrary: constantFrom<Record<string, string>>(
      { AWS_PROFILE: "dev", AWS_DEFAULT_PROFILE: "prod" },
      { AWS_ACCESS_KEY_ID: "AKIAENV", AWS_SECRET_ACCESS_KEY: "s" },
      { AWS_ACCESS_KEY_ID: "ASIAENV", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" },
      { AWS_ACCESS_KEY_ID: "AKIAENV" },
      { AWS_ACCESS_KEY_ID: "", AWS_SESSION_TOKEN: "" },
      { AWS_PROFILE: "dev", AWS_ACCESS_KEY_ID: "AKIAENV", AWS_SECRET_ACCESS_KEY: "s" },
      { AWS_WEB_IDENTITY_TOKEN_FILE: "/tmp/t", AWS_ROLE_ARN: "arn:aws:iam::1:role/E" },
      { AWS_WEB_IDENTITY_TOKEN_FILE: "/tmp/t" },
    ),
  },
);

/** Names of the profiles that the files define, so that most choices lead somewhere. */
function namesIn(set: AwsFileSet): readonly string[] {
  const found = `${set.config ?? ""}\n${set.credentials ?? ""}`.matchAll(/^\[(?:profile )?["']?([^"'\]\r\n]+)/gmu);
  return [...found].map((match) => match[1] ?? "").filter((name) => !name.startsWith("sso-session"));
}

const anySet: Arbitrary<AwsFileSet> = record({
  config: option(fileText(true), { nil: undefined, freq: 8 }),
  credentials: option(fileText(false), { nil: undefined, freq: 2 }),
  env,
  profile: option(constantFrom(...NAMES), { nil: undefined, freq: 2 }),
});

/** A home's `~/.aws` files with the variables around them. */
export const awsFiles: Arbitrary<AwsFileSet> = tuple(anySet, nat(99), constantFrom(true, true, true, false)).map(
  ([set, index, isKnown]) => {
    const names = namesIn(set);
    const name = names[index % Math.max(1, names.length)];
    if (!isKnown || name === undefined) return set;
    if (set.profile !== undefined) return { ...set, profile: name };
    return set.env["AWS_PROFILE"] === undefined ? set : { ...set, env: { ...set.env, AWS_PROFILE: name } };
  },
);

const line = constantFrom(
  "[default]",
  "[profile a]",
  "[b]] x",
  "[]",
  "[ spaced ]",
  "[DEFAULT]",
  "key = value",
  "Key=Value2",
  "other: with colon = and equals",
  "  indented = more",
  "\tdeeper",
  "    four",
  "a = # not a comment",
  "b = x ; neither",
  "# comment",
  "  ; indented comment",
  "",
  "   ",
  "nested =",
  "  x = 1",
  "  y=2",
  "  z",
  "= no name",
  "no delimiter",
  "üñí = cödé",
  "last = trailing   ",
);

/** Lines that an INI reader has to make sense of. */
export const iniText: Arbitrary<string> = tuple(
  oneof({ weight: 5, arbitrary: constantFrom("[first]\n") }, { weight: 1, arbitrary: constantFrom("") }),
  array(line, { maxLength: 7 }),
  constantFrom("\n", "\n", "\r\n", "\r"),
).map(([start, lines, newline]) => (start + lines.join("\n")).replaceAll("\n", newline));
