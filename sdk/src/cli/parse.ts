// From words and environment to one command with everything it needs, or to what is wrong with them.
//
// Flags may stand anywhere, those of a command after its name. Flag > environment > default; the environment speaks only
// for the flags that every command has: a guard, a filter or a vouch that was left in it, perhaps for another program,
// would change what a command does without a word.

import { type Args, type Command, GLOBAL_FLAGS, type GlobalValues } from './command.js';
import { environmentName, type Flag, type Flags, flagName } from './flags.js';
import { nearest } from './nearest.js';
import { OUTPUTS, type OutputFormat } from './output.js';

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What is to be done. */
export type Invocation =
  | { readonly kind: 'help' | 'version'; readonly path: readonly string[] }
  | { readonly kind: 'usage'; readonly path: readonly string[]; readonly problem: string }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly args: Readonly<Record<string, string | undefined>>;
      readonly flags: Readonly<Record<string, unknown>>;
      readonly globals: GlobalValues;
    };

/** Reads a command line. */
export function parse(argv: readonly string[], env: Environment, commands: readonly Command[]): Invocation {
  const line = new Line(commands);
  const problem = line.read(argv);
  if (line.wants !== undefined) return { kind: line.wants, path: line.path };
  if (problem !== undefined) return { kind: 'usage', path: line.path, problem };
  const { command, path } = line;
  if (!command) return { kind: 'usage', path, problem: `${['leasehold', ...path].join(' ')} needs a command` };
  const args = bindArgs(command.args, line.positionals);
  if (typeof args === 'string') return { kind: 'usage', path, problem: args };
  const globals = resolve(GLOBAL_FLAGS, line.given, env);
  const flags = resolve(command.flags, line.given, {});
  if (!globals.ok) return { kind: 'usage', path, problem: globals.problem };
  if (!flags.ok) return { kind: 'usage', path, problem: flags.problem };
  return { kind: 'run', command, args, flags: flags.values, globals: globals.values };
}

/** What stands on an unfinished command line. */
export interface Sketch {
  readonly path: readonly string[];
  readonly command: Command | undefined;
  readonly positionals: readonly string[];
  readonly given: ReadonlyMap<string, readonly string[]>;
  /** Flags are over, by `--`. */
  readonly ended: boolean;
  /** Undefined: one of them is wrong. */
  readonly globals: GlobalValues | undefined;
}

/** Reads as much of a command line as there is; undefined: there is something wrong with it. */
export function sketch(argv: readonly string[], env: Environment, commands: readonly Command[]): Sketch | undefined {
  const line = new Line(commands);
  if (line.read(argv) !== undefined) return undefined;
  const { path, command, positionals, given } = line;
  const globals = resolve(GLOBAL_FLAGS, given, env);
  return {
    ...{ path, command, positionals, given },
    ended: argv.includes('--'),
    globals: globals.ok ? globals.values : undefined,
  };
}

/** How to print errors in the command line itself, which may be too broken to parse. */
export function wantedOutput(argv: readonly string[], env: Environment): OutputFormat {
  let wanted = env[environmentName('output')];
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (word === '-o' || word === '--output') wanted = argv[index + 1];
    else wanted = /^--output=(.+)$/s.exec(expandShort(word))?.[1] ?? wanted;
  }
  return OUTPUTS.find((output) => output === wanted) ?? 'table';
}

// What was read of a command line so far.
class Line {
  readonly path: string[] = [];
  readonly positionals: string[] = [];
  readonly given = new Map<string, string[]>();
  wants: 'help' | 'version' | undefined;
  command: Command | undefined;
  readonly #commands: readonly Command[];

  constructor(commands: readonly Command[]) {
    this.#commands = commands;
  }

