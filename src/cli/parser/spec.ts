/** What a command accepts, as plain data. Options keep their declaration order: it is the order of the help text. */

export type Completion = "cluster_name" | "storage_name" | "volume_name" | "api_request" | "file_name";

interface OptionBase {
  /** Long spellings first, as error messages name them. */
  readonly spellings: readonly string[];
  /** Spellings that set a flag to false. */
  readonly negative?: readonly string[];
  readonly help: string;
  readonly hidden?: boolean;
  readonly multiple?: boolean;
  readonly completion?: Completion;
  /** Value of an option that may stand without one. */
  readonly bareValue?: string;
  readonly choices?: readonly string[];
  readonly caseSensitive?: boolean;
  readonly min?: number;
}

/** `T` is the type of the parsed value. */
export interface OptionSpec<T = unknown> extends OptionBase {
  readonly type: "flag" | ValueType;
  readonly default?: T;
}

export type ValueType = "text" | "integer" | "float" | "choice" | "directory" | "assignment" | "file" | "int-or-none";

export interface ArgumentSpec<T = unknown> {
  /** As shown in the usage line. */
  readonly metavar: string;
  readonly required: boolean;
  readonly variadic: boolean;
  readonly type: "text" | "integer";
  readonly completion?: Completion;
  readonly _value?: T;
}

export interface CommandSpec<A = ArgumentMap, O = OptionMap> {
  /** First line: the summary of the command; then paragraphs. */
  readonly help: string;
  readonly args: A;
  readonly options: O;
  /**
   * Operands before the user's own command line: once one more operand has been read and it starts a command, what follows is not
   * parsed as our options.
   */
  readonly passThrough?: (options: Readonly<Record<string, unknown>>) => number;
}

type ArgumentMap = Readonly<Record<string, ArgumentSpec>>;
type OptionMap = Readonly<Record<string, OptionSpec>>;
export type AnyCommandSpec = CommandSpec;

type ValueOf<S> = S extends OptionSpec<infer T> ? T : never;
type ArgumentValue<S> = S extends ArgumentSpec<infer T> ? T : never;

/** The typed values that a command's handler gets. */
export interface Input<S extends CommandSpec<unknown, unknown>> {
  readonly args: { readonly [K in keyof S["args"]]: ArgumentValue<S["args"][K]> };
  readonly options: { readonly [K in keyof S["options"]]: ValueOf<S["options"][K]> };
}

type Extra = Partial<Omit<OptionBase, "spellings" | "help" | "multiple">>;

function spell(spellings: string): { spellings: readonly string[]; negative?: readonly string[] } {
  const [positive = "", negative] = spellings.split("/");
  const base = { spellings: positive.trim().split(" ") };
  return negative === undefined ? base : { ...base, negative: negative.trim().split(" ") };
}

/** A flag that is off unless given. Spellings are written `--detach-run -d / -no-d`. */
export function flag(spellings: string, help: string, extra: Extra = {}): OptionSpec<boolean> {
  return { type: "flag", ...spell(spellings), help, default: false, ...extra };
}

/** A flag that is on unless its negative spelling is given. */
export function flagOn(spellings: string, help: string): OptionSpec<boolean> {
  return { type: "flag", ...spell(spellings), help, default: true };
}

/** A flag pair with three states: on, off, not given. */
export function triFlag(spellings: string, help: string): OptionSpec<boolean | undefined> {
  return { type: "flag", ...spell(spellings), help };
}

export function text(spellings: string, help: string, extra: Extra = {}): OptionSpec<string | undefined> {
  return { type: "text", ...spell(spellings), help, ...extra };
}

export function texts(spellings: string, help: string, extra: Extra = {}): OptionSpec<readonly string[]> {
  return { type: "text", ...spell(spellings), help, multiple: true, default: [], ...extra };
}

export function integer(spellings: string, help: string, extra: Extra = {}): OptionSpec<number | undefined> {
  return { type: "integer", ...spell(spellings), help, ...extra };
}

export function integerOr(spellings: string, help: string, fallback: number): OptionSpec<number> {
  return { type: "integer", ...spell(spellings), help, default: fallback };
}

export function integers(spellings: string, help: string): OptionSpec<readonly number[]> {
  return { type: "integer", ...spell(spellings), help, multiple: true, default: [] };
}

export function float(spellings: string, help: string): OptionSpec<number | undefined> {
  return { type: "float", ...spell(spellings), help };
}

/** `--limit`: a number, or `none`/`all` for no limit (null). */
export function limit(spellings: string, help: string, fallback: number): OptionSpec<number | null> {
  return { type: "int-or-none", ...spell(spellings), help, default: fallback };
}

export function directory(spellings: string, help: string): OptionSpec<string | undefined> {
  return { type: "directory", ...spell(spellings), help };
}

export function file(spellings: string, help: string): OptionSpec<string | undefined> {
  return { type: "file", ...spell(spellings), help, completion: "file_name" };
}

/** Repeatable `KEY=VALUE`, or `KEY` alone to take the value from the environment. */
export function assignments(spellings: string, help: string): OptionSpec<readonly string[]> {
  return { type: "assignment", ...spell(spellings), help, multiple: true, default: [] };
}

export function choice<const C extends readonly string[]>(
  spellings: string,
  choices: C,
  help: string,
  extra: Extra = {},
): OptionSpec<C[number] | undefined> {
  return { type: "choice", ...spell(spellings), choices, help, ...extra };
}

export function choiceOr<const C extends readonly string[]>(
  spellings: string,
  choices: C,
  help: string,
  fallback: C[number],
): OptionSpec<C[number]> {
  return { type: "choice", ...spell(spellings), choices, help, default: fallback };
}

export function argument(metavar: string, completion?: Completion): ArgumentSpec<string> {
  return withCompletion({ metavar, required: true, variadic: false, type: "text" }, completion);
}

export function optionalArgument(metavar: string, completion?: Completion): ArgumentSpec<string | undefined> {
  return withCompletion({ metavar: `[${metavar}]`, required: false, variadic: false, type: "text" }, completion);
}

export function optionalInteger(metavar: string): ArgumentSpec<number | undefined> {
  return { metavar: `[${metavar}]`, required: false, variadic: false, type: "integer" };
}

export function variadic(metavar: string, completion?: Completion): ArgumentSpec<readonly string[]> {
  return withCompletion({ metavar: `[${metavar}]...`, required: false, variadic: true, type: "text" }, completion);
}

export function requiredVariadic(metavar: string, completion?: Completion): ArgumentSpec<readonly string[]> {
  return withCompletion({ metavar: `${metavar}...`, required: true, variadic: true, type: "text" }, completion);
}

export function variadicIntegers(metavar: string): ArgumentSpec<readonly number[]> {
  return { metavar: `[${metavar}]...`, required: false, variadic: true, type: "integer" };
}

function withCompletion<T>(spec: ArgumentSpec<T>, completion: Completion | undefined): ArgumentSpec<T> {
  return completion === undefined ? spec : { ...spec, completion };
}

/** Gives a spec its exact type, so that {@link Input} can be derived from it. */
export function commandSpec<const A extends ArgumentMap, const O extends OptionMap>(
  spec: CommandSpec<A, O>,
): CommandSpec<A, O> {
  return spec;
}
