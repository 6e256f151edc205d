// The options of a program: one table says name, unit, default, parser and description of each, and everything else
// (flags, environment variables, the config file, --help) follows from it.
//
//   O1. Flag > environment > config file > default; the first that speaks is the whole answer, lists are not merged.
//   O2. What an operator got wrong is one line that names the source and the nearest right name. Never a stack trace.
//   O3. After resolution nothing is half known: every value is parsed, and absent only where the table says it may be.

import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { nearest, type Parse, type Parsed } from './option-values.js';

/** One option. Made by `value`, `optionalValue`, `requiredValue`, `list`, `toggle` and `operand`. */
export interface OptionSpec<T> {
  /** What stands for the value in `--help`, as `duration` in `--authority <duration>`; empty for a toggle. */
  readonly unit: string;
  readonly help: string;
  /** As an operator would write it. `undefined`: there is none. */
  readonly defaultTexts: readonly string[] | undefined;
  readonly required: boolean;
  readonly repeatable: boolean;
  /** It stands by itself, by its place among others of its kind: on the command line only. */
  readonly isOperand: boolean;
  /** How a text is shown where it is refused: without what is secret in it. */
  readonly shown: (text: string) => string;
  /** Makes the value of the texts of one source, or of none when there is neither source nor default. */
  readonly resolve: (texts: readonly string[]) => Parsed<T>;
}

/** Options by name. `agentListen` is `--agent-listen`, `LEASEHOLD_AGENT_LISTEN`, and `agent-listen` in the config file. */
export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** What a table resolves to. */
export type Resolved<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends OptionSpec<infer V> ? V : never;
};

interface Described<T> {
  readonly unit: string;
  readonly help: string;
  readonly parse: Parse<T>;
  /** Leaves out what is secret in a text; absent: nothing is. */
  readonly shown?: (text: string) => string;
}

const AS_IT_IS = (text: string): string => text;
const flag = { isOperand: false } as const;
const single = { ...flag, repeatable: false, required: false } as const;

/** An option with a default. */
export function value<T>(spec: Described<T> & { readonly default: string }): OptionSpec<T> {
  return { ...single, ...common(spec), defaultTexts: [spec.default], resolve: last(spec.parse) };
}

/** An option that may be absent. */
export function optionalValue<T>(spec: Described<T>): OptionSpec<T | undefined> {
  const resolve = last(spec.parse);
  const absent = { ok: true, value: undefined } as const;
  return {
    ...single,
    ...common(spec),
    defaultTexts: undefined,
    resolve: (t) => (t.length === 0 ? absent : resolve(t)),
  };
}

/** An option without which the program cannot run. */
export function requiredValue<T>(spec: Described<T>): OptionSpec<T> {
  return { ...single, ...common(spec), required: true, defaultTexts: undefined, resolve: last(spec.parse) };
}

/** A repeatable option; its environment variable is split on commas. With `required` there must be one at least. */
export function list<T>(
  spec: Described<T> & { readonly default?: readonly string[]; readonly required?: boolean },
): OptionSpec<readonly T[]> {
  const { parse, default: defaultTexts, required = false } = spec;
  return { ...flag, ...common(spec), repeatable: true, required, defaultTexts, resolve: every(parse) };
}

/** What stands by itself on the command line, and must be there: `issue <role> <name>`. In the order of the table. */
export function operand<T>(spec: Described<T>): OptionSpec<T> {
  return { ...requiredValue(spec), isOperand: true };
}

/** An option that is on or off, and off by default. `true` or `false` in the environment and in the config file. */
export function toggle(spec: { readonly help: string }): OptionSpec<boolean> {
  return { ...single, unit: '', help: spec.help, shown: AS_IT_IS, defaultTexts: ['false'], resolve: last(parseToggle) };
}

function common({
  unit,
  help,
  shown = AS_IT_IS,
}: Described<unknown>): Pick<OptionSpec<unknown>, 'unit' | 'help' | 'shown'> {
  return { unit, help, shown };
}

function last<T>(parse: Parse<T>): (texts: readonly string[]) => Parsed<T> {
  return (texts) => parse(texts.at(-1) ?? '');
}

