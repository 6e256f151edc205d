// What a command is: one row of a table, from which parsing and help follow.

import type { Leasehold } from '../connect.js';
import { DEFAULT_SERVER } from '../connect.js';
import { type Flag, type Flags, type FlagValues, milliseconds, oneOf, servers, text, toggle } from './flags.js';
import { OUTPUTS, type Output } from './output.js';

/** Something named by its place. */
export interface Arg {
  readonly help: string;
  /** May be left out. */
  readonly optional?: boolean;
}

/** Arguments in order; `hostId` is shown as HOST-ID. */
export type Args = Readonly<Record<string, Arg>>;

/** What a set of arguments gives. */
export type ArgValues<A extends Args> = {
  readonly [K in keyof A]: A[K] extends { readonly optional: true } ? string | undefined : string;
};

/** A command, as parser and help see it. */
export interface Command {
  /** As it is typed: `['network', 'create']`. */
  readonly path: readonly string[];
  /** One line, no full stop. */
  readonly summary: string;
  readonly args: Args;
  readonly flags: Flags;
  /** What follows `leasehold` in each example. */
  readonly examples: readonly string[];
  run(
    leasehold: Leasehold,
    args: Readonly<Record<string, string | undefined>>,
    flags: object,
    nowMs: number,
  ): Promise<Output>;
}

/** What one command is made from, with the types of its arguments and flags. */
export interface CommandDefinition<A extends Args, F extends Flags> {
  readonly path: readonly string[];
  readonly summary: string;
  readonly args: A;
  readonly flags: F;
  readonly examples: readonly string[];
  /** Does it; `nowMs` is for flags that count back from now. */
  run(leasehold: Leasehold, args: ArgValues<A>, flags: FlagValues<F>, nowMs: number): Promise<Output>;
}

/** Makes a row of a table; what `run` gets has the types of the row's own arguments and flags. */
export function command<const A extends Args, F extends Flags>(definition: CommandDefinition<A, F>): Command {
  // The parser gives `run` exactly what `args` and `flags` of the same row describe.
  return definition;
}

/** Flags that every command has; each can be set in the environment too. */
export const GLOBAL_FLAGS = {
  server: servers('The server, HOST:PORT or unix:PATH; of several the first that can be reached', DEFAULT_SERVER),
  output: oneOf(OUTPUTS, 'How to print (also -o)', 'table'),
  timeout: milliseconds(
    'How long to wait for each answer, retries included; given, also for a server that cannot be reached',
    '10s',
  ),
  tlsCa: text('FILE', "Certificates of the CAs that the server's certificate must come from; turns TLS on", 'no TLS'),
  tlsCert: text('FILE', 'The own certificate, for TLS'),
  tlsKey: text('FILE', 'The private key of the own certificate'),
  tlsServerName: text('NAME', "The name that the server's certificate must hold", 'the one it is reached by'),
  insecure: toggle('With TLS: reach servers on this machine without it', 'false'),
  insecureNetwork: toggle('Allow plaintext to a server on another machine', 'false'),
} satisfies Record<string, Flag<unknown>>;

/** What the flags that every command has give. */
export type GlobalValues = FlagValues<typeof GLOBAL_FLAGS>;

/** Lists are printed whole: the largest pages, for the fewest round trips. */
export const PAGES = { pageSize: 1_000 } as const;
