// What a command is: one row of a table, from which parsing and help follow.

import type { Leasehold } from '../connect.js';
import { DEFAULT_SERVER } from '../connect.js';
import {
  type Flag,
  type Flags,
  type FlagValues,
  milliseconds,
  oneOf,
  type Parsed,
  servers,
  someText,
  toggle,
} from './flags.js';
import { OUTPUTS, type Output } from './output.js';
import type { Watched } from './watching.js';

/** Something named by its place. */
export interface Arg {
  readonly help: string;
  /** May be left out. */
  readonly optional?: boolean;
  /** All that it can be. */
  readonly choices?: readonly string[];
}

/** Arguments in order; `hostId` is shown as HOST-ID. */
export type Args = Readonly<Record<string, Arg>>;

/** What a set of arguments gives. */
export type ArgValues<A extends Args> = {
  readonly [K in keyof A]: A[K] extends { readonly optional: true } ? string | undefined : string;
};

/** A command, as parser and help see it. */
export type Command = Described & (OnlineCommand | OfflineCommand);

interface Described {
  /** As it is typed: `['network', 'create']`. */
  readonly path: readonly string[];
  /** One line, no full stop. */
  readonly summary: string;
  readonly args: Args;
  readonly flags: Flags;
  /** What follows `leasehold` in each example. */
  readonly examples: readonly string[];
}

interface OnlineCommand {
  readonly kind: 'online';
  /** What makes `--watch` show it again. Absent: it has no such flag. */
  watched?(args: Readonly<Record<string, string | undefined>>, flags: object): Watched;
  run(
    leasehold: Leasehold,
    args: Readonly<Record<string, string | undefined>>,
    flags: object,
    nowMs: number,
    shell: Shell,
  ): Promise<Output>;
}

/** Needs no server: it works wherever the environment points. */
interface OfflineCommand {
  readonly kind: 'offline';
  run(args: Readonly<Record<string, string | undefined>>): Output;
}

/** What few commands need of the world besides a server. */
export interface Shell {
  /** Reads a file, `-` standard input, as UTF-8; why it cannot is a value. */
  readText(path: string): Promise<Parsed<string>>;
  /** Says how far long work is, in place of what it said before; empty: no more. `wanted`: also where nobody looks, or nowhere. */
  progress(text: string, wanted?: boolean): void;
  /** A client of each server that is named, by itself; whoever asks closes them. */
  clientsOfEach(): readonly NamedClient[];
  /** The own certificate, as PEM. Undefined: none is shown, or it cannot be read. */
  ownCertificate(): Promise<string | undefined>;
}

/** A client of one server. */
export interface NamedClient {
  /** As it was named on the command line. */
  readonly name: string;
  readonly leasehold: Leasehold;
}

/** What one command is made from, with the types of its arguments and flags. */
export interface CommandDefinition<A extends Args, F extends Flags> {
  readonly path: readonly string[];
  readonly summary: string;
  readonly args: A;
  readonly flags: F;
  readonly examples: readonly string[];
  /** Gives it the flag `--watch`, and says what makes it show its output again. */
  watched?(args: ArgValues<A>, flags: FlagValues<F>): Watched;
  /** Does it; `nowMs` is for flags that count back from now. */
  run(leasehold: Leasehold, args: ArgValues<A>, flags: FlagValues<F>, nowMs: number, shell: Shell): Promise<Output>;
}

/** Makes a row of a table; what `run` gets has the types of the row's own arguments and flags. */
export function command<const A extends Args, F extends Flags>(definition: CommandDefinition<A, F>): Command {
  const flags = definition.watched ? { ...definition.flags, ...WATCH_FLAG } : definition.flags;
  // The parser gives `run` exactly what `args` and `flags` of the same row describe.
  return { kind: 'online', ...definition, flags };
}

/** The flag of all that can be shown again and again. */
const WATCH_FLAG = { watch: toggle('Show it again whenever it changes, until Ctrl-C', 'false') };

/** Makes the row of a command that needs no server. */
export function offlineCommand<const A extends Args>(
  definition: Omit<CommandDefinition<A, Record<never, never>>, 'run'> & { run(args: ArgValues<A>): Output },
): Command {
  return { kind: 'offline', ...definition };
}

/** Flags that every command has; each can be set in the environment too. */
export const GLOBAL_FLAGS = {
  server: servers('The server, HOST:PORT or unix:PATH; of several the first that can be reached', DEFAULT_SERVER),
  output: oneOf(OUTPUTS, 'How to print (also -o)', 'table'),
  timeout: milliseconds(
    'How long to wait for each answer, retries included; given, also for a server that cannot be reached',
    '10s',
  ),
  tlsCa: someText(
    'FILE',
    "Certificates of the CAs that the server's certificate must come from; turns TLS on",
    'no TLS',
  ),
  tlsCert: someText('FILE', 'The own certificate, for TLS'),
  tlsKey: someText('FILE', 'The private key of the own certificate'),
  tlsServerName: someText('NAME', "The name that the server's certificate must hold", 'the one it is reached by'),
  tlsTrustDomain: someText('NAME', 'Whose server it must be: spiffe://NAME/server/… in its certificate', 'leasehold'),
  insecure: toggle('With TLS: reach servers on this machine without it', 'false'),
  insecureNetwork: toggle('Allow plaintext to a server on another machine', 'false'),
} satisfies Record<string, Flag<unknown>>;

/** What the flags that every command has give. */
export type GlobalValues = FlagValues<typeof GLOBAL_FLAGS>;

/** Lists are printed whole: the largest pages, for the fewest round trips. */
export const PAGES = { pageSize: 1_000 } as const;