function every<T>(parse: Parse<T>): (texts: readonly string[]) => Parsed<readonly T[]> {
  return (texts) => {
    const values: T[] = [];
    for (const text of texts) {
      const parsed = parse(text);
      if (!parsed.ok) return { ok: false, problem: `${JSON.stringify(text)}: ${parsed.problem}` };
      values.push(parsed.value);
    }
    return { ok: true, value: values };
  };
}

function parseToggle(text: string): Parsed<boolean> {
  if (text === 'true' || text === '1') return { ok: true, value: true };
  if (text === 'false' || text === '0') return { ok: true, value: false };
  return { ok: false, problem: 'expected true or false' };
}

/** A program as its `--help` shows it. */
export interface ProgramSpec<T extends OptionTable> {
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  /** What else the program does, by the word that comes first on the command line. Each has its own options and help. */
  readonly commands?: Readonly<Record<string, string>>;
  readonly options: T;
  /** Whole command lines. */
  readonly examples: readonly string[];
}

/** What a command line asks for: to run, to print something and be done, or nothing that could be done. */
export type Invocation<T extends OptionTable> =
  | { readonly kind: 'run'; readonly options: Resolved<T> }
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'usage-error'; readonly message: string };

/** Where option texts come from. */
export interface OptionSources {
  /** Without the interpreter and the script. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a config file; throws when it cannot be read. */
  readonly readFile?: (path: string) => string;
}

/** Texts of one option, and how the source calls it. */
interface Found {
  readonly name: string;
  readonly texts: readonly string[];
}

type Lookup = (key: string) => Found | undefined;

class UsageError extends Error {}

const CONFIG = optionalValue({
  unit: 'file',
  help: 'JSON file, its keys are flag names',
  parse: (t) => ({ ok: true, value: t }),
});

/** Reads the options of a program. Pure but for `readFile`. */
export function readOptions<T extends OptionTable>(program: ProgramSpec<T>, sources: OptionSources): Invocation<T> {
  try {
    const flags = parseFlags(program, sources.args);
    if (typeof flags === 'string') return { kind: 'print', text: flags };
    const env = fromEnv(program.options, sources.env);
    const path = (flags('config') ?? env('config'))?.texts.at(-1);
    const readFile = sources.readFile ?? ((file: string) => readFileSync(file, 'utf8'));
    const file = path === undefined ? () => undefined : fromConfig(program.options, path, readFile);
    return { kind: 'run', options: resolveAll(program.options, (key) => flags(key) ?? env(key) ?? file(key)) };
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'usage-error', message: error.message };
    throw error;
  }
}

function resolveAll<T extends OptionTable>(table: T, find: Lookup): Resolved<T> {
  const resolved = Object.entries(table).map(([key, spec]) => {
    const found = find(key) ?? { name: flagOf(key), texts: spec.defaultTexts ?? [] };
    if (spec.required && found.texts.length === 0) {
      throw new UsageError(`${flagOf(key)} is required (or set ${envOf(key)})`);
    }
    const parsed = spec.resolve(found.texts);
    if (parsed.ok) return [key, parsed.value];
    const written = spec.repeatable ? '' : ` ${JSON.stringify(spec.shown(found.texts.at(-1) ?? ''))}`;
    throw new UsageError(`${found.name}${written}: ${parsed.problem}`);
  });
  return Object.fromEntries(resolved) as Resolved<T>;
}

/** The flags on the command line, or what `--help` or `--version` prints. */
function parseFlags<T extends OptionTable>(program: ProgramSpec<T>, args: readonly string[]): Lookup | string {
  const given = new Map<string, string[]>();
  const command = commandOf(program, given);
  let printed = '';
  command.exitOverride().configureOutput({ writeOut: (text) => (printed += text), writeErr: () => undefined });
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return printed;
    throw new UsageError(explainFlagError(error, [...command.options.map((option) => option.long ?? ''), '--help']));
  }
  return (key) => {
    const texts = given.get(key);
    return texts && { name: program.options[key]?.isOperand ? `<${key}>` : flagOf(key), texts };
  };
}