  /** Reads all words; answers what is wrong with them. */
  read(argv: readonly string[]): string | undefined {
    const words = [...argv];
    for (let word = words.shift(); word !== undefined; word = words.shift()) {
      if (word === '--') {
        this.positionals.push(...words);
        return undefined;
      }
      const problem = word.startsWith('-') && word !== '-' ? this.#flag(word, words) : this.#word(word);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #word(word: string): string | undefined {
    if (this.command) {
      this.positionals.push(word);
      return undefined;
    }
    if (word === 'help' && this.path.length === 0) {
      this.wants = 'help';
      return undefined;
    }
    const depth = this.path.length;
    const here = this.#commands.filter(({ path }) => this.path.every((name, index) => path[index] === name));
    if (!here.some(({ path }) => path[depth] === word)) {
      const names = [...new Set(here.map(({ path }) => path[depth] ?? ''))];
      return `unknown command ${JSON.stringify(word)}${hint(nearest(word, names), ` after ${this.path.join(' ')}`, depth)}`;
    }
    this.path.push(word);
    this.command = here.find(({ path }) => path.length === depth + 1 && path[depth] === word);
    return undefined;
  }

  #flag(word: string, rest: string[]): string | undefined {
    const long = expandShort(word);
    const [, name = '', inline] = /^--([^=]*)(?:=(.*))?$/s.exec(long) ?? [];
    if (name === 'help' || name === 'version') {
      this.wants ??= name;
      return undefined;
    }
    const flags: Flags = { ...GLOBAL_FLAGS, ...this.command?.flags };
    const found = Object.entries(flags).find(([key, flag]) => name === flagName(key) || isNegated(name, key, flag));
    if (!found) return unknownFlag(word, name, flags);
    const [key, flag] = found;
    const value = takeValue(flag, name !== flagName(key), inline, rest);
    if (value === undefined) return `--${name} needs ${flag.unit === '' ? 'no value' : flag.unit}`;
    this.given.set(key, [...(this.given.get(key) ?? []), value]);
    return undefined;
  }
}

function takeValue(
  flag: Flag<unknown>,
  negated: boolean,
  inline: string | undefined,
  rest: string[],
): string | undefined {
  if (negated) return inline === undefined ? 'false' : undefined;
  if (inline !== undefined) return inline;
  if (flag.unit === '') return 'true';
  // A flag where its value should be: the value was forgotten.
  return rest[0]?.startsWith('--') ? undefined : rest.shift();
}

const isNegated = (name: string, key: string, flag: Flag<unknown>): boolean =>
  flag.unit === '' && name === `no-${flagName(key)}`;

/** A short flag in its long form; any other word as it is. */
export function expandShort(word: string): string {
  if (word === '-h') return '--help';
  if (word === '-o') return '--output';
  return word.startsWith('-o') ? `--output=${word.slice(word[2] === '=' ? 3 : 2)}` : word;
}

function unknownFlag(word: string, name: string, flags: Flags): string {
  const names = [...Object.keys(flags).map(flagName), 'help', 'version'];
  const guess = nearest(name, names);
  return `unknown flag ${word.replace(/=.*$/s, '')}${guess === undefined ? '' : `, did you mean --${guess}?`}`;
}

function hint(guess: string | undefined, after: string, depth: number): string {
  return `${depth > 0 ? after : ''}${guess === undefined ? '' : `, did you mean ${guess}?`}`;
}

/** The name of an argument in help: `hostId` is HOST-ID. */
export function argName(key: string): string {
  return flagName(key).toUpperCase();
}

// With fewer words than arguments the optional ones go without, from the last.
function bindArgs(args: Args, words: readonly string[]): Readonly<Record<string, string>> | string {
  const all = Object.entries(args);
  let spare = words.length - all.filter(([, { optional }]) => !optional).length;
  const bound: Record<string, string> = {};
  let next = 0;
  for (const [key, { optional }] of all) {
    if (optional && spare-- <= 0) continue;
    const word = words[next++];
    if (word === undefined || word === '') return `${argName(key)} is missing`;
    bound[key] = word;
  }
  return next < words.length ? `unexpected argument ${JSON.stringify(words[next])}` : bound;
}

type Resolved =
  | { readonly ok: true; readonly values: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problem: string };

function resolve(flags: Flags, given: ReadonlyMap<string, readonly string[]>, env: Environment): Resolved {
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(flags)) {
    const variable = env[environmentName(key)];
    const texts = given.get(key) ?? (variable ? [variable] : undefined);
    if (texts === undefined) continue;
    const parsed = flag.parse(texts);
    if (!parsed.ok) {
      const source = given.has(key) ? `--${flagName(key)}` : environmentName(key);
      return { ok: false, problem: `${source}: ${parsed.problem}, not ${JSON.stringify(texts.join(','))}` };
    }
    values[key] = parsed.value;
  }
  return { ok: true, values };
}