function commandOf<T extends OptionTable>(program: ProgramSpec<T>, given: Map<string, string[]>): Command {
  const command = new Command(program.name).description(program.summary).allowExcessArguments(false);
  command.helpOption('-h, --help', 'print this help').version(program.version, '-V, --version', 'print the version');
  for (const [key, spec] of Object.entries<OptionSpec<unknown>>({ ...program.options, config: CONFIG })) {
    // A toggle has no text; commander hands over `undefined`.
    const keep = (text: string | undefined) => given.set(key, [...(given.get(key) ?? []), text ?? 'true']);
    if (spec.isOperand) {
      command.argument(`<${key}>`, spec.help, keep);
      continue;
    }
    const flag = spec.unit === '' ? flagOf(key) : `${flagOf(key)} <${spec.unit}>`;
    command.addOption(new Option(flag, helpOf(key, spec)).argParser(keep));
  }
  const examples = program.examples.map((line) => `  $ ${line}`).join('\n');
  const rule = 'A flag wins over its environment variable, that over the config file, that over the default.';
  return command.addHelpText('after', `\n${rule}\n${commandsHelp(program)}\nExamples:\n${examples}\n`);
}

function commandsHelp<T extends OptionTable>({ name, commands = {} }: ProgramSpec<T>): string {
  const lines = Object.entries(commands).map(([command, summary]) => `  ${name} ${command} --help  ${summary}\n`);
  return lines.length === 0 ? '' : `\nCommands:\n${lines.join('')}`;
}

function helpOf(key: string, spec: OptionSpec<unknown>): string {
  const notes = [spec.repeatable ? 'repeatable' : '', defaultOf(spec), `env: ${envOf(key)}`];
  return `${spec.help} (${notes.filter((note) => note !== '').join('; ')})`;
}

function defaultOf(spec: OptionSpec<unknown>): string {
  if (spec.required) return 'required';
  return `default: ${spec.defaultTexts?.join(',') || 'none'}`;
}

function explainFlagError(error: CommanderError, flags: readonly string[]): string {
  const text = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  const unknown =
    error.code === 'commander.unknownOption' ? /unknown option '([^'=]*)/.exec(error.message)?.[1] : undefined;
  if (unknown === undefined) return text;
  return `unknown option ${unknown}, the nearest is ${nearest(unknown, flags)}`;
}

function fromEnv(table: OptionTable, env: OptionSources['env']): Lookup {
  return (key) => {
    const text = table[key]?.isOperand ? undefined : env[envOf(key)];
    // Unset and empty are the same: a unit file or a shell cannot always unset a variable.
    if (text === undefined || text === '') return undefined;
    return { name: envOf(key), texts: table[key]?.repeatable ? text.split(',').map((part) => part.trim()) : [text] };
  };
}

function fromConfig(table: OptionTable, path: string, readFile: (path: string) => string): Lookup {
  const entries = parseConfig(path, readFile);
  const flags = Object.keys(table).filter((key) => !table[key]?.isOperand);
  const keys = new Map(flags.map((key) => [flagOf(key).slice(2), key]));
  const found = new Map<string, Found>();
  for (const [name, content] of Object.entries(entries)) {
    const key = keys.get(name);
    if (key === undefined) {
      throw new UsageError(
        `${path}: unknown key ${JSON.stringify(name)}, the nearest is ${nearest(name, [...keys.keys()])}`,
      );
    }
    found.set(key, {
      name: `${path}: ${name}`,
      texts: textsOf(content, `${path}: ${name}`, table[key]?.repeatable ?? false),
    });
  }
  return (key) => found.get(key);
}

function parseConfig(path: string, readFile: (path: string) => string): object {
  let content: unknown;
  try {
    content = JSON.parse(readFile(path));
  } catch (error) {
    throw new UsageError(`--config ${path}: ${(error as Error).message.replaceAll('\n', ' ')}`);
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  throw new UsageError(`--config ${path}: expected a JSON object`);
}

function textsOf(content: unknown, name: string, repeatable: boolean): readonly string[] {
  if (repeatable && Array.isArray(content)) return content.flatMap((item) => textsOf(item, name, false));
  if (typeof content === 'string' || typeof content === 'number' || typeof content === 'boolean')
    return [String(content)];
  throw new UsageError(`${name}: expected ${repeatable ? 'a value or an array of values' : 'one value'}`);
}

function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function envOf(key: string): string {
  return `LEASEHOLD_${flagOf(key).slice(2).toUpperCase().replaceAll('-', '_')}`;
}
